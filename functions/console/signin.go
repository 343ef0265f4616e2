package main

import (
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"strings"

	"agencyhub/shared/agency"
	"agencyhub/shared/rest"
	"agencyhub/shared/table"
)

// authenticate sets actor by the session of the browser's cookie. It stays zero without
// one. It also takes the notice and the form that earlier pages left. Errors:
// Unavailable.
func (v *visit) authenticate() error {
	secret, _, ok := splitSession(v.cookie(sessionCookie))
	if !ok {
		return nil
	}
	session, err := v.sessions.current(v.ctx, secret)
	if err != nil || session == nil {
		return err
	}
	v.actor = session.actor()
	v.notice = v.takeNotice()
	var saved savedForm
	if v.isPost() || !v.takeJSON(formCookie, &saved) {
		return nil
	}
	switch {
	case saved.Mark != "" && saved.Mark != markOf(saved.Session, v.actor):
		// Somebody else typed it, in the same browser.
		v.notice = ""
	case saved.Path == v.currentURL():
		v.form = saved.Form
		if saved.Mark == "" {
			// Perhaps somebody else confirmed it.
			delete(v.form, "confirm")
		}
	}
	return nil
}

// savedForm is a form that was sent without a session. A cookie keeps it until the
// person has signed in.
type savedForm struct {
	Path string `json:"p"`
	Form form   `json:"f"`
	// Session and Mark are those of the person whose session ended; "" where unknown.
	Session table.SessionID `json:"s,omitempty"`
	Mark    string          `json:"m,omitempty"`
}

// saveForm keeps the form for the page's next GET, and reports whether it is short
// enough. It is for the person of the browser's cookie, whether their session lasts or
// not.
func (v *visit) saveForm() bool {
	saved := savedForm{Path: v.currentURL(), Form: v.form}
	if secret, mark, ok := splitSession(v.cookie(sessionCookie)); ok && mark != "" {
		saved.Session, saved.Mark = table.NewSessionID(secret), mark
	}
	return v.setJSON(formCookie, saved)
}

// currentURL returns the page's own address on the site, without a cursor.
func (v *visit) currentURL() string {
	q := v.r.URL.Query()
	q.Del("cursor")
	if len(q) == 0 {
		return v.r.URL.EscapedPath()
	}
	return v.r.URL.EscapedPath() + "?" + q.Encode()
}

// askToSignIn leads to the issuer and back here. A sent form is saved and shown again
// then; it is not sent by itself.
func (v *visit) askToSignIn() response {
	to := signInTo(v.currentURL())
	if !v.isPost() {
		return redirect(to)
	}
	p := &problemPage{Status: http.StatusUnauthorized, Code: agency.Unauthenticated, SignInURL: to}
	if v.saveForm() {
		p.Message = "You have to sign in again. What you typed is kept meanwhile."
		v.setNotice("kept")
	} else {
		p.Message = "You have to sign in again. What you typed is too long to be kept."
		v.setNotice("lost")
	}
	v.goOnTo(to)
	return response{status: p.Status, name: "problem", data: p}
}

// goOnTo makes the response's page lead on by itself. The response to a form can't
// redirect to the issuer (form-action 'self').
func (v *visit) goOnTo(address string) { v.w.Header().Set("Refresh", "0; url="+address) }

// signInTo returns where to sign in, to be led to a page of ours.
func signInTo(path string) string { return "/signin?to=" + url.QueryEscape(path) }

// localPath returns an address on this site; "/" in place of any other.
func localPath(to string) string {
	u, err := url.Parse(to)
	if err != nil || u.Scheme != "" || u.Host != "" || u.User != nil || !strings.HasPrefix(to, "/") || strings.HasPrefix(to, "//") ||
		strings.ContainsAny(to, "\\\t\r\n") || len(to) > 1024 {
		return "/"
	}
	if path := u.EscapedPath(); path == "/signout" || strings.HasPrefix(path, "/signin") {
		return "/"
	}
	return to
}

// signIn starts a sign-in. It is a GET, since a form can't lead to the issuer
// (form-action 'self'), and changes only a cookie. After a sign-out the issuer asks who
// the person is, even if it still has a session.
func (c *console) signIn(v *visit) (response, error) {
	a := newSignInAttempt(localPath(v.r.URL.Query().Get("to")))
	asks := v.r.URL.Query().Get("another") != "" || v.cookie(signedOutCookie) != ""
	at, err := c.issuer.authURL(v.ctx, a, asks)
	if err != nil {
		return response{}, v.issuerFailed(err)
	}
	if name := attemptCookie + a.State[:8]; !v.setJSON(name, a) {
		a.To = "/"
		v.setJSON(name, a)
	}
	return redirect(at), nil
}

