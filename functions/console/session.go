package main

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"

	"agencyhub/shared/agency"
	"agencyhub/shared/rest"
)

// The cookies. By their prefix browsers take them only from us, over HTTPS, and for
// every path (RFC 6265bis).
const (
	idCookie      = "__Host-id"
	refreshCookie = "__Host-refresh"
	// attemptCookie is followed by the first characters of the attempt's state.
	attemptCookie = "__Host-signin-"
	formCookie    = "__Host-form"
	noticeCookie  = "__Host-notice"
)

const (
	// maxCookie bounds a cookie's value, in bytes. Browsers drop a cookie of more
	// than 4,096 with its name and attributes.
	maxCookie = 3800
	// maxCookies bounds all cookies together, in bytes. HTTP APIs take headers of
	// 10,240 bytes, and refuse a browser with more until its cookies expire.
	maxCookies = 8 << 10
	// sessionTime is how long a browser keeps a session; the issuer may end it
	// earlier.
	sessionTime = 30 * 24 * time.Hour
	// attemptTime is how long a person may take to sign in.
	attemptTime = 15 * time.Minute
)

func (v *visit) setCookie(name, value string, keep time.Duration) {
	http.SetCookie(v.w, &http.Cookie{
		Name: name, Value: value, Path: "/", MaxAge: int(keep / time.Second), Secure: true, HttpOnly: true,
		// Lax, so that the link in an email opens with the session.
		SameSite: http.SameSiteLaxMode,
	})
}

func (v *visit) dropCookie(name string) { v.setCookie(name, "", -time.Second) }

func (v *visit) cookie(name string) string {
	c, err := v.r.Cookie(name)
	if err != nil {
		return ""
	}
	return c.Value
}

// makeCookieRoom drops cookies until new values of so many bytes fit within maxCookies,
// in place of the named cookies. It drops sign-in attempts, the oldest first, then the
// saved form. It reports whether they fit.
func (v *visit) makeCookieRoom(bytes int, names ...string) bool {
	const separators = len("=; ")
	var spare []*http.Cookie
	var savedForm *http.Cookie
	for _, name := range names {
		bytes += len(name) + separators
	}
	for _, c := range v.r.Cookies() {
		if slices.Contains(names, c.Name) {
			continue
		}
		bytes += len(c.Name) + len(c.Value) + separators
		switch {
		case strings.HasPrefix(c.Name, attemptCookie):
			spare = append(spare, c)
		case c.Name == formCookie:
			savedForm = c
		}
	}
	if savedForm != nil {
		spare = append(spare, savedForm)
	}
	for _, c := range spare {
		if bytes <= maxCookies {
			break
		}
		v.dropCookie(c.Name)
		bytes -= len(c.Name) + len(c.Value) + separators
	}
	return bytes <= maxCookies
}

// setJSON saves a value in a cookie for attemptTime, and reports whether it fits. dropped are
// cookies that this response drops.
func (v *visit) setJSON(name string, value any, dropped ...string) bool {
	text, err := json.Marshal(value)
	if err != nil {
		panic(err) // strings and maps of them always marshal
	}
	encoded := base64.RawURLEncoding.EncodeToString(text)
	if len(encoded) > maxCookie || !v.makeCookieRoom(len(encoded), append(dropped, name)...) {
		return false
	}
	v.setCookie(name, encoded, attemptTime)
	return true
}

// takeJSON reads what setJSON saved, and drops the cookie. It reports whether there was
// a valid one.
func (v *visit) takeJSON(name string, into any) bool {
	encoded := v.cookie(name)
	if encoded == "" {
		return false
	}
	v.dropCookie(name)
	text, err := base64.RawURLEncoding.DecodeString(encoded)
	return err == nil && json.Unmarshal(text, into) == nil
}

// authenticate sets actor by the id token, or by a new one from the refresh token once
// the id token has expired. It stays zero where neither is valid. It also takes the
// notice and the form that earlier pages left.
func (v *visit) authenticate() {
	id, refresh := v.cookie(idCookie), v.cookie(refreshCookie)
	if id == "" && refresh == "" {
		return
	}
	actor, _, err := v.issuer.verify(v.ctx, id)
	_, expired := errors.AsType[*oidc.TokenExpiredError](err)
	switch {
	case err == nil:
		v.actor = actor
	case refresh != "" && (expired || id == ""):
		given, err := v.issuer.refresh(v.ctx, refresh)
		if err != nil {
			// The session is over, or the issuer is down: the sign-in will show which.
			slog.InfoContext(v.ctx, "A session could not be renewed.", "requestId", rest.RequestID(v.ctx), "error", err.Error())
			return
		}
		v.keepSession(given)
	default:
		slog.InfoContext(v.ctx, "A session does not hold.", "requestId", rest.RequestID(v.ctx), "error", err.Error())
		return
	}
	if v.actor.Email == "" {
		return
	}
	v.notice = v.takeNotice()
	var saved savedForm
	if !v.isPost() && v.cookie(formCookie) != "" && v.takeJSON(formCookie, &saved) {
		switch {
		case saved.Subject != "" && saved.Subject != v.actor.Subject:
			// Somebody else typed it, in the same browser.
			v.notice = ""
		case saved.Path == v.currentURL():
			v.form = saved.Form
			if saved.Subject == "" {
				// Perhaps somebody else confirmed it.
				delete(v.form, "confirm")
			}
		}
	}
}

