package main

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"io/fs"
	"path"
	"strconv"
	"strings"
	"time"

	"agencyhub/shared/agency"
	"agencyhub/shared/service"
)

//go:embed pages/*.html
var pages embed.FS

// paper is the parsed pages. Each file but those that begin with an underscore is
// a page, by its name: it defines "title" and "content", which the layout frames.
type paper struct {
	pages map[string]*template.Template
}

// frame is what every page has around its content. Each page's struct embeds
// it; a handler sets what it knows, and fill the rest.
type frame struct {
	Product string
	// Actor is the address of who is signed in; "" for nobody.
	Actor string
	// Here is the page's own address, to which its forms are sent.
	Here   string
	Notice string
	// Tabs lead through the pages of one account; nil where there is none.
	Tabs *tabs
	// Faults are what is wrong with the form that the page has refused.
	Faults faults
	form   form
}

func (f *frame) base() *frame { return f }

// Typed is what was typed into a field, or what stood there before.
func (f *frame) Typed(name, before string) string {
	if _, ok := f.form[name]; ok {
		return f.form.value(name)
	}
	return before
}

// Ticked tells whether a box was ticked, or was before.
func (f *frame) Ticked(name, value string, before bool) bool {
	if f.form == nil {
		return before
	}
	for _, v := range f.form.all(name) {
		if v == value {
			return true
		}
	}
	return false
}

// tabs are the pages of an account, and which of them this is.
type tabs struct {
	Account service.AccountView
	// As is the agency for which the person visits a client's account; "" for
	// themselves.
	As agency.AccountID
	// Role is the person's own: in the account, or in that agency.
	Role agency.Role
	// On is the present page's name.
	On string
}

// Inside is how the person stands to the account: nobody is led to a page that
// refuses them.
func (t tabs) Inside() inside { return inside{AccountView: t.Account, As: t.As, Role: t.Role} }

// Query is what each address of the account ends in.
func (t tabs) Query() string {
	if t.As == "" {
		return ""
	}
	return "?as=" + string(t.As)
}

// newPaper parses the pages.
func newPaper(c *console) (*paper, error) {
	words := template.FuncMap{
		"asset": c.assets.url, "planName": c.planName, "planPrice": c.planPrice, "openURL": c.env.Settings.OpenURL,
		"level": levelWords, "levels": levels, "role": roleWords, "status": statusWords, "stamp": stamp, "iso": iso,
		"price": agency.Money, "field": newField, "hint": hinted, "most": atMost, "type": ofType, "optional": optional, "long": long,
	}
	all, err := fs.Glob(pages, "pages/*.html")
	if err != nil {
		return nil, err
	}
	frame := template.New("layout").Funcs(words)
	for _, name := range all {
		if strings.HasPrefix(path.Base(name), "_") {
			if frame, err = frame.ParseFS(pages, name); err != nil {
				return nil, err
			}
		}
	}
	p := &paper{pages: map[string]*template.Template{}}
	for _, name := range all {
		if strings.HasPrefix(path.Base(name), "_") {
			continue
		}
		one, err := frame.Clone()
		if err != nil {
			return nil, err
		}
		if one, err = one.ParseFS(pages, name); err != nil {
			return nil, err
		}
		p.pages[strings.TrimSuffix(path.Base(name), ".html")] = one
	}
	return p, nil
}

// render writes a page whole, so that a fault of ours shows no half of it.
func (p *paper) render(name string, data page) ([]byte, error) {
	t, ok := p.pages[name]
	if !ok {
		return nil, fmt.Errorf("there is no page %s", name)
	}
	var b bytes.Buffer
	err := t.ExecuteTemplate(&b, "layout", data)
	return b.Bytes(), err
}

func (c *console) planName(id string) string { return c.svc.Rules.Plan(id).Name }

// planPrice is what a plan costs a month, as in "29 USD".
func (c *console) planPrice(id string) string {
	p := c.svc.Rules.Plan(id)
	return agency.Money(p.MonthlyPrice, p.Currency)
}

var levels = func() []agency.Level { return []agency.Level{agency.None, agency.View, agency.Edit} }

// levelWords are a level as it stands by itself.
func levelWords(l agency.Level) string {
	words := l.Words()
	return strings.ToUpper(words[:1]) + words[1:]
}

func roleWords(r agency.Role) string {
	switch r {
	case agency.Owner:
		return "Owner"
	case agency.Admin:
		return "Admin"
	default:
		return "Member"
	}
}

// statusWords are a profile's state as both sides read it.
func statusWords(s agency.Status) string {
	words := map[agency.Status]string{
		agency.Pending: "Waiting", agency.Active: "Active", agency.Denied: "Declined", agency.Withdrawn: "Withdrawn", agency.Expired: "Expired",
		agency.Revoked: "Revoked", agency.Left: "Left", agency.Lapsed: "Ended on its date", agency.Ended: "Account closed", agency.Moved: "Taken up",
	}
	return words[s]
}

// stamp is an instant without ambiguity, and iso the same for programs.
func stamp(t time.Time) string { return t.UTC().Format("Monday, 2 January 2006 at 15:04:05 UTC") }

func iso(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// lasting is a length of time as a person says it, in the largest unit that it
// fills, rounded up.
func lasting(d time.Duration) string {
	for _, unit := range []struct {
		name string
		long time.Duration
	}{{"day", 24 * time.Hour}, {"hour", time.Hour}, {"minute", time.Minute}} {
		if d < unit.long {
			continue
		}
		n := int((d + unit.long - 1) / unit.long)
		if n == 1 {
			return "1 " + unit.name
		}
		return strconv.Itoa(n) + " " + unit.name + "s"
	}
	return "a minute"
}
