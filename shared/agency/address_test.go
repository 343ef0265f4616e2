package agency

import (
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/idna"
	"golang.org/x/text/unicode/norm"
	"pgregory.net/rapid"
)

var refusals = []string{badForm, hiddenCharacter, unmailableLocal, unmailableDomain, addressTooLong}

// longDomain has 193 octets.
var longDomain = strings.Repeat(strings.Repeat("d", 46)+".", 4) + "test1"

// addresses are typed addresses, and their normal form or why they are refused.
var addresses = []struct{ given, want, refusal string }{
	{"ann@client.test", "ann@client.test", ""},
	{" Ann.Lee+shop@Client.TEST\u00a0\n", "ann.lee+shop@client.test", ""},
	{"o'hara@client.test", "o'hara@client.test", ""},
	{"!#$%&'*+-/=?^_`{|}~@client.test", "!#$%&'*+-/=?^_`{|}~@client.test", ""},
	{"=?utf-8?q?ann?=@client.test", "=?utf-8?q?ann?=@client.test", ""},
	{"ann@r3---sn.my--shop.test", "ann@r3---sn.my--shop.test", ""},
	{"ann@163.com", "ann@163.com", ""},
	{strings.Repeat("a", 64) + "@client.test", strings.Repeat("a", 64) + "@client.test", ""},
	{strings.Repeat("a", 65) + "@client.test", "", addressTooLong},
	{strings.Repeat("a", 60) + "@" + longDomain, strings.Repeat("a", 60) + "@" + longDomain, ""},
	{strings.Repeat("a", 61) + "@" + longDomain, "", addressTooLong},
	{"ann@" + strings.Repeat("d", 63) + ".test", "ann@" + strings.Repeat("d", 63) + ".test", ""},
	{"ann@" + strings.Repeat("d", 64) + ".test", "", unmailableDomain},
	{"ann@" + strings.Repeat("ü", 59) + ".test", "", unmailableDomain},

	// Spellings of one domain.
	{"olga@bücher.test", "olga@xn--bcher-kva.test", ""},
	{"olga@BU\u0308CHER.test", "olga@xn--bcher-kva.test", ""},
	{"olga@XN--BCHER-KVA.test", "olga@xn--bcher-kva.test", ""},
	{"ann@ｃｌｉｅｎｔ。ｔｅｓｔ", "ann@client.test", ""},
	{"kim@\u212alient.test", "kim@klient.test", ""},
	// Other domains.
	{"ann@straße.test", "ann@xn--strae-oqa.test", ""},
	{"ann@strasse.test", "ann@strasse.test", ""},
	{"ann@g\u0131gant.test", "ann@xn--ggant-n4a.test", ""},
	{"ann@G\u0130GANT.test", "ann@xn--gigant-qyd.test", ""},
	{"ann@نامه\u200cای.test", "ann@xn--mgba3gch31f060k.test", ""},
	{"ann@نامهای.test", "ann@xn--mgba3gch31f.test", ""},

	{"", "", badForm},
	{"ann", "", badForm},
	{"ann@", "", badForm},
	{"@client.test", "", badForm},
	{"ann@@client.test", "", badForm},
	{"ann@client.test@x.test", "", badForm},
	{"ann＠client.test", "", badForm},
	{"Ann <ann@client.test>", "", badForm},
	{"<ann@client.test>", "", badForm},
	{"ann@client.test, bob@client.test", "", badForm},
	{"ann@client.test (Ann)", "", badForm},
	{`"ann lee"@client.test`, "", badForm},
	{`"ann"@client.test`, "", badForm},
	{"ann lee@client.test", "", badForm},
	{"ann\u00a0lee@client.test", "", badForm},
	{"ann\u2003@client.test", "", badForm},
	{"ann@client.test\r\nBcc: bob@x.test", "", badForm},
	{".ann@client.test", "", badForm},
	{"ann.@client.test", "", badForm},
	{"ann..lee@client.test", "", badForm},
	{"mailto:ann@client.test", "", badForm},
	{"ann\xff@client.test", "", badForm},
	{"ann@client\xe2\x82.test", "", badForm},

	{"zo\u00eb@client.test", "", unmailableLocal},
	{"zoe\u0308@client.test", "", unmailableLocal},
	{"\u0130nfo@gigant.test", "", unmailableLocal},
	{"\u0131nfo@gigant.test", "", unmailableLocal},
	{"\u212aim@client.test", "", unmailableLocal},
	{"ａnn@client.test", "", unmailableLocal},
	{"анна@client.test", "", unmailableLocal},

	{"ann@client", "", unmailableDomain},
	{"ann@client.", "", unmailableDomain},
	{"ann@client.test.", "", unmailableDomain},
	{"ann@client.test。", "", unmailableDomain},
	{"ann@.test", "", unmailableDomain},
	{"ann@client..test", "", unmailableDomain},
	{"ann@-client.test", "", unmailableDomain},
	{"ann@client-.test", "", unmailableDomain},
	{"ann@-bücher.test", "", unmailableDomain},
	{"ann@xn---bcher-kva.test", "", unmailableDomain},
	{"ann@cli_ent.test", "", unmailableDomain},
	{"ann@127.0.0.1", "", unmailableDomain},
	{"ann@[127.0.0.1]", "", unmailableDomain},
	{"ann@[IPv6:::1]", "", unmailableDomain},
	{"ann@client.test/x", "", unmailableDomain},
	{"ann@xn--a.test", "", unmailableDomain},
	{"ann@xn--.test", "", unmailableDomain},
	{"ann@xn--client-.test", "", unmailableDomain},
	{"ann@xn--BCHER-KVB.test", "", unmailableDomain},
	{"ann@xn--\u0130-856b.test", "", unmailableDomain},
	{"ann@client。ＸＮ－－ü-856b.test", "", unmailableDomain},
	{"ann@xn--bcher-\u212ava.test", "ann@xn--bcher-kva.test", ""},
	{"ann@STRA\u1e9eE.test", "", unmailableDomain},
	{"ann@1עברית.test", "", unmailableDomain}, // the Bidi rule
	{"ann@\u2100.test", "", unmailableDomain}, // a/c

	{"ann\u200b@client.test", "", hiddenCharacter},
	{"\ufeffann@client.test", "", hiddenCharacter},
	{"ann@client.test\u200e", "", hiddenCharacter},
	{"ann@cli\u00adent.test", "", hiddenCharacter},
	{"ann@cli\u2060ent.test", "", hiddenCharacter},
	{"ann@client.test\ufe0f", "", hiddenCharacter},
	{"ann\u200d@client.test", "", hiddenCharacter},
	{"ann@cli\u200dent.test", "", hiddenCharacter},
	{"ann@\u2800client.test", "", hiddenCharacter},
	{"ann\u3164@client.test", "", hiddenCharacter},
	{"ann\x00@client.test", "", hiddenCharacter},
	{"ann@client.test\x7f", "", hiddenCharacter},
	{"ann\U000e0041@client.test", "", hiddenCharacter},
}

