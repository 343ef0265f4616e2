package main

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"testing"

	"github.com/aws/aws-lambda-go/events"

	"agencyhub/shared/rest"
)

// A browser that accepts it gets a page zipped; others get the same page as it is.
func TestPagesAreZipped(t *testing.T) {
	w := newWorld(t)
	b := w.as(cleoAt)
	bare := b.get("/me")
	zipped := b.send(http.MethodGet, "/me", nil, "Accept-Encoding", "br, gzip")
	wantEqual(t, "encoding that nobody asked for", "", bare.Header().Get("Content-Encoding"))
	for _, page := range []result{bare, zipped} {
		wantEqual(t, "Vary", "Accept-Encoding", page.Header().Get("Vary"))
	}
	if got := zipped.Header().Get("Content-Encoding"); got != "gzip" || zipped.Body.Len() >= bare.Body.Len() {
		t.Fatalf("%q, %d bytes of %d", got, zipped.Body.Len(), bare.Body.Len())
	}
	z, err := gzip.NewReader(zipped.Body)
	must(t, err)
	if content, err := io.ReadAll(z); err != nil || string(content) != bare.Body.String() {
		t.Errorf("the page differs when it is zipped (%v):\n%s", err, content)
	}
}

// The longest file fits into what Lambda may return, even of characters that count six
// times as text.
func TestLongestFileFits(t *testing.T) {
	w := newWorld(t)
	content := bytes.Repeat([]byte("<&>\r\n"), maxExportBytes/5)
	site := rest.Site("console", http.HandlerFunc(func(to http.ResponseWriter, r *http.Request) {
		v := &visit{console: w.console, r: r, ctx: r.Context(), w: to}
		must(t, v.write(response{file: &download{name: "clients.csv", kind: "text/csv; charset=utf-8", content: content}}))
	}))
	event := events.APIGatewayV2HTTPRequest{RawPath: "/", Headers: map[string]string{"accept-encoding": "gzip, deflate, br"}}
	event.RequestContext.HTTP.Method = http.MethodGet
	out, err := site.Invoke(t.Context(), event)
	must(t, err)
	all, err := json.Marshal(out)
	must(t, err)
	if len(all) > 6_000_000 {
		t.Errorf("an answer of %d bytes", len(all))
	}
	zipped, err := base64.StdEncoding.DecodeString(out.Body)
	must(t, err)
	z, err := gzip.NewReader(bytes.NewReader(zipped))
	must(t, err)
	if text, err := io.ReadAll(z); err != nil || !bytes.Equal(text, content) || out.Headers["Content-Encoding"] != "gzip" {
		t.Errorf("%v, %d bytes, encoded as %q", err, len(text), out.Headers["Content-Encoding"])
	}
}
