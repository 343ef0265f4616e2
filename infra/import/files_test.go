package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

var update = flag.Bool("update", false, "write the reports of testdata/reports")

// An expectation is what becomes of a file of testdata/files.
type expectation struct {
	rows, registered, existing, refused int
	// stops is part of the message with which the import stops; "" for a file that is
	// imported to its end.
	stops string
}

// odd lists every file of testdata/files. The numbers are counted by hand.
var odd = map[string]expectation{
	"plain.csv":                                 {rows: 4, registered: 4},
	"crlf.csv":                                  {rows: 4, registered: 4},
	"cr-alone.csv":                              {rows: 4, registered: 4},
	"mixed-line-ends.csv":                       {rows: 5, registered: 4, refused: 1},
	"no-line-end-at-the-end.csv":                {rows: 3, registered: 3},
	"utf8-mark.csv":                             {rows: 3, registered: 2, refused: 1},
	"utf16le-mark.csv":                          {rows: 4, registered: 3, refused: 1},
	"utf16be-mark.csv":                          {rows: 4, registered: 3, refused: 1},
	"utf16le-no-mark.csv":                       {rows: 4, registered: 3, refused: 1},
	"utf16be-no-mark.csv":                       {rows: 4, registered: 3, refused: 1},
	"utf16-unicode-text.txt":                    {rows: 4, registered: 3, refused: 1},
	"utf16-half-a-pair.csv":                     {rows: 5, registered: 1, refused: 4},
	"utf16-odd-byte.csv":                        {rows: 2, registered: 1, refused: 1},
	"utf16-open-quote.csv":                      {rows: 11, registered: 10, refused: 1},
	"utf32.csv":                                 {stops: "it is UTF-32, not CSV"},
	"windows-1252.csv":                          {rows: 4, registered: 2, refused: 2},
	"windows-1252-header.csv":                   {stops: "line 1, of the columns' names, holds a broken character"},
	"semicolons.csv":                            {rows: 3, registered: 3},
	"semicolons-with-commas.csv":                {rows: 3, registered: 2, refused: 1},
	"semicolon-header-comma-rows.csv":           {rows: 2, refused: 2},
	"tabs.tsv":                                  {rows: 4, registered: 4},
	"bars.csv":                                  {rows: 3, registered: 3},
	"sep-semicolon.csv":                         {rows: 2, registered: 1, refused: 1},
	"sep-quoted-comma.csv":                      {rows: 1, registered: 1},
	"sep-resaved.csv":                           {rows: 1, registered: 1},
	"sep-tab-utf16.csv":                         {rows: 2, registered: 1, refused: 1},
	"sep-other-than-the-rows.csv":               {stops: `column 1 is "account,name,owner"`},
	"sep-colon.csv":                             {stops: "line 1 says that ':' separates the fields"},
	"trailing-columns.csv":                      {rows: 4, registered: 3, refused: 1},
	"trailing-columns-of-rows.csv":              {rows: 3, registered: 2, refused: 1},
	"trailing-rows.csv":                         {rows: 2, registered: 2},
	"empty-rows-before-the-columns.csv":         {rows: 1, registered: 1},
	"empty-lines.csv":                           {rows: 2, registered: 1, refused: 1},
	"empty.csv":                                 {stops: "the file is empty"},
	"blank-lines.csv":                           {stops: "the file is empty"},
	"mark-alone.csv":                            {stops: "the file is empty"},
	"mark-alone-utf16.csv":                      {stops: "the file is empty"},
	"columns-alone.csv":                         {},
	"columns-alone-no-line-end.csv":             {},
	"columns-spelled.csv":                       {rows: 1, registered: 1},
	"columns-in-another-order.csv":              {rows: 2, registered: 1, refused: 1},
	"columns-open-quote.csv":                    {stops: "line 1, of the columns' names, can't be read: A quote is opened"},
	"column-unknown.csv":                        {stops: `column 3 is "e-mail"`},
	"column-missing.csv":                        {stops: `there is no column "owner"`},
	"column-twice.csv":                          {stops: `column 4 is "name"`},
	"column-without-a-name.csv":                 {stops: `column 2 is ""`},
	"no-columns.csv":                            {stops: `column 1 is "shop-1"`},
	"open-quote.csv":                            {rows: 40, registered: 39, refused: 1},
	"open-quote-malformed-close.csv":            {rows: 2, registered: 2, stops: "line 4 opens a quote, and more text follows the quote that closes it on line 31"},
	"open-quote-legal-close.csv":                {rows: 40, registered: 12, refused: 28},
	"open-quote-quoted-row-later.csv":           {rows: 2, registered: 2, stops: "line 4 opens a quote, and more text follows the quote that closes it on line 31"},
	"open-quote-before-much.csv":                {rows: 1, registered: 1, stops: "line 3 opens a quote, and none closes it within 65536 bytes"},
	"open-quote-short-rows.csv":                 {rows: 5, registered: 1, refused: 4},
	"open-quote-last-line.csv":                  {rows: 3, registered: 2, refused: 1},
	"quote-alone.csv":                           {rows: 3, refused: 3},
	"line-break-in-quotes.csv":                  {rows: 5, registered: 1, refused: 4},
	"line-break-rows-in-names.csv":              {rows: 20, registered: 4, refused: 16},
	"line-break-at-the-end.csv":                 {rows: 6, registered: 2, refused: 4},
	"line-break-behind-open-quote.csv":          {rows: 1, registered: 1, stops: "line 3 opens a quote, and where it closes is not clear"},
	"line-break-behind-open-quote-2.csv":        {stops: "line 2 opens a quote, and more text follows the quote that closes it on line 3"},
	"line-break-at-the-end-before-much.csv":     {rows: 23, registered: 21, refused: 2},
	"line-break-of-other-width-before-much.csv": {rows: 1, registered: 1, stops: "line 3 opens a quote. Line 4 closes it or opens another, which none closes within 65536 bytes"},
	"backslash-quote.csv":                       {rows: 1, registered: 1, stops: `line 3 has \" in a quoted field`},
	"backslash-quote-at-line-end.csv":           {rows: 1, registered: 1, stops: `line 3 has \" in a quoted field`},
	"backslash-quote-row-of-its-own.csv":        {rows: 1, registered: 1, stops: `line 3 has \" in a quoted field`},
	"backslash-quote-on-later-line.csv":         {rows: 1, registered: 1, stops: `line 4 has \" in a quoted field`},
	"backslash-quote-closed.csv":                {rows: 1, registered: 1, stops: `line 3 has \" in a quoted field`},
	"backslash-quote-behind-open-quote.csv":     {rows: 1, registered: 1, stops: `line 5 has \" in a quoted field`},
	"backslashes.csv":                           {rows: 6, registered: 4, refused: 2},
	"text-behind-on-later-line.csv":             {rows: 1, registered: 1, stops: "line 3 opens a quote, and more text follows the quote that closes it on line 5"},
	"text-behind-and-open-quote.csv":            {rows: 1, registered: 1, stops: "line 3 opens a quote, and where it closes is not clear"},
	"text-behind-and-quote-at-line-end.csv":     {rows: 1, registered: 1, stops: "line 3 opens a quote, and where it closes is not clear"},
	"backslash-quote-in-next-field.csv":         {rows: 1, registered: 1, stops: `line 4 has \" in a quoted field`},
	"text-behind-not-doubled.csv":               {rows: 1, registered: 1, stops: "line 3 opens a quote, and where it closes is not clear"},
	"text-behind-alone.csv":                     {rows: 3, registered: 2, refused: 1},
	"stray-quote-and-open-quote.csv":            {rows: 1, registered: 1, stops: "line 3 opens a quote, and where it closes is not clear"},
	"line-break-cr.csv":                         {rows: 4, registered: 1, refused: 3},
	"fields-left-out.csv":                       {rows: 5, registered: 3, refused: 2},
	"stray-quotes.csv":                          {rows: 5, registered: 1, refused: 4},
	"doubled-quotes.csv":                        {rows: 3, registered: 3},
	"quotes-everywhere.csv":                     {rows: 2, registered: 2},
	"duplicates.csv":                            {rows: 5, registered: 2, existing: 3},
	"zero-bytes.csv":                            {rows: 4, registered: 1, refused: 3},
	"control-characters.csv":                    {rows: 4, registered: 1, refused: 3},
	"long-cell.csv":                             {rows: 2, registered: 1, refused: 1},
	"long-line.csv":                             {rows: 1, registered: 1, stops: "line 4 has more than 65536 bytes"},
	"too-few-too-many.csv":                      {rows: 4, registered: 2, refused: 2},
	"kept-from-formulas.csv":                    {rows: 7, registered: 5, existing: 2},
	"formulas.csv":                              {rows: 3, registered: 1, refused: 2},
	"shortened-numbers.csv":                     {rows: 12, registered: 4, refused: 8},
	"invisible-in-ids.csv":                      {rows: 6, registered: 3, refused: 3},
	"ids.csv":                                   {rows: 8, registered: 4, refused: 4},
	"no-name.csv":                               {rows: 2, refused: 2},
	"owners.csv":                                {rows: 4, registered: 1, refused: 3},
	"refused-by-the-api.csv":                    {rows: 4, registered: 1, refused: 3},
	"report.csv":                                {rows: 4, registered: 1, refused: 3},
	"report-with-moved-columns.csv":             {rows: 2, registered: 1, refused: 1},
	"report-of-semicolons.csv":                  {rows: 2, registered: 1, refused: 1},
	"blanks-around.csv":                         {rows: 2, registered: 2},
	"scripts.csv":                               {rows: 12, registered: 12},
	"right-to-left.csv":                         {rows: 2, registered: 2},
	"workbook.xlsx":                             {stops: "it is a workbook or a zip archive, not CSV: save the rows as CSV UTF-8"},
	"workbook.xls":                              {stops: "it is a workbook, not CSV"},
	"document.pdf":                              {stops: "it is a PDF, not CSV"},
	"page.html":                                 {stops: "it is HTML or XML, not CSV"},
	"rows.json":                                 {stops: "it is JSON, not CSV"},
	"rows.csv.gz":                               {stops: "it is compressed, not CSV"},
}