// keepSession signs the browser in, and reports whether it will stay so. Browsers drop a
// cookie that is too long: then the session lasts for this request only.
func (v *visit) keepSession(t tokens) bool {
	v.actor = t.actor
	if len(t.id) > maxCookie {
		slog.ErrorContext(v.ctx, "An id token is too long for a cookie: nobody can stay signed in.", "bytes", len(t.id))
		return false
	}
	if len(t.refresh) > maxCookie {
		slog.ErrorContext(v.ctx, "A refresh token is too long for a cookie: sessions end with their id token.", "bytes", len(t.refresh))
		t.refresh = ""
	}
	v.makeCookieRoom(len(t.id)+len(t.refresh), idCookie, refreshCookie)
	v.setCookie(idCookie, t.id, sessionTime)
	if t.refresh != "" {
		v.setCookie(refreshCookie, t.refresh, sessionTime)
	} else if v.cookie(refreshCookie) != "" {
		// It belongs to the person who was signed in before, and would restore them.
		v.dropCookie(refreshCookie)
	}
	return true
}

// savedForm is a form that was sent without a session. A cookie keeps it until the
// person has signed in.
type savedForm struct {
	Path string `json:"p"`
	Form form   `json:"f"`
	// Subject is the person whose session ended; "" where unknown.
	Subject string `json:"s,omitempty"`
}

// subjectOf returns the subject of an invalid id token. It is unverified: use it only
// to notice that somebody else signs in.
func subjectOf(id string) string {
	var claims struct{ Sub string }
	_, rest, _ := strings.Cut(id, ".")
	payload, _, _ := strings.Cut(rest, ".")
	text, err := base64.RawURLEncoding.DecodeString(payload)
	if err != nil || json.Unmarshal(text, &claims) != nil {
		return ""
	}
	return claims.Sub
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
	id := v.cookie(idCookie)
	if id != "" {
		// The token is of no more use, and the form needs its room.
		v.dropCookie(idCookie)
	}
	if v.setJSON(formCookie, savedForm{v.currentURL(), v.form, subjectOf(id)}, idCookie) {
		p.Message = "You have to sign in again. What you typed is kept meanwhile."
		v.setNotice("kept")
	} else {
		p.Message = "You have to sign in again. What you typed is too long to be kept."
		v.setNotice("lost")
	}
	// The response to a form can't redirect to the issuer (form-action 'self'), so
	// this page goes on by itself.
	v.w.Header().Set("Refresh", "0; url="+to)
	return response{status: p.Status, name: "problem", data: p}
}

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
// (form-action 'self'), and changes only a cookie.
func (c *console) signIn(v *visit) (response, error) {
	a := newSignInAttempt(localPath(v.r.URL.Query().Get("to")))
	at, err := c.issuer.authURL(v.ctx, a, v.r.URL.Query().Get("another") != "")
	if err != nil {
		return response{}, v.issuerFailed(err)
	}
	if name := attemptCookie + a.State[:8]; !v.setJSON(name, a) {
		a.To = "/"
		v.setJSON(name, a)
	}
	return redirect(at), nil
}

// signInCallback is the page that the issuer leads back to.
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
	if !v.keepSession(given) {
		// A redirect would lead to the sign-in again, and again.
		return response{}, errors.New("an id token is too long for a cookie")
	}
	// The person has proved the address: Me lifts a suppression of their mail.
	v.retryURL = signInTo(localPath(a.To)) // this address serves once
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
	// IssuerSignOutURL is where to sign out of the issuer too; "" for nowhere.
	IssuerSignOutURL string
}

// signOut ends the session here, and revokes its refresh token. The issuer's own
// session remains: a form can't lead there, so the page offers a link.
func (*console) signOut(v *visit) (response, error) {
	if !v.isPost() {
		return redirect("/"), nil
	}
	return show("signed-out", &signedOutPage{IssuerSignOutURL: v.endSession()}), nil
}

// endSession drops the session's cookies and revokes its refresh token. It returns
// where to sign out of the issuer too; "" where that can't be done.
func (v *visit) endSession() string {
	if refresh := v.cookie(refreshCookie); refresh != "" {
		if err := v.issuer.revoke(v.ctx, refresh); err != nil {
			// The cookies are dropped all the same.
			slog.WarnContext(v.ctx, "A refresh token could not be revoked.", "requestId", rest.RequestID(v.ctx), "error", err.Error())
		}
	}
	for _, name := range []string{idCookie, refreshCookie, formCookie, noticeCookie} {
		v.dropCookie(name)
	}
	v.actor = agency.Actor{}
	at, err := v.issuer.endSessionURL(v.ctx)
	if err != nil {
		return ""
	}
	return at
}