// signInCallback is the page that the issuer leads back to. It makes a session with a
// new secret, in place of the browser's former one.
func (c *console) signInCallback(v *visit) (response, error) {
	q := v.r.URL.Query()
	state := q.Get("state")
	var a signInAttempt
	if len(state) < 8 || !v.takeJSON(attemptCookie+state[:8], &a) || a.State != state {
		return response{}, signInFailed("This sign-in took too long, or began in another browser. Please sign in again.")
	}
	if q.Get("code") == "" {
		slog.InfoContext(v.ctx, "The issuer signs nobody in.", "requestId", rest.RequestID(v.ctx), "error", loggableCode(q.Get("error")))
		return response{}, signInFailed("You were not signed in. Please try again.")
	}
	given, err := c.issuer.exchange(v.ctx, a, q.Get("code"))
	if errors.Is(err, agency.ErrToken) {
		return response{}, err
	}
	if err != nil {
		return response{}, v.issuerFailed(err)
	}
	v.retryURL = signInTo(localPath(a.To)) // this address serves once
	if secret, _, ok := splitSession(v.cookie(sessionCookie)); ok {
		if _, err := c.sessions.finish(v.ctx, secret); err != nil {
			return response{}, err
		}
	}
	value, err := c.sessions.begin(v.ctx, given)
	if err != nil {
		return response{}, err
	}
	v.setCookie(sessionCookie, value, sessionTime)
	if v.cookie(signedOutCookie) != "" {
		v.dropCookie(signedOutCookie)
	}
	// The person has proved the address: Me lifts a suppression of their mail.
	me, err := c.svc.Me(v.ctx, given.actor)
	if err != nil {
		return response{}, err
	}
	if reason := me.Suppression.Reason; reason != "" && v.cookie(noticeCookie) == "" {
		v.setNotice(string(reason))
	}
	return redirect(localPath(a.To)), nil
}

// loggableCode returns an OAuth error code, if a log may contain it.
func loggableCode(code string) string {
	if len(code) > 40 || strings.ContainsFunc(code, func(r rune) bool { return r != '_' && (r < 'a' || r > 'z') }) {
		return "unknown"
	}
	return code
}

func signInFailed(message string) error {
	return &agency.Error{Code: agency.Unauthenticated, Message: message}
}

// issuerFailed logs an error of the issuer, and returns the person's error.
func (v *visit) issuerFailed(err error) error {
	slog.ErrorContext(v.ctx, "A sign-in failed.", "requestId", rest.RequestID(v.ctx), "error", err.Error())
	return signInFailed("Signing in does not work at the moment. Please try again in a minute.")
}

// signedOutPage confirms that the person is signed out.
type signedOutPage struct {
	frame
	// IssuerSignOutURL is where to sign out of the issuer; "" once that is done, and
	// where it can't be done.
	IssuerSignOutURL string
}

// signOut ends the session here and leads to the issuer, which ends its own and leads
// back to the GET of this page.
func (*console) signOut(v *visit) (response, error) {
	if !v.isPost() {
		if v.cookie(sessionCookie) != "" || v.cookie(signedOutCookie) == "" {
			return redirect("/"), nil
		}
		return show("signed-out", &signedOutPage{}), nil
	}
	issuerURL, answered, err := v.endSession()
	if err != nil {
		return response{}, err
	}
	if issuerURL != "" && answered {
		v.goOnTo(issuerURL)
	}
	return show("signed-out", &signedOutPage{IssuerSignOutURL: issuerURL}), nil
}

// endSession ends the browser's session and drops its cookies. The next sign-in asks who
// the person is. It returns where to sign out of the issuer, "" where that can't be
// done, and whether the issuer answers. Errors: Unavailable, after which the session goes
// on.
func (v *visit) endSession() (issuerURL string, answered bool, err error) {
	answered = true
	if secret, _, ok := splitSession(v.cookie(sessionCookie)); ok {
		if answered, err = v.sessions.finish(v.ctx, secret); err != nil {
			return "", false, err
		}
	}
	v.dropSession()
	if issuerURL, err = v.issuer.endSessionURL(v.ctx); err != nil {
		slog.WarnContext(v.ctx, "The issuer can't be reached at a sign-out.", "requestId", rest.RequestID(v.ctx), "error", err.Error())
		return "", false, nil
	}
	return issuerURL, answered, nil
}

// dropSession drops the cookies of a session that has ended.
func (v *visit) dropSession() {
	for _, name := range []string{sessionCookie, formCookie, noticeCookie} {
		v.dropCookie(name)
	}
	v.setCookie(signedOutCookie, "1", sessionTime)
	v.actor = agency.Actor{}
}
