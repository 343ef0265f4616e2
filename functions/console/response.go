package main

import (
	"cmp"
	"errors"
	"maps"
	"net/http"
	"strconv"

	"agencyhub/shared/agency"
	"agencyhub/shared/rest"
)

// response is what a handler returns: a page, a redirect, or a file.
type response struct {
	status   int
	name     string
	data     pageData
	location string
	file     *download
}

// download is a file for the browser to save.
type download struct {
	name, kind string
	content    []byte
}

// pageData is the data of a page's template.
type pageData interface{ base() *frame }

// show returns a page; with the status of the refusal where its form was refused.
func show(name string, p pageData) response {
	return response{status: cmp.Or(p.base().Faults.status, http.StatusOK), name: name, data: p}
}

// redirect leads on by GET.
func redirect(location string) response {
	return response{status: http.StatusSeeOther, location: location}
}

// done redirects after something was done. The notice names what the next page says.
func (v *visit) done(location, notice string) response {
	v.setNotice(notice)
	return redirect(location)
}

// doneUnless is done, unless there is an error.
func (v *visit) doneUnless(err error, location, notice string) (response, error) {
	if err != nil {
		return response{}, err
	}
	return v.done(location, notice), nil
}

// write writes a response.
func (v *visit) write(res response) error {
	h := v.w.Header()
	switch {
	case res.location != "":
		h.Set("Location", res.location)
		v.w.WriteHeader(res.status)
		return nil
	case res.file != nil:
		h.Set("Content-Type", res.file.kind)
		h.Set("Content-Disposition", "attachment; filename="+strconv.Quote(res.file.name))
		return v.send(http.StatusOK, res.file.content)
	}
	if !v.isPost() && res.status != http.StatusOK {
		v.dropForm() // the page has none
	}
	v.fill(res.data.base())
	body, err := v.templates.render(res.name, res.data)
	if err != nil {
		return err
	}
	if res.status == http.StatusOK {
		v.useForm()
	}
	h.Set("Content-Type", "text/html; charset=utf-8")
	return v.send(res.status, body)
}

// send writes a body, zipped where the browser accepts that. HTTP APIs do not compress,
// and a list zips to a sixth. It also keeps within what Lambda may return: as text, a
// quote counts twice and a < six times.
func (v *visit) send(status int, body []byte) error {
	h := v.w.Header()
	h.Set("Vary", "Accept-Encoding")
	if acceptsZip(v.r) {
		var err error
		if body, err = zip(body); err != nil {
			return err
		}
		h.Set("Content-Encoding", "gzip")
	}
	v.w.WriteHeader(status)
	_, err := v.w.Write(body)
	return err
}

// fill sets what the frame shows on every page.
func (v *visit) fill(f *frame) {
	f.Product, f.Actor, f.Here = v.env.Settings.Product, agency.DisplayEmail(v.actor.Email), v.currentURL()
	f.Person = v.formPerson
	if v.actor.Email != "" {
		f.Person = identityOf(v.actor)
	}
	if f.Notice == "" {
		f.Notice, f.IsWarning = notices[v.notice], isWarning(v.notice)
	}
	f.form = v.form
}

// problemPage is an error in place of a page.
type problemPage struct {
	frame
	Status    int
	Code      agency.Code
	State     agency.Status
	Message   string
	RequestID string
	// RetryAfter is how long to wait, in words; "" where waiting does not help, or
	// the message says it.
	RetryAfter string
	// SignInURL is where to sign in, or to sign in as somebody else; "" where that
	// does not help.
	SignInURL string
	// IsOtherPerson reports whether the form was of another person's page.
	IsOtherPerson bool
	// RetryURL is where to try again what could not be served now; "" where that does
	// not help. Sent is what a POST's form held, to be sent there again.
	RetryURL string
	IsPost   bool
	Sent     []sentField
}

// problem returns the page of an error.
func (v *visit) problem(err error) response {
	if errors.Is(err, errMethod) {
		p := &problemPage{Status: http.StatusMethodNotAllowed, Message: "This page can’t be submitted."}
		return response{status: p.Status, name: "problem", data: p}
	}
	problem := rest.ProblemOf(v.ctx, err)
	p := &problemPage{
		Status: problem.Status, Code: problem.Code, State: problem.State, Message: problem.Detail, RequestID: problem.RequestID,
	}
	refusal, ok := errors.AsType[*agency.Error](err)
	if ok && refusal.RetryAfter > 0 && problem.Code != agency.Unavailable {
		p.RetryAfter = inWords(refusal.RetryAfter)
	}
	maps.Copy(v.w.Header(), problem.GetHeaders())
	v.w.Header().Del("WWW-Authenticate") // a browser would ask for a password
	to := "/"
	if !v.isPost() {
		to = cmp.Or(v.signInTo, localPath(v.currentURL()))
	}
	switch problem.Code {
	case agency.Unauthenticated:
		p.SignInURL = signInTo(to)
		// The issuer's session would give the same token again.
		if errors.Is(err, agency.ErrToken) || v.signInAnother {
			p.SignInURL = anotherSignInTo(to)
		}
	case agency.Forbidden, agency.NotFound, agency.NotPayer, agency.IdentityChanged:
		p.SignInURL = anotherSignInTo(to)
	case agency.Unavailable:
		v.offerRetry(p, refusal.RetryAfter)
	default:
	}
	return response{status: problem.Status, name: "problem", data: p}
}

// refuse returns what a page can show beside its form. Every other error it returns
// unchanged, for a page of its own.
func (v *visit) refuse(err error) (faults, error) {
	refusal, ok := errors.AsType[*agency.Error](err)
	if !ok {
		return faults{}, err
	}
	switch refusal.Code {
	case agency.Internal, agency.NotFound, agency.Unauthenticated, agency.IdentityChanged:
		return faults{}, err
	default:
	}
	if refusal.Code == agency.Unavailable {
		v.unavailable = refusal.Message
	}
	problem := rest.ProblemOf(v.ctx, err)
	f := faults{Code: refusal.Code, Message: refusal.Message, Fields: map[string]string{}, status: problem.Status}
	for _, field := range refusal.Fields {
		f.Fields[field.Field] = field.Message
	}
	if refusal.RetryAfter > 0 {
		maps.Copy(v.w.Header(), problem.GetHeaders())
		if refusal.Code != agency.Unavailable {
			f.Message += " You can try again in " + inWords(refusal.RetryAfter) + "."
		}
	}
	return f, nil
}
