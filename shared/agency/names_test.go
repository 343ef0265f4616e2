package agency

import (
	_ "embed"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/text/unicode/norm"
	"pgregory.net/rapid"
)

//go:embed testdata/names.tsv
var scriptNames string

// sentences are all that ParseName and ParseMessage say about a character.
var sentences = regexp.MustCompile(`^The (name|message) has ` +
	`(a character that could not be read|a line break or a tab|a control character|a character that changes the direction of text|` +
	`a character that marks an annotation|a character in place of an image|a letter that shows as nothing|an invisible character|` +
	`a private character, which others can't see|a character that we don't know yet|an accent or mark without a letter before it), ` +
	`(at its beginning|after “[^”]+”)\. [A-Z][a-z ]+\.$`)

// sentence returns what a refusal says.
func sentence(t interface{ Fatalf(string, ...any) }, err error) string {
	e, ok := err.(*Error) //nolint:errorlint // refusals are not wrapped
	if !ok || e.Code != Invalid || len(e.Fields) != 1 || e.Fields[0].Message != e.Message {
		t.Fatalf("no refusal of one field: %#v", err)
	}
	if words := len(strings.Fields(e.Message)); words > 25 {
		t.Fatalf("%d words: %s", words, e.Message)
	}
	return e.Message
}

// The names that CLDR has for languages and regions, in their scripts, are stored as typed.
func TestNamesOfEveryScript(t *testing.T) {
	seen := map[string]bool{}
	for line := range strings.Lines(scriptNames) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		row := strings.Split(strings.TrimSpace(line), "\t")
		if len(row) != 3 {
			t.Fatalf("%q", line)
		}
		seen[row[0]] = true
		for _, given := range []string{row[2], norm.NFD.String(row[2]), row[2] + " " + row[2][:len(row[2])/40]} {
			given = strings.ToValidUTF8(given, "")
			if got, err := someRules.ParseName("name", given); err != nil || got != strings.TrimSpace(norm.NFC.String(given)) {
				t.Errorf("%s, %s: %+q, %v; want %+q", row[0], row[1], got, err, norm.NFC.String(given))
			}
		}
	}
	if len(seen) < 40 {
		t.Errorf("%d scripts", len(seen))
	}
}

// Every letter and number of every script of Unicode 15 is stored as it is in NFC.
func TestLettersOfEveryScript(t *testing.T) {
	for script, table := range unicode.Scripts {
		var name strings.Builder
		check := func() {
			given := name.String()
			name.Reset()
			if got, err := someRules.ParseName("name", given); err != nil || got != norm.NFC.String(given) {
				t.Errorf("%s: %+q, %v; want %+q", script, got, err, norm.NFC.String(given))
			}
		}
		for r := range runesOf(table) {
			if as, _ := treat(r); !unicode.In(r, unicode.L, unicode.N) || as == refused {
				continue
			}
			// A letter whose NFC has several characters counts as these.
			name.WriteRune(r)
			if utf8.RuneCountInString(norm.NFC.String(name.String())) > MaxName-5 {
				check()
			}
		}
		if name.Len() > 0 {
			check()
		}
	}
}

func runesOf(table *unicode.RangeTable) func(func(rune) bool) {
	return func(yield func(rune) bool) {
		for _, r := range table.R16 {
			for c := rune(r.Lo); c <= rune(r.Hi); c += rune(r.Stride) {
				if !yield(c) {
					return
				}
			}
		}
		for _, r := range table.R32 {
			for c := rune(r.Lo); c <= rune(r.Hi); c += rune(r.Stride) {
				if !yield(c) {
					return
				}
			}
		}
	}
}

// listed is what is taken out of a name without a word: README, Names and messages.
var listed = []string{
	"00AD", "034F", "061C", "17B4-17B5", "180B-180F", "200B-200F", "202A-202C", "2060-2064", "2066-2069", "FE00-FE0F", "FEFF",
	"13430-13440", "13447-13455", "1BCA0-1BCA3", "E0020-E007F", "E0100-E01EF",
}

