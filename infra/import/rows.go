package main

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"agencyhub/shared/agency"
)

// A row is one account of the file: one line. Lines that are one row by their quotes are
// one refused row here, and count as one each.
type row struct {
	// line is the number of its first line in the file, from 1, and last that of its last.
	line, last int
	// count is how many of its lines hold a value.
	count int
	// raw is what is in the file, without the columns of a report. LF is between lines.
	raw string
	// sum is the hash of all lines of the file up to its last.
	sum                      string
	account                  agency.AccountID
	name, ownerEmail, planID string
	// problem is why the row is not sent; "" for none.
	problem string
	// end is about the position in the file behind the row, in bytes.
	end int64
}

// Columns of a file. Those of a report of refusals are ignored, so that it can be
// corrected and imported itself.
var (
	required = []string{"account", "name", "owner"}
	reported = []string{"line", "code", "reason"}
	known    = slices.Concat(required, []string{"plan"}, reported)
)

// separators are those that a file can have, the likeliest first.
const separators = ",;\t|"

// A reader reads rows one after the other, and keeps none.
type reader struct {
	lines     lineReader
	counted   *countingReader
	separator byte
	// columns are the names of the columns, and at has their positions.
	columns []string
	at      map[string]int
	// isReport is set for a file that begins with the columns of a report.
	isReport bool
	// head is what a report of this file begins with: its byte order mark and its line
	// sep=, and header is its line of columns.
	head, header string
}

// newReader reads a file up to the names of its columns.
func newReader(file io.Reader) (*reader, error) {
	counted := &countingReader{from: file}
	text, err := newDecoder(counted)
	if err != nil {
		return nil, err
	}
	r := &reader{lines: lineReader{in: text.in, hash: sha256.New()}, counted: counted, head: text.mark}
	line, err := r.lines.next()
	if separator, ok := sepLine(line); ok && err == nil {
		if !strings.ContainsRune(separators, separator) {
			return nil, fmt.Errorf("line %d says that %q separates the fields: that is a comma, a semicolon, a tab or a bar", r.lines.number, separator)
		}
		r.separator, r.head = byte(separator), r.head+line+"\n"
		line, err = r.lines.next()
	}
	for err == nil && strings.Trim(line, blanks+byteOrder+zeroWidth+separators+`"`) == "" {
		line, err = r.lines.next()
	}
	if errors.Is(err, io.EOF) {
		return nil, errors.New("the file is empty: its first row names the columns, account,name,owner and plan")
	}
	if err != nil {
		return nil, err
	}
	return r, r.readHeader(line)
}

// sepLine returns the separator that a line of the form sep=; names, which spreadsheets
// read and write before the first row.
func sepLine(line string) (rune, bool) {
	line = strings.Trim(strings.TrimRight(line, " "), `"`)
	if len(line) < 5 || !strings.EqualFold(line[:4], "sep=") {
		return 0, false
	}
	separator, size := utf8.DecodeRuneInString(line[4:])
	return separator, strings.Trim(line[4+size:], separators) == ""
}

// readHeader reads the names of the columns. Without a line sep= it finds the
// separator by which most of them are known.
func (r *reader) readHeader(line string) error {
	if !utf8.ValidString(line) {
		return fmt.Errorf("line %d, of the columns' names, %s", r.lines.number, notUTF8)
	}
	candidates := separators
	if r.separator != 0 {
		candidates = string(r.separator)
	}
	var columns []string
	problem, best := "", -1
	for _, separator := range []byte(candidates) {
		fields, why := split(line, separator)
		if why != "" {
			if problem == "" {
				problem = why
			}
			continue
		}
		names, found := values(fields), 0
		for i, name := range names {
			if names[i] = strings.ToLower(trim(name)); slices.Contains(known, names[i]) {
				found++
			}
		}
		if found > best {
			best, columns, r.separator = found, names, separator
		}
	}
	if best < 0 {
		return fmt.Errorf("line %d, of the columns' names, can't be read: %s", r.lines.number, problem)
	}
	for len(columns) > 1 && columns[len(columns)-1] == "" {
		columns = columns[:len(columns)-1]
	}
	if err := r.nameColumns(columns); err != nil {
		return err
	}
	r.header = r.withoutReport(line)
	return nil
}

// nameColumns checks and keeps the names of the columns. Those of a report may be there
// twice: a report of a report whose columns were moved has them so.
func (r *reader) nameColumns(columns []string) error {
	r.columns, r.at = columns, map[string]int{}
	r.isReport = len(columns) > len(reported) && slices.Equal(columns[:len(reported)], reported)
	for i, name := range columns {
		if _, twice := r.at[name]; twice && !slices.Contains(reported, name) || !slices.Contains(known, name) {
			return fmt.Errorf("column %d is %q: the columns are account, name and owner, and plan if you have plans, each once", i+1, name)
		}
		r.at[name] = i
	}
	for _, name := range required {
		if _, ok := r.at[name]; !ok {
			return fmt.Errorf("there is no column %q: the columns are account, name and owner, and plan if you have plans", name)
		}
	}
	return nil
}

