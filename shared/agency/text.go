package agency

import (
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// The bounds of what people type, in characters.
const (
	MaxName    = 80
	MaxMessage = 500
)

// ParseName checks the name of an account: plain text on one line that reads in
// the order in which it is written.
func ParseName(field, given string) (string, error) {
	name := normaliseLine(given)
	switch {
	case strings.ContainsFunc(given, unsafe):
		return "", InvalidField(field, "A name is plain text on one line, without control characters.")
	case !strings.ContainsFunc(name, visible):
		return "", InvalidField(field, "Give it a name.")
	case utf8.RuneCountInString(name) > MaxName:
		return "", InvalidField(field, "A name has at most %d characters.", MaxName)
	}
	return name, nil
}

// normaliseLine is a text as names are kept: in composed form, with single blanks.
func normaliseLine(given string) string {
	return strings.Join(strings.Fields(norm.NFC.String(given)), " ")
}

// SameName reports whether two texts, as they were typed, are the same name.
func SameName(a, b string) bool { return normaliseLine(a) == normaliseLine(b) }

// ParseMessage checks the message of a request: plain text, whose line breaks
// become blanks.
func ParseMessage(field, given string) (string, error) {
	message := normaliseLine(given)
	switch {
	case strings.ContainsFunc(message, unsafe):
		return "", InvalidField(field, "A message is plain text without control characters.")
	case utf8.RuneCountInString(message) > MaxMessage:
		return "", InvalidField(field, "A message has at most %d characters.", MaxMessage)
	}
	return message, nil
}

// maxUntilYears bounds how far ahead an end date may be.
const maxUntilYears = 100

// ParseUntil checks an end date and returns it in UTC and whole milliseconds; nil
// for none.
func ParseUntil(given *time.Time, now time.Time) (*time.Time, error) {
	if given == nil {
		return nil, nil
	}
	until := given.UTC().Truncate(time.Millisecond)
	switch {
	case !until.After(now):
		return nil, InvalidField("until", "The end date must lie ahead.")
	case until.After(now.AddDate(maxUntilYears, 0, 0)):
		return nil, InvalidField("until", "The end date must lie within %d years. Leave it out for access without an end.", maxUntilYears)
	}
	return &until, nil
}

// Money is an amount in minor units of a currency as a person reads it, such as
// "29 USD" or "29.50 USD". Most currencies have two decimals.
func Money(amount int, currency string) string {
	decimals, unit := 2, 100
	switch currency {
	case "BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "VND", "VUV", "XAF", "XOF", "XPF":
		decimals, unit = 0, 1
	case "BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND":
		decimals, unit = 3, 1000
	}
	if amount%unit == 0 {
		return fmt.Sprintf("%d %s", amount/unit, currency)
	}
	return fmt.Sprintf("%d.%0*d %s", amount/unit, decimals, amount%unit, currency)
}

// Fold is a name as it is ordered and searched: in composed form, in lower case,
// without control characters.
func Fold(name string) string {
	return strings.ToLower(strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return -1
		}
		return r
	}, norm.NFC.String(name)))
}

// unsafe reports whether a character can mislead a reader: controls, line
// separators, and what reorders or hides text.
func unsafe(r rune) bool {
	return r == utf8.RuneError || unicode.IsControl(r) || unicode.Is(unicode.Zl, r) || unicode.Is(unicode.Zp, r) ||
		unicode.Is(unicode.Other_Default_Ignorable_Code_Point, r) || unicode.Is(unicode.Cf, r) && r != zeroWidthJoiner
}

// zeroWidthJoiner holds emoji and some scripts together, and hides nothing.
const zeroWidthJoiner = '\u200d'

func visible(r rune) bool {
	return unicode.IsGraphic(r) && !unicode.IsSpace(r) && !unicode.IsMark(r)
}
