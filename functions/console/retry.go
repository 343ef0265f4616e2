package main

import (
	"cmp"
	"time"
)

// sentField is a field of a form that was sent, with one of its values.
type sentField struct{ Name, Value string }

// sentFields returns what was sent, in the order of the page's fields. It is no longer
// than a form may be.
func (v *visit) sentFields() []sentField {
	var fields []sentField
	for _, name := range v.fieldNames(v.r.Pattern) {
		for _, value := range v.sent[name] {
			fields = append(fields, sentField{name, value})
		}
	}
	return fields
}

// offerRetry completes the page of the error Unavailable, so that nothing is lost: a
// sent form can be sent again, and a notice or a saved form is left for the next GET.
// A pause of seconds is not worth a word.
func (v *visit) offerRetry(p *problemPage, pause time.Duration) {
	p.RetryURL = v.r.URL.EscapedPath()
	if query := v.r.URL.RawQuery; query != "" {
		p.RetryURL += "?" + query
	}
	if v.signInTo != "" {
		p.RetryURL = signInTo(v.signInTo)
		if v.signInAnother {
			p.RetryURL = anotherSignInTo(v.signInTo)
		}
	}
	if v.offersSignIn {
		p.SignInURL = signInTo(localPath(v.currentURL()))
	}
	if v.isPost() {
		// What became of the form counts, not what the page's reads met after it.
		p.IsPost, p.Sent, p.Message = true, v.sentFields(), cmp.Or(v.unavailable, p.Message)
		return
	}
	p.Message = cmp.Or(v.unavailable, "We can’t load this page right now.")
	if pause >= time.Minute {
		p.RetryAfter = inWords(pause)
	}
	v.passNotice()
}
