package agency

import (
	"slices"
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// isTakenFor reports whether a name could be taken for the product's. Letters that look
// alike are the same, and case and accents do not count (UTS #39). It is taken for it if
// it has the product's letters and no others; and depending on how many these are:
//
//   - from minWords on, if it has the product's words as whole words;
//   - from minInside on, whatever stands between the letters, if a word, a change of case
//     or a digit begins and ends there; and within one word;
//   - in Han, which has no blanks, if letters of Han begin with them.
func isTakenFor(name, product string) bool {
	p := newProductName(product)
	if len(p.look) == 0 {
		return false
	}
	text := p.read(name)
	if p.isAll(text) {
		return true
	}
	for from := range text {
		if slices.ContainsFunc(p.searches(), func(s search) bool { return p.isAt(text, from, s) }) {
			return true
		}
	}
	return false
}

// The numbers of letters from which on a product's name is looked for in a longer one.
// Shorter names than minWords are honest words of others, and those shorter than
// minInside are parts of honest words.
const (
	minWords  = 4
	minInside = 8
	minHan    = 2
)

// A productName is the product's name, as others' names are compared with it.
type productName struct {
	// look is what its letters look like; see lookOf.
	look []rune
	// isGap is set where a new word of it begins, by the place in look.
	isGap map[int]bool
	// letters are how many letters and digits it has.
	letters int
	isHan   bool
}

func newProductName(product string) productName {
	p := productName{isGap: map[int]bool{}, isHan: true}
	runes := []rune(norm.NFC.String(product))
	for _, r := range runes {
		if isLetterOrDigit(r) {
			p.letters++
			p.isHan = p.isHan && isHan(r)
		}
	}
	before := rune(0)
	for i, c := range p.read(string(runes)) {
		switch {
		case c.isTransparent:
			continue
		case !isInWord(runes[i]) || unicode.IsLower(before) && unicode.IsUpper(runes[i]):
			p.isGap[len(p.look)] = true
		}
		before = runes[i]
		p.look = append(p.look, c.looks[0]...)
	}
	return p
}

// A search is one way to look for the product's name in another one.
type search struct {
	// mayPart reports whether other characters than letters and digits may stand before a
	// place in its look.
	mayPart func(place int) bool
	// begins and ends report whether it may begin or end between two characters, 0 at the
	// ends of the text.
	begins, ends func(before, after rune) bool
}

func (p productName) searches() (all []search) {
	anywhere := func(_, _ rune) bool { return true }
	never := func(int) bool { return false }
	if p.isHan && p.letters >= minHan {
		all = append(all, search{mayPart: never, begins: isWordBorder, ends: anywhere})
	}
	switch {
	case p.letters >= minInside:
		all = append(all,
			search{mayPart: func(int) bool { return true }, begins: isPartBorder, ends: isPartBorder},
			search{mayPart: never, begins: anywhere, ends: anywhere})
	case p.letters >= minWords:
		all = append(all, search{mayPart: func(place int) bool { return p.isGap[place] }, begins: isWordBorder, ends: isWordBorder})
	}
	return all
}

// isAt reports whether a search finds the product's name from a place of a text on.
func (p productName) isAt(text []character, from int, s search) bool {
	if text[from].isTransparent || !s.begins(lastVisible(text[:from]), text[from].r) {
		return false
	}
	at := p.start()
	for to := from; to < len(text); to++ {
		if at = p.after(at, text[to], s.mayPart); !slices.Contains(at, true) {
			return false
		}
		if at[len(p.look)] && s.ends(lastVisible(text[:to+1]), firstVisible(text[to+1:])) {
			return true
		}
	}
	return false
}

// isAll reports whether a text has the product's letters and no others.
func (p productName) isAll(text []character) bool {
	at := p.start()
	for _, c := range text {
		before := slices.Clone(at)
		at = p.after(at, c, func(int) bool { return true })
		if slices.ContainsFunc(c.looks, func(look []rune) bool { return len(look) == 0 }) {
			at[0], at[len(p.look)] = at[0] || before[0], at[len(p.look)] || before[len(p.look)]
		}
	}
	return at[len(p.look)]
}

// start returns the places that are reached in the product's look before any character.
func (p productName) start() []bool {
	at := make([]bool, len(p.look)+1)
	at[0] = true
	return at
}

// after returns the places that are reached in the product's look after one more
// character, from those before it.
func (p productName) after(at []bool, c character, mayPart func(int) bool) []bool {
	reached := make([]bool, len(at))
	for place, isReached := range at {
		if !isReached {
			continue
		}
		for _, look := range c.looks {
			switch {
			case len(look) > 0:
				if end := place + len(look); end <= len(p.look) && slices.EqualFunc(look, p.look[place:end], looksSame) {
					reached[end] = true
				}
			case place > 0 && place < len(p.look) && (c.isTransparent || mayPart(place)):
				reached[place] = true
			}
		}
	}
	return reached
}

// A character of a text has one look or more. An empty one is that of what stands
// between words.
type character struct {
	r     rune
	looks [][]rune
	// isTransparent: a mark or joiner that doesn't count.
	isTransparent bool
}

// lastVisible returns the last character that counts; 0 if there is none.
func lastVisible(text []character) rune {
	for _, c := range slices.Backward(text) {
		if !c.isTransparent {
			return c.r
		}
	}
	return 0
}

// firstVisible returns the first character that counts; 0 if there is none.
func firstVisible(text []character) rune {
	for _, c := range text {
		if !c.isTransparent {
			return c.r
		}
	}
	return 0
}

// read returns the characters of a text, each with its looks.
func (p productName) read(text string) []character {
	var out []character
	base := rune(0)
	for _, r := range text {
		c := character{r: r, isTransparent: r == joiner || r == nonJoiner || unicode.IsMark(r) && !isCounted(r, base)}
		if !unicode.IsMark(r) {
			base = r
		}
		looks := []string{lookOf(r)}
		if c.isTransparent {
			looks[0] = ""
		}
		if like, found := handLike(r); found {
			looks = append(looks, like)
		}
		if like, found := spellings[r]; found && p.letters >= minInside {
			looks = append(looks, like)
		}
		if !isInWord(r) && looks[0] != "" {
			looks = append(looks, "") // it can also stand between words
		}
		same := sameLooks
		if p.letters >= minInside {
			same = sameLooksOfMany
		}
		for _, look := range looks {
			c.looks = append(c.looks, []rune(same.Replace(look)))
		}
		out = append(out, c)
	}
	return out
}

// lookOf returns what a character looks like: lower-case ASCII letters and digits if it
// can be taken for them; itself if it is another letter or digit, or a mark; and "" for
// everything else. 1 stands for what is like both a small l and a capital I.
func lookOf(r rune) string {
	ascii, found := lookalikes[r]
	if !found {
		ascii, found = capitalLike(r)
	}
	switch parts := norm.NFKD.String(string(r)); {
	case r == 'I' || ascii == "l" && !unicode.IsLower(r):
		return "1"
	case found:
		return ascii
	case parts != string(r):
		var look strings.Builder
		base := rune(0)
		for _, part := range parts {
			if !unicode.IsMark(part) {
				base = part
			} else if base != 0 && !isCounted(part, base) {
				continue
			}
			look.WriteString(lookOf(part))
		}
		return look.String()
	case isInWord(r):
		return string(unicode.ToLower(r))
	default:
		return ""
	}
}

// sameLooks are the looks that are one. For a product's name of many letters, i and l
// are one too, which tell short words apart, such as mail and mall.
var (
	sameLooks       = strings.NewReplacer("0", "o", "m", "rn")
	sameLooksOfMany = strings.NewReplacer("0", "o", "m", "rn", "1", "l", "i", "l")
)

// looksSame reports whether two letters of looks are one.
func looksSame(a, b rune) bool {
	return a == b || a == '1' && (b == 'i' || b == 'l') || b == '1' && (a == 'i' || a == 'l')
}

// isCounted reports whether a mark tells words apart. Marks of general use don't, nor any
// on Latin, Greek and Cyrillic letters, nor the vowels of scripts that are mostly written
// without them. In other scripts marks are vowels, and in kana they change the consonant.
func isCounted(mark, base rune) bool {
	switch {
	case unicode.In(base, unicode.Hiragana, unicode.Katakana):
		return mark == '\u3099' || mark == '\u309a'
	case unicode.In(mark, unicode.Inherited, unicode.Hebrew, unicode.Arabic, unicode.Syriac):
		return false
	default:
		return unicode.IsLetter(base) && !unicode.In(base, unicode.Latin, unicode.Greek, unicode.Cyrillic)
	}
}

func isLetterOrDigit(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) || isHan(r) }

