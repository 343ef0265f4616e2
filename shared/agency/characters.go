package agency

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// treatment is what becomes of a character of a typed text.
type treatment int

const (
	kept treatment = iota
	// toBlank: every kind of space becomes one blank.
	toBlank
	// stripped: it shows as nothing, and the text reads the same without it.
	stripped
	// contextual: it is kept where its script or an emoji needs it, and stripped
	// elsewhere.
	contextual
	refused
)

// flaw is why a text is refused: a part of a sentence that says what it holds, and
// what to do about it.
type flaw struct{ what, advice string }

var (
	unreadable     = flaw{"a character that could not be read", "Type it again."}
	lineBreak      = flaw{"a line break or a tab", "Write it on one line."}
	control        = flaw{"a control character", "Remove it."}
	reordering     = flaw{"a character that changes the direction of text", "Remove it."}
	annotation     = flaw{"a character that marks an annotation", "Remove it."}
	imagePlace     = flaw{"a character in place of an image", "Remove it."}
	filler         = flaw{"a letter that shows as nothing", "Remove it."}
	invisible      = flaw{"an invisible character", "Remove it."}
	privateUse     = flaw{"a private character, which others can't see", "Replace it."}
	undefined      = flaw{"a character that we don't know yet", "Replace it."}
	looseMark      = flaw{"an accent or mark without a letter before it", "Put a letter before it."}
	excessiveMarks = flaw{"too many accents or marks on one letter", "Remove some of them."}
	encodedText    = flaw{"encoded text that begins with “=?”", "Write it in plain letters."}
)

// special is what becomes of a range of characters that their category does not
// decide.
type special struct {
	from, to rune
	treatment
	flaw flaw
}

// specials are in order. They name every character that is Default_Ignorable (UAX #44)
// and assigned, and what else shows as nothing or misleads.
var specials = []special{
	{'\t', '\r', refused, lineBreak},                 // from tab to carriage return
	{'\u0085', '\u0085', refused, lineBreak},         // NEXT LINE
	{'\u00ad', '\u00ad', stripped, flaw{}},           // SOFT HYPHEN: where a word may break; pasted from pages
	{'\u034f', '\u034f', stripped, flaw{}},           // COMBINING GRAPHEME JOINER: for sorting alone
	{'\u061c', '\u061c', stripped, flaw{}},           // ARABIC LETTER MARK: a direction mark
	{'\u115f', '\u1160', refused, filler},            // HANGUL CHOSEONG and JUNGSEONG FILLER
	{'\u17b4', '\u17b5', stripped, flaw{}},           // KHMER INHERENT VOWELS: Unicode advises against them
	{'\u180b', '\u180f', contextual, flaw{}},         // MONGOLIAN SELECTORS and VOWEL SEPARATOR: they choose a letter's form
	{'\u200b', '\u200b', stripped, flaw{}},           // ZERO WIDTH SPACE: where a line may break
	{'\u200c', '\u200d', contextual, flaw{}},         // ZERO WIDTH NON-JOINER and JOINER
	{'\u200e', '\u200f', stripped, flaw{}},           // LEFT-TO-RIGHT and RIGHT-TO-LEFT MARK: letters have a direction of their own
	{'\u2028', '\u2029', refused, lineBreak},         // LINE and PARAGRAPH SEPARATOR
	{'\u202a', '\u202c', stripped, flaw{}},           // EMBEDDINGS and their end: phones put them around what they copy
	{'\u202d', '\u202e', refused, reordering},        // OVERRIDES: letters would show in another order
	{'\u2060', '\u2064', stripped, flaw{}},           // WORD JOINER and the invisible operators of formulas
	{'\u2066', '\u2069', stripped, flaw{}},           // ISOLATES and their end: as embeddings
	{'\u206a', '\u206f', refused, invisible},         // deprecated controls of shapes and digits
	{'\u2800', '\u2800', toBlank, flaw{}},            // BRAILLE PATTERN BLANK: braille's space
	{'\u3164', '\u3164', refused, filler},            // HANGUL FILLER
	{'\ufe00', '\ufe0f', contextual, flaw{}},         // VARIATION SELECTORS 1 to 16
	{'\ufeff', '\ufeff', stripped, flaw{}},           // ZERO WIDTH NO-BREAK SPACE: the byte order mark of a file
	{'\uffa0', '\uffa0', refused, filler},            // HALFWIDTH HANGUL FILLER
	{'\ufff9', '\ufffb', refused, annotation},        // INTERLINEAR ANNOTATION
	{'\ufffc', '\ufffc', refused, imagePlace},        // OBJECT REPLACEMENT CHARACTER
	{'\ufffd', '\ufffd', refused, unreadable},        // REPLACEMENT CHARACTER: what a decoder could not read
	{'\U00013430', '\U00013440', contextual, flaw{}}, // EGYPTIAN HIEROGLYPH controls: they place signs
	{'\U00013441', '\U00013442', refused, filler},    // EGYPTIAN HIEROGLYPH FULL and HALF BLANK
	{'\U00013447', '\U00013455', contextual, flaw{}}, // EGYPTIAN HIEROGLYPH damage marks
	{'\U0001bca0', '\U0001bca3', contextual, flaw{}}, // SHORTHAND FORMAT: they place Duployan's letters
	{'\U0001d159', '\U0001d159', refused, filler},    // MUSICAL SYMBOL NULL NOTEHEAD
	{'\U0001d173', '\U0001d17a', refused, invisible}, // musical beams, ties and phrases
	{'\U000e0001', '\U000e0001', refused, invisible}, // LANGUAGE TAG, deprecated
	{'\U000e0020', '\U000e007f', contextual, flaw{}}, // TAGS: flags of regions; elsewhere they hide text
	{'\U000e0100', '\U000e01ef', contextual, flaw{}}, // VARIATION SELECTORS 17 to 256: forms of ideographs
}

