package settings

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"agencyhub/shared/agency"
)

// A deployment can change its file, so this checks only that it is valid.
func TestEmbeddedSettings(t *testing.T) {
	if s, err := Load(""); err != nil || s.Product == "" || len(s.Rules().Areas) == 0 || len(s.Rules().Plans) == 0 {
		t.Errorf("%+v, %v", s, err)
	}
}

// every is an override with every key.
const every = `{
	"product": "Agency Hub", "accent": "#2456c8", "openUrl": "https://app.example.com/accounts/{account}?agency={agency}",
	"areas": [
		{"id": "pages", "name": "Pages"}, {"id": "funnels", "name": "Funnels"}, {"id": "mail", "name": "Mail"},
		{"id": "contacts", "name": "Contacts"}, {"id": "analytics", "name": "Analytics"}
	],
	"plans": [
		{"id": "starter", "name": "Starter", "monthlyPrice": 2900, "currency": "USD"},
		{"id": "growth", "name": "Growth", "monthlyPrice": 9900, "currency": "USD"},
		{"id": "scale", "name": "Scale", "monthlyPrice": 29900, "currency": "USD"}
	],
	"requestLifetime": "14d", "invitationLifetime": "30d", "remindBefore": "3d", "lapseWarnings": ["7d", "1d"], "cooldown": "30d", "pairMails": 4,
	"pairWindow": "30d", "openRequests": 100, "dailyRequests": 50, "digestAt": "06:30", "digestSpread": "1h",
	"unsolicitedMails": {"all": 20, "bySender": 4, "byAccount": 5, "neverSignedIn": 6}, "resends": 3, "resendAfter": "1d",
	"openInvitations": 90, "dailyByPerson": {"accountsOpened": 1, "accountsCreated": 2, "requests": 3, "invitations": 4},
	"dailyByNewPerson": {"accountsOpened": 5, "accountsCreated": 6, "requests": 7, "invitations": 8}, "newPersonFor": "8d",
	"retention": "90d", "wakeAfter": "5m", "wakesPerRun": 7
}`

func TestEveryKeyIsRead(t *testing.T) {
	s, err := Load(every)
	if err != nil {
		t.Fatal(err)
	}
	want := agency.Rules{
		Product: "Agency Hub",
		Areas: []agency.Area{
			{ID: "pages", Name: "Pages"}, {ID: "funnels", Name: "Funnels"}, {ID: "mail", Name: "Mail"},
			{ID: "contacts", Name: "Contacts"}, {ID: "analytics", Name: "Analytics"},
		},
		Plans: []agency.Plan{
			{ID: "starter", Name: "Starter", MonthlyPrice: 2900, Currency: "USD"},
			{ID: "growth", Name: "Growth", MonthlyPrice: 9900, Currency: "USD"},
			{ID: "scale", Name: "Scale", MonthlyPrice: 29900, Currency: "USD"},
		},
		RequestLifetime: 14 * day, InvitationLifetime: 30 * day, RemindBefore: 3 * day, LapseWarnings: []time.Duration{7 * day, day},
		Cooldown: 30 * day, PairMails: 4, PairWindow: 30 * day, OpenRequests: 100, DailyRequests: 50,
		UnsolicitedMails: agency.MailLimits{All: 20, BySender: 4, ByAccount: 5, NeverSignedIn: 6}, DigestAt: 6*time.Hour + 30*time.Minute, DigestSpread: time.Hour,
		OpenInvitations: 90, DailyByPerson: agency.PersonLimits{AccountsOpened: 1, AccountsCreated: 2, Requests: 3, Invitations: 4},
		DailyByNewPerson: agency.PersonLimits{AccountsOpened: 5, AccountsCreated: 6, Requests: 7, Invitations: 8}, NewPersonFor: 8 * day,
		Resends: 3, ResendAfter: day, Retention: 90 * day, WakeAfter: 5 * time.Minute, WakesPerRun: 7,
	}
	if diff := cmp.Diff(want, s.Rules()); diff != "" {
		t.Error(diff)
	}
	if s.Product != "Agency Hub" || s.Accent != "#2456c8" || s.OpenURL("acct_1", "acct_2") != "https://app.example.com/accounts/acct_1?agency=acct_2" {
		t.Errorf("%q opens at %q", s.Product, s.OpenURL("acct_1", "acct_2"))
	}
}

