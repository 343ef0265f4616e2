package main

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"html/template"
	"net/http"

	"agencyhub/shared/agency"
)

//go:embed page.html
var pageHTML string

//go:embed page.css
var pageCSS string

var page = template.Must(template.New("request").Parse(pageHTML))

// requestPage is the address in a request's email. It says how and by whom the
// request is decided, and nothing about it: mail scanners follow links, and a
// link is never a right. It looks nothing up, so it can't change or betray
// anything, and is the same for every well-formed id.
type requestPage struct {
	product string
	policy  string
}

func newRequestPage(product string) http.Handler {
	sum := sha256.Sum256([]byte(pageCSS))
	style := "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
	return &requestPage{
		product: product,
		policy:  "default-src 'none'; style-src " + style + "; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
	}
}

type requestView struct {
	Product string
	Style   template.CSS
	// ID and Agency are "" when the address is of no request, and Account also when
	// the request is addressed by email.
	ID, Account, Agency string
}

func (p *requestPage) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Security-Policy", p.policy)
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Strict-Transport-Security", "max-age=31536000")
	h.Set("Cache-Control", "no-store")
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		h.Set("Allow", "GET, HEAD")
		w.WriteHeader(http.StatusMethodNotAllowed)
		return
	}
	view := requestView{Product: p.product, Style: template.CSS(pageCSS)} //nolint:gosec // our own file
	status := http.StatusNotFound
	if addressee, of, ok := agency.ConnectionID(r.PathValue("id")).Split(); ok {
		status = http.StatusOK
		view.ID, view.Account, view.Agency = r.PathValue("id"), string(addressee.Account()), string(of)
	}
	var body bytes.Buffer
	if err := page.Execute(&body, view); err != nil {
		panic(err) // the template and its data are ours; the edge answers 500
	}
	h.Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	if r.Method == http.MethodGet {
		_, _ = w.Write(body.Bytes()) // the answer is a buffer of the edge's
	}
}
