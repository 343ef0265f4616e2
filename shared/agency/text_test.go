package agency

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// hostile is text that would show as something else than it is. No address may contain it.
var hostile = map[string]string{
	"null":                   "Acme\x00Ltd",
	"escape":                 "Acme\x1b[31mLtd",
	"delete":                 "Acme\x7fLtd",
	"C1 control":             "Acme\u0090Ltd",
	"right-to-left override": "Acme\u202edtL",
	"left-to-right mark":     "Acme\u200eLtd",
	"isolate":                "Acme\u2066Ltd\u2069",
	"zero-width space":       "Acme\u200bLtd",
	"zero-width non-joiner":  "Acme\u200cLtd",
	"byte order mark":        "\ufeffAcme",
	"word joiner":            "Acme\u2060Ltd",
	"soft hyphen":            "Acme\u00adLtd",
	"tag characters":         "Acme\U000e0041\U000e0042",
	"invisible filler":       "Acme\u3164Ltd",
	"half-width filler":      "Acme\uffa0Ltd",
	"invalid UTF-8":          "Acme\xffLtd",
	"half a rune":            "Acme\xe2\x82",
	"replacement character":  "Acme\ufffdLtd",
}

func TestHostileAddressesAreRefused(t *testing.T) {
	for name, text := range hostile {
		if got, err := ParseEmail("email", strings.ReplaceAll(text, " ", "")+"@client.test"); CodeOf(err) != Invalid {
			t.Errorf("%s in an address: %+q, %v", name, got, err)
		}
	}
}

func TestReadName(t *testing.T) {
	accents := strings.Repeat("e\u0301", MaxName)
	for _, tt := range []struct {
		name, given, want string
		refused           bool
	}{
		{name: "plain", given: "Acme Ltd", want: "Acme Ltd"},
		{name: "blanks", given: "  Acme   Ltd ", want: "Acme Ltd"},
		{name: "no-break spaces", given: "Acme\u00a0\u2003Ltd", want: "Acme Ltd"},
		{name: "composed", given: "Cafe\u0301", want: "Caf\u00e9"},
		{name: "other scripts", given: "株式会社 עברית عربي Ελλάδα", want: "株式会社 עברית عربي Ελλάδα"},
		{name: "a family of emoji", given: "👨\u200d👩\u200d👧 shop", want: "👨\u200d👩\u200d👧 shop"},
		{name: "a heart in colour", given: "I ❤\ufe0f mail", want: "I ❤\ufe0f mail"},
		{name: "markup is text", given: `<b>"Acme" & Søn</b> {{.}}`, want: `<b>"Acme" & Søn</b> {{.}}`},
		{name: "80 characters", given: strings.Repeat("ä", MaxName), want: strings.Repeat("ä", MaxName)},
		{name: "80 characters when composed", given: accents, want: strings.Repeat("\u00e9", MaxName)},
		{name: "81 characters", given: strings.Repeat("ä", MaxName+1), refused: true},
		{name: "80 and blanks around", given: " " + strings.Repeat("a", MaxName) + " ", want: strings.Repeat("a", MaxName)},
		{name: "many combining marks", given: "Z" + strings.Repeat("\u0336", MaxName), refused: true},
		{name: "empty", given: "", refused: true},
		{name: "blanks alone", given: " \u2003 ", refused: true},
		{name: "a joiner alone", given: "\u200d", refused: true},
		{name: "combining marks alone", given: "\u0301\u0302", refused: true},
		{name: "an enclosing mark alone", given: "\u20dd", refused: true},
		{name: "two lines", given: "Acme\nLtd", refused: true},
		{name: "a tab", given: "Acme\tLtd", refused: true},
		{name: "a header", given: "Acme\r\nBcc: x@y.test", refused: true},
		{name: "a line separator", given: "Acme\u2028Ltd", refused: true},
		{name: "a newline at the end", given: "Acme\n", refused: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := someRules.ParseName("name", tt.given)
			if got != tt.want || tt.refused != (CodeOf(err) == Invalid) || !tt.refused && err != nil {
				t.Errorf("%+q, %v; want %+q", got, err, tt.want)
			}
			if tt.refused && err.(*Error).Fields[0].Field != "name" { //nolint:errorlint,forcetypeassert // seen to be one
				t.Errorf("refused for another field: %v", err)
			}
		})
	}
}

