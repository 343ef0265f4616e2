package main

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"unicode"

	"pgregory.net/rapid"
)

func TestSafeCell(t *testing.T) {
	for cell, want := range map[string]string{
		"": "", "é": "é", "a=b": "a=b", "A-Z": "A-Z", "_": "_",
		"Smith, Jones; and Sons": "Smith, Jones; and Sons", `Carl "the" Baker`: `Carl "the" Baker`, "ann@x.test": "ann@x.test", "5 - 7": "5 - 7",
		"=1": "_=1", "\t=1": "\t_=1", "\r=1": "\r_=1", " =1": " _=1", "\u00a0-1": "\u00a0_-1", "＠x": "_＠x", "'=1": "'_=1", "`+1": "`_+1",
		`"=1`: `"_=1`, "“=1": "“_=1", "\u200b=1": "\u200b_=1", "\u3164=1": "\u3164_=1", "\x00=1": "\x00_=1", "\u0301=1": "\u0301_=1", "--1": "_--1",
		"x;=1+cmd|' /C calc'!A0;y": "x;_=1+cmd|' /C calc'!A0;y", "a, +49": "a, _+49", "a,\"@b": "a,\"_@b", "a\n-b": "a\n_-b", ";;=1": ";;_=1",
		"|cmd": "_|cmd", "%0A": "_%0A", "−1": "_−1", "⁼1": "_⁼1", "⁻1": "_⁻1", "₋1": "_₋1", "₊1": "_₊1", "﹣1": "_﹣1", "﹪1": "_﹪1",
	} {
		if got := safeCell(cell); got != want {
			t.Errorf("%q: %q, want %q", cell, got, want)
		}
	}
}

// formulaSigns are the signs of formulas in each of their forms in Unicode, by UnicodeData:
// plain, superscript, subscript, small, fullwidth, doubled, and the minus sign.
const formulaSigns = "=⁼₌﹦＝⩵⩶" + "+⁺₊﹢＋﬩" + "-−⁻₋﹣－" + "@﹫＠" + "|｜" + "%﹪％"

// beginsFormula reports whether a spreadsheet could take a cell for a formula: its first
// visible character that is no quote is one of a formula.
func beginsFormula(cell string) bool {
	for _, r := range cell {
		switch {
		case strings.ContainsRune("\"'`‘’“”„‟«»‹›＂＇\u2800\ufffd", r), unicode.IsSpace(r), unicode.IsControl(r), unicode.In(r, unicode.Cf, unicode.Zs, unicode.Zl, unicode.Zp, unicode.Mn, unicode.Me, unicode.Mc, unicode.Co):
			continue
		case strings.ContainsRune("\u115f\u1160\u3164\uffa0\u034f\u17b4\u17b5", r):
			continue
		}
		return strings.ContainsRune(formulaSigns, r)
	}
	return false
}

// A dialect is how a program reads CSV.
type dialect struct {
	separator, quote rune // quote is 0 for none
	// anywhere means that a quote opens and closes within a cell too.
	anywhere bool
}

// read splits a file into its cells. A line ends at CR and at LF.
func (d dialect) read(file string) (cells []string) {
	var cell strings.Builder
	quoted, begins := false, true
	for _, r := range file {
		switch {
		case d.quote != 0 && r == d.quote && (quoted || begins || d.anywhere):
			quoted, begins = !quoted, false
			continue
		case !quoted && (r == d.separator || r == '\n' || r == '\r'):
			cells = append(cells, cell.String())
			cell.Reset()
			begins = true
			continue
		case begins && r != ' ':
			begins = false
		}
		cell.WriteRune(r)
	}
	return append(cells, cell.String())
}

// TestNoReaderFindsAFormula reads exports of random cells as the programs do: split by
// comma, semicolon or tab, with quotes, apostrophes or nothing around cells.
func TestNoReaderFindsAFormula(t *testing.T) {
	piece := rapid.OneOf(
		rapid.SampledFrom([]string{
			"=", "=", "+", "-", "@", "＝", "＋", "－", "＠", "﹦", "−", "⁻", "₋", "₊", "⁺", "₌", "⩵", "﬩", "﹣", "｜", "％", "|", "%", "=1+cmd|' /C calc'!A0", `=HYPERLINK("http://evil.test","x")`, "@SUM(1)",
			",", ";", "\t", "\r", "\n", "\r\n", `"`, `""`, "'", "''", "`", "’", " ", "\u00a0", "\u3000", "\u200b", "\u200d", "\u2066", "\ufeff", "\u00ad", "\u2800", "\u3164", "\x00", "\u0301", "\ufe0f", "\xff", "a", "Zoë", "1", "_",
		}),
		rapid.StringN(0, 3, -1),
	)
	cell := rapid.Custom(func(t *rapid.T) string { return strings.Join(rapid.SliceOfN(piece, 0, 8).Draw(t, "pieces"), "") })
	var dialects []dialect
	for _, separator := range ",;\t" {
		dialects = append(dialects, dialect{separator, 0, false})
		for _, quote := range `"'` {
			dialects = append(dialects, dialect{separator, quote, false}, dialect{separator, quote, true})
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		rows := rapid.SliceOfN(rapid.SliceOfN(cell, 3, 3), 1, 4).Draw(t, "rows")
		var file csvFile
		file.WriteString("\ufeff")
		for _, row := range rows {
			file.row(row...)
		}
		for _, d := range dialects {
			for _, got := range d.read(file.String()) {
				if beginsFormula(got) {
					t.Fatalf("read with %q and %q, the cell %q begins a formula; the file is %q", d.separator, d.quote, got, file.String())
				}
			}
			if err := readByCSV(file.String(), d.separator, func(got string) {
				if beginsFormula(got) {
					t.Fatalf("read by encoding/csv with %q, the cell %q begins a formula; the file is %q", d.separator, got, file.String())
				}
			}); err != nil {
				t.Fatal(err)
			}
		}
		checkSame(t, rows, file.String())
	})
}

// readByCSV reads a file by encoding/csv as far as it can.
func readByCSV(file string, separator rune, each func(cell string)) error {
	r := csv.NewReader(strings.NewReader(strings.TrimPrefix(file, "\ufeff")))
	r.Comma, r.LazyQuotes, r.FieldsPerRecord = separator, true, -1
	for {
		record, err := r.Read()
		for _, cell := range record {
			each(cell)
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("%w of %q", err, file)
		}
	}
}

// checkSame checks that a program that reads by the book has the cells as they were, but
// for marks.
func checkSame(t *rapid.T, rows [][]string, file string) {
	var want, got strings.Builder
	for _, row := range rows {
		for _, cell := range row {
			// encoding/csv reads CR LF as LF.
			want.WriteString(strings.ReplaceAll(cell, "\r\n", "\n") + "\x1f")
		}
	}
	if err := readByCSV(file, ',', func(cell string) { got.WriteString(cell + "\x1f") }); err != nil {
		t.Fatal(err)
	}
	plain := func(s string) string {
		return strings.NewReplacer("_", "", "\r", "").Replace(string([]rune(s)))
	}
	if plain(want.String()) != plain(got.String()) {
		t.Fatalf("%q is read as %q", want.String(), got.String())
	}
}
