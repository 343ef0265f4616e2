package main

import (
	"crypto/rand"

	"agencyhub/shared/agency"
)

// openAccountPage opens a client-owned account of the person's own.
type openAccountPage struct {
	frame
	// Key is the idempotency key: sending the form twice opens one account.
	Key string
	// BackURL is the page that led here, such as a request that needs an account to
	// be accepted into; "/" for none.
	BackURL string
}

func (c *console) openAccount(v *visit) (response, error) {
	p := &openAccountPage{Key: formKey(v), BackURL: localPath(v.r.URL.Query().Get("to"))}
	if !v.isPost() {
		return show("open-account", p), nil
	}
	a, err := c.svc.OpenAccount(v.ctx, v.actor, p.Key, v.form.value("name"))
	if err == nil && p.BackURL != "/" {
		return v.done(p.BackURL, "opened"), nil
	}
	if err == nil {
		return v.done("/accounts/"+string(a.ID)+"/team", "opened"), nil
	}
	switch agency.CodeOf(err) {
	case agency.NotFound:
		p.Key = rand.Text()
		err = agency.Refuse(agency.Conflict, "This form has already opened an account, which you have no access to now. To open another, send the form again.")
	case agency.IdempotencyMismatch:
		// The person went back, typed another name, and sent the form again.
		p.Key = rand.Text()
		err = agency.Refuse(agency.IdempotencyMismatch, "This form has already opened an account, with another name. To open one more, send the form again.")
	default:
	}
	if p.Faults, err = v.refuse(err); err != nil {
		return response{}, err
	}
	return show("open-account", p), nil
}

// formKey returns the idempotency key that the form was sent with, or a new one.
func formKey(v *visit) string {
	if key := v.form.value("key"); len(key) >= 16 && len(key) <= 128 {
		return key
	}
	return rand.Text()
}