func TestOverrideReplacesWholeKeys(t *testing.T) {
	s, err := Load(` {"requestLifetime":"5s","plans":[{"id":"one","name":"One","monthlyPrice":0,"currency":"EUR"}],"product":"Studio"} `)
	if err != nil {
		t.Fatal(err)
	}
	shipped, err := Load("")
	if err != nil {
		t.Fatal(err)
	}
	rules, rest := s.Rules(), shipped.Rules()
	if rules.RequestLifetime != 5*time.Second || rules.WakeAfter != rest.WakeAfter || s.Product != "Studio" || !slices.Equal(rules.Areas, rest.Areas) {
		t.Errorf("%+v", s)
	}
	if diff := cmp.Diff([]agency.Plan{{ID: "one", Name: "One", Currency: "EUR"}}, rules.Plans); diff != "" {
		t.Error(diff)
	}
	for _, nothing := range []string{"", "  ", "{}"} {
		if _, err := Load(nothing); err != nil {
			t.Errorf("%q: %v", nothing, err)
		}
	}
}

func TestDurations(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"1s": time.Second, "90d": 90 * day, "1d12h": 36 * time.Hour, "336h": 14 * day, "0d1m": time.Minute,
		"89d24h": 90 * day,
	} {
		s, err := Load(`{"requestLifetime":"` + text + `"}`)
		if err != nil || s.Rules().RequestLifetime != want {
			t.Errorf("%s is %s, %v", text, s.Rules().RequestLifetime, err)
		}
	}
	for _, text := range []string{
		`"999ms"`, `"91d"`, `"90d1ns"`, `"-1d"`, `"1d-1h"`, `"2161h"`, `"d"`, `"1.5d"`, `"1d2d"`, `"14"`, `""`, `"99999999d"`, `14`, `null`, `{}`,
	} {
		_, err := Load(`{"requestLifetime":` + text + `}`)
		if err == nil || err.Error() != `settings: requestLifetime: must be a duration such as "90s", "5m", "12h" or "14d", from 1s to 90d` {
			t.Errorf("%s: %v", text, err)
		}
	}
	_, err := Load(`{"wakeAfter":"61m"}`)
	if err == nil || !strings.Contains(err.Error(), "wakeAfter") || !strings.Contains(err.Error(), "from 1s to 1h") {
		t.Error(err)
	}
}

