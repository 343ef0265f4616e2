package main

import (
	"errors"
	"maps"
	"net/http"
	"net/url"
	"strconv"

	"agencyhub/shared/agency"
	"agencyhub/shared/rest"
)

// answer is what a page's handler wants done: a page shown, a person led on, or
// a file handed over.
type answer struct {
	status   int
	name     string
	page     page
	location string
	file     *download
}

// download is a file that the browser saves.
type download struct {
	name, kind string
	content    []byte
}

// page is the struct that a template shows.
type page interface{ base() *frame }

// show is a page, and refused the same page with what is wrong with its form.
func show(name string, p page) answer { return answer{status: http.StatusOK, name: name, page: p} }

func refused(name string, p page, f faults) answer {
	status := f.status
	if status == 0 {
		status = http.StatusOK
	}
	return answer{status: status, name: name, page: p}
}

// goTo leads on, by GET.
func goTo(location string) answer { return answer{status: http.StatusSeeOther, location: location} }

// done leads on after something was done, which the next page says.
func (v *visit) done(location, notice string) answer {
	v.leave(notice)
	return goTo(location)
}

// doneUnless is done, unless an error stood against it.
func (v *visit) doneUnless(err error, location, notice string) (answer, error) {
	if err != nil {
		return answer{}, err
	}
	return v.done(location, notice), nil
}

// write writes an answer.
func (v *visit) write(a answer) error {
	h := v.w.Header()
	switch {
	case a.location != "":
		h.Set("Location", a.location)
		v.w.WriteHeader(a.status)
		return nil
	case a.file != nil:
		h.Set("Content-Type", a.file.kind)
		h.Set("Content-Disposition", "attachment; filename="+strconv.Quote(a.file.name))
		return v.send(http.StatusOK, a.file.content)
	}
	v.fill(a.page.base())
	body, err := v.paper.render(a.name, a.page)
	if err != nil {
		return err
	}
	h.Set("Content-Type", "text/html; charset=utf-8")
	return v.send(a.status, body)
}

// send writes a body, zipped where the browser takes that: HTTP APIs do not
// compress, and a list is six times as long as when zipped. The bound on what
// Lambda answers is also held by it: in plain text a quote counts twice, and a <
// six times.
func (v *visit) send(status int, body []byte) error {
	h := v.w.Header()
	h.Set("Vary", "Accept-Encoding")
	if takesZipped(v.r) {
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

// fill tells the frame what it shows of every page.
func (v *visit) fill(f *frame) {
	f.Product, f.Actor, f.Here = v.env.Settings.Product, v.actor.Email, v.here()
	if f.Notice == "" {
		f.Notice = notices[v.notice]
	}
	f.form = v.form
}

// problemPage is what a refusal looks like.
type problemPage struct {
	frame
	Status    int
	Code      agency.Code
	State     agency.Status
	Message   string
	RequestID string
	// RetryAfter is how long to wait, in words; "" where waiting does not help.
	RetryAfter string
	// SignIn is where to sign in, or to sign in as somebody else; "" where that
	// does not help.
	SignIn string
}

// problem is the page of an error.
func (v *visit) problem(err error) answer {
	if errors.Is(err, errMethod) {
		p := &problemPage{Status: http.StatusMethodNotAllowed, Message: "This page is there to be looked at."}
		return answer{status: p.Status, name: "problem", page: p}
	}
	problem := rest.ProblemOf(v.ctx, err)
	p := &problemPage{
		Status: problem.Status, Code: problem.Code, State: problem.State, Message: problem.Detail, RequestID: problem.RequestID,
	}
	if refusal, ok := errors.AsType[*agency.Error](err); ok && refusal.RetryAfter > 0 {
		p.RetryAfter = lasting(refusal.RetryAfter)
	}
	maps.Copy(v.w.Header(), problem.GetHeaders())
	v.w.Header().Del("WWW-Authenticate") // a browser would ask for a password
	to := "/"
	if !v.post() {
		to = ownPath(v.here())
	}
	switch problem.Code {
	case agency.Unauthenticated:
		p.SignIn = "/signin?to=" + url.QueryEscape(to)
	case agency.Forbidden, agency.NotFound, agency.NotPayer, agency.IdentityChanged:
		p.SignIn = "/signin?another=1&to=" + url.QueryEscape(to)
	default:
	}
	return answer{status: problem.Status, name: "problem", page: p}
}

// refuse takes a refusal that the page itself can show, beside its form. Every
// other error becomes a page of its own.
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
	problem := rest.ProblemOf(v.ctx, err)
	f := faults{Code: refusal.Code, Message: refusal.Message, Fields: map[string]string{}, status: problem.Status}
	for _, field := range refusal.Fields {
		f.Fields[field.Field] = field.Message
	}
	if refusal.RetryAfter > 0 {
		f.Message += " You can try again in " + lasting(refusal.RetryAfter) + "."
		maps.Copy(v.w.Header(), problem.GetHeaders())
	}
	return f, nil
}
