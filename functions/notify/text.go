package main

import (
	"html"
	"strings"
	"unicode"
	"unicode/utf8"

	"agencyhub/shared/agency"
)

// The domain refuses control characters in what people type. Emails are where they
// would do harm, so nothing here relies on that.

// accountName returns an account's name as emails show it.
func accountName(s string) string { return sanitize(s, agency.MaxName) }

// sanitize returns typed text on one line, of at most limit characters, in which
// nothing looks like a link.
func sanitize(s string, limit int) string {
	s = oneLine(s)
	if runes := []rune(s); len(runes) > limit {
		s = string(runes[:limit-1]) + "…"
	}
	var out strings.Builder
	runes := []rune(s)
	for i, r := range runes {
		out.WriteRune(r)
		if strings.ContainsRune(linkMarks, r) && i+1 < len(runes) && runes[i+1] != ' ' {
			out.WriteString(nonJoiner)
		}
	}
	return out.String()
}

// Mail programs make links of what looks like an address, by the characters between
// its parts. A zero-width non-joiner after each breaks the link and is not seen.
const linkMarks = ".:/@\u3002\uff0e\uff61"

const nonJoiner = "\u200c"

// oneLine replaces control characters and line ends by blanks, and removes what
// reorders or hides text. Joiners, which emoji and some scripts need, stay.
func oneLine(s string) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsControl(r), unicode.IsSpace(r), unicode.Is(unicode.Zl, r), unicode.Is(unicode.Zp, r):
			return ' '
		case r == utf8.RuneError, unicode.Is(unicode.Cf, r) && r != '\u200d' && string(r) != nonJoiner:
			return -1
		default:
			return r
		}
	}, s)
	return strings.Join(strings.Fields(s), " ")
}

// short cuts a name for a subject, where a long one would push out what matters.
func short(s string) string {
	const limit = 40
	if runes := []rune(s); len(runes) > limit {
		return strings.TrimRight(string(runes[:limit-1]), " "+nonJoiner) + "…"
	}
	return s
}

// textMarks are what the text part has in place of an element of the templates.
// Every other element leaves no mark.
var textMarks = map[string]string{
	"p": "\n\n", "h2": "\n\n", "until": "\n\n", "button": "\n\n",
	"ul": "\n", "li": "\n- ", "blockquote": "\n\n> ",
	"grants": "\n", "area": "\n  - ", "/area": ": ", "rest": "\n  - ",
	"footer": "\n\n--\n",
}

// textOf returns the text part of an email from its HTML, from the title on, as
// the templates write it. html/template has escaped every "<" and ">" that an
// email is filled with, so all that are left are the templates' own.
func textOf(document string) string {
	var out strings.Builder
	address := ""
	_, rest, _ := strings.Cut(document, "<h1>")
	for rest != "" {
		var words, element string
		words, rest, _ = strings.Cut(rest, "<")
		out.WriteString(html.UnescapeString(strings.ReplaceAll(words, "\n", " ")))
		element, rest, _ = strings.Cut(rest, ">")
		tag, attributes, _ := strings.Cut(element, " ")
		out.WriteString(textMarks[tag])
		switch tag {
		case "a", "button":
			address = html.UnescapeString(strings.TrimSuffix(strings.TrimPrefix(attributes, `href="`), `"`))
		case "/a", "/button":
			out.WriteString(":\n" + address)
		}
	}
	return wrap(out.String())
}

// textWidth is the width of the text part, in characters: a quoted reply still fits
// into a terminal.
const textWidth = 72

// wrap breaks the lines of a text part between words. A line's indent or quote mark
// is repeated in its further lines; under a list's dash they are indented. Repeated
// blank lines become one.
func wrap(s string) string {
	var out []string
	for line := range strings.Lines(s) {
		line = strings.TrimRight(line, " \t\n")
		if line == "" {
			if len(out) > 0 && out[len(out)-1] != "" {
				out = append(out, "")
			}
			continue
		}
		lead := line[:len(line)-len(strings.TrimLeft(line, " >-"))]
		further := strings.ReplaceAll(lead, "-", " ")
		current := lead
		for i, word := range strings.Fields(line[len(lead):]) {
			switch {
			case i == 0:
				current += word
			case utf8.RuneCountInString(current)+1+utf8.RuneCountInString(word) > textWidth:
				out = append(out, current)
				current = further + word
			default:
				current += " " + word
			}
		}
		out = append(out, current)
	}
	return strings.TrimSpace(strings.Join(out, "\n")) + "\n"
}