// An oddImport is a file of testdata/files on its way into an API of its own.
type oddImport struct {
	*fakeAPI
	config
	content []byte
	err     error
}

// importOdd imports a file into an API that refuses some names and the plan "free".
func importOdd(t *testing.T, content []byte) oddImport {
	t.Helper()
	h := newFakeAPI(t)
	h.answer = func(_, name string, _ int) (int, string, string) {
		switch {
		case name == "Owned":
			return 409, "", `{"code":"permanently_owned","detail":"An agency owns it."}`
		case utf8.RuneCountInString(name) > 80 || strings.ContainsAny(name, "\x00\x07"):
			return 400, "", `{"code":"invalid","detail":"The API takes no such name."}`
		}
		return 200, "", "{}"
	}
	c, _ := h.newImport(t)
	return oddImport{h, c, content, c.run(t.Context(), bytes.NewReader(content))}
}

// TestOddFiles imports each file of testdata/files, and checks its numbers, what was
// sent, and its report against testdata/reports.
func TestOddFiles(t *testing.T) {
	files, err := os.ReadDir(filepath.Join("testdata", "files"))
	must(t, err)
	if len(files) != len(odd) {
		t.Errorf("%d files, and %d are expected", len(files), len(odd))
	}
	for name, want := range odd {
		t.Run(name, func(t *testing.T) {
			content, err := os.ReadFile(filepath.Join("testdata", "files", name))
			must(t, err)
			s := importOdd(t, content)
			if want.stops != "" {
				wantError(t, s.err, want.stops)
			}
			p, err := s.readProgress()
			must(t, err)
			if got := (expectation{p.Rows, p.Registered, p.Existing, p.Refused, want.stops}); got != want {
				t.Errorf("%+v, want %+v (%v)", got, want, s.err)
			}
			if p.Finished != (want.stops == "") || p.Registered+p.Existing+p.Refused != p.Rows || len(s.calls) != p.Registered+p.Existing || len(s.registered) != p.Registered {
				t.Errorf("%+v, %d calls, %d accounts", p.progress, len(s.calls), len(s.registered))
			}
			if lines := s.rowLines(); want.stops == "" && len(lines) != p.Rows {
				t.Errorf("%d rows were read of %d lines with a value", p.Rows, len(lines))
			}
			report := s.report(t)
			if want.refused > 0 {
				s.checkReport(t, report, want)
			}
			s.golden(t, name, report)
		})
	}
}

