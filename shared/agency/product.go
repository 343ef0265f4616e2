package agency

import (
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// isTakenFor reports whether a name could be taken for the product's: it has the
// product's letters as one word or more, whatever stands between them, or inside one
// word if they are many. Letters that look alike are the same, and case and marks do not
// count (UTS #39).
func isTakenFor(name, product string) bool {
	wanted := strings.Join(looksOf(product), "")
	if wanted == "" {
		return false
	}
	runes, looks := []rune(name), looksOf(name)
	for from := range runes {
		if looks[from] == "" {
			continue
		}
		got, isOneWord := "", true
		for to := from; to < len(runes) && len(got) < len(wanted); to++ {
			got += looks[to]
			isOneWord = isOneWord && (looks[to] != "" || unicode.IsMark(runes[to]))
			if got == wanted && (isOneWord && len(wanted) >= minInside || isBorder(runes, from) && isBorder(runes, to+1)) {
				return true
			}
		}
	}
	return false
}

func looksOf(s string) []string {
	var looks []string
	for _, r := range s {
		looks = append(looks, lookOf(r))
	}
	return looks
}

// minInside is from how many letters on the product's name may not be a part of a longer
// word either. Shorter ones are parts of honest words.
const minInside = 8

// isBorder reports whether a word begins or ends before a place: between a letter and
// what is none, small and capital, or letter and digit.
func isBorder(runes []rune, at int) bool {
	for at < len(runes) && unicode.IsMark(runes[at]) {
		at++
	}
	if at == 0 || at >= len(runes) {
		return true
	}
	before, after := lastThat(runes[:at], isNoMark), runes[at]
	return lookOf(before) == "" || lookOf(after) == "" || unicode.IsLower(before) && unicode.IsUpper(after) ||
		unicode.IsDigit(before) != unicode.IsDigit(after)
}

// lookOf returns what a character looks like: lower-case ASCII letters and digits if it
// can be taken for them, with l for 1 and i, o for 0 and rn for m; itself if it is
// another letter or digit; and "" for everything else.
func lookOf(r rune) string {
	var look strings.Builder
	for _, r := range norm.NFKD.String(string(r)) {
		ascii, found := lookalikes[r]
		if !found {
			ascii, found = capitalLike(r)
		}
		switch {
		case !found && !unicode.IsLetter(r) && !unicode.IsDigit(r):
			continue
		case !found:
			ascii = string(unicode.ToLower(r))
		}
		look.WriteString(ascii)
	}
	return sameLooks.Replace(look.String())
}

var sameLooks = strings.NewReplacer("1", "l", "i", "l", "0", "o", "m", "rn")

// capitalLike returns the letter of what looks like a capital and is missing in
// confusables.txt: small capitals, and letters in boxes and circles.
func capitalLike(r rune) (string, bool) {
	const (
		letters = "abcdefghijklmnopqrstuvwxyz"
		small   = "ᴀʙᴄᴅᴇꜰɢʜɪᴊᴋʟᴍɴᴏᴘꞯʀꜱᴛᴜᴠᴡxʏᴢ"
	)
	for _, first := range []rune{'🅐', '🅰', '🇦'} {
		if i := r - first; i >= 0 && int(i) < len(letters) {
			return letters[i : i+1], true
		}
	}
	at := 0
	for _, s := range small {
		if s == r {
			return letters[at : at+1], true
		}
		at++
	}
	return "", false
}
