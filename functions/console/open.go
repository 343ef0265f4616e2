package main

import "crypto/rand"

// openPage opens an account of the person's own.
type openPage struct {
	frame
	// Key names this form, so that sending it twice opens one account.
	Key string
	// Back is the page that has led here, such as a request that needs an account
	// to go to; "/" for none.
	Back string
}

func (c *console) openAccount(v *visit) (answer, error) {
	p := &openPage{Key: formKey(v), Back: ownPath(v.r.URL.Query().Get("to"))}
	if !v.post() {
		return show("open", p), nil
	}
	a, err := c.svc.OpenAccount(v.ctx, v.actor, p.Key, v.form.value("name"))
	if err == nil && p.Back != "/" {
		return v.done(p.Back, "opened"), nil
	}
	if err == nil {
		return v.done("/accounts/"+string(a.ID)+"/team", "opened"), nil
	}
	if p.Faults, err = v.refuse(err); err != nil {
		return answer{}, err
	}
	return refused("open", p, p.Faults), nil
}

// formKey is the name of a form that makes something: the one that it carries, or
// a new one.
func formKey(v *visit) string {
	if key := v.form.value("key"); len(key) >= 16 && len(key) <= 128 {
		return key
	}
	return rand.Text()
}
