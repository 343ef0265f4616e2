package main

import (
	"bufio"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"agencyhub/shared/agency"
)

// A row is one account of the file.
type row struct {
	// line is the number of its first line in the file, from 1.
	line int
	// fields are the row's fields as they are in the file.
	fields                   []string
	account                  agency.AccountID
	name, ownerEmail, planID string
	// problem is why the row is not sent; "" for none.
	problem string
	// end is the position in the file after the row, in bytes.
	end int64
}

// Columns of a file. Those of a report of refusals are ignored, so that it can be
// corrected and imported itself.
var (
	required = []string{"account", "name", "owner"}
	reported = []string{"line", "code", "reason"}
	known    = slices.Concat(required, []string{"plan"}, reported)
)

// maxRowBytes bounds one row, for a quote that is never closed.
const maxRowBytes = 64 << 10

// A reader reads rows one after the other, and keeps none.
type reader struct {
	csv     *csv.Reader
	limited *limitedReader
	columns []string
	at      map[string]int
}

// newReader reads the first row, the names of columns.
func newReader(file io.Reader) (*reader, error) {
	r := &reader{limited: &limitedReader{from: file, left: maxRowBytes}, at: map[string]int{}}
	// Some programs write a byte order mark first, and separate by semicolons.
	buffered := bufio.NewReader(r.limited)
	if head, _ := buffered.Peek(3); string(head) == "\ufeff" {
		_, _ = buffered.Discard(3)
	}
	head, _ := buffered.Peek(256)
	first, _, _ := strings.Cut(string(head), "\n")
	r.csv = csv.NewReader(buffered)
	r.csv.FieldsPerRecord, r.csv.ReuseRecord = -1, false
	if strings.Contains(first, ";") && !strings.Contains(first, ",") {
		r.csv.Comma = ';'
	}
	r.limited.left = maxRowBytes
	columns, err := r.csv.Read()
	if errors.Is(err, io.EOF) {
		return nil, errors.New("the file is empty: its first row names the columns, account,name,owner and plan")
	}
	if err != nil {
		return nil, fmt.Errorf("the first row, of the columns' names: %w", err)
	}
	for i, name := range columns {
		name = strings.ToLower(strings.TrimSpace(name))
		if _, twice := r.at[name]; twice || !slices.Contains(known, name) {
			return nil, fmt.Errorf("column %d is %q: the columns are account, name and owner, and plan where it is said, each once", i+1, name)
		}
		r.columns, r.at[name] = append(r.columns, name), i
	}
	for _, name := range required {
		if _, ok := r.at[name]; !ok {
			return nil, fmt.Errorf("there is no column %q: the columns are account, name and owner, and plan where it is said", name)
		}
	}
	return r, nil
}

// next reads a row. A malformed row has a problem; an error ends the file, io.EOF at
// its end.
func (r *reader) next() (row, error) {
	r.limited.left = maxRowBytes
	fields, err := r.csv.Read()
	out := row{fields: fields, end: r.csv.InputOffset()}
	var malformed *csv.ParseError
	switch {
	case errors.Is(err, errTooLong):
		return out, fmt.Errorf("behind byte %d a row has more than %d bytes: is a quote not closed?", out.end, maxRowBytes)
	case errors.As(err, &malformed):
		out.line, out.problem = malformed.StartLine, "The row can't be read: "+malformed.Err.Error()+"."
		return out, nil
	case err != nil:
		return out, err
	}
	out.line, _ = r.csv.FieldPos(0)
	r.parse(&out)
	return out, nil
}

// withoutReport returns a row's fields, or the columns' names, without those of a
// report of refusals. A missing field is "".
func (r *reader) withoutReport(fields []string) []string {
	var own []string
	for i, name := range r.columns {
		field := ""
		if i < len(fields) {
			field = fields[i]
		}
		if !slices.Contains(reported, name) {
			own = append(own, field)
		}
	}
	return own
}

// parse sets a row's values, and finds problems that the API need not be asked
// about.
func (r *reader) parse(out *row) {
	if len(out.fields) != len(r.columns) {
		out.problem = fmt.Sprintf("The row has %d fields, and the first row %d.", len(out.fields), len(r.columns))
		return
	}
	field := func(name string) string {
		if i, ok := r.at[name]; ok {
			return strings.TrimSpace(out.fields[i])
		}
		return ""
	}
	out.name, out.ownerEmail, out.planID = field("name"), field("owner"), field("plan")
	account := field("account")
	switch {
	case !utf8.ValidString(strings.Join(out.fields, "")):
		out.problem = "The row is not valid UTF-8."
	case account == "" || len(account) > 128:
		out.problem = "The account needs an id, of 128 bytes at most."
	case out.name == "" || utf8.RuneCountInString(out.name) > agency.MaxName:
		out.problem = fmt.Sprintf("The account needs a name, of %d characters at most.", agency.MaxName)
	case !strings.Contains(out.ownerEmail, "@") || len(out.ownerEmail) > agency.MaxEmail:
		out.problem = "The account needs an owner's email address."
	default:
		out.account, out.problem = accountID(account)
	}
}

// accountID returns an account id as it is, or the id for the platform's own one,
// which is the same each time.
func accountID(given string) (agency.AccountID, string) {
	if !strings.HasPrefix(given, "acct_") {
		return agency.NewAccountID("platform", given), ""
	}
	if id := agency.AccountID(given); id.IsValid() {
		return id, ""
	}
	return "", "This is no account's id: it is acct_ and 26 characters of 0-9 and a-z without i, l, o and u."
}

// A limitedReader fails after some bytes, until it is given more. A buffer reads a
// little ahead.
type limitedReader struct {
	from io.Reader
	left int
}

var errTooLong = errors.New("the row is too long")

func (b *limitedReader) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, errTooLong
	}
	n, err := b.from.Read(p)
	b.left -= n
	return n, err
}