// treat returns what becomes of a character, and why if it is refused. It knows the
// characters of Unicode 15 and what is reserved for emoji and for Han.
func treat(r rune) (treatment, flaw) {
	i, _ := slices.BinarySearchFunc(specials, r, func(s special, r rune) int { return int(s.to - r) })
	switch {
	case i < len(specials) && specials[i].from <= r:
		return specials[i].treatment, specials[i].flaw
	case unicode.IsControl(r):
		return refused, control
	case unicode.Is(unicode.Zs, r):
		return toBlank, flaw{}
	case unicode.Is(unicode.Cf, r) && !unicode.Is(unicode.Prepended_Concatenation_Mark, r):
		return refused, invisible
	case unicode.Is(unicode.Co, r):
		return refused, privateUse
	case !unicode.In(r, unicode.L, unicode.M, unicode.N, unicode.P, unicode.S, unicode.Cf, pictures, futureHan):
		return refused, undefined
	default:
		return kept, flaw{}
	}
}

// isVisible reports whether a character that is kept shows as something by itself.
func isVisible(r rune) bool {
	return unicode.In(r, unicode.L, unicode.N, unicode.P, unicode.S, pictures, futureHan)
}

// futureHan are the blocks of Han beyond the first 65,536 characters. Each version of
// Unicode gives some of their free places to letters of names.
var futureHan = &unicode.RangeTable{R32: []unicode.Range32{
	{Lo: 0x20000, Hi: 0x2ee5f, Stride: 1}, // extensions B to F and I
	{Lo: 0x2f800, Hi: 0x2fa1f, Stride: 1}, // compatibility
	{Lo: 0x30000, Hi: 0x3347f, Stride: 1}, // extensions G, H and J
}}

func isHan(r rune) bool { return unicode.In(r, unicode.Han, futureHan) }

// plain returns a text in NFC without what is stripped, on one line and with single
// blanks. Refused characters become blanks if they end a line or control, and are
// dropped otherwise.
func plain(given string) string {
	for {
		text := strip(norm.NFC.String(given))
		if text == given {
			return text
		}
		given = text
	}
}