// TestOddFilesGoOnWhereTheyStopped stops the import of each odd file at a row in its
// middle, as a crash does. The rest of it makes the same numbers and the same report.
func TestOddFilesGoOnWhereTheyStopped(t *testing.T) {
	stopped := 0
	for name, want := range odd {
		if want.registered == 0 || want.stops != "" {
			continue
		}
		stopped++
		t.Run(name, func(t *testing.T) {
			content, err := os.ReadFile(filepath.Join("testdata", "files", name))
			must(t, err)
			whole := importOdd(t, content)
			h := newFakeAPI(t)
			if len(whole.calls) < want.registered {
				t.Fatal(whole.err)
			}
			last := whole.calls[len(whole.calls)-1]
			var down, failed atomic.Bool
			down.Store(true)
			h.answer = func(account, name string, try int) (int, string, string) {
				if down.Load() && (failed.Load() || strings.HasPrefix(last, name+" ")) {
					failed.Store(true) // the rows behind it fail too
					return 503, "", ""
				}
				return whole.answer(account, name, try)
			}
			c, _ := h.newImport(t)
			c.workers = 1
			wantError(t, c.run(t.Context(), bytes.NewReader(content)), "The same command goes on from there")
			first, err := c.readProgress()
			must(t, err)
			// The report is longer than the saved progress, as after a crash.
			must(t, os.WriteFile(c.refusedFile, []byte(contents(t, c.refusedFile)+"1,invalid,\"half a ro"), 0o600))
			crash(t, c)
			down.Store(false)
			if err := c.run(t.Context(), bytes.NewReader(content)); (err != nil) != (want.refused > 0) {
				t.Error(err)
			}
			p, err := c.readProgress()
			must(t, err)
			// The row that was on its way when the import stopped can be there already.
			late := want.registered - p.Registered
			if first.Rows >= p.Rows || p.Rows != want.rows || late < 0 || late > 1 || p.Existing != want.existing+late || p.Refused != want.refused || !p.Finished {
				t.Errorf("%+v after %+v", p.progress, first.progress)
			}
			if want.refused > 0 {
				if diff := cmp.Diff(whole.report(t), contents(t, c.refusedFile)); diff != "" {
					t.Error(diff)
				}
			}
		})
	}
	if stopped < 50 {
		t.Errorf("%d files were stopped", stopped)
	}
}

