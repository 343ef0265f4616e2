package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"time"

	"agencyhub/shared/agency"
	"agencyhub/shared/rest"
	"agencyhub/shared/service"
	"agencyhub/shared/settings"
)

// console is the site. A page has one address: GET shows it, and a POST to the
// same address does what the form's `do` says, then leads on (303) or shows the
// page again with what was typed and what is wrong with it.
type console struct {
	svc    *service.Service
	env    settings.Environment
	now    func() time.Time
	issuer *issuer
	assets *assets
	paper  *paper
	guard  *http.CrossOriginProtection
	mux    *http.ServeMux
}

// newConsole is the site of a deployment. Errors say what is wrong with it.
func newConsole(svc *service.Service, env settings.Environment, now func() time.Time) (*console, error) {
	c := &console{svc: svc, env: env, now: now, mux: http.NewServeMux(), guard: http.NewCrossOriginProtection()}
	if err := c.guard.AddTrustedOrigin(env.PublicURL); err != nil {
		return nil, fmt.Errorf("the address of the hub: %w", err)
	}
	c.issuer = newIssuer(env, now)
	var err error
	if c.assets, err = newAssets(env.Settings.Accent); err != nil {
		return nil, err
	}
	if c.paper, err = newPaper(c); err != nil {
		return nil, err
	}
	c.routes()
	return c, nil
}

// routes are all the addresses of the site.
func (c *console) routes() {
	c.mux.Handle("GET /static/{version}/{name}", c.assets)
	c.mux.HandleFunc("GET /favicon.ico", c.assets.icon)
	c.mux.HandleFunc("GET /robots.txt", robots)
	c.open("/signin", c.signIn)
	c.open("/signin/callback", c.signInCallback)
	c.open("/signout", c.signOut)
	c.open("/requests/{id}", c.request)
	c.open("/", c.nowhere)

	c.open("/{$}", c.home)
	c.page("/accounts/new", c.openAccount)

	// The agency's side.
	c.page("/agencies/{agency}", c.clients)
	c.page("/agencies/{agency}/clients.csv", c.clientsFile)
	c.page("/agencies/{agency}/clients/{id}", c.client)
	c.page("/agencies/{agency}/bill", c.bill)
	c.page("/agencies/{agency}/activity", c.agencyActivity)
	c.page("/agencies/{agency}/add", c.add)
	c.page("/agencies/{agency}/add/create", c.createClient)
	c.page("/agencies/{agency}/add/connect", c.connectClient)

	// The account's side.
	c.page("/me", c.me)
	c.page("/accounts/{account}/team", c.team)
	c.page("/accounts/{account}/team/{member}", c.member)
	c.page("/accounts/{account}/settings", c.about)
	c.page("/accounts/{account}/activity", c.activity)
	c.page("/accounts/{account}/subscription", c.subscription)
}

// handler is one page: it answers what is to be shown or where to go on. An
// error becomes the page of its code.
type handler func(*visit) (answer, error)

// page adds a page for signed-in people. Whoever is not is led to sign in and
// back, with the form that they sent.
func (c *console) page(path string, h handler) {
	c.open(path, func(v *visit) (answer, error) {
		if v.actor.Email == "" {
			return v.toSignIn(), nil
		}
		return h(v)
	})
}

// open adds a page for everybody. GET and HEAD show; only POST, from a page of
// ours, does anything.
func (c *console) open(path string, h handler) {
	c.mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
		v := &visit{console: c, r: r, ctx: r.Context(), w: w}
		a, err := v.serve(h)
		if err != nil {
			a = v.problem(err)
		}
		if err := v.write(a); err != nil {
			// A template of ours that does not fit its page.
			slog.ErrorContext(v.ctx, "A page can't be written.", "requestId", rest.RequestID(v.ctx), "route", r.Pattern, "error", err.Error())
			http.Error(w, "Something went wrong on our side. Please try again.", http.StatusInternalServerError)
		}
	})
}

// ServeHTTP answers a request.
func (c *console) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Security-Policy", policy)
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Strict-Transport-Security", "max-age=31536000")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=()")
	c.mux.ServeHTTP(w, r)
}

// policy lets a page load what is ours and nothing else, and be shown in no
// frame. The ticks and arrows of forms are images within our own style (data:).
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; " +
	"form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// robots keeps search engines out of addresses that only people are sent to.
func robots(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = w.Write([]byte("User-agent: *\nDisallow: /\n")) // the answer is a buffer of the edge's
}

// serve runs a page's handler for whoever is signed in. A panic is an error like
// any other.
func (v *visit) serve(h handler) (a answer, err error) {
	defer func() {
		if cause := recover(); cause != nil {
			slog.ErrorContext(v.ctx, "A page panicked.", "requestId", rest.RequestID(v.ctx), "stack", string(debug.Stack()))
			err = fmt.Errorf("panic: %v", cause)
		}
	}()
	switch v.r.Method {
	case http.MethodGet, http.MethodHead:
	case http.MethodPost:
		if err := v.console.guard.Check(v.r); err != nil {
			return answer{}, &agency.Error{Code: agency.Forbidden, Message: "This was not sent from a page of ours, so nothing was done. Open the page itself and try again.", Cause: err}
		}
		if err := v.readForm(); err != nil {
			return answer{}, err
		}
	default:
		v.w.Header().Set("Allow", "GET, HEAD, POST")
		return answer{}, errMethod
	}
	v.whoIsIt()
	return h(v)
}

// errMethod is a method that no page takes.
var errMethod = errors.New("console: no page takes this method")

// nowhere answers every address that is no page's.
func (c *console) nowhere(*visit) (answer, error) {
	return answer{}, &agency.Error{Code: agency.NotFound, Message: "There is no page at this address."}
}

// visit is one request of a person's.
type visit struct {
	*console
	ctx context.Context
	w   http.ResponseWriter
	r   *http.Request
	// actor is who is signed in; the zero Actor for nobody.
	actor agency.Actor
	// form is what was typed: that of a POST, or, after a forced sign-in, of the
	// POST which led to it.
	form form
	// notice is what the page before has done, to be told on this one.
	notice string
}

// post tells whether the person does something, and what. A GET never does.
func (v *visit) post() bool { return v.r.Method == http.MethodPost }

// do is what the pressed button says.
func (v *visit) do() string { return v.form.value("do") }

// path is a part of the page's address.
func (v *visit) path(name string) string { return v.r.PathValue(name) }

// account is the account that the page is about, and caller who visits it, with
// the agency's hat on where the address says ?as=.
func (v *visit) account() agency.AccountID { return agency.AccountID(v.path("account")) }

func (v *visit) caller() agency.Caller {
	return agency.Caller{Actor: v.actor, As: agency.AccountID(v.r.URL.Query().Get("as"))}
}

// page is the part of a list that the address asks for.
func (v *visit) page(limit int) service.Page {
	return service.Page{Limit: limit, Cursor: v.r.URL.Query().Get("cursor")}
}

// unknownAction is the answer to a form that no page of ours makes.
func unknownAction() error {
	return &agency.Error{Code: agency.Invalid, Message: "This form asks for something that the page does not do. Reload the page and try again."}
}
