package main

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"html"
	"html/template"
	"io"
	"net/http"
	"strings"
)

// The API's description, written by `make openapi`: the document, and the content of the
// page /docs.
var (
	//go:embed reference/openapi.yaml.gz
	zippedDocument []byte
	//go:embed reference/reference.html.gz
	zippedReference []byte
)

// documentedURL stands in both for the address of the hub.
const documentedURL = "https://hub.example.com"

// apiDocs is the API's description, with the address of this hub.
type apiDocs struct {
	document asset
	// etag is weak: it is the same for the zipped document and the other.
	etag      string
	reference template.HTML
}

// newDocs reads the description. It takes some milliseconds, so it waits for the first
// request of it.
func newDocs(publicURL string) (*apiDocs, error) {
	document, err := unzip(zippedDocument)
	if err != nil {
		return nil, err
	}
	document = bytes.ReplaceAll(document, []byte(documentedURL), []byte(publicURL))
	sum := sha256.Sum256(document)
	zipped, err := zip(document)
	if err != nil {
		return nil, err
	}
	reference, err := unzip(zippedReference)
	if err != nil {
		return nil, err
	}
	return &apiDocs{
		document: asset{kind: "application/yaml", zipped: zipped}, // RFC 9512
		etag:     `W/"` + hex.EncodeToString(sum[:8]) + `"`,
		reference: template.HTML(strings.ReplaceAll( //nolint:gosec // our own page, and the address of the hub is escaped
			string(reference), documentedURL, html.EscapeString(publicURL))),
	}, nil
}

func unzip(zipped []byte) ([]byte, error) {
	z, err := gzip.NewReader(bytes.NewReader(zipped))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(z)
}

// openAPI serves the OpenAPI document. It is public, so scripts of any site can read it.
func (c *console) openAPI(w http.ResponseWriter, r *http.Request) {
	docs, err := c.apiDocs()
	if err != nil {
		panic(err) // a broken file of ours; a test reads it
	}
	h := w.Header()
	h.Set("Access-Control-Allow-Origin", "*")
	h.Set("ETag", docs.etag)
	const keep = "public, max-age=300"
	if strings.Contains(r.Header.Get("If-None-Match"), docs.etag) {
		h.Set("Cache-Control", keep)
		h.Set("Vary", "Accept-Encoding")
		w.WriteHeader(http.StatusNotModified)
		return
	}
	docs.document.write(w, r, keep)
}

// docsPage is the API's reference.
type docsPage struct {
	frame
	Reference template.HTML
}

// docs shows the reference, which is the same for everybody.
func (c *console) docs(*visit) (response, error) {
	docs, err := c.apiDocs()
	if err != nil {
		return response{}, err
	}
	return show("docs", &docsPage{Reference: docs.reference}), nil
}