func TestParseEmail(t *testing.T) {
	for _, tt := range addresses {
		got, err := ParseEmail("owner", tt.given)
		if got != tt.want || NormaliseEmail(tt.given) != tt.want {
			t.Errorf("%+q: %+q, want %+q", tt.given, got, tt.want)
		}
		if tt.refusal == "" && err != nil || tt.refusal != "" && !isRefusal(err, "owner", tt.refusal) {
			t.Errorf("%+q: %v, want %q", tt.given, err, tt.refusal)
		}
		if (NewPersonID(tt.given) == "") != (tt.want == "") || NewPersonID(tt.given) != NewPersonID(tt.want) {
			t.Errorf("%+q is another person than %+q", tt.given, tt.want)
		}
	}
}

// isRefusal reports whether an error refuses a field with one sentence, or one of several.
func isRefusal(err error, field string, sentences ...string) bool {
	e, ok := err.(*Error) //nolint:errorlint // ParseEmail answers its own refusals bare
	return ok && e.Code == Invalid && len(e.Fields) == 1 && e.Fields[0].Field == field &&
		slices.Contains(sentences, e.Message) && e.Fields[0].Message == e.Message
}

func TestRefusalsOfAddressesAreShort(t *testing.T) {
	for _, text := range refusals {
		for sentence := range strings.SplitSeq(text, ". ") {
			if n := len(strings.Fields(sentence)); n > 20 {
				t.Errorf("%d words: %s", n, sentence)
			}
		}
	}
}

