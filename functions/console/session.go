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

// The cookies. The prefix makes browsers take them from us alone, over HTTPS,
// and for every path (RFC 6265bis).
const (
	idCookie      = "__Host-id"
	refreshCookie = "__Host-refresh"
	// attemptCookie is followed by the beginning of the attempt's state.
	attemptCookie = "__Host-signin-"
	formCookie    = "__Host-form"
	noticeCookie  = "__Host-notice"
)

const (
	// maxCookie bounds what a cookie may hold, in bytes: browsers drop what is
	// longer than 4,096 with its name and attributes.
	maxCookie = 3800
	// maxCookies bounds all cookies together, in bytes: HTTP APIs take headers of
	// 10,240 bytes, and refuse a browser with more until its cookies run out.
	maxCookies = 8 << 10
	// sessionTime is how long a browser keeps a session. The issuer may end it
	// sooner.
	sessionTime = 30 * 24 * time.Hour
	// attemptTime is how long a person may take to sign in.
	attemptTime = 15 * time.Minute
)

func (v *visit) setCookie(name, value string, keep time.Duration) {
	http.SetCookie(v.w, &http.Cookie{
		Name: name, Value: value, Path: "/", MaxAge: int(keep / time.Second), Secure: true, HttpOnly: true,
		// Lax: the link in an email leads here with the session.
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

// makeRoom drops what can be spared, the sign-ins that began first and then the
// kept form, until so many bytes of values fit in place of what the cookies of
// these names hold. It answers whether they do.
func (v *visit) makeRoom(bytes int, names ...string) bool {
	const around = len("=; ")
	var spare []*http.Cookie
	var kept *http.Cookie
	for _, name := range names {
		bytes += len(name) + around
	}
	for _, c := range v.r.Cookies() {
		if slices.Contains(names, c.Name) {
			continue
		}
		bytes += len(c.Name) + len(c.Value) + around
		switch {
		case strings.HasPrefix(c.Name, attemptCookie):
			spare = append(spare, c)
		case c.Name == formCookie:
			kept = c
		}
	}
	if kept != nil {
		spare = append(spare, kept)
	}
	for _, c := range spare {
		if bytes <= maxCookies {
			break
		}
		v.dropCookie(c.Name)
		bytes -= len(c.Name) + len(c.Value) + around
	}
	return bytes <= maxCookies
}

// setJSON keeps something in a cookie, in place of those that have been dropped;
// false when it is too much for one, or beside the others.
func (v *visit) setJSON(name string, value any, keep time.Duration, dropped ...string) bool {
	text, err := json.Marshal(value)
	if err != nil {
		panic(err) // texts and maps of them always marshal
	}
	encoded := base64.RawURLEncoding.EncodeToString(text)
	if len(encoded) > maxCookie || !v.makeRoom(len(encoded), append(dropped, name)...) {
		return false
	}
	v.setCookie(name, encoded, keep)
	return true
}

// takeJSON reads what setJSON kept, and drops the cookie.
func (v *visit) takeJSON(name string, into any) bool {
	encoded := v.cookie(name)
	if encoded == "" {
		return false
	}
	v.dropCookie(name)
	text, err := base64.RawURLEncoding.DecodeString(encoded)
	return err == nil && json.Unmarshal(text, into) == nil
}

// whoIsIt finds who visits, by the id token, or by a new one for the refresh
// token once that has run out. It is nobody where neither holds. It also takes
// what the page before has left.
func (v *visit) whoIsIt() {
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
			// The session is over, or the issuer does not answer: signing in tells which.
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
	var kept keptForm
	if !v.post() && v.cookie(formCookie) != "" && v.takeJSON(formCookie, &kept) {
		switch {
		case kept.Subject != "" && kept.Subject != v.actor.Subject:
			// Somebody else has typed it, in the same browser.
			v.notice = ""
		case kept.Path == v.here():
			v.form = kept.Form
		}
	}
}

// keepSession signs the browser in; false when the id token is too long for a
// cookie. The browser would drop it in silence: it holds within this request alone.
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
	v.makeRoom(len(t.id)+len(t.refresh), idCookie, refreshCookie)
	v.setCookie(idCookie, t.id, sessionTime)
	if t.refresh != "" {
		v.setCookie(refreshCookie, t.refresh, sessionTime)
	} else if v.cookie(refreshCookie) != "" {
		// It is of whoever was signed in here before, and would bring them back.
		v.dropCookie(refreshCookie)
	}
	return true
}

// keptForm is a form that was sent without a session, until the person has
// signed in.
type keptForm struct {
	Path string `json:"p"`
	Form form   `json:"f"`
	// Subject is whose session has ended; "" where that is not known.
	Subject string `json:"s,omitempty"`
}

// subjectOf is whom an id token names that does not hold any more. Nobody has
// checked it: it is good for telling that somebody else signs in, and no more.
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

// here is the page's own address on the site.
func (v *visit) here() string {
	q := v.r.URL.Query()
	q.Del("cursor")
	if len(q) == 0 {
		return v.r.URL.EscapedPath()
	}
	return v.r.URL.EscapedPath() + "?" + q.Encode()
}

// toSignIn leads to the issuer and back here. What was typed is kept, and stands
// in the form again; it is not sent by itself.
func (v *visit) toSignIn() answer {
	to := signInTo(v.here())
	if !v.post() {
		return goTo(to)
	}
	p := &problemPage{Status: http.StatusUnauthorized, Code: agency.Unauthenticated, SignIn: to}
	id := v.cookie(idCookie)
	if id != "" {
		// It is worth nothing any more, and leaves its room to the form.
		v.dropCookie(idCookie)
	}
	if v.setJSON(formCookie, keptForm{v.here(), v.form, subjectOf(id)}, attemptTime, idCookie) {
		p.Message = "You have to sign in again. What you typed is kept meanwhile."
		v.leave("kept")
	} else {
		p.Message = "You have to sign in again. What you typed is too long to be kept."
		v.leave("lost")
	}
	// A form may not lead to the issuer, by no redirect either (form-action 'self'):
	// the page that answers it goes on by itself.
	v.w.Header().Set("Refresh", "0; url="+to)
	return answer{status: p.Status, name: "problem", page: p}
}

// signInTo is where to sign in to be led to a page of ours.
func signInTo(path string) string { return "/signin?to=" + url.QueryEscape(path) }

// ownPath is an address on this site, "/" for every other.
func ownPath(to string) string {
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

// signIn begins a sign-in. It is a GET, since a form may not lead to the issuer
// (form-action 'self'), and changes nothing but the browser's own cookie.
func (c *console) signIn(v *visit) (answer, error) {
	a := newAttempt(ownPath(v.r.URL.Query().Get("to")))
	at, err := c.issuer.begin(v.ctx, a, v.r.URL.Query().Get("another") != "")
	if err != nil {
		return answer{}, v.noIssuer(err)
	}
	if name := attemptCookie + a.State[:8]; !v.setJSON(name, a, attemptTime) {
		a.To = "/"
		v.setJSON(name, a, attemptTime)
	}
	return goTo(at), nil
}

// signInCallback is where the issuer sends the person back to.
func (c *console) signInCallback(v *visit) (answer, error) {
	q := v.r.URL.Query()
	state := q.Get("state")
	var a attempt
	if len(state) < 8 || !v.takeJSON(attemptCookie+state[:8], &a) || a.State != state {
		return answer{}, signInFailed("This sign-in took too long, or began in another browser. Please sign in again.")
	}
	if q.Get("code") == "" {
		slog.InfoContext(v.ctx, "The issuer signs nobody in.", "requestId", rest.RequestID(v.ctx), "error", plainCode(q.Get("error")))
		return answer{}, signInFailed("You were not signed in. Please try again.")
	}
	given, err := c.issuer.finish(v.ctx, a, q.Get("code"))
	if errors.Is(err, errUnverified) {
		return answer{}, err
	}
	if err != nil {
		return answer{}, v.noIssuer(err)
	}
	if !v.keepSession(given) {
		// Led on, they would be sent to sign in again, and again.
		return answer{}, errors.New("an id token is too long for a cookie")
	}
	// By now it is known whose the address is: what was given to it is bound to
	// this sign-in, and mail goes to it again.
	me, err := c.svc.Me(v.ctx, given.actor)
	if err != nil {
		return answer{}, err
	}
	if reason := me.Suppression.Reason; reason != "" && v.cookie(noticeCookie) == "" {
		v.leave(string(reason))
	}
	return goTo(ownPath(a.To)), nil
}

// plainCode is an error code of OAuth's as a log may hold it.
func plainCode(code string) string {
	if len(code) > 40 || strings.ContainsFunc(code, func(r rune) bool { return r != '_' && (r < 'a' || r > 'z') }) {
		return "unknown"
	}
	return code
}

func signInFailed(message string) error {
	return &agency.Error{Code: agency.Unauthenticated, Message: message}
}

// noIssuer is the answer while the issuer does not do its part.
func (v *visit) noIssuer(err error) error {
	slog.ErrorContext(v.ctx, "A sign-in failed.", "requestId", rest.RequestID(v.ctx), "error", err.Error())
	return signInFailed("Signing in does not work at the moment. Please try again in a minute.")
}

// signedOutPage says that the person is signed out here.
type signedOutPage struct {
	frame
	// Leave is where they end their session at the issuer too.
	Leave string
}

// signOut ends the session, here and the refresh token's at the issuer. The
// issuer's own session is the person's to end: a form may not lead there.
func (*console) signOut(v *visit) (answer, error) {
	if !v.post() {
		return goTo("/"), nil
	}
	return show("signed-out", &signedOutPage{Leave: v.endSession()}), nil
}

// endSession makes the browser forget who was signed in, and the session
// worthless. It answers where the person ends their session at the issuer too, ""
// where they can't.
func (v *visit) endSession() string {
	if refresh := v.cookie(refreshCookie); refresh != "" {
		if err := v.issuer.revoke(v.ctx, refresh); err != nil {
			// The browser forgets it all the same.
			slog.WarnContext(v.ctx, "A refresh token could not be revoked.", "requestId", rest.RequestID(v.ctx), "error", err.Error())
		}
	}
	for _, name := range []string{idCookie, refreshCookie, formCookie, noticeCookie} {
		v.dropCookie(name)
	}
	v.actor = agency.Actor{}
	leave, err := v.issuer.leave(v.ctx)
	if err != nil {
		return ""
	}
	return leave
}