// Each code point has one of four outcomes, alone between letters and at their edges: it is
// stored in NFC, stripped because it is listed, a blank, or refused by a sentence.
func TestEveryCodePoint(t *testing.T) {
	outcomes, known := map[string]int{}, map[string]bool{}
	var gone []rune
	for r := rune(0); r <= unicode.MaxRune; r++ {
		c := string(r)
		if r >= 0xd800 && r <= 0xdfff {
			c = string([]byte{0xed, byte(0x80 | r>>6&0x3f), byte(0x80 | r&0x3f)}) // half of a pair, as CESU-8 has it
		}
		if as, why := treat(r); as == refused && (why == undefined || why == privateUse) && r%64 != 0 {
			// A million of them: the table says that they are refused, and one in 64 is tried.
			outcomes["within refused"]++
			continue
		}
		for place, text := range map[string][2]string{"within": {"a", "b"}, "before": {"", "ab"}, "after": {"ab", ""}, "alone": {"a ", " b"}} {
			if place != "within" && unicode.In(r, unicode.Han, unicode.Hangul) && unicode.IsLetter(r) {
				continue // 100,000 letters of one kind
			}
			given := text[0] + c + text[1]
			got, err := someRules.ParseName("name", given)
			blank := strings.Join(strings.Fields(text[0]+" "+text[1]), " ")
			switch {
			case err != nil:
				says := sentence(t, err)
				if _, checked := known[says]; !checked {
					known[says] = sentences.MatchString(says)
				}
				if got != "" || !known[says] {
					t.Errorf("%s %U: %q, %s", place, r, got, says)
				}
				outcomes[place+" refused"]++
			case got == norm.NFC.String(given):
				outcomes[place+" stored"]++
				if unicode.In(r, unicode.C, unicode.Zl, unicode.Zp, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector) &&
					!unicode.In(r, unicode.Prepended_Concatenation_Mark, pictures, futureHan) {
					t.Errorf("%s %U is stored", place, r)
				}
			case (unicode.Is(unicode.Zs, r) || r == 0x2800) && got == blank:
				outcomes[place+" blank"]++
			case got == strings.Join(strings.Fields(text[0]+text[1]), " "):
				outcomes[place+" stripped"]++
				if place == "within" {
					gone = append(gone, r)
				}
			default:
				t.Errorf("%s %U: %+q", place, r, got)
			}
		}
	}
	if diff := cmp.Diff(listed, ranges(gone)); diff != "" {
		t.Errorf("what is stripped: %s", diff)
	}
	if n := outcomes["within stored"] + outcomes["within refused"] + outcomes["within stripped"] + outcomes["within blank"]; n != unicode.MaxRune+1 {
		t.Errorf("%d code points have an outcome: %v", n, outcomes)
	}
	for _, place := range []string{"within", "before", "after", "alone"} {
		if outcomes[place+" stored"] < 35_000 || outcomes[place+" refused"] < 10_000 || outcomes[place+" stripped"]+outcomes[place+" blank"] < 300 {
			t.Errorf("outcomes: %v", outcomes)
		}
	}
	t.Log(outcomes)
}

func ranges(runes []rune) (out []string) {
	for i := 0; i < len(runes); {
		n := 1
		for i+n < len(runes) && runes[i+n] == runes[i]+rune(n) {
			n++
		}
		if n == 1 {
			out = append(out, fmt.Sprintf("%04X", runes[i]))
		} else {
			out = append(out, fmt.Sprintf("%04X-%04X", runes[i], runes[i+n-1]))
		}
		i += n
	}
	return out
}