func TestDisplayEmail(t *testing.T) {
	for given, want := range map[string]string{
		"ann@client.test":         "ann@client.test",
		"olga@xn--bcher-kva.test": "olga@bücher.test",
		"olga@BÜCHER.test":        "olga@bücher.test",
		"ann@straße.test":         "ann@straße.test",
		"ann@日本語カタカナabc.test":     "ann@日本語カタカナabc.test",
		"ann@한국어abc.test":         "ann@한국어abc.test",
		"ann@пример.рф":           "ann@пример.рф",
		"ann@хор.рф":              "ann@хор.рф",
		"ann@пример.bücher.test":  "ann@пример.bücher.test",
		"ann@עברית.test":          "ann@עברית.test",
		"ann@हिन्दी.test":         "ann@हिन्दी.test",
		"ann@ไทย.test":            "ann@ไทย.test",
		"ann@р\u0430ypal.test":    "ann@xn--ypal-43d9g.test",
		"ann@аррӏе.test":          "ann@xn--80ak6aa92e.test",
		"ann@βήτα.test":           "ann@βήτα.test",
		"ann@νικαρο.test":         "ann@xn--mxapdknl.test",
		"ann@ɡoogle.test":         "ann@xn--oogle-qmc.test",
		"ann@pɑypɑl.test":         "ann@xn--pypl-q5bc.test",
		"ann@ᴘaypal.test":         "ann@xn--aypal-439a.test",
		"ann@ǀnfo.test":           "ann@xn--nfo-ubb.test",
		"ann@exampleǃ.test":       "ann@xn--example-bec.test",
		"ann@lınkedin.test":       "ann@xn--lnkedin-rfb.test",
		"ann@հօոս.test":           "ann@xn--ebbqp4a.test",
		"ann@ⲟⲣ.test":             "ann@xn--zhji.test",
		"ann@ᏟᏟ.test":             "ann@xn--ybea.test",
		"ann@ɡoogle.рф":           "ann@xn--oogle-qmc.xn--p1ai",
		"ann@գիրք.test":           "ann@գիրք.test",
		"ann@oʼneil.test":         "ann@xn--oneil-d2c.test",
		"ann@kærlighed.test":      "ann@kærlighed.test",
		"ann@søren.test":          "ann@søren.test",
		"ann@włochy.test":         "ann@włochy.test",
		"ann@đakovo.test":         "ann@đakovo.test",
		"ann@пример.срб":          "ann@пример.срб",
		"ann@例え-1.test":           "ann@例え-1.test",
		"ann@g\u0130gant.test":    "ann@xn--gigant-qyd.test",
		"ann@client.test╱x.test":  "ann@client.xn--testx-ll0c.test",
		"ann@☃.test":              "ann@xn--n3h.test",
		"ann@نامه\u200cای.test":   "ann@xn--mgba3gch31f060k.test",
		"ann@xn--nonsense-.test":  "",
		"what is no address":      "what is no address",
		"":                        "",
	} {
		email := NormaliseEmail(given)
		if email == "" {
			// DisplayEmail leaves what is no address as it is.
			email, want = given, given
		}
		if got := DisplayEmail(email); got != want {
			t.Errorf("%s is shown as %q, want %q", email, got, want)
		}
	}
}