// isInWord reports whether a character is a part of a word, whatever it looks like.
func isInWord(r rune) bool { return isLetterOrDigit(r) || unicode.IsMark(r) }

// isWordBorder reports whether one of two characters is no part of a word, or the two
// are of different scripts or only one is a letter in another style.
func isWordBorder(before, after rune) bool {
	return !isInWord(before) || !isInWord(after) || !isSameScript(before, after) || isStyled(before) != isStyled(after)
}

// isPartBorder is isWordBorder, and reports true also between small and capital, and
// letter and digit.
func isPartBorder(before, after rune) bool {
	return isWordBorder(before, after) || unicode.IsLower(before) && unicode.IsUpper(after) ||
		unicode.IsDigit(before) != unicode.IsDigit(after)
}

// isStyled reports whether a letter is one of another style, such as a raised, a wide or
// a bold one.
func isStyled(r rune) bool {
	return unicode.IsLetter(r) && norm.NFKD.String(string(r)) != norm.NFD.String(string(r))
}

// isSameScript reports whether two characters are of one script. Those that scripts
// share are of every one.
func isSameScript(a, b rune) bool {
	shared := []*unicode.RangeTable{unicode.Common, unicode.Inherited}
	switch {
	case unicode.In(a, shared...) || unicode.In(b, shared...):
		return true
	case isHan(a) || isHan(b):
		return isHan(a) && isHan(b) // also of a later Unicode
	}
	for _, script := range unicode.Scripts {
		if unicode.Is(script, a) {
			return unicode.Is(script, b)
		}
	}
	return false
}

