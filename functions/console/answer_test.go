package main

import (
	"compress/gzip"
	"io"
	"net/http"
	"testing"
)

// TestPagesAreZipped: a browser that takes it gets a page zipped, and anybody
// else the same page as it is.
func TestPagesAreZipped(t *testing.T) {
	w := newTown(t)
	b := w.as(cleoAt)
	bare := b.get("/me")
	zipped := b.send(http.MethodGet, "/me", nil, "Accept-Encoding", "br, gzip")
	if got := bare.Header().Get("Content-Encoding"); got != "" {
		t.Errorf("nobody asked for %q", got)
	}
	for _, page := range []shown{bare, zipped} {
		if got := page.Header().Get("Vary"); got != "Accept-Encoding" {
			t.Errorf("Vary is %q", got)
		}
	}
	if got := zipped.Header().Get("Content-Encoding"); got != "gzip" || zipped.Body.Len() >= bare.Body.Len() {
		t.Fatalf("%q, %d bytes of %d", got, zipped.Body.Len(), bare.Body.Len())
	}
	z, err := gzip.NewReader(zipped.Body)
	if err != nil {
		t.Fatal(err)
	}
	if content, err := io.ReadAll(z); err != nil || string(content) != bare.Body.String() {
		t.Errorf("the page differs when it is zipped (%v):\n%s", err, content)
	}
}
