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
	// line is where it begins in the file, from 1.
	line int
	// fields are as they stand in the file, in its columns' order.
	fields                   []string
	account                  agency.AccountID
	name, ownerEmail, planID string
	// wrong is what is wrong with it; "" for nothing. It is not sent then.
	wrong string
	// end is how far the file has been read behind it, in bytes.
	end int64
}

// columns that a file may have. What a report of refusals adds is read over, so
// that it can be mended and imported itself.
var (
	needed   = []string{"account", "name", "owner"}
	reported = []string{"line", "code", "reason"}
	known    = slices.Concat(needed, []string{"plan"}, reported)
)

// mostBytes bounds one row: a quote that is never closed would else take the rest
// of the file for one field.
const mostBytes = 64 << 10

// A reader reads rows, one after the other, and holds none.
type reader struct {
	csv     *csv.Reader
	bound   *bounded
	columns []string
	at      map[string]int
}

// newReader reads the columns' names. Errors say what is wrong with these.
func newReader(file io.Reader) (*reader, error) {
	r := &reader{bound: &bounded{from: file, left: mostBytes}, at: map[string]int{}}
	// Some programs begin a file by a mark of its encoding, and separate by
	// semicolons.
	buffered := bufio.NewReader(r.bound)
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
	r.bound.left = mostBytes
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
	for _, name := range needed {
		if _, ok := r.at[name]; !ok {
			return nil, fmt.Errorf("there is no column %q: the columns are account, name and owner, and plan where it is said", name)
		}
	}
	return r, nil
}

// next reads a row. What is wrong with it stands in it; an error is of the file
// and ends it, io.EOF at its end.
func (r *reader) next() (row, error) {
	r.bound.left = mostBytes
	fields, err := r.csv.Read()
	out := row{fields: fields, end: r.csv.InputOffset()}
	var malformed *csv.ParseError
	switch {
	case errors.Is(err, errTooLong):
		return out, fmt.Errorf("behind byte %d a row has more than %d bytes: is a quote not closed?", out.end, mostBytes)
	case errors.As(err, &malformed):
		out.line, out.wrong = malformed.StartLine, "The row can't be read: "+malformed.Err.Error()+"."
		return out, nil
	case err != nil:
		return out, err
	}
	out.line, _ = r.csv.FieldPos(0)
	r.fill(&out)
	return out, nil
}

// own are a row's fields, or the columns' names, without what a report of refusals
// adds; "" for those that it lacks.
func (r *reader) own(fields []string) []string {
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

// fill reads a row's fields, and looks for what the hub need not be asked about.
func (r *reader) fill(out *row) {
	if len(out.fields) != len(r.columns) {
		out.wrong = fmt.Sprintf("The row has %d fields, and the first row %d.", len(out.fields), len(r.columns))
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
		out.wrong = "The row is not valid UTF-8."
	case account == "" || len(account) > 128:
		out.wrong = "The account needs an id, of 128 bytes at most."
	case out.name == "" || utf8.RuneCountInString(out.name) > agency.MaxName:
		out.wrong = fmt.Sprintf("The account needs a name, of %d characters at most.", agency.MaxName)
	case !strings.Contains(out.ownerEmail, "@") || len(out.ownerEmail) > agency.MaxEmail:
		out.wrong = "The account needs an owner's email address."
	default:
		out.account, out.wrong = accountID(account)
	}
}

// accountID is the id of an account: itself, or one derived of the platform's own
// id, the same each time.
func accountID(given string) (agency.AccountID, string) {
	if !strings.HasPrefix(given, "acct_") {
		return agency.NewAccountID("platform", given), ""
	}
	if id := agency.AccountID(given); id.IsValid() {
		return id, ""
	}
	return "", "This is no account's id: it is acct_ and 26 characters of 0-9 and a-z without i, l, o and u."
}

// bounded lets so much be read, then no more until it is given more. What reads
// through a buffer reads a little ahead.
type bounded struct {
	from io.Reader
	left int
}

var errTooLong = errors.New("the row is too long")

func (b *bounded) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, errTooLong
	}
	n, err := b.from.Read(p)
	b.left -= n
	return n, err
}