func TestInvalidSettings(t *testing.T) {
	area := `{"id":"a","name":"A"}`
	for override, names := range map[string]string{
		`x`:     "must be a JSON object",
		`null`:  "must be a JSON object",
		`[]`:    "must be a JSON object",
		`{} {}`: "must be a JSON object",
		`{"requestlifetime":"1d"}`: `no setting "requestlifetime"; the settings are accent, areas, cooldown, dailyByNewPerson, dailyByPerson, dailyRequests, digestAt, digestSpread, ` +
			`invitationLifetime, lapseWarnings, newPersonFor, openInvitations, openRequests, openUrl, pairMails, pairWindow, plans, product, remindBefore, requestLifetime, ` +
			`resendAfter, resends, retention, unsolicitedMails, wakeAfter, wakesPerRun`,
		`{"product":""}`:                                          "product: must be a text",
		`{"product":" A"}`:                                        "product: must be a text",
		`{"product":"A\nB"}`:                                      "product: must be a text",
		`{"product":"=?utf-8?q?A?="}`:                             "product: must be a text",
		`{"product":"A\u00adB"}`:                                  "product: must be a text",
		`{"product":1}`:                                           "product: must be a text",
		`{"product":null}`:                                        "product: must be a text",
		`{"accent":"blue"}`:                                       "accent: must be a colour",
		`{"accent":"#2456C8"}`:                                    "accent: must be a colour",
		`{"accent":"#9db8ff"}`:                                    "dark enough to be read on white",
		`{"accent":"#2456c8;}"}`:                                  "accent: must be a colour",
		`{"openUrl":"/accounts"}`:                                 "openUrl: must be an http",
		`{"openUrl":"https://a.b"}`:                               "openUrl: must be an http",
		`{"openUrl":"javascript:{account}"}`:                      "openUrl: must be an http",
		`{"openUrl":"https://{account}.b/"}`:                      "openUrl: must be an http",
		`{"openUrl":"https://a.b/{account}/{person}"}`:            "openUrl: must be an http",
		`{"areas":[]}`:                                            "areas: must be a list of 1 to 20",
		`{"areas":[` + strings.Repeat(area+",", 20) + area + `]}`: "areas: must be a list of 1 to 20",
		`{"areas":[` + area + "," + area + `]}`:                   `areas: the id "a" is there twice`,
		`{"areas":[{"id":"A","name":"A"}]}`:                       `areas: the id "A"`,
		`{"areas":[{"id":"a","name":""}]}`:                        `areas: the name of the area "a"`,
		`{"areas":[{"id":"a","name":"A","level":"x"}]}`:           "areas: must be a list",
		`{"areas":[{"id":"billing","name":"Billing"}]}`:           "areas: billing is no area",
		`{"plans":[]}`:                                            "plans: must be a list of 1 to 20",
		`{"plans":[{"id":"a","name":"A","monthlyPrice":-1,"currency":"EUR"}]}`:  `plans: the monthlyPrice of "a"`,
		`{"plans":[{"id":"a","name":"A","monthlyPrice":1.5,"currency":"EUR"}]}`: "plans: must be a list",
		`{"plans":[{"id":"a","name":"A","monthlyPrice":1,"currency":"Euro"}]}`:  `plans: the currency of "a"`,
	} {
		_, err := Load(override)
		if err == nil || !strings.Contains(err.Error(), names) {
			t.Errorf("%s: %v", override, err)
		}
	}
	// All errors are returned together.
	_, err := Load(`{"wakeAfter":"x","nothing":1}`)
	if err == nil || strings.Count(err.Error(), "\n") != 1 {
		t.Error(err)
	}
}