// capitalLike returns the letter of what looks like a capital and is missing in
// confusables.txt: small capitals, and letters in boxes and circles.
func capitalLike(r rune) (string, bool) {
	const small = "ᴀʙᴄᴅᴇꜰɢʜɪᴊᴋʟᴍɴᴏᴘꞯʀꜱᴛᴜᴠᴡxʏᴢ"
	for _, first := range []rune{'🅐', '🅰', '🇦'} {
		if i := r - first; i >= 0 && int(i) < len(lowerLetters) {
			return lowerLetters[i : i+1], true
		}
	}
	return letterOf(small, r)
}

const lowerLetters = "abcdefghijklmnopqrstuvwxyz"

// handLike returns a letter that a character is used for, though UTS #39 does not call
// them alike.
func handLike(r rune) (string, bool) {
	for _, row := range handLikes {
		if r > unicode.MaxASCII && strings.ContainsRune(row, r) {
			return row[:1], true
		}
	}
	return "", false
}

// handLikes are a letter and the characters that are used for it.
var handLikes = []string{
	"aΛДΔ∆λᗩ₳", "bБбβᗷ฿", "c¢ᑕ₵ɕƈ", "dᗪ₫", "eєЄэЭ€ξΣ", "fᖴ₣", "gɠ₲ɢ", "hᕼⱧ", "iɨ", "jᒍ", "kƙ₭", "lᒪⱠ", "mᗰ₥",
	"nИиЙйПпᑎ₦η", "oσØ", "pᑭ₱", "qᑫ", "rЯяᖇɾГг", "sᔕ₴", "t₮₸†", "uᑌЦцµ∪", "vᐯ√", "wᗯ₩ШшЩщω", "x᙭Жж", "yЧчγ¥", "zɀ",
}

// letterOf returns the letter at whose place in the alphabet a character is in a row.
func letterOf(row string, r rune) (string, bool) {
	at := 0
	for _, like := range row {
		if like == r && r > unicode.MaxASCII {
			return lowerLetters[at : at+1], true
		}
		at++
	}
	return "", false
}

// spellings are letters for which people write digits and signs. They count for a
// product's name of many letters.
var spellings = map[rune]string{'3': "e", '4': "a", '5': "s", '8': "b", '@': "a", '$': "s", '|': "l"}
