package main

import (
	"regexp"
	"strings"
	"testing"
	"unicode"

	"golang.org/x/text/unicode/norm"
	"pgregory.net/rapid"

	"agencyhub/shared/agency"
)

// detectors are how mail programs find what they make links of, on the generous side: a
// host with a domain of any script, anything with a scheme, an address, a path, and digits
// with up to three characters between them that are no letters, or letters that look like
// a dash or a cross. They read wide, raised and circled characters as plain ones.
var detectors = map[string]*regexp.Regexp{
	"host":    regexp.MustCompile(`[\pL\pN-][.。]\pL{2,}`),
	"www":     regexp.MustCompile(`(?i)www[.。]`),
	"scheme":  regexp.MustCompile(`(?i)[a-z]:[\pL\pN/]|//`),
	"address": regexp.MustCompile(`[\pL\pN]@[\pL\pN]`),
	"path":    regexp.MustCompile(`\\\\[\pL\pN]`),
	"number":  regexp.MustCompile(`(?:\p{Nd}(?:[^\pL\p{Nd}\x{200c}]|\p{Lm}|[xXхХ]){0,3}){4}\p{Nd}|\p{Nd}[-’]\p{Nd}{3}[-’]\pL`),
	"encoded": regexp.MustCompile(`=\?`),
}

// found returns the detectors that find something in a text.
func found(text string) (by []string) {
	for name, detector := range detectors {
		if detector.MatchString(norm.NFKC.String(text)) {
			by = append(by, name)
		}
	}
	return by
}

func TestInert(t *testing.T) {
	for _, typed := range []string{
		"evil.test", "www.evil.test/now", "https://evil.test", "http:evil", "ann@evil.test", "evil。test", "ｅｖｉｌ．ｔｅｓｔ", "evil｡test", "ann＠evil", "мой.рф", "例え。テスト", `\\evil\share`, "file://evil",
		"tel:5551234", "mailto:a", "0800 11 12 13", "+49 (30) 1234-567", "555-1234567", "(555)123.4567", "٠٨٠٠١٢٣٤٥", "０８００１２３４", "१२३४५६७", "1‑800‑555‑0199", "5 5 5 1 2 3 4", "555\u00b71234567",
		"080ー1234ー5678", "080ｰ1234ｰ5678", "044x123x4567", "044×123X4567", "044х123х4567", "044∼123∼4567", "044⁓123⁓4567", "044’123’45’67", "044ʼ123ʼ45ʼ67", "044|123|45|67", "044;123;4567",
		"044 ♥ 123 ♥ 4567", "⁰⁴⁴¹²³⁴⁵", "₀₄₄₁₂₃₄", "⓪④④①②③", "⑽⑾⑿", "⑩⑪⑫", "𝟎𝟒𝟒𝟏𝟐", "०४४|१२३|४५", "1x800x555", "1’800’FLOWERS",
		"1-800-FLOWERS", "1️⃣2️⃣3️⃣4️⃣5️⃣6️⃣7️⃣", "=?utf-8?q?evil=2Etest?=", "=?", "a.bc.d", "10/10/2026", "call 12345", "3.14159", "192.168.0.1",
	} {
		plain := agency.PlainText(typed)
		got := inert(plain)
		if by := found(got); len(by) > 0 {
			t.Errorf("%q is found as %v", got, by)
		}
		if by := found(plain); len(by) == 0 && !strings.ContainsAny(typed, "\ufe0f") && typed != "call 12345" {
			t.Errorf("no detector finds %q before: the test shows nothing", plain)
		}
		if strings.ReplaceAll(got, nonJoiner, "") != plain {
			t.Errorf("%q reads as %q", plain, got)
		}
	}
	for _, honest := range []string{
		"Petra’s Bakery", "Inc. & Co.", "Bright Studio Ltd.", "Since 1998", "24/7", "Studio 54, Suite 12", "1234", "Q&A: us", "👩‍🚀 Co", "C", "Who? =", "4 + 4", "Route 66", "— 1234 —", "4x4", "12 x 34", "E=mc²", "H₂O", "½ price", "1998 and 2026", "カー1234", "علی\u200cرضا", "50% off",
	} {
		if got := inert(honest); honest != "24/7" && got != honest {
			t.Errorf("%q has become %q", honest, got)
		}
	}
}

// broken finds parts of one character that people see, with a break between them.
var broken = regexp.MustCompile(`\x{200d}\x{200c}[^\p{Nd}\p{No}]|[\x{1f1e6}-\x{1f1ff}]\x{200c}[\x{1f1e6}-\x{1f1ff}]`)

