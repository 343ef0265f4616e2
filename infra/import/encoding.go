package main

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"unicode/utf16"
	"unicode/utf8"
)

// A kind is a file that is not CSV, by its first bytes.
type kind struct{ signature, says string }

// notCSV lists what people try to import instead of CSV.
var notCSV = []kind{
	{"PK\x03\x04", "it is a workbook or a zip archive"},
	{"\xd0\xcf\x11\xe0", "it is a workbook"},
	{"%PDF", "it is a PDF"},
	{"\x1f\x8b", "it is compressed"},
	{"BZh", "it is compressed"},
	{"\x28\xb5\x2f\xfd", "it is compressed"},
	{"\xfd7zXZ", "it is compressed"},
	{"7z\xbc\xaf", "it is compressed"},
	{"SQLite format", "it is a database"},
	{"{\\rtf", "it is a text document"},
	{"{", "it is JSON"},
	{"[", "it is JSON"},
	{"<", "it is HTML or XML"},
	{"\xff\xfe\x00\x00", "it is UTF-32"},
	{"\x00\x00\xfe\xff", "it is UTF-32"},
}

// A text is a file in UTF-8.
type text struct {
	in *bufio.Reader
	// mark is the byte order mark that a report of the file begins with; "" for a file
	// that has none.
	mark string
}

// byteOrder is the byte order mark.
const byteOrder = "\ufeff"

// newDecoder reads a file of UTF-8, or of UTF-16 by its byte order mark or by the zero
// byte beside its first character. What is not valid stays so in UTF-8, for the row
// that holds it. Errors: the file is not CSV, or can't be read.
func newDecoder(file io.Reader) (text, error) {
	in := bufio.NewReader(file)
	head, err := in.Peek(64)
	if err != nil && !errors.Is(err, io.EOF) {
		return text{}, err
	}
	begin := bytes.TrimLeft(bytes.TrimPrefix(head, []byte(byteOrder)), " \t\r\n")
	for _, k := range notCSV {
		if bytes.HasPrefix(begin, []byte(k.signature)) {
			return text{}, errors.New(k.says + ", not CSV: save the rows as CSV UTF-8 and import that file")
		}
	}
	var order binary.ByteOrder
	out := text{in: in}
	switch {
	case bytes.HasPrefix(head, []byte{0xff, 0xfe}), len(head) > 1 && head[0] != 0 && head[1] == 0:
		order = binary.LittleEndian
	case bytes.HasPrefix(head, []byte{0xfe, 0xff}), len(head) > 1 && head[0] == 0 && head[1] != 0:
		order = binary.BigEndian
	}
	if order != nil {
		out = text{in: bufio.NewReader(&utf16Reader{in: in, order: order}), mark: byteOrder}
	}
	if mark, _ := out.in.Peek(len(byteOrder)); string(mark) == byteOrder {
		_, _ = out.in.Discard(len(byteOrder)) // it is buffered
		out.mark = byteOrder
	}
	return out, nil
}

// A utf16Reader turns UTF-16 into UTF-8. Half a pair of surrogates becomes its three
// bytes, and half a unit at the end the byte 0xff: neither is valid UTF-8.
type utf16Reader struct {
	in    *bufio.Reader
	order binary.ByteOrder
	// high is a high surrogate whose low one is not read yet; 0 for none.
	high rune
	rest []byte
}

func (u *utf16Reader) Read(p []byte) (int, error) {
	for len(u.rest) == 0 {
		if err := u.decode(); err != nil {
			return 0, err
		}
	}
	n := copy(p, u.rest)
	u.rest = u.rest[n:]
	return n, nil
}

// decode fills rest with what is buffered, at least one unit. It can leave rest empty
// within a pair.
func (u *utf16Reader) decode() error {
	u.rest = u.rest[:0]
	last, err := u.in.Peek(2)
	if err != nil {
		if !errors.Is(err, io.EOF) || len(last) == 0 && u.high == 0 {
			return err
		}
		u.rest = appendSurrogate(u.rest, u.high)
		if u.high = 0; len(last) == 1 {
			u.rest = append(u.rest, 0xff)
			_, _ = u.in.Discard(1) // it is buffered
		}
		return nil
	}
	units, _ := u.in.Peek(u.in.Buffered() &^ 1) // they are buffered
	for i := 0; i < len(units); i += 2 {
		u.add(rune(u.order.Uint16(units[i:])))
	}
	_, _ = u.in.Discard(len(units))
	return nil
}

// add adds one unit, or keeps it for the next.
func (u *utf16Reader) add(unit rune) {
	if whole := utf16.DecodeRune(u.high, unit); whole != utf8.RuneError {
		u.rest, u.high = utf8.AppendRune(u.rest, whole), 0
		return
	}
	u.rest = appendSurrogate(u.rest, u.high)
	switch u.high = 0; {
	case unit >= 0xd800 && unit < 0xdc00:
		u.high = unit
	case utf16.IsSurrogate(unit):
		u.rest = appendSurrogate(u.rest, unit)
	default:
		u.rest = utf8.AppendRune(u.rest, unit)
	}
}

// appendSurrogate appends half a pair in the form of UTF-8 that no decoder takes;
// nothing for 0.
func appendSurrogate(to []byte, half rune) []byte {
	if half == 0 {
		return to
	}
	return append(to, 0xe0|byte(half>>12), 0x80|byte(half>>6)&0xbf, 0x80|byte(half)&0xbf)
}
