package main

import (
	"crypto/sha256"
	"encoding/base32"
	"encoding/hex"
	"errors"
	"log/slog"
	"maps"
	"net/http"
	"net/url"
	"strings"

	"agencyhub/shared/agency"
	"agencyhub/shared/table"
)

// authenticate sets actor by the session of the browser's cookie. It stays zero without
// one. It also takes the notice, and the page's own form, that earlier pages left for
// this person. Errors: Unavailable.
func (v *visit) authenticate() error {
	secret := v.cookie(sessionCookie)
	if !isSecret(secret) {
		return nil
	}
	session, err := v.sessions.current(v.ctx, secret)
	if err != nil {
		v.offersSignIn = errors.Is(err, errNotRenewed)
		return err
	}
	if session == nil {
		return nil
	}
	v.actor = session.actor()
	if !v.isPost() {
		v.takeForm()
	}
	if v.notice == "" {
		v.notice = v.takeNotice()
	}
	return nil
}

// takeForm sets form and notice by what was saved for this page and this person. What was
// saved for another person stays. A page that is shown consumes it: see useForm.
func (v *visit) takeForm() {
	name, saved := formCookieOf(v.currentURL()), &savedForm{}
	if v.cookie(name) == "" {
		return
	}
	if !v.readJSON(name, saved) || saved.Path != v.currentURL() {
		return // another page's
	}
	if saved.Person != "" && saved.Person != identityOf(v.actor) {
		return // somebody else typed it, in the same browser
	}
	v.saved, v.notice = saved, "kept"
	if saved.Form == nil {
		v.notice = "lost"
		return
	}
	v.form, v.formPerson = maps.Clone(saved.Form), saved.Person
	if saved.Person == "" {
		// Perhaps somebody else confirmed it.
		delete(v.form, "confirm")
	}
}

// useForm drops the saved form that the page shows, if the person sees the whole page.
func (v *visit) useForm() {
	if v.saved != nil && v.isShown() {
		v.dropCookie(formCookieOf(v.saved.Path))
	}
}

// identity identifies a person by the issuer and their subject there. It stays the same
// while their address changes.
type identity string

// identityOf returns the identity of a signed-in person: 128 bits of the SHA-256 of issuer
// and subject, in base 32.
func identityOf(a agency.Actor) identity {
	sum := sha256.Sum256([]byte(a.Issuer + "\n" + a.Subject))
	return identity(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(sum[:16]))
}

// isValid reports whether the identity has the form of one.
func (i identity) isValid() bool {
	return len(i) == 26 && strings.Trim(string(i), "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567") == ""
}

// savedForm is a form that was sent without a session. A cookie keeps it for its page
// until the person has signed in.
type savedForm struct {
	Path string `json:"p"`
	// Form is nil where it was too long to keep.
	Form form `json:"f,omitempty"`
	// Person is whose page it was on; "" where unknown.
	Person identity `json:"o,omitempty"`
}

// formCookieOf returns the name of the cookie of a page's saved form.
func formCookieOf(path string) string {
	sum := sha256.Sum256([]byte(path))
	return formCookie + hex.EncodeToString(sum[:4])
}

// saveForm keeps the sent form for the page's next GET, and reports whether it is short
// enough. That page says so if it is not.
func (v *visit) saveForm() bool {
	saved := savedForm{Path: v.currentURL(), Form: v.form, Person: v.formPerson}
	if v.setJSON(formCookieOf(saved.Path), saved) {
		return true
	}
	saved.Form = nil
	v.setJSON(formCookieOf(saved.Path), saved)
	return false
}

// refuseForm is the page in place of what a form of another person's page asks for.
// That person gets the form back if they sign in again within attemptTime.
func (v *visit) refuseForm() response {
	p := newOtherPersonPage()
	p.SignInURL = anotherSignInTo(localPath(v.currentURL()))
	if v.saveForm() {
		p.Message += " What you entered is shown again if you sign in as yourself within 15 minutes."
	}
	return response{status: p.Status, name: "problem", data: p}
}

// newOtherPersonPage returns the page in place of what another person's form asks for.
func newOtherPersonPage() *problemPage {
	return &problemPage{
		Status: http.StatusConflict, IsOtherPerson: true,
		Message: "Somebody else has signed in since you opened this page. Nothing was changed.",
	}
}

// isOfAnother reports whether the sent form is of the page of another person than the
// signed-in one.
func (v *visit) isOfAnother() bool {
	return v.actor.Email != "" && v.formPerson != "" && v.formPerson != identityOf(v.actor)
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
	} else {
		p.Message = "You have to sign in again. What you typed is too long to be kept."
	}
	v.goOnTo(to)
	return response{status: p.Status, name: "problem", data: p}
}

// goOnTo makes the response's page lead on by itself. The response to a form can't
// redirect to the issuer (form-action 'self').
func (v *visit) goOnTo(address string) { v.w.Header().Set("Refresh", "0; url="+address) }

// signInTo returns where to sign in, to be led to a page of ours.
func signInTo(path string) string { return "/signin?to=" + url.QueryEscape(path) }

