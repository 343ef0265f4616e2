package main

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"agencyhub/shared/agency"
)

// The domain has refused control characters and the like when the text came in.
// An email is where it would do harm, so nothing here relies on that.

// name is an account's name as it stands in an email.
func name(s string) string { return harmless(s, agency.MaxName) }

// harmless is typed text on one line, of at most that many characters, in which
// nothing looks like a link.
func harmless(s string, most int) string {
	s = oneLine(s)
	if runes := []rune(s); len(runes) > most {
		s = string(runes[:most-1]) + "…"
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

// Mail programs make links of what looks like an address, by the characters
// that stand between its parts. A zero-width non-joiner after each breaks the
// form and not the look: it only separates letters, of which these are none.
const linkMarks = ".:/@\u3002\uff0e\uff61"

const nonJoiner = "\u200c"

// oneLine makes blanks of controls and line ends, and leaves out what reorders
// or hides text. What holds emoji and some scripts together stays.
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

// short is a name in a subject, where long ones would push out what matters.
func short(s string) string {
	const most = 40
	if runes := []rune(s); len(runes) > most {
		return strings.TrimRight(string(runes[:most-1]), " "+nonJoiner) + "…"
	}
	return s
}

// textWidth is how wide the text part is: it fits a terminal and a reply.
const textWidth = 72

// wrap breaks the lines of a text part between words. What a line begins with,
// blanks or a quote's mark, begins its further lines too; under a list's dash
// stand blanks. Blank lines never follow each other.
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
