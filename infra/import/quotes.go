package main

import (
	"errors"
	"fmt"
	"io"
	"strings"
)

// linesOfQuote returns how many lines ahead belong to a line that leaves a quote open: up
// to where it closes by RFC 4180, within the bound of a line. They can hold what a
// stranger wrote into a name, so none of them is a row. It returns 0 for a line that is a
// row by itself, or is malformed by itself.
//
// It is an error if another reading of the quotes has other lines in quotes: programs
// escape a quote with a backslash or not at all, and a person can have left a quote open.
func (r *reader) linesOfQuote(line, problem string) (int, error) {
	if !strings.Contains(line, `"`) {
		return 0, nil
	}
	isOpen := endsInQuotes(line, r.separator, behindClosing)
	if isOpen != endsInQuotes(line, r.separator, behindEscapedClosing) {
		return 0, backslash(r.lines.number)
	}
	switch problem {
	case "":
		return 0, nil
	case openQuote:
		return r.linesOfOpenQuote(line)
	}
	behindBare := func(text string) (string, bool) { return behindBareClosing(text, r.separator) }
	for _, behind := range []func(string) (string, bool){behindClosing, behindBare} {
		if !endsInQuotes(line, r.separator, behind) {
			continue
		}
		closes, err := r.closesAhead(len(line), behind)
		if err != nil {
			return 0, err
		}
		if closes {
			return 0, r.unclear()
		}
	}
	return 0, nil
}

// linesOfOpenQuote returns how many lines ahead belong to a line of an open quote; 0 if
// the quote never closes.
//
// A person can have left the quote open, in front of a row with a line break. That row's
// opening quote then seems to close it, and the lines within a name come next. So if the
// last line is such an opening too, it must not close, and the lines must be a whole row.
func (r *reader) linesOfOpenQuote(line string) (int, error) {
	number := r.lines.number
	end, how, err := r.findClosing(line, 0)
	switch {
	case err != nil || how == never:
		return 0, err
	case how == malformed:
		return 0, fmt.Errorf("line %d opens a quote, and more text follows the quote that closes it on line %d. "+oneLine, number, number+end)
	case how == tooFar && end == 0:
		return 0, fmt.Errorf("line %d opens a quote, and none closes it within %d bytes. "+oneLine, number, maxLineBytes)
	case how == tooFar:
		return 0, r.unclear()
	}
	last, err := r.lines.peek(end - 1)
	if err != nil {
		return 0, err
	}
	if _, problem := split(last, r.separator); problem != openQuote {
		return end, nil
	}
	again, how, err := r.findClosing(last, end)
	isWhole := how == malformed || how == tooFar && again == 0
	if isWhole {
		fields, _ := split(line+"\n"+strings.Join(r.lines.ahead[:end], "\n"), r.separator)
		isWhole = len(r.align(values(fields))) == len(r.columns)
	}
	switch {
	case err != nil:
		return 0, err
	case how == never || isWhole:
		return end, nil
	case how == tooFar && again == 0:
		return 0, fmt.Errorf("line %d opens a quote. Line %d closes it or opens another, which none closes within %d bytes. "+oneLine, number, number+end, maxLineBytes)
	}
	return 0, r.unclear()
}

// oneLine is what to do about quotes whose end is not known. It does not say to close them:
// the next line can be a stranger's, and must not become a row.
const oneLine = "Write its row on one line, and two quotes for one in a field"

// unclear is the error of the line read last, whose quotes can be read in several ways.
func (r *reader) unclear() error {
	return fmt.Errorf("line %d opens a quote, and where it closes is not clear. "+oneLine, r.lines.number)
}

// backslash is the error of a line where a backslash before a quote decides what is in
// quotes.
func backslash(number int) error {
	return fmt.Errorf(`line %d has \" in a quoted field. CSV has no such sign: write two quotes for one, or remove the backslash`, number)
}