// anotherSignInTo is signInTo where the issuer is to ask who the person is.
func anotherSignInTo(path string) string { return "/signin?another=1&to=" + url.QueryEscape(path) }

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
	a := newSignInAttempt(localPath(v.r.URL.Query().Get("to")), v.r.URL.Query().Get("another") != "")
	at, err := c.issuer.authURL(v.ctx, a, a.Another || v.cookie(signedOutCookie) != "")
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
	if v.r.Method != http.MethodGet {
		v.w.Header().Set("Allow", http.MethodGet)
		return response{}, errMethod
	}
	q := v.r.URL.Query()
	state := q.Get("state")
	var a signInAttempt
	if len(state) < 8 || !v.readJSON(attemptCookie+state[:8], &a) || a.State != state {
		return response{}, signInFailed("This sign-in took too long, or began in another browser. Please sign in again.")
	}
	v.dropCookie(attemptCookie + state[:8])
	v.signInTo, v.signInAnother = localPath(a.To), a.Another // this address serves once
	if q.Get("code") == "" {
		slog.InfoContext(v.ctx, "The issuer signs nobody in.", "error", loggableCode(q.Get("error")))
		return response{}, signInFailed("You were not signed in. Please try again.")
	}
	given, err := c.issuer.exchange(v.ctx, a, q.Get("code"))
	if errors.Is(err, agency.ErrToken) {
		return response{}, err
	}
	if err != nil {
		return response{}, v.issuerFailed(err)
	}
	value, err := c.sessions.replace(v.ctx, v.cookie(sessionCookie), given)
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
	if reason := me.Suppression.Reason; reason != "" {
		v.setNoticeFor(string(reason), given.actor)
	}
	return redirect(v.signInTo), nil
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

// issuerFailed logs an error of the issuer at a sign-in, and returns the person's error:
// Unauthenticated for a refusal, Unavailable for a failure that may pass.
func (v *visit) issuerFailed(err error) error {
	slog.ErrorContext(v.ctx, "A sign-in failed.", "error", err.Error())
	if isRefusal(err) {
		return signInFailed("Your sign-in service refused this sign-in. Please sign in again.")
	}
	v.unavailable = "Your sign-in service can’t be reached right now. Try again in a minute."
	return &agency.Error{Code: agency.Unavailable, RetryAfter: issuerPause, Cause: err, Message: v.unavailable}
}

// signedOutPage confirms that the person is signed out of the hub.
type signedOutPage struct {
	frame
	issuerSignOut
	// IsBack reports whether the person comes back from the issuer's sign-out.
	IsBack bool
}

// issuerSignOut is how to sign out of the issuer, after the sign-out of the hub.
type issuerSignOut struct {
	// IssuerSignOutURL is where to do that; "" where it can't be done.
	IssuerSignOutURL string
	// HasFailed reports whether the issuer can't be reached now. IssuerSignOutURL is a
	// page of ours then, which tries again.
	HasFailed bool
}

// retrySignOutURL leads to the issuer's sign-out, once the issuer can be reached.
const retrySignOutURL = "/signout?issuer=1"

// signOut ends the session here and leads to the issuer, which ends its own and leads
// back to the GET of this page.
func (c *console) signOut(v *visit) (response, error) {
	if !v.isPost() {
		if v.cookie(sessionCookie) != "" || v.cookie(signedOutCookie) == "" {
			return redirect("/"), nil
		}
		if v.r.URL.Query().Get("issuer") == "" {
			return show("signed-out", &signedOutPage{IsBack: true}), nil
		}
		at := v.issuerSignOut()
		if at.IssuerSignOutURL != "" && !at.HasFailed {
			return redirect(at.IssuerSignOutURL), nil
		}
		return show("signed-out", &signedOutPage{issuerSignOut: at}), nil
	}
	if err := v.readActor(); err != nil {
		return response{}, err
	}
	if v.isOfAnother() {
		p := newOtherPersonPage()
		return response{status: p.Status, name: "problem", data: p}, nil
	}
	at, leads, err := v.endSession()
	if err != nil {
		return response{}, err
	}
	if leads {
		v.goOnTo(at.IssuerSignOutURL)
	}
	return show("signed-out", &signedOutPage{issuerSignOut: at}), nil
}

// readActor sets actor by the session of the browser's cookie, without a call of the
// issuer. Errors: Unavailable.
func (v *visit) readActor() error {
	secret := v.cookie(sessionCookie)
	if !isSecret(secret) {
		return nil
	}
	_, held, err := v.sessions.read(v.ctx, table.NewSessionID(secret), secret)
	if err == nil && held != nil {
		v.actor = held.actor()
	}
	return err
}

// endSession ends the browser's session and drops its cookies. The next sign-in asks who
// the person is. It returns how to sign out of the issuer, and reports whether the
// issuer answers, so that the page can lead there. Errors: Unavailable, after which the
// session goes on.
func (v *visit) endSession() (at issuerSignOut, leads bool, err error) {
	answered := true
	if secret := v.cookie(sessionCookie); isSecret(secret) {
		if answered, err = v.sessions.finish(v.ctx, secret); err != nil {
			return issuerSignOut{}, false, err
		}
	}
	v.dropSession()
	at = v.issuerSignOut()
	return at, answered && at.IssuerSignOutURL != "" && !at.HasFailed, nil
}

// issuerSignOut returns how to sign out of the issuer.
func (v *visit) issuerSignOut() issuerSignOut {
	at, err := v.issuer.endSessionURL(v.ctx)
	if err != nil {
		slog.WarnContext(v.ctx, "The issuer can't be reached at a sign-out.", "error", err.Error())
		return issuerSignOut{IssuerSignOutURL: retrySignOutURL, HasFailed: true}
	}
	return issuerSignOut{IssuerSignOutURL: at}
}

// dropSession drops the cookies of a session that has ended, saved forms included.
func (v *visit) dropSession() {
	v.dropCookie(sessionCookie)
	v.dropCookie(noticeCookie)
	for _, c := range v.r.Cookies() {
		if strings.HasPrefix(c.Name, v.cookieName(formCookie)) {
			v.dropCookie(strings.TrimPrefix(c.Name, v.cookieName("")))
		}
	}
	v.setCookie(signedOutCookie, "1", sessionTime)
	v.actor, v.formPerson = agency.Actor{}, ""
}
