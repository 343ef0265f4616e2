package main

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"
	"time"
)

// The cookies, without the prefix of their names.
const (
	sessionCookie = "session"
	// attemptCookie is followed by the first characters of the attempt's state.
	attemptCookie = "signin-"
	// formCookie is followed by characters that stand for the form's page.
	formCookie   = "form-"
	noticeCookie = "notice"
	// signedOutCookie makes the next sign-in ask who the person is.
	signedOutCookie = "signed-out"
)

const (
	// maxCookie bounds a cookie's value, in bytes. Browsers drop a cookie of more
	// than 4,096 with its name and attributes.
	maxCookie = 3800
	// maxCookies bounds all cookies together, in bytes. HTTP APIs take headers of
	// 10,240 bytes, and refuse a browser with more until its cookies expire.
	maxCookies = 8 << 10
	// maxForms bounds the cookies of saved forms together, in bytes. It leaves room for a
	// session and a sign-in.
	maxForms = 5000
	// attemptTime is how long a person may take to sign in.
	attemptTime = 15 * time.Minute
)

// isSecure reports whether people reach the site by HTTPS.
func (c *console) isSecure() bool { return strings.HasPrefix(c.env.PublicURL, "https://") }

// cookieName returns the whole name of a cookie. By the prefix __Host- browsers take it
// only from us, over HTTPS, and for every path (RFC 6265bis). From a site at an http
// address some browsers take neither the prefix nor Secure.
func (c *console) cookieName(name string) string {
	if c.isSecure() {
		return "__Host-" + name
	}
	return "hub-" + name
}

func (v *visit) setCookie(name, value string, keep time.Duration) {
	http.SetCookie(v.w, &http.Cookie{ //nolint:gosec // Secure follows from the site's own address
		Name: v.cookieName(name), Value: value, Path: "/", MaxAge: int(keep / time.Second), Secure: v.isSecure(), HttpOnly: true,
		// Lax, so that the link in an email opens with the session.
		SameSite: http.SameSiteLaxMode,
	})
}

func (v *visit) dropCookie(name string) { v.setCookie(name, "", -time.Second) }

func (v *visit) cookie(name string) string {
	c, err := v.r.Cookie(v.cookieName(name))
	if err != nil {
		return ""
	}
	return c.Value
}

// makeCookieRoom drops cookies until a new value of so many bytes fits within
// maxCookies, in place of the named cookie. It drops sign-in attempts, the oldest first.
// For a sign-in it drops saved forms too; for a form it drops none, and all forms
// together stay within maxForms. It reports whether the value fits.
func (v *visit) makeCookieRoom(name string, bytes int) bool {
	const separators = len("=; ")
	size := func(c *http.Cookie) int { return len(c.Name) + len(c.Value) + separators }
	bytes += len(v.cookieName(name)) + separators
	isForm, formBytes := strings.HasPrefix(name, formCookie), bytes
	var attempts, forms []*http.Cookie
	for _, c := range v.r.Cookies() {
		if c.Name == v.cookieName(name) {
			continue
		}
		bytes += size(c)
		switch {
		case strings.HasPrefix(c.Name, v.cookieName(attemptCookie)):
			attempts = append(attempts, c)
		case strings.HasPrefix(c.Name, v.cookieName(formCookie)):
			forms = append(forms, c)
			formBytes += size(c)
		}
	}
	if isForm && formBytes > maxForms {
		return false
	}
	spare := attempts
	if !isForm {
		spare = append(spare, forms...)
	}
	for _, c := range spare {
		if bytes <= maxCookies {
			break
		}
		v.dropCookie(strings.TrimPrefix(c.Name, v.cookieName("")))
		bytes -= size(c)
	}
	return bytes <= maxCookies
}

// setJSON saves a value in a cookie for attemptTime, and reports whether it fits.
func (v *visit) setJSON(name string, value any) bool {
	text, err := json.Marshal(value)
	if err != nil {
		panic(err) // strings and maps of them always marshal
	}
	encoded := base64.RawURLEncoding.EncodeToString(text)
	if len(encoded) > maxCookie || !v.makeCookieRoom(name, len(encoded)) {
		return false
	}
	v.setCookie(name, encoded, attemptTime)
	return true
}

// readJSON reads what setJSON saved. It reports whether there is a valid value.
func (v *visit) readJSON(name string, into any) bool {
	encoded := v.cookie(name)
	if encoded == "" {
		return false
	}
	text, err := base64.RawURLEncoding.DecodeString(encoded)
	return err == nil && json.Unmarshal(text, into) == nil
}