// What is invisible is kept where it changes what is read, and stripped elsewhere.
func TestInvisibleCharacters(t *testing.T) {
	for name, tt := range map[string]struct{ given, want string }{
		"Persian":                     {"علی\u200cرضا", "علی\u200cرضا"},
		"Persian, after a mark":       {"پَرتِ\u200cپِلا", "پَرتِ\u200cپِلا"},
		"Persian, at the end":         {"علی\u200c", "علی"},
		"Kurdish":                     {"گه\u200cلی", "گه\u200cلی"},
		"Arabic heh before a joiner":  {"ه\u200d", "ه\u200d"},
		"Hindi":                       {"उच्\u200dचारण", "उच्\u200dचारण"},
		"Marathi":                     {"अ\u200dॅलँड", "अ\u200dॅलँड"},
		"Nepali":                      {"डीआर्\u200cसी", "डीआर्\u200cसी"},
		"Bengali ya-phalaa":           {"র\u200d্যাব", "র\u200d্যাব"},
		"Sinhala":                     {"ශ්\u200dරී ලංකා", "ශ්\u200dරී ලංකා"},
		"Malayalam":                   {"സ്\u200cകോട്ട്\u200cലന്റ്", "സ്\u200cകോട്ട്\u200cലന്റ്"},
		"Malayalam without effect":    {"പിൻ\u200cയിൻ", "പിൻയിൻ"},
		"Sinhala, composed":           {"ක\u0dd9\u0dca\u200dර", "ක\u0ddaර"},
		"Kannada, twice":              {"ಸ್\u200c\u200cವಿ", "ಸ್\u200cವಿ"},
		"Mongolian":                   {"ᠰᠠᠢ\u180bᠨ\u180eᠠ", "ᠰᠠᠢ\u180bᠨ\u180eᠠ"},
		"Mongolian, both":             {"ᠨ\u180b\u180eᠠ", "ᠨ\u180b\u180eᠠ"},
		"Japanese variant":            {"葛\U000e0100城", "葛\U000e0100城"},
		"hieroglyphs":                 {"𓀀\U00013430𓀁", "𓀀\U00013430𓀁"},
		"a family":                    {"👨\u200d👩\u200d👧 shop", "👨\u200d👩\u200d👧 shop"},
		"a skin tone":                 {"👩🏽\u200d🚀", "👩🏽\u200d🚀"},
		"a rainbow":                   {"🏳\ufe0f\u200d🌈", "🏳\ufe0f\u200d🌈"},
		"a heart in colour":           {"I ❤\ufe0f mail", "I ❤\ufe0f mail"},
		"a keycap":                    {"1\ufe0f\u20e3 Agency", "1\ufe0f\u20e3 Agency"},
		"a flag of a country":         {"🇺🇦 Kyiv", "🇺🇦 Kyiv"},
		"Scotland":                    {"🏴\U000e0067\U000e0062\U000e0073\U000e0063\U000e0074\U000e007f!", "🏴\U000e0067\U000e0062\U000e0073\U000e0063\U000e0074\U000e007f!"},
		"tags without an end":         {"🏴\U000e0067\U000e0062!", "🏴!"},
		"hidden tags":                 {"Acme\U000e0041\U000e0042", "Acme"},
		"a joiner between letters":    {"Ac\u200dme\u200c", "Acme"},
		"a joiner beside an emoji":    {"👩\u200d Acme", "👩 Acme"},
		"a selector after a letter":   {"A\ufe0fcme 1\ufe0f", "Acme 1"},
		"two selectors":               {"❤\ufe0f\ufe0e", "❤\ufe0f"},
		"soft hyphens":                {"Ac\u00adme", "Acme"},
		"what phones copy":            {"\u202aAcme\u202c \u2068Ltd\u2069\u200e", "Acme Ltd"},
		"a file's first name":         {"\ufeffAcme", "Acme"},
		"Khmer with word breaks":      {"ខ្មែរ\u200bខ្មែរ", "ខ្មែរខ្មែរ"},
		"a letter and a mark apart":   {"Cafe\u200d\u0301", "Café"},
		"spaces of every kind":        {"\u3000A\u00a0\u202f\u2003b\u1680c\u2800\u205fd\u2800", "A b c d"},
		"braille":                     {"⠁⠉⠍⠑\u2800⠇⠞⠙", "⠁⠉⠍⠑ ⠇⠞⠙"},
		"case and marks stay":         {"ÄÖ ﬁ ẞ İ Ⅷ ½ K", "ÄÖ ﬁ ẞ İ Ⅷ ½ K"},
		"a sign of the Arabic script": {"\u0600١٢", "\u0600١٢"},
		"an emoji of the future":      {"\U0001fae9 ok", "\U0001fae9 ok"},
		"Tibetan stacks":              {"ཀྵྨྲྱཾ", norm.NFC.String("ཀྵྨྲྱཾ")},
		"four marks":                  {"q\u0301\u0302\u0303\u0304", "q\u0301\u0302\u0303\u0304"},
	} {
		if got, err := someRules.ParseName("name", tt.given); got != tt.want || err != nil {
			t.Errorf("%s: %+q, %v; want %+q", name, got, err, tt.want)
		}
		if got, err := ParseMessage("message", tt.given+"\n"+tt.given); got != tt.want+" "+tt.want || err != nil {
			t.Errorf("%s: the message %+q, %v", name, got, err)
		}
	}
}

