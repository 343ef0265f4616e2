package main

import (
	"errors"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"time"
	_ "time/tzdata" // Lambda has no zones of its own

	"agencyhub/shared/agency"
	"agencyhub/shared/rest"
)

// maxForm bounds a form as it is sent, in bytes. The longest form that a page takes has less
// than half of that: a message as it is typed, each character 12 bytes, or 100 clients by their ids.
const maxForm = 64 << 10

// form is what a person typed.
type form url.Values

// value returns a field as it was typed, without blanks around it.
func (f form) value(name string) string { return strings.TrimSpace(url.Values(f).Get(name)) }

// values returns all values of a field with several boxes.
func (f form) values(name string) []string { return f[name] }

// personField is a field of every form on a signed-in person's page. It names that
// person, so that the form does nothing for another who has signed in since. No page
// reads it.
const personField = "person"

// areaFields stands for the fields of a table of levels: each is "area-" and the
// area's id.
const areaFields = "area-*"

// readForm reads the fields of the page's own forms from a POST. Errors: Invalid, and
// rest.TooLarge above maxForm.
func (v *visit) readForm() error {
	kind, _, err := mime.ParseMediaType(v.r.Header.Get("Content-Type"))
	if err != nil || kind != "application/x-www-form-urlencoded" {
		return &agency.Error{Code: agency.Invalid, Message: "This page takes its own form only.", Cause: err}
	}
	v.r.Body = http.MaxBytesReader(v.w, v.r.Body, maxForm)
	if err := v.r.ParseForm(); err != nil {
		if _, large := errors.AsType[*http.MaxBytesError](err); large {
			return rest.TooLarge(v.ctx, "The form is too long, and nothing was done. Go back, shorten what you entered, and send it again.")
		}
		return &agency.Error{Code: agency.Invalid, Message: "The form could not be read. Reload the page and try again.", Cause: err}
	}
	v.form = form{}
	for _, name := range v.fieldNames(v.r.Pattern) {
		if values, sent := v.r.PostForm[name]; sent {
			v.form[name] = values
		}
	}
	v.sent = v.form
	if id := identity(v.r.PostForm.Get(personField)); id.isValid() {
		v.formPerson = id
	}
	return nil
}

// fieldNames returns the names of the fields in a page's forms.
func (c *console) fieldNames(path string) []string {
	var names []string
	for _, name := range c.fields[path] {
		if name != areaFields {
			names = append(names, name)
			continue
		}
		for _, area := range c.svc.Rules.Areas {
			names = append(names, "area-"+area.ID)
		}
	}
	return names
}

// areas returns the chosen levels: the fields are "area-" and the area's id.
func (v *visit) areas() agency.Areas {
	areas := agency.Areas{}
	for _, area := range v.svc.Rules.Areas {
		if level := agency.Level(v.form.value("area-" + area.ID)); level != "" {
			areas[area.ID] = level
		}
	}
	return areas
}

// endDate returns the chosen end date: the end of that day in the person's zone; nil
// for none. Errors: Invalid.
func (v *visit) endDate() (*time.Time, error) {
	return endOfDay(v.form.value("until"), v.form.value("zone"))
}

// endOfDay returns the last second of a day, as in "2030-01-31", in an IANA zone. The
// page's script fills the zone in; an empty or unknown one is UTC. No date is nil.
// Errors: Invalid.
func endOfDay(date, zone string) (*time.Time, error) {
	if date == "" {
		return nil, nil
	}
	day, err := time.Parse(time.DateOnly, date)
	if err != nil {
		return nil, &agency.Error{Code: agency.Invalid, Message: "Enter a valid date.",
			Fields: []agency.FieldError{{Field: "until", Message: "Give a date such as 2030-01-31."}}}
	}
	// Local would be the zone of the machine that this runs on.
	in, err := time.LoadLocation(zone)
	if err != nil || zone == "Local" {
		in = time.UTC
	}
	end := time.Date(day.Year(), day.Month(), day.Day(), 23, 59, 59, 0, in).UTC()
	return &end, nil
}