// TestACorrectedReportIsImported corrects what is wrong in reports of odd files.
func TestACorrectedReportIsImported(t *testing.T) {
	for name, corrections := range map[string][]string{
		"open-quote.csv":         {`"Shop 3`, "Shop 3"},
		"utf16be-no-mark.csv":    {"nobody", "anna@x.test"},
		"utf16-unicode-text.txt": {"nobody", "anna@x.test"},
		"sep-semicolon.csv":      {`"Two`, "Two"},
		"windows-1252.csv":       {"Caf\xe9", "Café", "M\xfcller", "Müller", "S\xf6hne", "Söhne"},
		"trailing-columns.csv":   {"Three,a@x.test", "Three,a@x.test,", ",note", ","},
		"report.csv":             {`"Not corrected`, "Corrected", "Owned", "Not owned", "11,invalid", "shop-9,Nine,a@x.test"},
	} {
		t.Run(name, func(t *testing.T) {
			content, err := os.ReadFile(filepath.Join("testdata", "files", name))
			must(t, err)
			corrected := strings.NewReplacer(corrections...).Replace(importOdd(t, content).report(t))
			again := importOdd(t, []byte(corrected))
			must(t, again.err)
			if len(again.registered) != odd[name].refused {
				t.Errorf("%d accounts of %d refused rows", len(again.registered), odd[name].refused)
			}
		})
	}
}

// text returns the file in UTF-8, decoded by the standard library.
func (s oddImport) text() string {
	content := s.content
	le, be := bytes.HasPrefix(content, []byte{0xff, 0xfe}), bytes.HasPrefix(content, []byte{0xfe, 0xff})
	if len(content) > 1 && !le && !be {
		le, be = content[1] == 0, content[0] == 0
	}
	if !le && !be {
		return strings.TrimPrefix(string(content), "\ufeff")
	}
	units := make([]uint16, 0, len(content)/2)
	for i := 0; i+1 < len(content); i += 2 {
		a, b := uint16(content[i]), uint16(content[i+1])
		if be {
			a, b = b, a
		}
		units = append(units, b<<8|a)
	}
	text := string(utf16.Decode(units))
	if len(content)%2 == 1 {
		text += "\xff"
	}
	return strings.TrimPrefix(text, "\ufeff")
}

// lines returns the lines of the file.
func (s oddImport) lines() []string {
	return strings.Split(strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(s.text()), "\n")
}

// rowLines returns the lines that hold a value, behind that of the columns.
func (s oddImport) rowLines() []string {
	var lines []string
	for _, line := range s.lines() {
		if hasValue(line) && !strings.HasPrefix(strings.ToLower(strings.Trim(line, `"`)), "sep=") {
			lines = append(lines, line)
		}
	}
	return lines[min(1, len(lines)):]
}