// A refusal says what the text has, and where.
func TestWhatARefusalSays(t *testing.T) {
	encoded := "The name has encoded text that begins with “=?”, at its beginning. Write it in plain letters."
	for given, want := range map[string]string{
		"Acme\x00Ltd":                     "The name has a control character, after “Acme”. Remove it.",
		"Acme\x1b[31m":                    "The name has a control character, after “Acme”. Remove it.",
		"Acme\u0090":                      "The name has a control character, after “Acme”. Remove it.",
		"Acme\nLtd":                       "The name has a line break or a tab, after “Acme”. Write it on one line.",
		"Acme Ltd\u2029":                  "The name has a line break or a tab, after “Acme Ltd”. Write it on one line.",
		"\u202edtL":                       "The name has a character that changes the direction of text, at its beginning. Remove it.",
		"The long Acme Ltd\u202d":         "The name has a character that changes the direction of text, after “…e long Acme Ltd”. Remove it.",
		"Acme\ufff9":                      "The name has a character that marks an annotation, after “Acme”. Remove it.",
		"Acme\ufffc":                      "The name has a character in place of an image, after “Acme”. Remove it.",
		"Acme\u3164":                      "The name has a letter that shows as nothing, after “Acme”. Remove it.",
		"\u3164":                          "The name has a letter that shows as nothing, at its beginning. Remove it.",
		"\uffa0":                          "The name has a letter that shows as nothing, at its beginning. Remove it.",
		"Acme\u206a":                      "The name has an invisible character, after “Acme”. Remove it.",
		"Acme\ue000":                      "The name has a private character, which others can't see, after “Acme”. Replace it.",
		"Acme\U0010ffff":                  "The name has a character that we don't know yet, after “Acme”. Replace it.",
		"Acme\U0002fffe":                  "The name has a character that we don't know yet, after “Acme”. Replace it.",
		"\U00013441":                      "The name has a letter that shows as nothing, at its beginning. Remove it.",
		"Acme\U00013442":                  "The name has a letter that shows as nothing, after “Acme”. Remove it.",
		"Acme\u0378":                      "The name has a character that we don't know yet, after “Acme”. Replace it.",
		"Acme\xff":                        "The name has a character that could not be read, after “Acme”. Type it again.",
		"Acme\xe2\x82":                    "The name has a character that could not be read, after “Acme”. Type it again.",
		"Acme\ufffd":                      "The name has a character that could not be read, after “Acme”. Type it again.",
		"\u0301\u0302":                    "The name has an accent or mark without a letter before it, at its beginning. Put a letter before it.",
		"\u200d\u0336Acme":                "The name has an accent or mark without a letter before it, at its beginning. Put a letter before it.",
		"q\u0301\u0302\u0303\u0304\u0305": "The name has too many accents or marks on one letter, after “q\u0301\u0302\u0303\u0304”. Remove some of them.",
		"ก" + strings.Repeat("\u0e31", 9): "The name has too many accents or marks on one letter, after “ก" + strings.Repeat("\u0e31", 8) + "”. Remove some of them.",
		"":                                "Give it a name.",
		" \u3000\u2800\u200d":             "Give it a name.",
		"\u0600":                          "Give it a name.",
		"=?utf-8?q?evil=2Ecom?=":          encoded,
		"=?UTF-8*en?B?ZXZpbA==?=":         encoded,
		"=?koi8-r?b?ZXZpbA":               encoded,
		"=? utf-8 ? Q ? evil":             encoded,
		"=\u00ad?utf-8?\u200bq?x":         encoded,
		"=?utf\u2003-8?q?a":               encoded,
		"Acme =?utf-8?q?x?=":              "The name has encoded text that begins with “=?”, after “Acme”. Write it in plain letters.",
		strings.Repeat("a\u00ad", 81):     "A name has at most 80 characters.",
	} {
		_, err := someRules.ParseName("name", given)
		if got := sentence(t, err); got != want {
			t.Errorf("%+q: %s\nwant %s", given, got, want)
		}
	}
	for given, want := range map[string]string{
		"Hello\n\x00": "The message has a control character, after “Hello”. Remove it.",
		"=?a?q?b":     "The message has encoded text that begins with “=?”, at its beginning. Write it in plain letters.",
		"\u0301":      "The message has an accent or mark without a letter before it, at its beginning. Put a letter before it.",
	} {
		_, err := ParseMessage("message", given)
		if got := sentence(t, err); got != want {
			t.Errorf("%+q: %s\nwant %s", given, got, want)
		}
	}
	for _, honest := range []string{"1+1=? Ask us", "a=?b", "Who? What? =?", "=?=", "E=mc²"} {
		if got, err := someRules.ParseName("name", honest); got != honest || err != nil {
			t.Errorf("%q: %q, %v", honest, got, err)
		}
	}
}