// oracle is the rule of addresses, written a second time: the local parts are equal but
// for the case of ASCII letters, and the domains are equal once their xn-- labels are
// decoded and both are compatibility-composed and in lower case.
func oracle(t *rapid.T, a, b string) bool {
	form := func(address string) string {
		address = strings.TrimSpace(address)
		local, domain, _ := strings.Cut(address, "@")
		local = string(norm.NFC.Bytes(slices.Collect(func(yield func(byte) bool) {
			for _, c := range []byte(local) {
				if 'A' <= c && c <= 'Z' {
					c |= 0x20
				}
				if !yield(c) {
					return
				}
			}
		})))
		labels := strings.Split(norm.NFKC.String(strings.ReplaceAll(domain, "。", ".")), ".")
		for i, label := range labels {
			if len(label) > 4 && strings.EqualFold(label[:4], "xn--") {
				labels[i] = decodePunycode(t, strings.ToLower(label[4:]))
			}
			// strings.ToLower makes an i of İ, whose lower case is an i with a dot above.
			labels[i] = norm.NFKC.String(strings.ToLower(strings.ReplaceAll(labels[i], "\u0130", "i\u0307")))
		}
		return local + "@" + strings.Join(labels, ".")
	}
	return form(a) == form(b)
}

// decodePunycode decodes a label without its prefix (RFC 3492, 6.2).
func decodePunycode(t *rapid.T, s string) string {
	var out []rune
	if at := strings.LastIndexByte(s, '-'); at > 0 {
		out, s = []rune(s[:at]), s[at+1:]
	}
	n, i, bias := 128, 0, 72
	for first := true; s != ""; first = false {
		old, weight := i, 1
		for k := 36; ; k += 36 {
			if s == "" {
				t.Fatal("no punycode")
			}
			digit := strings.IndexByte("abcdefghijklmnopqrstuvwxyz0123456789", s[0])
			s = s[1:]
			i += digit * weight
			threshold := min(max(k-bias, 1), 26)
			if digit < threshold {
				break
			}
			weight *= 36 - threshold
		}
		count := len(out) + 1
		delta := (i - old) / 2
		if first {
			delta = (i - old) / 700
		}
		delta += delta / count
		k := 0
		for ; delta > 455; k += 36 {
			delta /= 35
		}
		bias = k + 36*delta/(delta+38)
		n, i = n+i/count, i%count
		out = slices.Insert(out, i, rune(n))
		i++
	}
	return string(out)
}

// letters of labels: plain ones, and those that some mapping takes for another.
var labelLetters = []rune("abkisßſıüöеаоκçéåКk日本")

func drawDomain(t *rapid.T) string {
	labels := rapid.SliceOfN(rapid.StringOfN(rapid.SampledFrom(labelLetters), 1, 6, -1), 1, 3).Draw(t, "labels")
	return strings.Join(append(labels, "test"), ".")
}

// respell writes an address in another way, which may be another address.
func respell(t *rapid.T, address string) string {
	local, domain, _ := strings.Cut(address, "@")
	for range rapid.IntRange(0, 3).Draw(t, "changes") {
		switch rapid.IntRange(0, 11).Draw(t, "change") {
		case 0:
			local = strings.ToUpper(local)
		case 1:
			domain = strings.ToUpper(domain)
		case 2:
			domain = norm.NFD.String(domain)
		case 3:
			domain = strings.ReplaceAll(domain, ".", "。")
		case 4:
			if ascii, err := idna.Punycode.ToASCII(strings.ToLower(norm.NFKC.String(domain))); err == nil {
				domain = ascii
			}
		case 5:
			domain = strings.Map(func(r rune) rune {
				if '!' <= r && r <= '~' && r != '.' {
					return r - '!' + '！'
				}
				return r
			}, domain)
		case 6:
			local = swap(t, local)
		case 7:
			domain = swap(t, domain)
		case 8:
			domain = strings.ReplaceAll(domain, "ß", "ss")
		case 9:
			domain += "."
		case 10:
			local += rapid.SampledFrom([]string{"\u200d", "\u0301", "x", "+1"}).Draw(t, "added")
		case 11:
			return " " + local + "@" + domain + "\u00a0"
		}
	}
	return local + "@" + domain
}

