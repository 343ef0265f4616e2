package main

import (
	"html"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"agencyhub/shared/agency"
)

// What people type was checked before it was stored. Emails are where it would do
// harm, so nothing here relies on that.

// accountName returns an account's name as emails show it.
func accountName(s string) string { return sanitize(s, agency.MaxName) }

// sanitize returns typed text on one line, of at most limit characters, in which mail
// programs find nothing to make a link of.
func sanitize(s string, limit int) string { return inert(cut(agency.PlainText(s), limit)) }

// nonJoiner breaks what mail programs make links of. It is not seen and takes no space.
// It only stops them from finding a link: a browser drops it from a domain name that is
// pasted there (UTS 46, transitional).
const nonJoiner = "\u200c"

// inert returns a text with non-joiners where mail programs look for domain names, URLs,
// addresses, paths, telephone numbers and encoded words. Without them it is the same.
func inert(s string) string {
	runes := []rune(s)
	// breaks[i] is set where a break follows runes[i].
	breaks := make([]bool, len(runes))
	for i, r := range runes[:max(0, len(runes)-1)] {
		next := runes[i+1]
		if isLinkMark(r) && next != ' ' {
			breaks[i] = true
			if i > 0 {
				breaks[i-1] = true
			}
		}
		if r == '=' && next == '?' {
			breaks[i] = true
		}
	}
	for from := 0; from < len(runes); from++ {
		if digitsOf(runes[from]) == 0 {
			continue
		}
		to := endOfNumber(runes, from)
		if canBeDialled(runes[from:min(to+1, len(runes))]) {
			for i := from; i < to && i+1 < len(runes); i++ {
				breaks[i] = i+1 < to || breaks[i] || isSeparator(runes[i+1]) && runes[i+1] != ' '
			}
		}
		from = to - 1
	}
	var out strings.Builder
	for i, r := range runes {
		out.WriteRune(r)
		if breaks[i] && !isJoined(r, runes[i+1]) && r != ' ' {
			out.WriteString(nonJoiner)
		}
	}
	return out.String()
}

// isLinkMark reports whether a character stands between the parts of a URL, a domain
// name, an address or a path, in any width.
func isLinkMark(r rune) bool {
	return strings.ContainsAny(norm.NFKC.String(string(r)), ".:/@\\\u3002")
}

// maxSeparators is how many characters are written between two digits of a telephone
// number, such as those of " - ".
const maxSeparators = 3

// endOfNumber returns where a telephone number ends that begins with the digit at from:
// behind the last digit before a letter or too many separators.
func endOfNumber(runes []rune, from int) int {
	end, separators := from+1, 0
	for i := end; i < len(runes); i++ {
		switch r := runes[i]; {
		case digitsOf(r) > 0:
			end, separators = i+1, 0
		case extends(r):
		case !isSeparator(r) || separators == maxSeparators:
			return end
		default:
			separators++
		}
	}
	return end
}

// digitsOf returns how many digits of any script a character has: also a raised one or
// one in a circle.
func digitsOf(r rune) (n int) {
	for _, part := range norm.NFKC.String(string(r)) {
		if unicode.IsDigit(part) {
			n++
		}
	}
	return n
}

// isSeparator reports whether a character can stand between the digits of a telephone
// number: anything but a letter, and the letters that look like a dash, an apostrophe or
// a cross.
func isSeparator(r rune) bool {
	return !strings.ContainsFunc(norm.NFKC.String(string(r)), func(r rune) bool {
		return unicode.IsLetter(r) && !unicode.Is(unicode.Lm, r) && !strings.ContainsRune("xXхХ", r)
	})
}

// canBeDialled reports whether a part of a text that begins with a digit, with the
// character behind its last one, has the digits of a telephone number: five, or four with
// a dash or the like, as before letters of a keypad.
func canBeDialled(runes []rune) bool {
	digits, isDivided := 0, false
	for i, r := range runes {
		n := digitsOf(r)
		digits += n
		isDivided = isDivided || n == 0 && i > 0 && digitsOf(runes[i-1]) > 0 && r != ' ' && r != ',' && !extends(r) && isSeparator(r)
	}
	return digits >= 5 || digits == 4 && isDivided
}

// plainSubject returns a subject in which nothing begins an encoded word (RFC 2047),
// which can be a person's address: with a non-joiner it is not ASCII, so SES encodes it
// as a whole.
func plainSubject(s string) string { return strings.ReplaceAll(s, "=?", "="+nonJoiner+"?") }

// isJoined reports whether two characters are parts of one that people see, as in a flag
// or a family. Digits are not joined.
func isJoined(r, next rune) bool {
	return extends(next) || r == '\u200d' && digitsOf(next) == 0 || isFlagPart(r) && isFlagPart(next)
}

// isFlagPart reports whether a character is a regional indicator: two make a flag.
func isFlagPart(r rune) bool { return r >= '\U0001f1e6' && r <= '\U0001f1ff' }

// extends reports whether a character belongs to the one before it: a mark, a joiner, a
// tag or the tone of an emoji's skin.
func extends(r rune) bool {
	return unicode.IsMark(r) || string(r) == nonJoiner || r == '\u200d' || r >= '\U0001f3fb' && r <= '\U0001f3ff' || r >= '\U000e0020' && r <= '\U000e007f'
}

// cut returns a text of at most limit characters, without counting breaks. It ends
// between two characters as people see them, and with an ellipsis if it is shortened.
func cut(s string, limit int) string {
	runes := []rune(s)
	count, end, flags := 0, 0, 0
	for i, r := range runes {
		if string(r) == nonJoiner {
			continue
		}
		isFlag := isFlagPart(r)
		if count < limit && !extends(r) && (i == 0 || runes[i-1] != '\u200d') && !(isFlag && flags%2 == 1) {
			end = i
		}
		if flags++; !isFlag {
			flags = 0
		}
		count++
	}
	if count <= limit {
		return s
	}
	return strings.TrimRight(string(runes[:end]), " "+nonJoiner) + "…"
}

// short cuts a name for a subject, where a long one would push out what matters.
func short(s string) string {
	const limit = 40
	return cut(s, limit)
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

func widthOf(s string) int { return utf8.RuneCountInString(s) - strings.Count(s, nonJoiner) }

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
			case widthOf(current)+1+widthOf(word) > textWidth:
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