// A name that could be taken for the product's is refused, however it is written.
func TestNamesTakenForTheProduct(t *testing.T) {
	rules := Rules{Product: "Agency Hub"}
	for _, name := range []string{
		"Agency Hub", "agency hub", "AGENCY HUB", "AgencyHub", "Agency  Hub", "Agency Hub Security", "The Agency Hub", "Team of Agency Hub", "Agency Hub’s support",
		"\u0410gency Hub", "Agency \u041dub", "аgеnсу һub", "ΑGΕΝCΥ ΗUΒ", "Ａｇｅｎｃｙ Ｈｕｂ", "𝐀𝐠𝐞𝐧𝐜𝐲 𝓗𝓾𝓫", "Ⓐⓖⓔⓝⓒⓨ ⒽⓊⒷ", "ᴀɢᴇɴᴄʏ ʜᴜʙ", "🅰🅶🅴🅽🅲🆈 🅷🆄🅱",
		"A g e n c y H u b", "A.g.e.n.c.y-H.u.b", "Agency-Hub", "Agency_Hub", "(Agency) [Hub]", "Agency 💥 Hub", "Agency · Hub", "Agęncy Hüb", "A\u0336gency Hub",
		"agencyhub", "agencyhubsecurity", "myagencyhub", "AgencyHub2", "AgencyHubTeam", "Agency Hub2", "Agency\u00adHub", "Ag\u200dency Hub",
		"Support (Agency Hub)", "no-reply@agency-hub.com",
		// Signs and letters of other scripts and styles beside it.
		"Agency Hub™ Security", "Agency Hub℠", "Agency Hub①", "Agency Hub②", "Agency Hub²", "Agency Hubⓢ", "Agency Hub🅰", "℡Agency Hub", "Agency Hubᵀᴹ", "Agency Hubˢ",
		"Agency Hub│ Security", "Agency│Hub", "Agency × Hub", "Agency ∞ Hub", "Agency ② Hub", "Agency © Hub", "Agency ½ Hub", "Agency Hub客服", "客服Agency Hub", "Agency Hubの",
		"Agency Hub은", "Agency Hubไทย", "Agency Hubسپورت", "Agency Hubｓｅｃｕｒｉｔｙ", "Agency Hub\u20dd", "Agency Hub\u0e36", "Ag\u0e36ency Hub", "Agency Hub\u3099",
		// Signs and letters that are used for others.
		"Agenϲy hub", "AGENϹY hub", "ΛGENCY HUB", "ДGENCY HUB", "@gency Hub", "Ag€ncy Hub", "₳GENCY HUB", "AGEИCY HUB", "ᗩGEᑎᑕY ᕼᑌᗷ", "agencч hub", "Agenɕy Hub", "Agenƈy Hub",
		"agєncy hub", "Ag3ncy Hub", "Agency Hu8", "4g3ncy Hu8", "Agency Huб", "₳₲Ɇ₦₵Ɏ ⱧɄ฿",
	} {
		_, err := rules.ParseName("name", name)
		if CodeOf(err) != Invalid || sentence(t, err) != "This name could be taken for Agency Hub itself. Choose another one." {
			t.Errorf("%q: %v", name, err)
		}
	}
	for _, name := range []string{
		"Hub Agency of Kyiv", "Agency", "Hub", "Agency Hubert", "Media Agency Hubbard", "Wagency Hub", "Regency Hub", "Agency of the Hub", "Agency Hull", "Agency Haus",
		"Agencija Hub", "Агентство Хаб", "Hub", "Agency 2 Hub", "The Agency", "HubSpot Agency", "Agency Hubs", "漢字 Hub",
		"客服", "€ 3 Agency", "@ Agency", "Wagency│Hub", "4gency", "Agency 8", "Я Agency", "Agency 3 Hub",
	} {
		if got, err := rules.ParseName("name", name); got != name || err != nil {
			t.Errorf("%q: %q, %v", name, got, err)
		}
	}
	for product, names := range map[string]map[string]bool{
		"Lilo 10":     {"LI1O IO": true, "lilo l0": true, "Lilo 11": false, "Lilo  10": true, "Lilo10": true, "L ilo 10": true, "L ilo 10 Co": false},
		"Norma":       {"Norrna": true, "N0RMA": true, "Normal": false, "Norma Jean": true, "Enorma": false, "Nor Ma Co": false, "N o r m a": true, "NormaJean": false, "Norma2": false},
		"Überblick":   {"Uberblick": true, "Überblicke": true, "Über": false, "Ube1blick": false, "ÜberbIick": true, "Überb|ick": true, "Uberbl1ck": true},
		"Hammer":      {"Hammersmith Media": false, "Hammer": true, "Hamrner Support": true, "The Hammer™": true, "Hammer客服": true, "Hämmer": true},
		"Summit":      {"Summitview Ltd": false, "Summit Ltd": true, "Surnrnit": true, "Summity": false},
		"Commit":      {"Committee of Ten": false, "Commit-Team": true, "Com Mit Co": false, "Com Mit": true, "СОММІТ Team": true},
		"MailHub":     {"Mail Hub": true, "MailHub": true, "M. Ail Hub Co": false, "Mail.Hub Team": true, "mailhubs": false},
		"Люди":        {"Людина і Ко": false, "Люди": true, "Ми — люди": true, "Лю-ди": true, "Мы Лю-ди": false},
		"ไทย":         {"ไทยแลนด์": false, "ไทย": true, "ไท": false, "ไทย ทราเวล": false},
		"ไทยแลนด์":    {"ไทยแลนด์": true, "สวัสดี ไทยแลนด์": true, "ไทยแลนดา": false},
		"電通社":         {"新電通社": false, "電通社": true, "電通社客服": true, "電通": false, "電 通 社": true, "電 通 社 客服": false},
		"카카오":         {"카카오톡": false, "카카오": true, "카카온": false, "카카오 고객센터": false},
		"카카오페이":       {"카카오페이 고객센터": true, "카카오페이스": false, "카카오페이Support": true},
		"メルカリ":        {"メルカリ事務局": true, "メルカリ": true, "メルカリズ": false, "ﾒﾙｶﾘ": true},
		"ガード":         {"カード": false, "ガード": true, "ｶﾞｰﾄﾞ": true},
		"漢字":          {"漢 字": true, "漢字屋": true, "漢字客服中心": true, "新漢字": false, "字漢": false, "漢字の会": true},
		"मेरा":        {"मोर": false, "मार": false, "मीरा स्टूडियो": false, "मेरा": true, "मेरा!": true},
		"हब":          {"हिब": false, "हाबी": false, "हब": true, "ह ब": true},
		"एजेंसी हब":   {"एजेंसी हब": true, "एजेंसी हब सहायता": true, "एजेंसी हाब": false, "एजेंसी हबी": false},
		"סוכנות":      {"סוֹכְנוּת": true, "סוכנות תמיכה": true, "סוכנויות": false},
		"وكالة":       {"وِكَالَة": true, "وكالات": false},
		"Hub":         {"HubSpot Partner Kyiv": false, "GitHub Experts": false, "Impact Hub Kyiv": false, "Hub": true, "H.U.B.": true, "«НUВ»": true},
		"Mail":        {"Mali Travel": false, "Mall Media": false, "M. Ali & Co": false, "MailChimp Experts": false, "MAIL Team": true, "MaiI Team": true, "Ma1l": true, "MALI": false},
		"A1":          {"AI Studio": false, "Al-Amin": false, "À l’Ancienne": false, "A1": true, "A1 Ltd": false},
		"101":         {"LOL Studio": false, "1O1": true},
		"Go":          {"GoDaddy experts": false, "GO": true, "G0!": true},
		"C++":         {"Vitamin C": false, "C++": true},
		"X":           {"SpaceX": false, "4×4 Rental": false, "X": true, "𝕏": true},
		"★":           {"★": false, "Acme": false},
		"\U0002ebf0氏": {"\U0002ebf0氏": true, "\U0002ebf0氏客服": true, "新\U0002ebf0氏": false},
	} {
		for name, isRefused := range names {
			if _, err := (Rules{Product: product}).ParseName("name", name); (err != nil) != isRefused {
				t.Errorf("%q for %q: %v", name, product, err)
			}
		}
	}
}