// hasValue reports whether a line holds more than separators, blanks and empty quotes.
func hasValue(line string) bool {
	return strings.Trim(strings.ReplaceAll(line, `""`, ""), ",;\t| \u00a0") != ""
}

// report returns the report of refusals; "" for none.
func (s oddImport) report(t *testing.T) string {
	t.Helper()
	report, err := os.ReadFile(s.refusedFile)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	return string(report)
}

// checkReport checks that every refused row is in the report as it is in the file, on
// its line, and that the report itself is a file with as many rows.
func (s oddImport) checkReport(t *testing.T, report string, want expectation) {
	t.Helper()
	lines := s.lines()
	var rows []string
	for _, line := range strings.Split(strings.TrimSuffix(strings.TrimPrefix(report, "\ufeff"), "\n"), "\n") {
		if !strings.HasPrefix(strings.ToLower(strings.Trim(line, `"`)), "sep=") {
			rows = append(rows, line)
		}
	}
	refused := 0
	for at := 1; at < len(rows); {
		found := lineNumbers.FindStringSubmatch(rows[at])
		if found == nil {
			t.Fatalf("%q has no line", rows[at])
		}
		first, _ := strconv.Atoi(found[1])
		last, err := strconv.Atoi(found[2])
		if err != nil {
			last = first
		}
		if first < 1 || last < first || last > len(lines) {
			t.Fatalf("%q of %d lines", rows[at], len(lines))
		}
		for number := first; number <= last; number, at = number+1, at+1 {
			own, got := strings.ToValidUTF8(lines[number-1], "\ufffd"), strings.ToValidUTF8(rows[at], "\ufffd")
			if strings.Contains(lines[0], "line,code,reason") || strings.Contains(lines[1], "line;code;reason") {
				// The report of a report has its three columns once.
				if parts := strings.SplitN(own, own[strings.IndexAny(own, ",;"):][:1], 4); len(parts) == 4 {
					own = parts[3]
				}
			}
			if number == first && (!strings.HasSuffix(got, own) || own == "") || number > first && got != own {
				t.Errorf("%q does not end in %q", got, own)
			}
			if hasValue(own) {
				refused++
			}
		}
	}
	if refused != want.refused {
		t.Errorf("%d rows in the report", refused)
	}
	again := importOdd(t, []byte(report))
	p, err := again.readProgress()
	must(t, err)
	if p.Rows != want.refused || p.Refused != want.refused || !p.Finished {
		t.Errorf("the report as a file: %+v (%v)", p.progress, again.err)
	}
	if stripReasons(report) != stripReasons(again.report(t)) {
		t.Errorf("the report of the report: %s", cmp.Diff(report, again.report(t)))
	}
}

// lineNumbers are the numbers of the lines that a row of a report is about.
var lineNumbers = regexp.MustCompile(`^(\d+)(?:-(\d+))?[,;\t|]`)

var counts = regexp.MustCompile(`has \d+ fields and the first row \d+|Write lines \d+-\d+ as`)

// stripReasons returns a report without numbers that are others in its own report.
func stripReasons(report string) string {
	lines := strings.Split(counts.ReplaceAllString(report, ""), "\n")
	for i, line := range lines {
		if at := strings.IndexAny(line, ",;\t|"); at > 0 && line[0] >= '0' && line[0] <= '9' {
			lines[i] = line[at:]
		}
	}
	return strings.Join(lines, "\n")
}

// golden compares the calls and the report of a file with testdata/reports. What the
// law says of an address is left out: it is the law's own.
func (s oddImport) golden(t *testing.T, name, report string) {
	t.Helper()
	for _, owner := range []string{"nobody", "", "a@x.test b@x.test"} {
		if _, problem := ownerEmail(owner); problem != "" {
			quoted := strings.TrimSuffix(reportLine(',', "", problem), ",\n")
			report = strings.NewReplacer(quoted, "(about the address)", problem, "(about the address)").Replace(report)
		}
	}
	calls := slices.Sorted(slices.Values(s.calls))
	got := fmt.Sprintf("%s\n--- sent\n%s\n", report, strings.Join(calls, "\n"))
	path := filepath.Join("testdata", "reports", name)
	if *update {
		must(t, os.WriteFile(path, []byte(got), 0o600))
	}
	if diff := cmp.Diff(contents(t, path), got); diff != "" {
		t.Errorf("%s; if it should be as it is now: go test ./infra/import -update\n%s", path, diff)
	}
}