// swap replaces a letter by what can be taken for it.
func swap(t *rapid.T, s string) string {
	pair := rapid.SampledFrom([][2]string{
		{"k", "\u212a"}, {"i", "\u0131"}, {"i", "\u0130"}, {"s", "ſ"}, {"a", "а"}, {"a", "ａ"}, {"e", "е"}, {"o", "о"}, {"å", "\u212b"}, {"ss", "ß"}, {"ü", "u"},
	}).Draw(t, "pair")
	return strings.ReplaceAll(s, pair[0], pair[1])
}

// Two addresses are one person if, and only if, the rule says so.
func TestPeopleAreToldApart(t *testing.T) {
	one, two, refused := 0, 0, 0
	check := func(t *rapid.T) {
		a := rapid.StringMatching(`[A-Za-z0-9'+_-]{1,4}(\.[A-Zkis]{1,3})?`).Draw(t, "local") + "@" + drawDomain(t)
		b := respell(t, a)
		if rapid.IntRange(0, 9).Draw(t, "whole") == 0 {
			b = rapid.StringMatching(`[akis]{1,2}`).Draw(t, "other local") + "@" + drawDomain(t)
		}
		if NormaliseEmail(a) == "" || NormaliseEmail(b) == "" {
			refused++
			if NewPersonID(a) != "" && NewPersonID(a) == NewPersonID(b) {
				t.Fatalf("%+q and %+q are one person, and one of them is refused", a, b)
			}
			return
		}
		same := NewPersonID(a) == NewPersonID(b)
		if same {
			one++
		} else {
			two++
		}
		if same != oracle(t, a, b) || same != (NormaliseEmail(a) == NormaliseEmail(b)) || same && Mailbox(a) != Mailbox(b) {
			t.Fatalf("%+q and %+q are one person: %t; they are %q and %q", a, b, same, NormaliseEmail(a), NormaliseEmail(b))
		}
	}
	for range 10 { // 1,000 pairs, so that each kind occurs
		rapid.Check(t, check)
	}
	if one < 10 || two < 10 || refused < 10 {
		t.Errorf("%d pairs are one person, %d are two, %d are refused: that shows nothing", one, two, refused)
	}
}

// Respellings that DNS makes one domain are taken, and are one person.
func TestEverySpellingIsOnePerson(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := "Ann@" + drawDomain(t)
		if NormaliseEmail(a) == "" {
			t.Skip("no domain")
		}
		local, domain, _ := strings.Cut(DisplayEmail(NormaliseEmail(a)), "@")
		ascii := NormaliseEmail(a)[len("ann@"):]
		for _, b := range []string{
			local + "@" + domain, "ANN@" + ascii, "ann@" + strings.ToUpper(ascii), local + "@" + norm.NFD.String(domain),
			" " + local + "@" + strings.ReplaceAll(domain, ".", "。") + "\t", local + "@" + strings.ReplaceAll(ascii, "k", "\u212a"),
		} {
			if NewPersonID(a) != NewPersonID(b) || NewPersonID(a) == "" {
				t.Fatalf("%+q and %+q are two people", a, b)
			}
		}
	})
}

