package main

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"strings"

	"agencyhub/shared/settings"
)

// static are the files, zipped by `make assets`: HTTP APIs do not compress.
//
//go:embed static/*.gz
var static embed.FS

// assets are the files that pages load. Each one's address changes with its content,
// so browsers may keep it forever.
type assets struct {
	files map[string]asset
}

type asset struct {
	version, kind string
	zipped        []byte
}

// newAssets reads the files, and generates the one with the deployment's colour.
func newAssets(accent settings.Accent) (*assets, error) {
	a := &assets{files: map[string]asset{}}
	names, err := fs.Glob(static, "static/*.gz")
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		zipped, err := static.ReadFile(name)
		if err != nil {
			return nil, err
		}
		a.add(strings.TrimSuffix(path.Base(name), ".gz"), zipped)
	}
	colour, err := zip(fmt.Appendf(nil, accentCSS, accent, accent.InTheDark()))
	if err != nil {
		return nil, err
	}
	a.add("accent.css", colour)
	return a, nil
}

const accentCSS = `:root{--accent:%s;--on-accent:#fff}
@media (prefers-color-scheme:dark){:root{--accent:%s;--on-accent:#10151d}}
`

func zip(content []byte) ([]byte, error) {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write(content); err != nil {
		return nil, err
	}
	err := z.Close()
	return b.Bytes(), err
}

// acceptsZip reports whether the browser accepts a zipped response.
func acceptsZip(r *http.Request) bool {
	return strings.Contains(r.Header.Get("Accept-Encoding"), "gzip")
}

func (a *assets) add(name string, zipped []byte) {
	sum := sha256.Sum256(zipped)
	a.files[name] = asset{version: hex.EncodeToString(sum[:6]), kind: mime.TypeByExtension(path.Ext(name)), zipped: zipped}
}

// url returns the address of a file; an error for an unknown one.
func (a *assets) url(name string) (string, error) {
	f, ok := a.files[name]
	if !ok {
		return "", fmt.Errorf("there is no file %s", name)
	}
	return "/static/" + f.version + "/" + name, nil
}

// ServeHTTP serves a file. An address of another version is not found, so that nobody
// caches the wrong content.
func (a *assets) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f, ok := a.files[r.PathValue("name")]
	if !ok || f.version != r.PathValue("version") {
		http.NotFound(w, r)
		return
	}
	f.write(w, r, "public, max-age=31536000, immutable")
}

// icon serves /favicon.ico, for browsers that ask for it there.
func (a *assets) icon(w http.ResponseWriter, r *http.Request) {
	a.files["icon.svg"].write(w, r, "public, max-age=86400")
}

func (f asset) write(w http.ResponseWriter, r *http.Request, keep string) {
	h := w.Header()
	h.Set("Content-Type", f.kind)
	h.Set("Cache-Control", keep)
	h.Set("Vary", "Accept-Encoding")
	if acceptsZip(r) {
		h.Set("Content-Encoding", "gzip")
		_, _ = w.Write(f.zipped) // a buffer of rest's: it never fails
		return
	}
	z, err := gzip.NewReader(bytes.NewReader(f.zipped))
	if err == nil {
		_, err = io.Copy(w, z) //nolint:gosec // our own file
	}
	if err != nil {
		panic(err) // a broken file of ours; a test reads them all
	}
}