// Letters of Han for which Unicode 15 has free places only are stored as they are.
func TestNewLettersOfHan(t *testing.T) {
	for _, name := range []string{"\U0002ebf0氏", "\U000323b0", "葛\U0002ee5d", "\U0002ebf0\U000e0100"} {
		if got, err := someRules.ParseName("name", name); got != name || err != nil {
			t.Errorf("%+q: %+q, %v", name, got, err)
		}
	}
}

// The work that a text makes grows with its length, and one far over the limit makes none.
func TestWorkOfLongTexts(t *testing.T) {
	least := func(text string) float64 {
		least := time.Hour
		for range 7 {
			began := time.Now()
			plain(text)
			least = min(least, time.Since(began))
		}
		return float64(least)
	}
	const more = 16
	for _, part := range []string{"\u200d\ufe0f", "\u200c", "a\u0301\u200d", "\u0315\u200d", "👩\ufe0f\u200d", "𓀀\U00013430", "ᠠ\u180e"} {
		short, long := strings.Repeat(part, 500), strings.Repeat(part, 500*more)
		// Quadratic work is 256 times as much.
		if ratio := least(long) / least(short); ratio > 5*more {
			t.Errorf("%+q: %d times as long takes %.0f times as long", part, more, ratio)
		}
	}
	for limit, parse := range map[int]func(string) error{
		MaxTypedName:    func(s string) error { _, err := someRules.ParseName("name", s); return err },
		MaxTypedMessage: func(s string) error { _, err := ParseMessage("message", s); return err },
	} {
		if err := parse("a" + strings.Repeat("\u200b", limit-1)); err != nil {
			t.Errorf("%d characters: %v", limit, err)
		}
		if says := sentence(t, parse("a"+strings.Repeat("\u200b", limit))); !strings.Contains(says, " has at most ") {
			t.Errorf("%d characters: %s", limit+1, says)
		}
	}
}