func TestReadMessage(t *testing.T) {
	for _, tt := range []struct {
		name, given, want string
		refused           bool
	}{
		{name: "none", given: "", want: ""},
		{name: "blanks alone", given: " \n ", want: ""},
		{name: "lines become blanks", given: "Hello,\r\n\r\n\tlet us in.\n", want: "Hello, let us in."},
		{name: "line separators become blanks", given: "a\u2028b\u2029c\u0085d", want: "a b c d"},
		{name: "500 characters", given: strings.Repeat("ß", MaxMessage), want: strings.Repeat("ß", MaxMessage)},
		{name: "501 characters", given: strings.Repeat("ß", MaxMessage+1), refused: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := ParseMessage("message", tt.given)
			if got != tt.want || tt.refused != (CodeOf(err) == Invalid) {
				t.Errorf("%q, %v; want %q", got, err, tt.want)
			}
		})
	}
}

// Accepted text is bounded and on one line. Parsing it again changes nothing.
func TestTextHolds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		given := rapid.String().Draw(t, "given")
		for _, r := range []struct {
			read func(string, string) (string, error)
			most int
		}{{someRules.ParseName, MaxName}, {ParseMessage, MaxMessage}, {ParseEmail, MaxEmail}} {
			got, err := r.read("x", given)
			if err != nil {
				continue
			}
			if again, err := r.read("x", got); again != got || err != nil {
				t.Fatalf("%+q, then %+q, %v", got, again, err)
			}
			if utf8.RuneCountInString(got) > r.most || !utf8.ValidString(got) || strings.ContainsFunc(got, unicode.IsControl) {
				t.Fatalf("%+q", got)
			}
		}
	})
}

func TestReadAreas(t *testing.T) {
	for _, tt := range []struct {
		name   string
		given  Areas
		want   Areas
		fields []string
	}{
		{name: "given", given: Areas{"pages": Edit, "mail": View}, want: levels(Edit, View)},
		{name: "what is not named is none", given: Areas{"mail": View}, want: levels(None, View)},
		{name: "nothing", given: nil, fields: []string{"areas"}},
		{name: "empty", given: Areas{}, fields: []string{"areas"}},
		{name: "all none", given: levels(None, None), fields: []string{"areas"}},
		{name: "unknown area", given: Areas{"pages": Edit, "billing": Edit}, fields: []string{"areas.billing"}},
		{name: "another case", given: Areas{"Pages": Edit}, fields: []string{"areas.Pages"}},
		{name: "unknown levels", given: Areas{"pages": "admin", "mail": ""}, fields: []string{"areas.mail", "areas.pages"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := someRules.ParseAreas("areas", tt.given)
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
			var fields []string
			if err != nil {
				for _, f := range err.(*Error).Fields { //nolint:errorlint,forcetypeassert // ParseAreas answers its own refusals bare
					fields = append(fields, f.Field)
				}
			}
			if diff := cmp.Diff(tt.fields, fields); diff != "" || tt.fields != nil && CodeOf(err) != Invalid {
				t.Error(diff, err)
			}
		})
	}
}

func TestAreasHold(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		level := rapid.SampledFrom([]Level{"", None, View, Edit, "unknown"})
		draw := func(name string) Areas {
			out := Areas{}
			for _, area := range []string{"pages", "mail", "funnels"} {
				if l := level.Draw(t, name+area); l != "" {
					out[area] = l
				}
			}
			return out
		}
		a, b := draw("a "), draw("b ")
		low, high := a.lower(b), a.higher(b)
		if !low.isWithin(a) || !low.isWithin(b) || !a.isWithin(high) || !b.isWithin(high) {
			t.Fatalf("%v and %v: lower %v, higher %v", a, b, low, high)
		}
		if !low.Equal(b.lower(a)) || !high.Equal(b.higher(a)) {
			t.Fatalf("%v and %v: the order matters", a, b)
		}
		if frozen := a.cappedAtView(); !frozen.isWithin(a) || frozen.IsAny() != a.IsAny() {
			t.Fatalf("%v frozen is %v", a, frozen)
		}
		if a.Equal(b) != (a.isWithin(b) && b.isWithin(a)) || !a.Equal(someRules.CompleteAreas(a).higher(a)) {
			t.Fatalf("%v and %v", a, b)
		}
	})
}

func TestSameName(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want bool
	}{
		{"Dora Dance", "  Dora \t Dance ", true},
		{"Cafe\u0301", "Caf\u00e9", true},
		{"Dora Dance", "dora dance", false},
		{"Dora Dance", "", false},
		{"", " ", true},
	} {
		if got := SameName(c.a, c.b); got != c.want {
			t.Errorf("%q and %q: %t", c.a, c.b, got)
		}
	}
}
