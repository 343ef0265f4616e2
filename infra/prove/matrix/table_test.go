// Package matrix proves who may make which call: every operation, by every kind of caller
// and with every bad token, on accounts of every kind, against the tables of matrix.md.
package matrix

import (
	"fmt"
	"os"
	"regexp"
	"strings"
)

// A section is one table of matrix.md.
type section struct {
	title   string
	columns []string // without those before the cells
	rows    []row
}

// A row is what a call answers to each column.
type row struct {
	label   string // such as "PATCH /v1/me", or "PATCH /v1/me · a variant"
	success string // the status of ✔; "" in a table without one
	cells   []string
}

// route returns the row's operation, such as "PATCH /v1/me".
func (r row) route() string {
	route, _, _ := strings.Cut(r.label, " · ")
	return route
}

var titles = regexp.MustCompile(`(?m)^## `)

// readMatrix reads the tables of matrix.md by their headings. What stands before the first
// heading is under "".
func readMatrix() (map[string]*section, error) {
	raw, err := os.ReadFile("matrix.md")
	if err != nil {
		return nil, err
	}
	sections := map[string]*section{}
	for i, text := range titles.Split(string(raw), -1) {
		title, body := "", text
		if i > 0 {
			title, body, _ = strings.Cut(text, "\n")
		}
		s, err := readSection(title, body)
		if err != nil {
			return nil, fmt.Errorf("matrix.md: %s: %w", title, err)
		}
		sections[title] = s
	}
	return sections, nil
}

// readSection reads the first table of a section.
func readSection(title, body string) (*section, error) {
	s := &section{title: title}
	before := 1 // columns before the cells
	for line := range strings.Lines(body) {
		line = strings.TrimSpace(line)
		if !strings.HasPrefix(line, "|") {
			if s.columns != nil {
				break
			}
			continue
		}
		var cells []string
		for cell := range strings.SplitSeq(strings.Trim(line, "|"), "|") {
			cells = append(cells, strings.ReplaceAll(strings.TrimSpace(cell), "`", ""))
		}
		switch {
		case s.columns == nil:
			if len(cells) > 1 && cells[1] == "✔ is" {
				before = 2
			}
			s.columns = cells[before:]
		case strings.HasPrefix(cells[0], "---"):
		case len(cells) != before+len(s.columns):
			return nil, fmt.Errorf("the row %s has %d cells of %d", cells[0], len(cells)-before, len(s.columns))
		default:
			r := row{label: cells[0], cells: cells[before:]}
			if before == 2 {
				r.success = cells[1]
			}
			s.rows = append(s.rows, r)
		}
	}
	if len(s.rows) == 0 {
		return nil, fmt.Errorf("there is no table")
	}
	return s, nil
}