// strip makes one pass of plain. What it strips can bring letters together that compose.
func strip(text string) string {
	runes := []rune(text)
	out := make([]rune, 0, len(runes))
	var before context
	write := func(runes ...rune) {
		for _, r := range runes {
			before.add(r)
		}
		out = append(out, runes...)
	}
	nexts := nextKept(runes)
	for i := 0; i < len(runes); i++ {
		r := runes[i]
		switch as, why := treat(r); {
		case as == kept:
			n := flagTags(runes[i:])
			write(runes[i : i+1+n]...)
			i += n
		case as == toBlank, why == lineBreak, why == control:
			if before.last != 0 && before.last != ' ' {
				write(' ')
			}
		case as == contextual && isNeeded(r, before, nexts[i]):
			write(r)
		}
	}
	return strings.TrimSuffix(string(out), " ")
}

// nextKept returns for each character the first one after it that is kept by itself; 0
// if a blank or the end comes first.
func nextKept(runes []rune) []rune {
	nexts := make([]rune, len(runes))
	next := rune(0)
	for i, r := range slices.Backward(runes) {
		nexts[i] = next
		switch as, _ := treat(r); as {
		case kept:
			next = r
		case toBlank:
			next = 0
		default:
		}
	}
	return nexts
}

// A context is what the text before a character has last; 0 for what it has not.
type context struct {
	// last is the character before it.
	last rune
	// base is the last one that is no mark, picture the last but forms and skin tones of
	// emoji, and sign the last but marks of hieroglyphs.
	base, picture, sign rune
}

// add appends a character to the text.
func (c *context) add(r rune) {
	c.last = r
	if !unicode.IsMark(r) {
		c.base = r
	}
	if r != '\ufe0f' && !isSkinTone(r) {
		c.picture = r
	}
	if !isHieroglyphMark(r) {
		c.sign = r
	}
}

// The scripts in which joiners decide between letter forms: those that join letters,
// and those that stack them by a virama.
var (
	joiningScripts = []*unicode.RangeTable{
		unicode.Adlam, unicode.Arabic, unicode.Chorasmian, unicode.Hanifi_Rohingya, unicode.Mandaic, unicode.Manichaean,
		unicode.Mongolian, unicode.Nko, unicode.Old_Uyghur, unicode.Phags_Pa, unicode.Psalter_Pahlavi, unicode.Sogdian, unicode.Syriac,
	}
	viramaScripts = []*unicode.RangeTable{
		unicode.Balinese, unicode.Bengali, unicode.Brahmi, unicode.Chakma, unicode.Devanagari, unicode.Grantha, unicode.Gujarati,
		unicode.Gurmukhi, unicode.Javanese, unicode.Kannada, unicode.Khmer, unicode.Malayalam, unicode.Meetei_Mayek, unicode.Myanmar,
		unicode.Newa, unicode.Oriya, unicode.Sinhala, unicode.Sundanese, unicode.Tamil, unicode.Telugu, unicode.Tirhuta,
	}
)

// isNeeded reports whether a contextual character changes how the text before it and
// the next character are read.
func isNeeded(r rune, before context, next rune) bool {
	last := before.last
	switch {
	case r == nonJoiner || r == joiner:
		return joins(r, before, next)
	case r == '\u180e':
		return unicode.IsLetter(before.base) && unicode.Is(unicode.Mongolian, before.base)
	case r >= '\u180b' && r <= '\u180f':
		return unicode.IsLetter(last) && unicode.Is(unicode.Mongolian, last)
	case r == '\ufe0e' || r == '\ufe0f':
		// An emoji's form, or a keycap.
		return unicode.Is(pictures, last) || next == keycap && strings.ContainsRune("0123456789#*", last)
	case r >= '\ufe00' && r <= '\ufe0d':
		return unicode.In(last, unicode.Han, futureHan, unicode.Myanmar, unicode.Phags_Pa, unicode.Manichaean) && !unicode.IsMark(last)
	case r >= '\U000e0100':
		return isHan(last)
	case r >= '\U00013430' && r <= '\U00013455':
		return isHieroglyph(before.sign) || isHieroglyph(next)
	case r >= '\U0001bca0' && r <= '\U0001bca3':
		return unicode.IsLetter(last) && unicode.Is(unicode.Duployan, last)
	default:
		return false // a tag without its flag
	}
}

const (
	nonJoiner = '\u200c'
	joiner    = '\u200d'
	keycap    = '\u20e3'
)