func TestFold(t *testing.T) {
	for given, want := range map[string]string{
		"Acme LTD": "acme ltd", "علی\u200cرضا": "علیرضا", "❤\ufe0f Mail": "❤ mail", "葛\U000e0100城": "葛城", "ශ්\u200dරී": "ශ්රී", "Cafe\u0301": "café",
	} {
		if got := Fold(given); got != want || Fold(got) != got {
			t.Errorf("%+q: %+q; want %+q", given, got, want)
		}
	}
	if !SameName("علی\u200cرضا ❤", "علیرضا ❤\ufe0f") || SameName("Acme", "Akme") {
		t.Error("SameName counts what is invisible")
	}
}

// oddText draws texts of what is special in names; one in eight has any other character too.
func oddText() *rapid.Generator[string] {
	odd := []rune(" \u00a0\u3000aAé=?qQbB?=0149-.e\u0301\u0323\u0336\u0315क्षिारঅ্যشعلیَه가ᄀ\u1161\u11a8👩👨🏽🏴❤☺\u20e3#ᠰ\u0dd9\u0dcaක字か\u3099ཀྵ𓀀𛰀\ufb4b\u2126\u0344\u0f73")
	for _, s := range specials {
		if s.treatment != refused {
			odd = append(odd, s.from, s.to, s.from, s.to)
		}
	}
	odds := rapid.SliceOfN(rapid.SampledFrom(odd), 0, 60)
	return rapid.Custom(func(t *rapid.T) string {
		runes := odds.Draw(t, "odd")
		if rapid.IntRange(0, 7).Draw(t, "any") == 0 {
			runes = append(runes, rapid.Rune().Draw(t, "rune"))
		}
		return string(runes)
	})
}