// untilField is the form field of an end date.
type untilField struct {
	Label, Fault string
	IsOptional   bool
	// Value is what was typed. At is the present end, which the page's script turns
	// into the reader's day; zero for none.
	Value string
	At    time.Time
}

// newUntilField returns the field of an end date, as it was typed or else as it is.
func (v *visit) newUntilField(label string, at time.Time, fault string) untilField {
	f := untilField{Label: label, Fault: fault}
	if _, typed := v.form["until"]; typed {
		f.Value = v.form.value("until")
	} else if !at.IsZero() {
		f.Value, f.At = at.UTC().Format(time.DateOnly), at
	}
	return f
}

// faults is what is wrong with a refused form: a sentence about all of it, and one for
// each field, by the names that the use cases give the fields.
type faults struct {
	Code    agency.Code
	Message string
	Fields  map[string]string
	status  int
}

// At returns what is wrong with a field; "" for nothing.
func (f faults) At(field string) string { return f.Fields[field] }

// levels returns what is wrong with a table of levels, or with one of its rows.
func (f faults) levels(field string) string {
	if fault := f.At(field); fault != "" {
		return fault
	}
	for name, fault := range f.Fields {
		if strings.HasPrefix(name, field+".") {
			return fault
		}
	}
	return ""
}

// HasAny reports whether the form was refused.
func (f faults) HasAny() bool { return f.Message != "" }

// field is a form field for text: one line, or several where IsLong.
type field struct {
	Name, Label, Type, Value string
	// Hint explains the label, and Fault says what is wrong with the value.
	Hint, Fault string
	// Autocomplete is HTML's attribute; "" to leave it out.
	Autocomplete string
	// MaxLength is in units of UTF-16, as browsers count; 0 for no bound. A text that it
	// admits can still be too long.
	MaxLength          int
	IsOptional, IsLong bool
}

// newField and the functions after it describe a field in a template's pipe, which
// passes the field last.
func newField(name, label, value, fault string) field {
	return field{Name: name, Label: label, Type: "text", Value: value, Fault: fault}
}

func withHint(hint string, f field) field { f.Hint = hint; return f }

func withMaxLength(units int, f field) field { f.MaxLength = units; return f }

func withType(kind string, f field) field {
	f.Type = kind
	if kind == "email" {
		// It is somebody else's address, which the browser can't know.
		f.MaxLength, f.Autocomplete = agency.MaxEmail, "off"
	}
	return f
}

func asOptional(f field) field { f.IsOptional = true; return f }

func asLong(f field) field { f.IsLong = true; return f }

// levelsTable is the form table in which a person chooses a level for each area.
type levelsTable struct {
	Legend, Hint, Fault string
	Rows                []levelsRow
}

type levelsRow struct {
	ID, Name string
	Choices  []levelsChoice
}

type levelsChoice struct {
	Level agency.Level
	// IsDisabled is of a level above what there is to give.
	IsChosen, IsDisabled bool
}

// newLevelsTable returns the table of all areas, as it was typed or else as before. No
// level above highest can be chosen; nil is no bound.
func (v *visit) newLevelsTable(legend string, before, highest agency.Areas) levelsTable {
	t := levelsTable{Legend: legend}
	typed := v.areas()
	for _, area := range v.svc.Rules.Areas {
		chosen := before[area.ID]
		if level, ok := typed[area.ID]; ok {
			chosen = level
		}
		if highest != nil && !chosen.IsWithin(highest[area.ID]) {
			chosen = highest[area.ID]
		}
		if !chosen.IsValid() {
			chosen = agency.None
		}
		row := levelsRow{ID: area.ID, Name: area.Name}
		for _, level := range allLevels() {
			tooHigh := highest != nil && !level.IsWithin(highest[area.ID])
			row.Choices = append(row.Choices, levelsChoice{Level: level, IsChosen: level == chosen, IsDisabled: tooHigh})
		}
		t.Rows = append(t.Rows, row)
	}
	return t
}