func TestEnvironment(t *testing.T) {
	t.Setenv("TABLE_NAME", "hub-HubTable-1")
	t.Setenv("PUBLIC_URL", "http://localhost:8080")
	t.Setenv("SENDER_ADDRESS", "hub@example.com")
	t.Setenv("CONFIGURATION_SET", "")
	t.Setenv("SETTINGS_OVERRIDE", `{"requestLifetime":"2s"}`)
	e, err := ReadEnvironment(TableName, PublicURL, SenderAddress)
	if err != nil {
		t.Fatal(err)
	}
	got := []string{e.TableName, e.PublicURL, e.SenderAddress, e.ConfigurationSet, e.Settings.Rules().RequestLifetime.String()}
	if diff := cmp.Diff([]string{"hub-HubTable-1", "http://localhost:8080", "hub@example.com", "", "2s"}, got); diff != "" {
		t.Error(diff)
	}
	if e, err := ReadEnvironment(TableName); err != nil || e.PublicURL != "" {
		t.Errorf("what was not asked for is given: %+v, %v", e, err)
	}

	for _, wrong := range []string{
		"hub.example.com", "https://", "https://a.b/", "https://a.b/x", "https://a.b?x", "https://a.b#x", "ftp://a.b",
		"https://me@a.b", "//a.b", "https://a.b:x",
	} {
		t.Setenv("PUBLIC_URL", wrong)
		if _, err := ReadEnvironment(PublicURL); err == nil || !strings.HasPrefix(err.Error(), "PUBLIC_URL must be a scheme and a host") {
			t.Errorf("%s: %v", wrong, err)
		}
	}
	for sender, ok := range map[string]bool{
		"Hub@Example.com": true, "hub@xn--bcher-kva.example": true,
		"hub@bücher.example": false, "hüb@example.com": false, "hub@\u212alient.example": false, " hub@example.com": false, "hub@example": false, "hub": false,
	} {
		t.Setenv("SENDER_ADDRESS", sender)
		if e, err := ReadEnvironment(SenderAddress); (err == nil) != ok || ok && e.SenderAddress != sender {
			t.Errorf("%q: %q, %v", sender, e.SenderAddress, err)
		}
	}
	t.Setenv("SENDER_ADDRESS", "Hub <hub@example.com>")
	t.Setenv("SETTINGS_OVERRIDE", "{")
	_, err = ReadEnvironment(PublicURL, SenderAddress, ConfigurationSet)
	want := "CONFIGURATION_SET is not set: it must be a configuration set's name\n" +
		"PUBLIC_URL must be a scheme and a host such as https://hub.example.com, without a slash at the end\n" +
		"SENDER_ADDRESS must be one plain email address such as hub@example.com, a domain with other letters in its xn-- form\n" +
		"SETTINGS_OVERRIDE: settings override: it must be a JSON object, such as {\"requestLifetime\":\"7d\"}"
	if err == nil || err.Error() != want {
		t.Errorf("got\n%v\nwant\n%s", err, want)
	}
}

// Every duration has its bounds, both inclusive, and its error names them.
func TestBoundsOfDurations(t *testing.T) {
	for name, tt := range map[string]struct {
		read     func(agency.Rules) time.Duration
		from, to time.Duration
	}{
		"requestLifetime":    {func(r agency.Rules) time.Duration { return r.RequestLifetime }, time.Second, 90 * day},
		"invitationLifetime": {func(r agency.Rules) time.Duration { return r.InvitationLifetime }, time.Second, 90 * day},
		"remindBefore":       {func(r agency.Rules) time.Duration { return r.RemindBefore }, time.Second, 30 * day},
		"cooldown":           {func(r agency.Rules) time.Duration { return r.Cooldown }, time.Second, 365 * day},
		"pairWindow":         {func(r agency.Rules) time.Duration { return r.PairWindow }, time.Second, 365 * day},
		"resendAfter":        {func(r agency.Rules) time.Duration { return r.ResendAfter }, time.Second, 30 * day},
		"retention":          {func(r agency.Rules) time.Duration { return r.Retention }, time.Minute, 730 * day},
		"wakeAfter":          {func(r agency.Rules) time.Duration { return r.WakeAfter }, time.Second, time.Hour},
	} {
		for d, ok := range map[time.Duration]bool{
			tt.from: true, tt.to: true, tt.from - time.Nanosecond: false, tt.to + time.Nanosecond: false, 0: false, -tt.from: false,
		} {
			s, err := Load(`{"` + name + `":"` + d.String() + `"}`)
			if ok && (err != nil || tt.read(s.Rules()) != d) {
				t.Errorf("%s of %s is %s, %v", name, d, tt.read(s.Rules()), err)
			}
			if !ok && (err == nil || !strings.Contains(err.Error(), name+": must be a duration") ||
				!strings.Contains(err.Error(), "from "+format(tt.from)+" to "+format(tt.to))) {
				t.Errorf("%s of %s: %v", name, d, err)
			}
		}
	}
}