// checkText holds a name and a message to README, Names and messages.
func checkText(t interface {
	Fatalf(string, ...any)
	Helper()
}, given string) {
	t.Helper()
	for _, read := range []struct {
		parse func(string) (string, error)
		most  int
	}{
		{func(s string) (string, error) { return someRules.ParseName("x", s) }, MaxName},
		{func(s string) (string, error) { return ParseMessage("x", s) }, MaxMessage},
	} {
		got, err := read.parse(given)
		if err != nil {
			sentence(t, err)
			continue
		}
		again, err := read.parse(got)
		switch {
		case again != got || err != nil:
			t.Fatalf("%+q, then %+q, %v", got, again, err)
		case !norm.NFC.IsNormalString(got) || !utf8.ValidString(got) || utf8.RuneCountInString(got) > read.most:
			t.Fatalf("%+q", got)
		case got == "" && read.most == MaxName:
			t.Fatalf("%+q is a name of nothing", given)
		case encodedWord.MatchString(got):
			t.Fatalf("encoded: %+q", got)
		case without(given) != without(got):
			t.Fatalf("%+q has become %+q: more than what is listed", given, got)
		case PlainText(got) != got || strings.Join(strings.Fields(got), " ") != got:
			t.Fatalf("%+q is not plain", got)
		}
	}
}

// without returns a text in NFC without what is listed, with single blanks.
func without(s string) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case r == 0x2800 || unicode.IsSpace(r):
			return ' '
		case slices.ContainsFunc(listedRanges, func(l [2]rune) bool { return l[0] <= r && r <= l[1] }):
			return -1
		default:
			return r
		}
	}, s)
	return norm.NFC.String(strings.Join(strings.Fields(s), " "))
}

var listedRanges = func() (out [][2]rune) {
	for _, l := range listed {
		var from, to rune
		if n, err := fmt.Sscanf(l, "%X-%X", &from, &to); n < 2 {
			if to = from; n == 0 {
				panic(err)
			}
		}
		out = append(out, [2]rune{from, to})
	}
	return out
}()

func TestNamesHold(t *testing.T) {
	taken, drawn := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		given := oddText().Draw(t, "given")
		checkText(t, given)
		if drawn++; len(given) == 0 {
			return
		}
		if _, err := ParseMessage("x", given); err == nil {
			taken++
		}
	})
	if taken < drawn/4 {
		t.Errorf("%d of %d texts are taken", taken, drawn)
	}
}

func FuzzName(f *testing.F) {
	for _, seed := range []string{
		"Acme Ltd", "علی\u200cرضا", "ශ්\u200dරී", "👨\u200d👩\u200d👧", "🏴\U000e0067\U000e0062\U000e0073\U000e0063\U000e0074\U000e007f",
		"1\ufe0f\u20e3", "=?utf-8?q?evil=2Ecom?=", "\u0dd9\u0dca\u200dක", "Cafe\u200d\u0301", "q\u0301\u0302\u0303\u0304\u0305", "\u2800", "葛\U000e0100", "a\xffb",
	} {
		f.Add(seed)
	}
	f.Fuzz(checkText2)
}

func checkText2(t *testing.T, given string) { checkText(t, given) }

// The tables name each character once, and in order.
func TestSpecialsAreInOrder(t *testing.T) {
	last := rune(-1)
	for _, s := range specials {
		if s.from <= last || s.to < s.from || (s.treatment == refused) != (s.flaw != flaw{}) {
			t.Errorf("%U-%U", s.from, s.to)
		}
		last = s.to
	}
	for r, look := range lookalikes {
		if r <= unicode.MaxASCII || strings.Trim(look, "abcdefghijklmnopqrstuvwxyz0123456789") != "" || look == "" {
			t.Errorf("%U is like %q", r, look)
		}
	}
	if len(lookalikes) < 2000 || len(slices.Collect(maps.Keys(lookalikes))) != len(lookalikes) {
		t.Error(len(lookalikes))
	}
}
