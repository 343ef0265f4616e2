package main

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"

	"agencyhub/shared/agency"
)

//go:embed pages/*.html
var pageFiles embed.FS

// templates are the parsed pages, by name. Each file is a page, but for those that
// begin with an underscore. It defines "title" and "content" for the layout.
type templates struct {
	pages map[string]*template.Template
}

// frame is what the layout shows around each page's content. Each page's struct embeds
// it. Handlers set Account and Faults; fill sets the rest.
type frame struct {
	Product string
	// Actor is the address of the signed-in person; "" before sign-in.
	Actor string
	// Person is whose page it is, for its forms; "" for nobody's.
	Person identity
	// Here is the page's own address, to which its forms are sent.
	Here   string
	Notice string
	// IsWarning reports whether the notice says that nothing was done.
	IsWarning bool
	// Account is the account that the page is about; nil where there is none.
	Account *visitedAccount
	// Faults are what is wrong with the refused form.
	Faults faults
	form   form
}

func (f *frame) base() *frame { return f }

// Typed returns what was typed into a field, or else before.
func (f *frame) Typed(name, before string) string {
	if _, ok := f.form[name]; ok {
		return f.form.value(name)
	}
	return before
}

// Checked reports whether a box was checked in the refused form.
func (f *frame) Checked(name, value string) bool { return slices.Contains(f.form.values(name), value) }

// newTemplates parses the pages.
func newTemplates(c *console) (*templates, error) {
	funcs := template.FuncMap{
		"asset": c.assets.url, "planName": c.planName, "planPrice": c.planPrice, "openURL": c.env.Settings.OpenURL,
		"level": levelName, "allLevels": allLevels, "role": roleName, "status": statusName, "fullTime": fullTime, "iso": iso,
		"price": agency.Money, "field": newField, "hint": withHint, "maxLength": withMaxLength, "maxName": func() int { return agency.MaxTypedName }, "maxMessage": func() int { return agency.MaxTypedMessage }, "type": withType,
		"optional": asOptional, "long": asLong,
	}
	all, err := fs.Glob(pageFiles, "pages/*.html")
	if err != nil {
		return nil, err
	}
	frame := template.New("layout").Funcs(funcs)
	for _, name := range all {
		if strings.HasPrefix(path.Base(name), "_") {
			if frame, err = frame.ParseFS(pageFiles, name); err != nil {
				return nil, err
			}
		}
	}
	t := &templates{pages: map[string]*template.Template{}}
	for _, name := range all {
		if strings.HasPrefix(path.Base(name), "_") {
			continue
		}
		one, err := frame.Clone()
		if err != nil {
			return nil, err
		}
		if one, err = one.ParseFS(pageFiles, name); err != nil {
			return nil, err
		}
		t.pages[strings.TrimSuffix(path.Base(name), ".html")] = one
	}
	return t, nil
}

// render returns a whole page, so that an error never shows half of one.
func (t *templates) render(name string, data pageData) ([]byte, error) {
	page, ok := t.pages[name]
	if !ok {
		return nil, fmt.Errorf("there is no page %s", name)
	}
	var b bytes.Buffer
	if err := page.ExecuteTemplate(&b, "layout", data); err != nil {
		return nil, err
	}
	return withPerson(b.Bytes(), data.base().Person), nil
}

// formStart is the first tag of a form that does something. Only our templates make one:
// they escape every value.
var formStart = regexp.MustCompile(`<form method="post"[^>]*>`)

// withPerson adds personField to all forms of a page.
func withPerson(page []byte, person identity) []byte {
	if person == "" {
		return page
	}
	field := `<input type="hidden" name="` + personField + `" value="` + template.HTMLEscapeString(string(person)) + `">`
	return formStart.ReplaceAllFunc(page, func(start []byte) []byte { return append(slices.Clip(start), field...) })
}