// Every count has its bounds, both inclusive, and its error names them.
func TestBoundsOfCounts(t *testing.T) {
	for name, tt := range map[string]struct {
		read     func(agency.Rules) int
		from, to int
	}{
		"pairMails":       {func(r agency.Rules) int { return r.PairMails }, 1, 100},
		"openRequests":    {func(r agency.Rules) int { return r.OpenRequests }, 1, 10_000},
		"dailyRequests":   {func(r agency.Rules) int { return r.DailyRequests }, 1, 10_000},
		"openInvitations": {func(r agency.Rules) int { return r.OpenInvitations }, 1, 10_000},
		"resends":         {func(r agency.Rules) int { return r.Resends }, 0, 20},
		"wakesPerRun":     {func(r agency.Rules) int { return r.WakesPerRun }, 1, 10_000},
	} {
		for n, ok := range map[int]bool{tt.from: true, tt.to: true, tt.from - 1: false, tt.to + 1: false} {
			s, err := Load(fmt.Sprintf(`{%q:%d}`, name, n))
			if ok && (err != nil || tt.read(s.Rules()) != n) {
				t.Errorf("%s of %d is %d, %v", name, n, tt.read(s.Rules()), err)
			}
			want := fmt.Sprintf("%s: must be a whole number from %d to %d", name, tt.from, tt.to)
			if !ok && (err == nil || !strings.Contains(err.Error(), want)) {
				t.Errorf("%s of %d: %v", name, n, err)
			}
		}
		for _, wrong := range []string{`"3"`, `1.5`, `null`, `[]`, `true`, `99999999999999999999`} {
			if _, err := Load(`{"` + name + `":` + wrong + `}`); err == nil || !strings.Contains(err.Error(), name+": must be a whole number") {
				t.Errorf("%s of %s: %v", name, wrong, err)
			}
		}
	}
}

func TestUnsolicitedMails(t *testing.T) {
	s, err := Load(`{"unsolicitedMails":{"all":1000,"bySender":1,"byAccount":2,"neverSignedIn":3}}`)
	if want := (agency.MailLimits{All: 1000, BySender: 1, ByAccount: 2, NeverSignedIn: 3}); err != nil || s.Rules().UnsolicitedMails != want {
		t.Errorf("%+v, %v", s.Rules().UnsolicitedMails, err)
	}
	for _, wrong := range []string{
		`10`, `null`, `{}`, `{"all":10,"bySender":3,"byAccount":3}`, `{"all":0,"bySender":3,"byAccount":3,"neverSignedIn":3}`,
		`{"all":1001,"bySender":3,"byAccount":3,"neverSignedIn":3}`, `{"all":10,"bySender":3,"byAccount":3,"neverSignedIn":3,"more":1}`,
		`{"all":10,"bySender":3,"byAccount":3,"neverSignedIn":"3"}`,
	} {
		if _, err := Load(`{"unsolicitedMails":` + wrong + `}`); err == nil || !strings.Contains(err.Error(), "unsolicitedMails: must be {") {
			t.Errorf("%s: %v", wrong, err)
		}
	}
}

func TestDigestAt(t *testing.T) {
	held := time.Date(2026, 11, 23, 23, 59, 0, 0, time.UTC)
	for text, want := range map[string]time.Time{
		"06:00": held.Add(time.Minute + 6*time.Hour), "00:00": held.Add(time.Minute), "23:59": held.Add(day),
		"1s": held.Add(time.Second), "1d": held.Add(day), "90m": held.Add(90 * time.Minute),
	} {
		s, err := Load(`{"digestSpread":"0s","digestAt":"` + text + `"}`)
		if got := s.Rules().DigestDue(agency.Mailbox("vera@client.test"), held); err != nil || !got.Equal(want) {
			t.Errorf("%s is at %s, %v", text, got, err)
		}
	}
	for _, wrong := range []string{`"24:00"`, `"6:00"`, `"06:60"`, `"06:00:00"`, `"500ms"`, `"2d"`, `""`, `6`, `null`} {
		if _, err := Load(`{"digestAt":` + wrong + `}`); err == nil || !strings.Contains(err.Error(), "digestAt: must be a time of the next UTC day") {
			t.Errorf("%s: %v", wrong, err)
		}
	}
}

