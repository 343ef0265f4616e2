package sesrules_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"agencyhub/shared/agency"
	"agencyhub/shared/testbed/sesrules"
)

// send returns the answer to a SendEmail, and whether it was passed on as it is.
func send(body string) (answer *httptest.ResponseRecorder, passed bool) {
	next := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got, err := io.ReadAll(r.Body)
		passed = err == nil && string(got) == body
	})
	answer = httptest.NewRecorder()
	req := httptest.NewRequest(http.MethodPost, "/v2/email/outbound-emails", strings.NewReader(body))
	sesrules.Handler(next).ServeHTTP(answer, req)
	return answer, passed
}

func email(from string, to ...string) string {
	text, err := json.Marshal(map[string]any{"FromEmailAddress": from, "Destination": map[string]any{"ToAddresses": to}})
	if err != nil {
		panic(err)
	}
	return string(text)
}

func TestWhatSESRefuses(t *testing.T) {
	const sender = "=?utf-8?q?=C3=9Cberblick?= <hub@example.com>"
	many := strings.Split(strings.Repeat("ann@client.test,", 51), ",")[:51]
	for name, tt := range map[string]struct{ body, says string }{
		"an address":             {email(sender, "ann@client.test"), ""},
		"a plain sender":         {email("hub@example.com", "ann@client.test"), ""},
		"Punycode":               {email(sender, "olga@xn--bcher-kva.test"), ""},
		"signs":                  {email(sender, "o'hara+{x}=~@r3---sn.test"), ""},
		"fifty":                  {email(sender, many[:50]...), ""},
		"fifty-one":              {email(sender, many...), "exceeds 50"},
		"none":                   {email(sender), "no recipient"},
		"no sender":              {email("", "ann@client.test"), "no sender"},
		"no JSON":                {"{", "JSON"},
		"Unicode before the @":   {email(sender, "zoë@client.test"), "Local address"},
		"Unicode in the domain":  {email(sender, "olga@bücher.test"), "Domain contains control"},
		"the second of two":      {email(sender, "ann@client.test", "olga@bücher.test"), "Domain contains control"},
		"Unicode in a copy":      {`{"FromEmailAddress":"hub@example.com","Destination":{"ToAddresses":["a@b.test"],"BccAddresses":["zoë@b.test"]}}`, "Local address"},
		"Unicode in a reply":     {`{"FromEmailAddress":"hub@example.com","ReplyToAddresses":["zoë@b.test"],"Destination":{"ToAddresses":["a@b.test"]}}`, "Local address"},
		"Unicode in the sender":  {email("hub@bücher.test", "ann@client.test"), "Domain contains control"},
		"Unicode in a name":      {email("Überblick <hub@example.com>", "ann@client.test"), "Illegal address"},
		"a line break":           {email(sender, "ann@client.test\r\nBcc: bob@x.test"), "Local address"},
		"a blank":                {email(sender, "ann lee@client.test"), "Local address"},
		"no @":                   {email(sender, "ann"), "Missing final"},
		"nothing before it":      {email(sender, "@client.test"), "Missing local"},
		"nothing behind it":      {email(sender, "ann@"), "Missing domain"},
		"two":                    {email(sender, "ann@b@client.test"), "Illegal address"},
		"a dot at the end":       {email(sender, "ann@client.test."), "Missing domain"},
		"no dot":                 {email(sender, "ann@client"), "Illegal address"},
		"two dots":               {email(sender, "ann@client..test"), "dot-dot"},
		"an address literal":     {email(sender, "ann@[127.0.0.1]"), "illegal character"},
		"an underscore":          {email(sender, "ann@cli_ent.test"), "illegal character"},
		"quotes":                 {email(sender, `"ann"@client.test`), "Illegal address"},
		"dots before the @":      {email(sender, "ann..lee@client.test"), "Illegal address"},
		"a bracket that is open": {email(sender, "Ann <ann@client.test"), "Illegal address"},
	} {
		answer, passed := send(tt.body)
		if passed != (tt.says == "") {
			t.Errorf("%s: passed on: %t", name, passed)
		}
		if tt.says != "" && (answer.Code != http.StatusBadRequest || answer.Header().Get("X-Amzn-ErrorType") != "BadRequestException" || !strings.Contains(answer.Body.String(), tt.says)) {
			t.Errorf("%s: %d %v %s", name, answer.Code, answer.Header(), answer.Body)
		}
	}
}

// Other calls are passed on.
func TestOtherCalls(t *testing.T) {
	passed := false
	handler := sesrules.Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { passed = true }))
	handler.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/store", nil))
	if !passed {
		t.Error("not passed on")
	}
}

// SES takes every address that the sender takes.
func TestTakenAddressesCanBeMailed(t *testing.T) {
	taken := 0
	rapid.Check(t, func(t *rapid.T) {
		domain := rapid.OneOf(rapid.StringMatching(`[a-zA-Z0-9üßкК日本-]{1,9}`), rapid.StringN(1, 9, -1)).Draw(t, "domain")
		local := rapid.OneOf(rapid.StringMatching(`[!-~]{1,20}`), rapid.StringMatching(`[a-z.+'=?]{1,70}`), rapid.StringN(1, 9, -1)).Draw(t, "local")
		given := local + "@" + domain + ".test"
		address, err := agency.ParseEmail("email", given)
		if err != nil {
			return
		}
		taken++
		if answer, passed := send(email("hub@example.com", address)); !passed {
			t.Fatalf("%q is taken as %q, and SES answers %s", given, address, answer.Body)
		}
	})
	if taken == 0 {
		t.Error("no address was taken")
	}
}