// TestNoLineVanishes reads random lines: each with a value is of a row, sent or refused,
// and is kept as it is in the file, whatever quotes and separators it has.
func TestNoLineVanishes(t *testing.T) {
	piece := rapid.SampledFrom([]string{`"`, `"`, `""`, ",", ",", ";", "\t", "\n", "\r", "\r\n", " ", "=", `="`, "a", "é", "\x00", "\xff", "\u00a0", "x@y.test", "shop-1", "shop-1,One,a@x.test\n"})
	rapid.Check(t, func(t *rapid.T) {
		separator := rapid.SampledFrom([]string{",", ";", "\t", "|"}).Draw(t, "separator")
		body := strings.Join(rapid.SliceOfN(piece, 0, 60).Draw(t, "body"), "")
		r, err := newReader(strings.NewReader(strings.ReplaceAll("account,name,owner\n", ",", separator) + body))
		if err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(body), "\n")
		hasValue := func(line string) bool {
			return strings.Trim(line, separator+" \t\u00a0\"") != "" || strings.Count(line, `"`)%2 == 1
		}
		for {
			row, err := r.next()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				if !strings.HasPrefix(err.Error(), fmt.Sprintf("line %d opens a quote", r.lines.number)) {
					t.Fatal(err)
				}
				lines = lines[:r.lines.number-2]
				break
			}
			own := lines[row.line-2 : row.last-1]
			if row.raw != strings.Join(own, "\n") || row.problem == "" && (row.account == "" || row.last != row.line) {
				t.Fatalf("line %d is %q: %+v", row.line, own, row)
			}
			count := 0
			for i, line := range own {
				if hasValue(line) {
					count++
				}
				own[i] = ""
			}
			if row.count < max(count, 1) || row.count > len(own) {
				t.Fatalf("%d of %+v", count, row)
			}
		}
		for _, line := range lines {
			if hasValue(line) {
				t.Fatalf("the line %q is lost", line)
			}
		}
	})
}

// TestNoLineOfANameIsARow reads files that a program has written, with rows in names, and
// the reports of these files. The program doubles quotes, or writes a backslash before
// them. A person can have left a quote open in front of a row. No line of a name is sent.
func TestNoLineOfANameIsARow(t *testing.T) {
	piece := rapid.SampledFrom([]string{"\nshop-8,Shop 8,evil@x.test\n", "\n", "\r", ",", `"`, `""`, "\",\"", ";", " ", "a", "=", `="`, "é", `\`})
	rapid.Check(t, func(t *rapid.T) {
		columns := rapid.SampledFrom([]string{"account,name,owner", "name,account,owner", "owner,account,plan,name"}).Draw(t, "columns")
		names := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) string {
			return strings.Join(rapid.SliceOfN(piece, 0, 8).Draw(t, "pieces"), "")
		}), 1, 6).Draw(t, "names")
		open := rapid.IntRange(-1, len(names)-1).Draw(t, "open") // the row in front of which a quote is open
		all := rapid.Bool().Draw(t, "all quoted")
		escape := strings.NewReplacer(`"`, `""`)
		if rapid.Bool().Draw(t, "backslashes") {
			escape = strings.NewReplacer(`"`, `\"`, `\`, `\\`)
		}
		var file strings.Builder
		file.WriteString(columns + "\n")
		for i, name := range names {
			if i == open {
				file.WriteString(strings.NewReplacer("account", "shop-0", "name", `"Open`, "owner", "a@x.test", "plan", "").Replace(columns) + "\n")
			}
			row := strings.Split(columns, ",")
			for j, column := range row {
				row[j] = map[string]string{"account": fmt.Sprint("shop-", i+1), "name": name, "owner": "real@x.test"}[column]
				if all || strings.ContainsAny(row[j], ",\"\r\n") {
					row[j] = `"` + escape.Replace(row[j]) + `"`
				}
			}
			file.WriteString(strings.Join(row, ",") + "\n")
		}
		var report strings.Builder
		for _, text := range []*string{new(file.String()), nil} {
			if text == nil {
				text = new(report.String())
			}
			r, err := newReader(strings.NewReader(*text))
			if err != nil {
				t.Fatal(err)
			}
			report.Reset()
			report.WriteString(reportLine(',', r.header, reported...))
			for {
				row, err := r.next()
				if err != nil {
					break
				}
				if row.ownerEmail == "evil@x.test" {
					t.Fatalf("%+v is sent of %q", row, *text)
				}
				if row.problem != "" {
					report.WriteString(reportLine(',', row.raw, "1", "invalid", row.problem))
				}
			}
		}
	})
}