// joins reports whether a joiner or non-joiner has an effect: after a virama, before a
// mark of such a script, or between letters that join (RFC 5892, A.1 and A.2, and what
// is written in Bengali and Persian besides); and a joiner between two pictures.
func joins(r rune, before context, next rune) bool {
	last := before.last
	if last == joiner || last == nonJoiner {
		return false
	}
	if norm.NFC.PropertiesString(string(last)).CCC() == virama || isIn(viramaScripts, last) && isIn(viramaScripts, next) && unicode.IsMark(next) {
		return true
	}
	isBefore := isIn(joiningScripts, before.base)
	isAfter := isIn(joiningScripts, next)
	if r == nonJoiner {
		return isBefore && isAfter
	}
	return isBefore || isAfter || unicode.Is(pictures, before.picture) && unicode.Is(pictures, next)
}

// virama is the combining class of the signs that take a letter's vowel.
const virama = 9

func isIn(scripts []*unicode.RangeTable, r rune) bool {
	return unicode.In(r, scripts...) && (unicode.IsLetter(r) || unicode.IsMark(r))
}

func isSkinTone(r rune) bool { return r >= '\U0001f3fb' && r <= '\U0001f3ff' }

func isHieroglyph(r rune) bool {
	return unicode.Is(unicode.Egyptian_Hieroglyphs, r) && unicode.IsLetter(r)
}

func isHieroglyphMark(r rune) bool {
	return unicode.Is(unicode.Egyptian_Hieroglyphs, r) && !unicode.IsLetter(r)
}

// flagTags returns how many tags follow a black flag and make it that of a region: the
// letters and digits of the region (ISO 3166-2), and the end.
func flagTags(runes []rune) int {
	const blackFlag, end = '\U0001f3f4', '\U000e007f'
	if runes[0] != blackFlag {
		return 0
	}
	for n, r := range runes[1:min(len(runes), 8)] {
		switch {
		case r == end && n >= 4:
			return n + 1
		case r >= '\U000e0030' && r <= '\U000e0039', r >= '\U000e0061' && r <= '\U000e007a':
		default:
			return 0
		}
	}
	return 0
}

// The bounds of marks in a row. UTS #39 takes no more than 4, which is enough for marks
// of general use; Tibetan and Khmer stack more of their own.
const (
	maxGeneralMarks = 4
	maxMarks        = 8
)

// findFlaw returns why a text is refused, and where that begins. In a message, whose
// isMultiline is set, line breaks and tabs are blanks.
func findFlaw(given string, isMultiline bool) (why flaw, at int, found bool) {
	for i, r := range given {
		_, size := utf8.DecodeRuneInString(given[i:])
		if r == utf8.RuneError && size == 1 {
			return unreadable, i, true
		}
		if as, why := treat(r); as == refused && !(isMultiline && why == lineBreak) {
			return why, i, true
		}
	}
	return flaw{}, 0, false
}

// findMarks returns the flaw of a plain text with a mark that has no letter before it,
// or with too many in a row.
func findMarks(text string) (why flaw, at int, found bool) {
	general, all := 0, 0
	for i, r := range text {
		switch as, _ := treat(r); {
		case unicode.IsMark(r) && i == 0:
			return looseMark, 0, true
		case as != kept:
		case unicode.In(r, unicode.Mn, unicode.Me):
			if all++; unicode.Is(unicode.Inherited, r) {
				general++
			}
		case !unicode.IsMark(r):
			general, all = 0, 0
		}
		if general > maxGeneralMarks || all > maxMarks {
			return excessiveMarks, i, true
		}
	}
	return flaw{}, 0, false
}

// refusal returns the refusal of a text that has a flaw after the part before it.
func (f flaw) refusal(field, noun, before string) error {
	place := "at its beginning"
	if shown := plain(before); shown != "" {
		runes := []rune(shown)
		const maxShown = 15
		if len(runes) > maxShown {
			shown = "…" + strings.TrimLeftFunc(string(runes[len(runes)-maxShown:]), func(r rune) bool { return unicode.IsMark(r) || r == joiner })
		}
		place = fmt.Sprintf("after “%s”", shown)
	}
	return InvalidField(field, "The %s has %s, %s. %s", noun, f.what, place, f.advice)
}
