package main

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"agencyhub/shared/agency"
	"agencyhub/shared/service"
	"agencyhub/shared/settings"
	"agencyhub/shared/table"
)

// console is the site. A page has one address. GET shows it. A POST to it does what
// the form's `do` says, then redirects, or shows the page again with the form as it was
// typed and what is wrong with it.
type console struct {
	svc       *service.Service
	sessions  *sessions
	env       settings.Environment
	now       func() time.Time
	issuer    *issuer
	assets    *assets
	templates *templates
	apiDocs   func() (*apiDocs, error)
	guard     *http.CrossOriginProtection
	mux       *http.ServeMux
	// fields are the names of the fields in each page's forms, by its path. areaFields
	// is several.
	fields map[string][]string
}

// newConsole returns the site of a deployment. Errors say what is wrong with its
// environment or its files.
func newConsole(svc *service.Service, store *table.Table, env settings.Environment, now func() time.Time) (*console, error) {
	c := &console{svc: svc, env: env, now: now, mux: http.NewServeMux(), guard: http.NewCrossOriginProtection(), fields: map[string][]string{}}
	if err := c.guard.AddTrustedOrigin(env.PublicURL); err != nil {
		return nil, fmt.Errorf("the address of the hub: %w", err)
	}
	c.issuer = newIssuer(env, now)
	c.sessions = &sessions{store: store, issuer: c.issuer, now: now, sleep: sleep}
	c.apiDocs = sync.OnceValues(func() (*apiDocs, error) { return newDocs(env.PublicURL) })
	var err error
	if c.assets, err = newAssets(env.Settings.Accent); err != nil {
		return nil, err
	}
	if c.templates, err = newTemplates(c); err != nil {
		return nil, err
	}
	c.routes()
	return c, nil
}

// routes registers all addresses of the site.
func (c *console) routes() {
	c.mux.Handle("GET /static/{version}/{name}", c.assets)
	c.mux.HandleFunc("GET /favicon.ico", c.assets.icon)
	c.mux.HandleFunc("GET /robots.txt", robots)
	c.mux.HandleFunc("GET /v1/openapi.yaml", c.openAPI)
	c.openPage("/docs", c.docs)
	c.openPage("/signin", c.signIn)
	c.openPage("/signin/callback", c.signInCallback)
	c.openPage("/signout", c.signOut, "do")
	c.publicPage("/requests/{id}", c.request, "do", "request", "account", "zone", "until", areaFields)
	c.publicPage("/invitations/{account}", c.invitation, "do", "request", "plan", "confirm")
	c.addStopPage("/stop/{link}")
	c.publicPage("/", notFound)

	c.publicPage("/{$}", c.home)
	c.privatePage("/waiting", c.waiting, "do", "request", "invitation", "connection")
	c.privatePage("/accounts/new", c.openAccount, "key", "name")

	// The agency's side.
	c.privatePage("/agencies/{agency}", c.clients)
	c.privatePage("/agencies/{agency}/clients.csv", c.clientsFile)
	c.privatePage("/agencies/{agency}/clients/{id}", c.client, "do")
	c.privatePage("/agencies/{agency}/bill", c.bill)
	c.privatePage("/agencies/{agency}/activity", c.agencyActivity)
	c.privatePage("/agencies/{agency}/add", c.forManagers(c.addClient))
	c.privatePage("/agencies/{agency}/add/create", c.forManagers(c.createClient), "key", "name", "plan", "email", "confirm", areaFields)
	c.privatePage("/agencies/{agency}/add/connect", c.forManagers(c.connectClient), "key", "addressee", "message", areaFields)

	// The account's side.
	c.privatePage("/me", c.me, "do", "agency", "confirm")
	c.privatePage("/accounts/{account}/team", c.team, "do", "agency", "member", "email", "role", areaFields)
	c.privatePage("/accounts/{account}/team/{member}", c.member, "do", "role", "zone", "until", "block", "limited", "client", "others", areaFields)
	c.privatePage("/accounts/{account}/settings", c.settings, "do", "name", "confirm")
	c.privatePage("/accounts/{account}/activity", c.activity)
	c.privatePage("/accounts/{account}/subscription", c.subscription, "do", "plan")
}

// handler is one page. Its error becomes the page of the error's code.
type handler func(*visit) (response, error)

// privatePage adds a page for signed-in people. Others are led to sign in and back,
// with the form that they sent.
func (c *console) privatePage(path string, h handler, fields ...string) {
	c.publicPage(path, func(v *visit) (response, error) {
		if v.actor.Email == "" {
			return v.askToSignIn(), nil
		}
		return h(v)
	}, fields...)
}

// publicPage adds a page for everyone, which can differ for signed-in people.
func (c *console) publicPage(path string, h handler, fields ...string) {
	c.openPage(path, func(v *visit) (response, error) {
		if err := v.authenticate(); err != nil {
			return response{}, err
		}
		if v.isPost() && v.isOfAnother() {
			return v.refuseForm(), nil
		}
		return h(v)
	}, fields...)
}

// openPage adds a page that is the same for everyone, and reads no session. Only a POST
// from a page of ours changes anything. fields are the names of the fields in the page's
// forms: no others are read.
func (c *console) openPage(path string, h handler, fields ...string) {
	c.fields[path] = fields
	c.mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
		v := &visit{console: c, r: r, ctx: r.Context(), w: w}
		c.respond(v, func() (response, error) { return v.serve(h) })
	})
}

// respond writes what a page answers, or the page of its error.
func (c *console) respond(v *visit, serve func() (response, error)) {
	res, err := serve()
	if err != nil {
		res = v.problem(err)
	}
	if err := v.write(res); err != nil {
		// A template that does not fit its page.
		slog.ErrorContext(v.ctx, "A page can't be written.", "route", v.r.Pattern, "error", err.Error())
		http.Error(v.w, "Something went wrong on our side. Please try again.", http.StatusInternalServerError)
	}
}

// ServeHTTP serves the site, with the headers that restrict what a page may do.
func (c *console) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Security-Policy", policy)
	h.Set("Referrer-Policy", "same-origin")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=()")
	c.mux.ServeHTTP(w, r)
}

// policy allows a page to load our own files only, and to be shown in no frame. The
// marks in boxes and the arrows of lists are data: images of our own style.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; " +
	"form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// robots keeps search engines out.
func robots(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = w.Write([]byte("User-agent: *\nDisallow: /\n")) // a buffer of rest's: it never fails
}

// errMethod is the error of a method that no page has.
var errMethod = errors.New("console: no page takes this method")

// notFound is the handler of addresses without a page.
func notFound(*visit) (response, error) {
	return response{}, &agency.Error{Code: agency.NotFound, Message: "There is no page at this address."}
}
