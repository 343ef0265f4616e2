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
)

// maxForm bounds what a form may send, in bytes: the longest message in the
// longest characters, several times.
const maxForm = 32 << 10

// form is what a person typed.
type form url.Values

// value is a field as it was typed, without blanks around it.
func (f form) value(name string) string { return strings.TrimSpace(url.Values(f).Get(name)) }

// all are the values of a field that may be ticked more than once.
func (f form) all(name string) []string { return f[name] }

// readForm reads a POST's form.
func (v *visit) readForm() error {
	kind, _, err := mime.ParseMediaType(v.r.Header.Get("Content-Type"))
	if err != nil || kind != "application/x-www-form-urlencoded" {
		return &agency.Error{Code: agency.Invalid, Message: "This page takes its own form only.", Cause: err}
	}
	v.r.Body = http.MaxBytesReader(v.w, v.r.Body, maxForm)
	if err := v.r.ParseForm(); err != nil {
		message := "The form could not be read. Reload the page and try again."
		if _, large := errors.AsType[*http.MaxBytesError](err); large {
			message = "That is too long. Shorten it and try again."
		}
		return &agency.Error{Code: agency.Invalid, Message: message, Cause: err}
	}
	v.form = form(v.r.PostForm)
	return nil
}

// areas are the levels chosen in the table of areas: its fields are
// "area-" and the area's id.
func (v *visit) areas() agency.Areas {
	areas := agency.Areas{}
	for _, area := range v.svc.Rules.Areas {
		if level := agency.Level(v.form.value("area-" + area.ID)); level != "" {
			areas[area.ID] = level
		}
	}
	return areas
}

// until is the end date that was chosen: access ends at the end of that day where
// the person is. nil is none. Errors: Invalid.
func (v *visit) until() (*time.Time, error) {
	return endOfDay(v.form.value("until"), v.form.value("zone"))
}

// endOfDay is the last second of a day, as in "2030-01-31", in an IANA zone, which
// pages fill in by themselves: UTC where they could not, or where the zone is
// unknown. "" is no day.
func endOfDay(date, zone string) (*time.Time, error) {
	if date == "" {
		return nil, nil
	}
	day, err := time.Parse(time.DateOnly, date)
	if err != nil {
		return nil, &agency.Error{Code: agency.Invalid, Message: "That is no date.", Cause: err,
			Fields: []agency.FieldError{{Field: "until", Message: "Give a date such as 2030-01-31."}}}
	}
	// Local would be the zone of whatever machine this runs on.
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
	Optional     bool
	// Value is what was typed, and At the present end, which the page turns into
	// the reader's day; zero for none.
	Value string
	At    time.Time
}

// untilField offers an end date, as it was typed or else as it is.
func (v *visit) untilField(label string, at time.Time, fault string) untilField {
	f := untilField{Label: label, Fault: fault}
	if _, typed := v.form["until"]; typed {
		f.Value = v.form.value("until")
	} else if !at.IsZero() {
		f.Value, f.At = at.UTC().Format(time.DateOnly), at
	}
	return f
}

// faults are what is wrong with a form that was refused: a sentence about all of
// it, and one for each field, by the names that the use cases give them.
type faults struct {
	Code    agency.Code
	Message string
	Fields  map[string]string
	status  int
}

// At is what is wrong with a field, "" for nothing.
func (f faults) At(field string) string { return f.Fields[field] }

// levels is what is wrong with a table of levels, or with a row of it.
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

// Any tells whether anything is.
func (f faults) Any() bool { return f.Message != "" }

// field is one line, or more of them where it is Long, that a person types.
type field struct {
	Name, Label, Type, Value string
	// Hint stands with the label, and Fault says what is wrong with the value.
	Hint, Fault string
	// Complete is what browsers may fill in (HTML's autocomplete); "" for nothing.
	Complete string
	// Most bounds its length in characters; 0 for none.
	Most           int
	Optional, Long bool
}

// newField, and what follows it in a pipe, describe a field where it stands in a
// page's template.
func newField(name, label, value, fault string) field {
	return field{Name: name, Label: label, Type: "text", Value: value, Fault: fault}
}

func hinted(hint string, f field) field { f.Hint = hint; return f }

func atMost(characters int, f field) field { f.Most = characters; return f }

func ofType(kind string, f field) field {
	f.Type = kind
	if kind == "email" {
		// As the domain bounds addresses. Whose it is, the browser can't know.
		f.Most, f.Complete = agency.MaxEmail, "off"
	}
	return f
}

func optional(f field) field { f.Optional = true; return f }

func long(f field) field { f.Long = true; return f }

// levelsTable is the table in which a person chooses a level for each area.
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
	// On is chosen, and Off can't be: it is more than there is to give.
	On, Off bool
}

// levelsTable offers every area at no more than most (nil for no bound), as it was
// typed, or else as before.
func (v *visit) levelsTable(legend string, before, most agency.Areas) levelsTable {
	t := levelsTable{Legend: legend}
	typed := v.areas()
	for _, area := range v.svc.Rules.Areas {
		chosen := before[area.ID]
		if level, ok := typed[area.ID]; ok {
			chosen = level
		}
		if most != nil && !chosen.IsWithin(most[area.ID]) {
			// What was typed may be more than there is to give by now.
			chosen = most[area.ID]
		}
		if !chosen.IsValid() {
			chosen = agency.None
		}
		row := levelsRow{ID: area.ID, Name: area.Name}
		for _, level := range levels() {
			row.Choices = append(row.Choices, levelsChoice{Level: level, On: level == chosen, Off: most != nil && !level.IsWithin(most[area.ID])})
		}
		t.Rows = append(t.Rows, row)
	}
	return t
}