// next reads a row. A malformed row has a problem; an error ends the file, io.EOF at
// its end. Lines without a value are no rows: spreadsheets write them behind the last.
func (r *reader) next() (row, error) {
	for {
		line, err := r.lines.next()
		if err != nil {
			return row{}, err
		}
		out := row{line: r.lines.number, last: r.lines.number, count: 1, sum: r.lines.sum(), raw: r.withoutReport(line), end: r.counted.read}
		fields, problem := split(line, r.separator)
		if isEmpty(fields, problem) {
			continue
		}
		more, err := r.linesOfQuote(line, problem)
		if err != nil {
			return row{}, err
		}
		if more > 0 {
			return r.withLines(out, more)
		}
		if !utf8.ValidString(line) {
			problem = "The row " + notUTF8 + "."
		}
		if out.problem = problem; problem == "" {
			r.parse(&out, values(fields))
		}
		return out, nil
	}
}

// isEmpty reports whether a line holds no value.
func isEmpty(fields []field, problem string) bool {
	return problem == "" && !slices.ContainsFunc(fields, func(f field) bool { return trim(f.value) != "" })
}

// withLines returns a row of its first line and the next ones.
func (r *reader) withLines(out row, more int) (row, error) {
	for range more {
		line, err := r.lines.next()
		if err != nil {
			return row{}, err
		}
		if !isEmpty(split(line, r.separator)) {
			out.count++
		}
		out.raw += "\n" + line
	}
	out.last, out.sum, out.end = r.lines.number, r.lines.sum(), r.counted.read
	out.problem = fmt.Sprintf(lineBreak, out.line, out.last)
	return out, nil
}

// withoutReport returns a line of a report without the report's own columns, and
// another one as it is.
func (r *reader) withoutReport(line string) string {
	if !r.isReport {
		return line
	}
	if fields, _ := split(line, r.separator); len(fields) > len(reported) {
		return line[fields[len(reported)].start:]
	}
	return line
}

// notUTF8 is what is wrong with a line that is not valid UTF-8.
const notUTF8 = "holds a broken character: the file may be in Windows-1252. Save it as CSV UTF-8"

// shortened is a long number as programs show and save it: digits are lost. A number such
// as 1E5 or 5E-3 is none: an id can look so, and programs save the latter as 5.00E-03.
var shortened = regexp.MustCompile(`^[+-]?[0-9]([.,][0-9]+[Ee][+-]?|[Ee]\+)[0-9]+$`)

// align returns a row's fields, one for each column if that is possible. Empty fields
// behind the last column are ignored: spreadsheets write them. They leave out the last
// ones of rows, so columns that a file need not have can be missing.
func (r *reader) align(fields []string) []string {
	for len(fields) > len(r.columns) && trim(fields[len(fields)-1]) == "" {
		fields = fields[:len(fields)-1]
	}
	if n := len(fields); n < len(r.columns) && !slices.ContainsFunc(r.columns[n:], func(name string) bool { return slices.Contains(required, name) }) {
		fields = append(fields, make([]string, len(r.columns)-n)...)
	}
	return fields
}

// parse sets a row's values, and finds problems that the API need not be asked about.
func (r *reader) parse(out *row, fields []string) {
	fields = r.align(fields)
	if len(fields) != len(r.columns) {
		own := 0 // the columns of a report are not the row's
		if r.isReport && len(fields) > len(reported) {
			own = len(reported)
		}
		out.problem = fmt.Sprintf("The row has %s and the first row %d.", plural(len(fields)-own, "field"), len(r.columns)-own)
		return
	}
	field := func(name string) string {
		if i, ok := r.at[name]; ok {
			return trim(unprotect(trim(fields[i])))
		}
		return ""
	}
	out.name, out.ownerEmail, out.planID = field("name"), field("owner"), field("plan")
	account := field("account")
	switch {
	case account == "" || len(account) > 128:
		out.problem = "The account needs an id of 128 bytes at most."
	case strings.ContainsFunc(account, func(r rune) bool { return r != ' ' && (unicode.IsSpace(r) || !unicode.IsGraphic(r)) }):
		out.problem = "The account's id holds an invisible character. Remove it."
	case shortened.MatchString(account):
		out.problem = "The account's id is a number that a spreadsheet has shortened. Format the column as text and enter it again."
	case out.name == "":
		out.problem = "The account needs a name."
	default:
		if out.account, out.problem = accountID(account); out.problem == "" {
			out.ownerEmail, out.problem = ownerEmail(out.ownerEmail)
		}
	}
}

// ownerEmail checks an owner's address.
func ownerEmail(given string) (email, problem string) {
	email, err := agency.ParseEmail("owner", given)
	if refusal, ok := errors.AsType[*agency.Error](err); ok {
		return "", refusal.Message
	}
	if err != nil {
		return "", err.Error()
	}
	return email, ""
}

// accountID returns an account id as it is, or the id for the platform's own one,
// which is the same each time.
func accountID(given string) (agency.AccountID, string) {
	const prefix = "acct_"
	if len(given) < len(prefix) || !strings.EqualFold(given[:len(prefix)], prefix) {
		return agency.NewAccountID("platform", given), ""
	}
	if id := agency.AccountID(given); id.IsValid() {
		return id, ""
	}
	return "", "This is no account's id: it is acct_ and 26 characters of 0-9 and a-z without i l o u."
}

// A countingReader counts the bytes that were read.
type countingReader struct {
	from io.Reader
	read int64
}

func (c *countingReader) Read(p []byte) (int, error) {
	n, err := c.from.Read(p)
	c.read += int64(n)
	return n, err
}
