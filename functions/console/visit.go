package main

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"sync"

	"agencyhub/shared/agency"
	"agencyhub/shared/service"
)

// visit is one HTTP request of a person.
type visit struct {
	*console
	ctx context.Context
	w   http.ResponseWriter
	r   *http.Request
	// actor is the signed-in person; the zero Actor for nobody.
	actor agency.Actor
	// form is what was typed: that of a POST, or, after a forced sign-in, of the
	// POST that led to it.
	form form
	// sent is a POST's form, as it came.
	sent form
	// formPerson is whose page the form is of; "" where unknown.
	formPerson identity
	// saved is the saved form that this page shows; nil for none.
	saved *savedForm
	// signInTo is the page to lead to after a sign-in; "" for this one.
	signInTo string
	// signInAnother reports whether the issuer is to ask there who the person is.
	signInAnother bool
	// offersSignIn reports whether to sign in again helps where the page is Unavailable.
	offersSignIn bool
	// unavailable is the message of the refusal Unavailable of what the person did;
	// "" for none.
	unavailable string
	// notice names what the previous page did, to be shown on this one.
	notice string
}

// serve runs a page's handler. A panic is returned as an error.
func (v *visit) serve(h handler) (res response, err error) {
	return v.recovered(func() (response, error) {
		if err := v.checkMethod(); err != nil {
			return response{}, err
		}
		if v.isPost() {
			if err := v.readForm(); err != nil {
				return response{}, err
			}
		}
		return h(v)
	})()
}

// recovered returns a function that returns a panic of another as an error.
func (v *visit) recovered(do func() (response, error)) func() (response, error) {
	return func() (res response, err error) {
		defer func() {
			if cause := recover(); cause != nil {
				err = v.panicked(cause)
			}
		}()
		return do()
	}
}

// checkMethod refuses other methods than those of pages, and a POST that a browser sends
// from another site. Errors: Forbidden, errMethod.
func (v *visit) checkMethod() error {
	switch v.r.Method {
	case http.MethodGet, http.MethodHead:
		return nil
	case http.MethodPost:
		if err := v.guard.Check(v.r); err != nil {
			return &agency.Error{Code: agency.Forbidden, Cause: err,
				Message: "This was not sent from a page of ours, so nothing was done. Open the page itself and try again."}
		}
		return nil
	default:
		v.w.Header().Set("Allow", "GET, HEAD, POST")
		return errMethod
	}
}

// panicked logs a panic, and returns it as an error.
func (v *visit) panicked(cause any) error {
	slog.ErrorContext(v.ctx, "A page panicked.", "stack", string(debug.Stack()))
	return fmt.Errorf("panic: %v", cause)
}

// inParallel makes independent reads at the same time. It returns the error of the
// first in order. A panic is returned as an error.
func (v *visit) inParallel(reads ...func() error) error {
	errs := make([]error, len(reads))
	var all sync.WaitGroup
	for i, read := range reads {
		all.Go(func() {
			defer func() {
				if cause := recover(); cause != nil {
					errs[i] = v.panicked(cause)
				}
			}()
			errs[i] = read()
		})
	}
	all.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// isPost reports whether the person does something. A GET changes nothing.
func (v *visit) isPost() bool { return v.r.Method == http.MethodPost }

// isShown reports whether the person sees the whole page: not for HEAD, and not for a
// part that the page's script replaces.
func (v *visit) isShown() bool {
	return v.r.Method == http.MethodGet && v.r.Header.Get("HX-Request") == ""
}

// action names the pressed button.
func (v *visit) action() string { return v.form.value("do") }

// act does what a POST asks for. done reports whether that completes the response. A
// refusal goes into the frame, for the page to be shown again.
func (v *visit) act(f *frame, do func() (response, error)) (res response, done bool, err error) {
	if !v.isPost() {
		return response{}, false, nil
	}
	if res, err = do(); err == nil {
		return res, true, nil
	}
	f.Faults, err = v.refuse(err)
	return response{}, err != nil, err
}

// pathValue returns a part of the page's address.
func (v *visit) pathValue(name string) string { return v.r.PathValue(name) }

// accountID and agencyID are those in the page's address.
func (v *visit) accountID() agency.AccountID { return agency.AccountID(v.pathValue("account")) }
func (v *visit) agencyID() agency.AccountID  { return agency.AccountID(v.pathValue("agency")) }

// caller is the person, for the agency that the address names in ?as=.
func (v *visit) caller() agency.Caller {
	return agency.Caller{Actor: v.actor, As: agency.AccountID(v.r.URL.Query().Get("as"))}
}

// listPage is the part of a list that the address asks for.
func (v *visit) listPage(limit int) service.Page {
	return service.Page{Limit: limit, Cursor: v.r.URL.Query().Get("cursor")}
}

// unknownAction refuses a form that no page of ours makes.
func unknownAction() error {
	return &agency.Error{Code: agency.Invalid, Message: "This form asks for something that the page does not do. Reload the page and try again."}
}