// How an open quote closes.
const (
	never     = iota // the file ends before
	whole            // the row is whole
	malformed        // text follows the closing quote, or a stray quote
	tooFar           // not within the bound of a line
)

// findClosing looks for the line on which a line's open quote closes, and its whole row
// with it, in the lines ahead from a position on. It returns the position behind the last
// line that closes a quote, 0 for none. It is an error if a backslash decides where that
// is.
func (r *reader) findClosing(line string, from int) (end, how int, err error) {
	size := len(line)
	for n := from; ; n++ {
		next, err := r.lines.peek(n)
		if errors.Is(err, io.EOF) {
			return end, never, nil
		}
		if err != nil {
			return 0, never, err
		}
		if size += len(next) + 1; size > maxLineBytes {
			return end, tooFar, nil
		}
		rest, found := behindClosing(next)
		if escaped, same := behindEscapedClosing(next); same != found || escaped != rest {
			return 0, never, backslash(r.lines.number + n + 1)
		}
		if !found {
			continue
		}
		end = n + 1
		row := `""` + rest
		if endsInQuotes(row, r.separator, behindClosing) != endsInQuotes(row, r.separator, behindEscapedClosing) {
			return 0, never, backslash(r.lines.number + n + 1)
		}
		switch _, problem := split(row, r.separator); problem {
		case "":
			return end, whole, nil
		case openQuote: // of the row's next field
		default:
			return end, malformed, nil
		}
	}
}

// closesAhead reports whether a line ahead closes a quote, within the bound of a line.
func (r *reader) closesAhead(size int, behind func(string) (string, bool)) (bool, error) {
	for n := 0; ; n++ {
		next, err := r.lines.peek(n)
		if errors.Is(err, io.EOF) {
			return false, nil
		}
		if err != nil {
			return false, err
		}
		if size += len(next) + 1; size > maxLineBytes {
			return false, nil
		}
		if _, found := behind(next); found {
			return true, nil
		}
	}
}

// endsInQuotes reports whether a line ends within quotes. A quote opens a field at its
// beginning alone; behind returns what follows the quote that closes it. Unlike split it
// reads a malformed line to its end, as lenient programs do.
func endsInQuotes(line string, separator byte, behind func(string) (string, bool)) bool {
	for {
		line = strings.TrimPrefix(strings.TrimLeft(line, blanks), "=")
		if text, isQuoted := strings.CutPrefix(line, `"`); isQuoted {
			rest, found := behind(text)
			if !found {
				return true
			}
			line = rest
		}
		i := strings.IndexByte(line, separator)
		if i < 0 {
			return false
		}
		line = line[i+1:]
	}
}

// behindClosing returns what follows the first closing quote of a text that begins within
// a quoted field. Two quotes are one in the field, as in RFC 4180.
func behindClosing(text string) (rest string, found bool) {
	for i := 0; i < len(text); i++ {
		switch {
		case text[i] != '"':
		case strings.HasPrefix(text[i+1:], `"`):
			i++
		default:
			return text[i+1:], true
		}
	}
	return "", false
}

// behindEscapedClosing is behindClosing for programs that write a backslash before a quote
// in a field, as MySQL and PostgreSQL can.
func behindEscapedClosing(text string) (rest string, found bool) {
	for i := 0; i < len(text); i++ {
		switch {
		case text[i] == '\\':
			i++
		case text[i] != '"':
		case strings.HasPrefix(text[i+1:], `"`):
			i++
		default:
			return text[i+1:], true
		}
	}
	return "", false
}

// behindBareClosing is behindClosing for programs that write a quote in a field as it is: a
// quote closes the field before a separator or at the end of the line.
func behindBareClosing(text string, separator byte) (rest string, found bool) {
	for i := 0; i < len(text); i++ {
		if text[i] != '"' {
			continue
		}
		if strings.HasPrefix(text[i+1:], `"`) {
			i++
			continue
		}
		if rest := strings.TrimLeft(text[i+1:], blanks); rest == "" || rest[0] == separator {
			return rest, true
		}
	}
	return "", false
}