// Between the digits of a number an emoji stays whole.
func TestInertEmoji(t *testing.T) {
	for _, emoji := range []string{"🇺🇦", "👩‍💻", "🏳️‍🌈", "👩🏽‍🚀", "🇺🇦🇵🇱"} {
		for _, digits := range []string{"2024", "٢٠٢٤"} {
			got := inert(digits + emoji + digits)
			if !strings.Contains(got, emoji) || broken.MatchString(got) || len(found(got)) > 0 {
				t.Errorf("%+q", got)
			}
		}
	}
}

// Nothing that anybody types is found by a mail program, and it reads as it was typed.
func TestInertHolds(t *testing.T) {
	alphabet := rapid.SampledFrom(append(strings.Split("🇺🇦 👩‍💻 🏳️‍🌈 👩🏽‍🚀 2024 ٢٠٢٤", " "), strings.Split(" aBévя字का0123456789٣４..::@//\\\\-‑–+()?=,。．＠│~_#*·ーｰxXх×ʼ∼⁓’|;♥①⑫²₃𝟒½\u0301\u200d\ufe0f\u20e3👩🏽🇺🇦🏴", "")...))
	rapid.Check(t, func(t *rapid.T) {
		typed := strings.Join(rapid.SliceOfN(alphabet, 0, 60).Draw(t, "typed"), "")
		plain := agency.PlainText(typed)
		got := sanitize(typed, 500)
		if by := found(got); len(by) > 0 {
			t.Fatalf("%+q is found as %v", got, by)
		}
		if strings.ReplaceAll(got, nonJoiner, "") != strings.ReplaceAll(plain, nonJoiner, "") {
			t.Fatalf("%+q reads as %+q", plain, got)
		}
		if broken.MatchString(got) {
			t.Fatalf("%+q falls apart: %+q", plain, got)
		}
		limit := rapid.IntRange(1, 30).Draw(t, "limit")
		short := cut(got, limit)
		if n := widthOf(short); n > limit || n < min(widthOf(got), limit)-20 || len(found(short)) > 0 {
			t.Fatalf("%+q at %d is %+q", got, limit, short)
		}
		if kept, isCut := strings.CutSuffix(short, "…"); isCut && !strings.HasSuffix(got, "…") && !strings.HasPrefix(got, kept) {
			t.Fatalf("%+q has become %+q", got, short)
		}
	})
}

// A name is shortened between two characters as people see them.
func TestCut(t *testing.T) {
	for _, tt := range []struct {
		given string
		limit int
		want  string
	}{
		{"abcdef", 6, "abcdef"},
		{"abcdefg", 6, "abcde…"},
		{"abcd efg", 6, "abcd…"},
		{"a" + nonJoiner + "." + nonJoiner + "b", 3, "a" + nonJoiner + "." + nonJoiner + "b"},
		{"abcde\u0301\u0302fgh", 6, "abcd…"},
		{"abc👩\u200d👩\u200d👧 Co", 6, "abc…"},
		{"abc👩🏽x Co", 5, "abc…"},
		{"abc🇺🇦🇵🇱 Co", 5, "abc…"},
		{"abc🇺🇦🇵🇱 Co", 6, "abc🇺🇦…"},
		{"ab🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f Co", 6, "ab…"},
	} {
		if got := cut(tt.given, tt.limit); got != tt.want {
			t.Errorf("%+q at %d: %+q, want %+q", tt.given, tt.limit, got, tt.want)
		}
	}
}

// A subject with a name that would be decoded is not ASCII any more, so SES encodes it as
// a whole (RFC 2047) and no reader decodes a part of it.
func TestNoSubjectIsDecoded(t *testing.T) {
	c := goldenEmails()["requested"]
	c.agency.Name, c.account.Name = "=?utf-8?q?evil=2Etest", "x?= =?utf-8?b?ZXZpbA==?="
	check := func(subject string) {
		t.Helper()
		if strings.Contains(subject, "=?") || strings.IndexFunc(subject, func(c rune) bool { return c > unicode.MaxASCII }) < 0 {
			t.Errorf("%+q", subject)
		}
	}
	check(render(t, "requested", c).Subject)

	// An address that is legal, and has proved itself.
	const address = "=?utf-8?q?Your_account_is_suspended?=@evil.test"
	if _, err := agency.ParseEmail("email", address); err != nil {
		t.Fatal(err)
	}
	subjects := 0
	for kind, c := range goldenEmails() {
		c.profile.Email, c.actor = address, address
		subject := render(t, kind, c).Subject
		if without := strings.ReplaceAll(subject, nonJoiner, ""); strings.Contains(without, "evil.test") {
			subjects++
			check(subject)
		}
	}
	if subjects < 4 {
		t.Errorf("%d subjects have an address", subjects)
	}
}
