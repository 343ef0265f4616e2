package main

import (
	"bufio"
	"errors"
	"fmt"
	"hash"
	"io"
	"strings"
)

// maxLineBytes bounds a line, so that a file without line breaks does not fill the
// memory.
const maxLineBytes = 64 << 10

// A lineReader reads a file line by line. A line ends at LF, CR or CR LF; a file may
// mix them.
type lineReader struct {
	in *bufio.Reader
	// number is that of the line returned last, from 1.
	number int
	// ahead are the lines that were read and not returned yet.
	ahead []string
	// hash is of the lines that were returned.
	hash hash.Hash
	line []byte
}

// sum returns the hash of the lines that were returned, which differs for other lines.
func (r *lineReader) sum() string { return fmt.Sprintf("%x", r.hash.Sum(nil)) }

// next returns the next line without its end, io.EOF after the last. The end of the
// file ends a line too. A line above the bound is an error, which names it.
func (r *lineReader) next() (string, error) {
	line, err := r.peek(0)
	if err == nil {
		r.ahead = r.ahead[1:]
		r.number++
		_, _ = io.WriteString(r.hash, line+"\n") // a hash never fails
	}
	return line, err
}

// peek returns the line that next returns after n others. Its errors are those of next.
func (r *lineReader) peek(n int) (string, error) {
	for len(r.ahead) <= n {
		line, err := r.read()
		if err != nil {
			return "", err
		}
		r.ahead = append(r.ahead, line)
	}
	return r.ahead[n], nil
}

func (r *lineReader) read() (string, error) {
	r.line = r.line[:0]
	for {
		b, err := r.in.ReadByte()
		switch {
		case errors.Is(err, io.EOF) && len(r.line) > 0:
			return string(r.line), nil
		case err != nil:
			return "", err
		case b == '\r' || b == '\n':
			if after, _ := r.in.Peek(1); b == '\r' && len(after) == 1 && after[0] == '\n' {
				_, _ = r.in.Discard(1) // it is buffered
			}
			return string(r.line), nil
		case len(r.line) == maxLineBytes:
			return "", fmt.Errorf("line %d has more than %d bytes. Shorten or remove it", r.number+len(r.ahead)+1, maxLineBytes)
		}
		r.line = append(r.line, b)
	}
}

// Why a line is not a row of CSV. Reasons have no commas: they need no quotes in a report,
// which can follow a quote that is left open in it.
const (
	openQuote   = "A quote is opened and not closed on this line. Close it or write two for one in a name. A row is one line."
	strayQuote  = "A quote is inside a field. Put the field in quotes and write two for one."
	textBehind  = "Text follows a closing quote. Write two quotes for one in a name and put the field in quotes."
	lineBreak   = "A field can't hold a line break. Write lines %d-%d as one row."
	protected   = `="`
	blanks      = " \u00a0"
	zeroWidth   = "\u200b"
	allOfBlanks = blanks + "\t" + byteOrder + zeroWidth
)

// A field is one of a line's.
type field struct {
	value string
	// start is its position in the line, in bytes.
	start int
}

// split splits a line into fields as RFC 4180 has them, with blanks allowed around
// quotes. It reads one line: openQuote is the problem of a field that goes on behind it.
// A problem is why the line can't be split further; the last field is then the one at
// which that is found.
//
// A formula of a text alone, ="007", is a field too: programs write it to keep zeros.
func split(line string, separator byte) (fields []field, problem string) {
	for pos := 0; ; {
		f := field{start: pos}
		begin := pos + len(line[pos:]) - len(strings.TrimLeft(line[pos:], blanks))
		end := begin
		switch rest := line[begin:]; {
		case strings.HasPrefix(rest, `"`):
			f.value, end, problem = quoted(line, begin)
		case strings.HasPrefix(rest, protected):
			_, end, problem = quoted(line, begin+1)
			f.value = line[begin:end]
		default:
			if i := strings.IndexByte(rest, separator); i >= 0 {
				end += i
			} else {
				end = len(line)
			}
			if f.value = line[pos:end]; strings.Contains(f.value, `"`) {
				problem = strayQuote
			}
		}
		fields = append(fields, f)
		end += len(line[end:]) - len(strings.TrimLeft(line[end:], blanks))
		switch {
		case problem != "":
			return fields, problem
		case end == len(line):
			return fields, ""
		case line[end] != separator:
			return fields, textBehind
		}
		pos = end + 1
	}
}

// quoted reads the quoted text at a position: its value, and where it ends.
func quoted(line string, at int) (value string, end int, problem string) {
	var text strings.Builder
	for i := at + 1; i < len(line); i++ {
		switch {
		case line[i] != '"':
			text.WriteByte(line[i])
		case i+1 < len(line) && line[i+1] == '"':
			text.WriteByte('"')
			i++
		default:
			return text.String(), i + 1, ""
		}
	}
	return "", len(line), openQuote
}

// values returns the fields' values.
func values(fields []field) []string {
	out := make([]string, len(fields))
	for i, f := range fields {
		out[i] = f.value
	}
	return out
}

// trim takes off the invisible characters around a value.
func trim(value string) string {
	return strings.TrimSpace(strings.Trim(value, allOfBlanks))
}

// unprotect returns the text of a value that a program has kept from being a formula:
// ="007" or '=1+1.
func unprotect(value string) string {
	inner, ok := strings.CutPrefix(value, protected)
	if inner, ok2 := strings.CutSuffix(inner, `"`); ok && ok2 && !strings.Contains(strings.ReplaceAll(inner, `""`, ""), `"`) {
		return strings.ReplaceAll(inner, `""`, `"`)
	}
	if rest, ok := strings.CutPrefix(value, "'"); ok && rest != "" && strings.ContainsAny(rest[:1], "=+-@") {
		return rest
	}
	return value
}