// checkAddress checks what holds for every text, taken or refused.
func checkAddress(t interface {
	Helper()
	Fatalf(string, ...any)
}, given string,
) {
	t.Helper()
	email, err := ParseEmail("email", given)
	if err != nil {
		if email != "" || !isRefusal(err, "email", refusals...) || NewPersonID(given) != "" {
			t.Fatalf("%+q: %q, %v", given, email, err)
		}
		return
	}
	if again, err := ParseEmail("email", email); again != email || err != nil {
		t.Fatalf("%+q, then %+q, %v", email, again, err)
	}
	local, domain, _ := strings.Cut(email, "@")
	if strings.ContainsFunc(email, func(r rune) bool { return r <= ' ' || r > '~' || unicode.IsUpper(r) }) || len(email) > 254 || len(local) > 64 ||
		strings.Contains(domain, "@") || !strings.Contains(domain, ".") {
		t.Fatalf("%+q is taken as %+q", given, email)
	}
	// The other library's own profile agrees on the domain.
	_, typed, _ := strings.Cut(strings.TrimSpace(given), "@")
	if other, err := idna.Lookup.ToASCII(typed); err == nil && other != domain {
		t.Fatalf("%+q has the domain %q, want %q", given, domain, other)
	}
	// Nothing but ASCII letters changes in a local part.
	if before, _, _ := strings.Cut(strings.TrimSpace(given), "@"); !strings.EqualFold(before, local) || len(before) != len(local) {
		t.Fatalf("%+q becomes %+q", given, email)
	}
	shown := DisplayEmail(email)
	if back := NormaliseEmail(shown); back != email || !utf8.ValidString(shown) || strings.ContainsFunc(shown, isHidden) {
		t.Fatalf("%q is shown as %+q, which is %q", email, shown, back)
	}
	if NewPersonID(given) != NewPersonID(shown) || !NewPersonID(given).IsValid() {
		t.Fatalf("%+q and %+q are two people", given, shown)
	}
}

// confusing are characters that mappings, editors or readers change.
var confusing = []rune("aAkKisſß\u1e9e\u212a\u212b\u0130\u0131\uff21\uff41\uff20\uff0e\u3002\uff61@@..-+xn\u0301\u0307\u0308\u200c\u200d\u200b\u00ad\ufeff\u2800\u3164\u202e\ufe0f\u00e9\u0430\u03c3\u03c2\u05d0\u0627\u0967\u2100\u00bd\u2028 \t\u00a0\U0001f600\U000e0041")

func TestAddressesHold(t *testing.T) {
	character := rapid.OneOf(rapid.SampledFrom(confusing), rapid.SampledFrom([]rune("abcdeklmst019.-_")), rapid.Rune())
	rapid.Check(t, func(t *rapid.T) {
		local := rapid.OneOf(rapid.StringMatching(`[a-zA-Z.+]{1,8}`), rapid.StringOfN(character, 0, 70, -1)).Draw(t, "local")
		label := rapid.OneOf(rapid.StringMatching(`(xn--)?[a-z0-9-]{1,9}`), rapid.StringOfN(character, 0, 12, -1))
		domain := strings.Join(rapid.SliceOfN(label, 1, 4).Draw(t, "labels"), rapid.SampledFrom([]string{".", "。"}).Draw(t, "dot"))
		checkAddress(t, local+rapid.SampledFrom([]string{"@", "@", "@", "＠", ""}).Draw(t, "at")+domain)
		checkAddress(t, "ann@"+domain+".test")
	})
}

func FuzzParseEmail(f *testing.F) {
	for _, seed := range []string{
		"Ann@Client.test", "olga@BÜCHER.test", "olga@XN--BCHER-KVA.test", "\u0130nfo@gigant.test", "\u212aim@\u212alient.test", "ann＠client.test",
		"ann@ｃｌｉｅｎｔ。test", "ann@STRA\u1e9eE.test", "ann@نامه\u200cای.test", "ann@xn--client-.test", "ann@[127.0.0.1]", "ann@client.test\r\nBcc: x@y.test", "a\u0301@b\u0307.c", "",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, given string) { checkAddress(t, given) })
}
