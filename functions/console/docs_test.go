package main

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"
)

// fetch is a GET with headers, of somebody who is not signed in.
func (s *site) fetch(path string, header ...string) *httptest.ResponseRecorder {
	s.t.Helper()
	r := httptest.NewRequestWithContext(s.t.Context(), http.MethodGet, path, nil)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w
}

// The served document is infra/openapi.yaml, with the address of this hub.
func TestOpenAPI(t *testing.T) {
	s := newSite(t)
	kept, err := os.ReadFile(filepath.Join("..", "..", "infra", "openapi.yaml"))
	must(t, err)
	if bytes.Count(kept, []byte(documentedURL)) != 1 {
		t.Errorf("the document names %s %d times", documentedURL, bytes.Count(kept, []byte(documentedURL)))
	}
	w := s.fetch("/v1/openapi.yaml")
	if diff := cmp.Diff(strings.ReplaceAll(string(kept), documentedURL, publicURL), w.Body.String()); diff != "" {
		t.Errorf("run `make openapi`: what is served differs from infra/openapi.yaml\n%s", diff)
	}
	header := w.Header()
	for name, want := range map[string]string{
		"Content-Type": "application/yaml", "Access-Control-Allow-Origin": "*", "Cache-Control": "public, max-age=300", "Vary": "Accept-Encoding",
	} {
		if header.Get(name) != want {
			t.Errorf("%s: %q, want %q", name, header.Get(name), want)
		}
	}
	zipped := s.fetch("/v1/openapi.yaml", "Accept-Encoding", "gzip")
	unzipped, err := unzip(zipped.Body.Bytes())
	must(t, err)
	if zipped.Header().Get("Content-Encoding") != "gzip" || string(unzipped) != w.Body.String() {
		t.Error("zipped it is another document")
	}
	if w := s.fetch("/v1/openapi.yaml", "If-None-Match", `"other", `+header.Get("ETag")); w.Code != http.StatusNotModified || w.Body.Len() > 0 {
		t.Errorf("the same version: %d with %d bytes", w.Code, w.Body.Len())
	}
	if w := s.fetch("/v1/openapi.yaml", "If-None-Match", `W/"other"`); w.Code != http.StatusOK {
		t.Errorf("another version: %d", w.Code)
	}
}

// The reference shows every operation and every schema that an answer leads to, and all
// its links lead somewhere.
func TestReference(t *testing.T) {
	s := newSite(t)
	w := s.fetch("/docs")
	page := w.Body.String()
	if w.Code != http.StatusOK || strings.Contains(page, documentedURL) || !strings.Contains(page, "<code>"+publicURL+"</code>") {
		t.Errorf("%d, without the address of the hub", w.Code)
	}
	var document struct {
		Paths map[string]map[string]struct {
			OperationID string `yaml:"operationId"`
		}
	}
	must(t, yaml.Unmarshal(s.fetch("/v1/openapi.yaml").Body.Bytes(), &document))
	for path, operations := range document.Paths {
		for _, operation := range operations {
			if !strings.Contains(page, `<h3 id="`+operation.OperationID+`">`) || !strings.Contains(page, "<code>"+path+"</code>") {
				t.Errorf("%s is not shown", operation.OperationID)
			}
		}
	}
	links := 0
	for _, part := range strings.Split(page, ` href="#`)[1:] {
		name, _, _ := strings.Cut(part, `"`)
		if links++; !strings.Contains(page, `id="`+name+`"`) {
			t.Errorf("the link to #%s leads nowhere", name)
		}
	}
	if links < 100 {
		t.Errorf("%d links only", links)
	}
}