// A person's limits are all there, each within its bounds.
func TestPersonLimits(t *testing.T) {
	limits := func(opened, created, requests, invitations any) string {
		return fmt.Sprintf(`{"accountsOpened":%v,"accountsCreated":%v,"requests":%v,"invitations":%v}`, opened, created, requests, invitations)
	}
	for text, ok := range map[string]bool{
		limits(1, 1, 1, 1): true, limits(10_000, 10_000, 10_000, 10_000): true,
		limits(0, 1, 1, 1): false, limits(1, 0, 1, 1): false, limits(1, 1, 0, 1): false, limits(1, 1, 1, 0): false,
		limits(10_001, 1, 1, 1): false, limits(1, 1, 1, 10_001): false, limits(1, 1, 1, `"1"`): false, limits(1, 1, 1, 1.5): false,
		`{"accountsOpened":1,"accountsCreated":1,"requests":1}`:                           false,
		`{"accountsOpened":1,"accountsCreated":1,"requests":1,"invitations":1,"mails":1}`: false,
		`null`: false, `5`: false, `[]`: false,
	} {
		for _, key := range []string{"dailyByPerson", "dailyByNewPerson"} {
			_, err := Load(`{"` + key + `":` + text + `}`)
			if (err == nil) != ok || err != nil && !strings.Contains(err.Error(), key+": must have accountsOpened") {
				t.Errorf("%s of %s: %v", key, text, err)
			}
		}
	}
}

func TestLapseWarnings(t *testing.T) {
	for text, want := range map[string][]time.Duration{
		`[]`: nil, `["1s"]`: {time.Second}, `["60d","1d"]`: {60 * day, day},
		`["5d","4d","3d","2d","1d"]`: {5 * day, 4 * day, 3 * day, 2 * day, day},
	} {
		s, err := Load(`{"lapseWarnings":` + text + `}`)
		if diff := cmp.Diff(want, s.Rules().LapseWarnings); diff != "" || err != nil {
			t.Errorf("%s: %s, %v", text, diff, err)
		}
	}
	for text, says := range map[string]string{
		`["6d","5d","4d","3d","2d","1d"]`: "at most five", `["1d","7d"]`: "the longest first", `["1d","1d"]`: "the longest first",
		`["61d"]`: "from 1s to 60d", `["999ms"]`: "from 1s to 60d", `[1]`: "must be a duration", `[null]`: "must be a duration",
		`"7d"`: "must be a list", `null`: "must be a list",
	} {
		if _, err := Load(`{"lapseWarnings":` + text + `}`); err == nil || !strings.Contains(err.Error(), "lapseWarnings: ") || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", text, err)
		}
	}
	// A caller that changes its rules does not change those of others.
	s, err := Load("")
	if err != nil {
		t.Fatal(err)
	}
	s.Rules().LapseWarnings[0] = 0
	s.Rules().Areas[0].ID, s.Rules().Plans[0].ID = "", ""
	if rules := s.Rules(); rules.LapseWarnings[0] != 7*day || rules.Areas[0].ID == "" || rules.Plans[0].ID == "" {
		t.Errorf("%+v", rules)
	}
}

// Every colour is readable on light and on dark surfaces.
func TestAccentIsReadableInTheDark(t *testing.T) {
	for _, a := range []Accent{"#2456c8", "#000000", "#7a0000", "#005f2a", "#6b21a8", "#666666"} {
		if got := a.InTheDark(); got.contrast(dark) < minContrast || !accentForm.MatchString(string(got)) {
			t.Errorf("%s is %s in the dark, a contrast of %.1f", a, got, got.contrast(dark))
		}
	}
	if white, black := Accent("#ffffff"), Accent("#000000"); white.contrast(black) != 21 || white.contrast(white) != 1 {
		t.Errorf("contrasts of %.2f and %.2f", white.contrast(black), white.contrast(white))
	}
}
