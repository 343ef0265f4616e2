// Package settings reads what a deployment can choose: the product's name, areas, plans
// and lifetimes. They come from one embedded file and an override. It also reads the
// environment variables of functions. It checks values and applies none of them.
package settings

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"agencyhub/shared/agency"
)

//go:embed settings.json
var embedded []byte

// Settings are the values of the settings file and the override.
type Settings struct {
	// Product is the platform's name in emails and pages: plain text of 1 to 60
	// characters.
	Product string
	// Accent is the colour of links and buttons.
	Accent Accent
	// openURL is a URL with {account}, and possibly {agency}.
	openURL string
	rules   agency.Rules
}

// Rules returns the settings that use cases apply. The caller can change the copy.
func (s Settings) Rules() agency.Rules {
	s.rules.Areas, s.rules.Plans = slices.Clone(s.rules.Areas), slices.Clone(s.rules.Plans)
	s.rules.Product = s.Product
	s.rules.LapseWarnings = slices.Clone(s.rules.LapseWarnings)
	return s.rules
}

// OpenURL returns the URL at which an agency opens an account in the platform.
func (s Settings) OpenURL(account, as agency.AccountID) string {
	return strings.NewReplacer("{account}", url.QueryEscape(string(account)), "{agency}", url.QueryEscape(string(as))).Replace(s.openURL)
}

// Bounds of the durations, both inclusive.
const (
	minRequestLifetime = time.Second
	maxRequestLifetime = 90 * day
	minWakeAfter       = time.Second
	maxWakeAfter       = time.Hour
)

// Load reads the embedded settings and an override, a JSON object or "". A key of the
// override replaces the whole value of the file's. A key that is unknown, of the wrong
// kind or out of bounds is an error that names it and says what it may be. All errors are
// returned together.
func Load(override string) (Settings, error) {
	values, err := object(embedded)
	if err != nil {
		return Settings{}, fmt.Errorf("settings.json: %w", err)
	}
	if strings.TrimSpace(override) != "" {
		over, err := object([]byte(override))
		if err != nil {
			return Settings{}, fmt.Errorf("settings override: %w", err)
		}
		maps.Copy(values, over)
	}
	return read(values)
}

func object(data []byte) (map[string]json.RawMessage, error) {
	var values map[string]json.RawMessage
	if err := json.Unmarshal(data, &values); err != nil || values == nil {
		return nil, errors.New("it must be a JSON object, such as {\"requestLifetime\":\"7d\"}")
	}
	return values, nil
}

func read(values map[string]json.RawMessage) (Settings, error) {
	var s Settings
	readers := map[string]func(json.RawMessage) error{
		"product":            func(raw json.RawMessage) (err error) { s.Product, err = readName(raw); return err },
		"accent":             func(raw json.RawMessage) (err error) { s.Accent, err = readAccent(raw); return err },
		"openUrl":            func(raw json.RawMessage) (err error) { s.openURL, err = readOpenURL(raw); return err },
		"areas":              func(raw json.RawMessage) (err error) { s.rules.Areas, err = readAreas(raw); return err },
		"plans":              func(raw json.RawMessage) (err error) { s.rules.Plans, err = readPlans(raw); return err },
		"requestLifetime":    duration(&s.rules.RequestLifetime, minRequestLifetime, maxRequestLifetime),
		"invitationLifetime": duration(&s.rules.InvitationLifetime, minRequestLifetime, maxRequestLifetime),
		"remindBefore":       duration(&s.rules.RemindBefore, time.Second, 30*day),
		"lapseWarnings":      func(raw json.RawMessage) (err error) { s.rules.LapseWarnings, err = readWarnings(raw); return err },
		"cooldown":           duration(&s.rules.Cooldown, time.Second, 365*day),
		"pairMails":          count(&s.rules.PairMails, 1, 100),
		"pairWindow":         duration(&s.rules.PairWindow, time.Second, 365*day),
		"openRequests":       count(&s.rules.OpenRequests, 1, maxLimit),
		"openInvitations":    count(&s.rules.OpenInvitations, 1, maxLimit),
		"dailyRequests":      count(&s.rules.DailyRequests, 1, maxLimit),
		"unsolicitedMails": func(raw json.RawMessage) (err error) {
			s.rules.UnsolicitedMails, err = readMailLimits(raw)
			return err
		},
		"digestAt": func(raw json.RawMessage) (err error) {
			s.rules.DigestAt, s.rules.DigestAfter, err = readDigestAt(raw)
			return err
		},
		"digestSpread": duration(&s.rules.DigestSpread, 0, 12*time.Hour),
		"dailyByPerson": func(raw json.RawMessage) (err error) {
			s.rules.DailyByPerson, err = readPersonLimits(raw)
			return err
		},
		"dailyByNewPerson": func(raw json.RawMessage) (err error) {
			s.rules.DailyByNewPerson, err = readPersonLimits(raw)
			return err
		},
		"newPersonFor": duration(&s.rules.NewPersonFor, time.Second, 365*day),
		"resends":      count(&s.rules.Resends, 0, 20),
		"resendAfter":  duration(&s.rules.ResendAfter, time.Second, 30*day),
		"retention":    duration(&s.rules.Retention, time.Minute, 730*day),
		"wakeAfter":    duration(&s.rules.WakeAfter, minWakeAfter, maxWakeAfter),
		"wakesPerRun":  count(&s.rules.WakesPerRun, 1, 10_000),
	}
	names := slices.Sorted(maps.Keys(readers))
	var wrong []error
	for _, name := range slices.Sorted(maps.Keys(values)) {
		reader, ok := readers[name]
		if !ok {
			wrong = append(wrong, fmt.Errorf("settings: there is no setting %q; the settings are %s", name, strings.Join(names, ", ")))
			continue
		}
		if err := reader(values[name]); err != nil {
			wrong = append(wrong, fmt.Errorf("settings: %s: %w", name, err))
		}
	}
	for _, name := range names {
		if _, ok := values[name]; !ok {
			wrong = append(wrong, fmt.Errorf("settings: %s is missing", name))
		}
	}
	return s, errors.Join(wrong...)
}

// readWarnings reads how long before an end date both sides are warned: at most five
// durations, the longest first.
func readWarnings(raw json.RawMessage) ([]time.Duration, error) {
	var each []json.RawMessage
	if decode(raw, &each) != nil || len(each) > 5 {
		return nil, errors.New("must be a list of at most five durations, the longest first, such as [\"7d\",\"1d\"]")
	}
	var warnings []time.Duration
	for i, one := range each {
		var d time.Duration
		if err := duration(&d, time.Second, 60*day)(one); err != nil {
			return nil, err
		}
		if i > 0 && d >= warnings[i-1] {
			return nil, errors.New("must have the longest first")
		}
		warnings = append(warnings, d)
	}
	return warnings, nil
}

// maxMails bounds each limit of unsolicited mail.
const maxMails = 1000

// readMailLimits reads how many unsolicited emails a mailbox gets.
func readMailLimits(raw json.RawMessage) (agency.MailLimits, error) {
	var in struct{ All, BySender, ByAccount, NeverSignedIn *int }
	err := decode(raw, &in)
	for _, n := range []*int{in.All, in.BySender, in.ByAccount, in.NeverSignedIn} {
		if err != nil || n == nil || *n < 1 || *n > maxMails {
			return agency.MailLimits{}, fmt.Errorf("must be {\"all\", \"bySender\", \"byAccount\", \"neverSignedIn\"}, each a whole number from 1 to %d", maxMails)
		}
	}
	return agency.MailLimits{All: *in.All, BySender: *in.BySender, ByAccount: *in.ByAccount, NeverSignedIn: *in.NeverSignedIn}, nil
}

// maxDigestAfter bounds a digestAt that is a duration.
const maxDigestAfter = day

// readDigestAt reads a time of the next day, such as "06:00", or how long after the
// first email was held.
func readDigestAt(raw json.RawMessage) (at, after time.Duration, err error) {
	var text string
	if err := decode(raw, &text); err == nil {
		if clock, err := time.Parse("15:04", text); err == nil && len(text) == len("15:04") {
			return time.Duration(clock.Hour())*time.Hour + time.Duration(clock.Minute())*time.Minute, 0, nil
		}
	}
	if duration(&after, time.Second, maxDigestAfter)(raw) != nil {
		return 0, 0, errors.New(`must be a time of the next UTC day such as "06:00", or a duration after the first email such as "5m", from 1s to 1d`)
	}
	return 0, after, nil
}

// maxLimit bounds the limits of accounts and persons.
const maxLimit = 10_000

func readPersonLimits(raw json.RawMessage) (agency.PersonLimits, error) {
	var l agency.PersonLimits
	err := decode(raw, &l)
	for _, n := range []int{l.AccountsOpened, l.AccountsCreated, l.Requests, l.Invitations} {
		if err != nil || n < 1 || n > maxLimit {
			return l, fmt.Errorf("must have accountsOpened, accountsCreated, requests and invitations, each a whole number from 1 to %d", maxLimit)
		}
	}
	return l, nil
}

// count returns a reader of a whole number within bounds, both inclusive.
func count(into *int, from, to int) func(json.RawMessage) error {
	return func(raw json.RawMessage) error {
		var n int
		if err := decode(raw, &n); err != nil || n < from || n > to {
			return fmt.Errorf("must be a whole number from %d to %d", from, to)
		}
		*into = n
		return nil
	}
}

// decode reads one value strictly: no unknown fields, no null.
func decode(raw json.RawMessage, into any) error {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) || string(raw) == "null" {
		return errors.New("it has no value")
	}
	return nil
}

func readName(raw json.RawMessage) (string, error) {
	var name string
	if decode(raw, &name) != nil || !isName(name) {
		return "", errors.New("must be a text of 1 to 60 characters on one line")
	}
	return name, nil
}

// isName reports whether the text is a name that can be used unchanged in a subject, a
// page and an email.
func isName(name string) bool {
	parsed, err := agency.Rules{}.ParseName("name", name)
	return err == nil && parsed == name && utf8.RuneCountInString(name) <= 60
}

func readOpenURL(raw json.RawMessage) (string, error) {
	wrong := errors.New("must be an http or https URL with {account}, and {agency} where it is wanted, " +
		"such as https://app.example.com/accounts/{account}?agency={agency}")
	var template string
	if decode(raw, &template) != nil || len(template) > 500 || !strings.Contains(template, "{account}") {
		return "", wrong
	}
	// {account} and {agency} can be anywhere after the host.
	origin, _, _ := strings.Cut(strings.Replace(template, "://", "", 1), "/")
	sample := strings.NewReplacer("{account}", "a", "{agency}", "a").Replace(template)
	u, err := url.Parse(sample)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Hostname() == "" || u.User != nil ||
		strings.Contains(origin, "{") || strings.ContainsAny(sample, "{}<>\"' \\") {
		return "", wrong
	}
	return template, nil
}

// maxEntries bounds areas and plans. A profile has a level for every area.
const maxEntries = 20

var idForm = regexp.MustCompile(`^[a-z][a-z0-9_-]{0,31}$`)

// checkEntry checks the id and name of an area or a plan. seen has the earlier ids.
func checkEntry(kind, id, name string, seen map[string]bool) error {
	switch {
	case !idForm.MatchString(id):
		return fmt.Errorf("the id %q of a %s must begin with a letter a-z and go on in a-z, 0-9, - or _, 32 at most", id, kind)
	case seen[id]:
		return fmt.Errorf("the id %q is there twice", id)
	case !isName(name):
		return fmt.Errorf("the name of the %s %q must be a text of 1 to 60 characters on one line", kind, id)
	}
	seen[id] = true
	return nil
}

func readAreas(raw json.RawMessage) ([]agency.Area, error) {
	var areas []agency.Area
	if err := decode(raw, &areas); err != nil || len(areas) < 1 || len(areas) > maxEntries {
		return nil, fmt.Errorf("must be a list of 1 to %d areas {\"id\", \"name\"}", maxEntries)
	}
	seen := map[string]bool{}
	for _, area := range areas {
		if err := checkEntry("area", area.ID, area.Name, seen); err != nil {
			return nil, err
		}
		if area.ID == "billing" {
			return nil, errors.New("billing is no area: billing is the payer's alone")
		}
	}
	return areas, nil
}

// maxPrice bounds a plan's monthly price, in minor units of the currency.
const maxPrice = 100_000_000

var currencyForm = regexp.MustCompile(`^[A-Z]{3}$`)

func readPlans(raw json.RawMessage) ([]agency.Plan, error) {
	var plans []agency.Plan
	if err := decode(raw, &plans); err != nil || len(plans) < 1 || len(plans) > maxEntries {
		return nil, fmt.Errorf("must be a list of 1 to %d plans {\"id\", \"name\", \"monthlyPrice\", \"currency\"}, the default first", maxEntries)
	}
	seen := map[string]bool{}
	for _, plan := range plans {
		if err := checkEntry("plan", plan.ID, plan.Name, seen); err != nil {
			return nil, err
		}
		if plan.MonthlyPrice < 0 || plan.MonthlyPrice > maxPrice {
			return nil, fmt.Errorf("the monthlyPrice of %q must be a whole number of minor units (cents) from 0 to %d", plan.ID, maxPrice)
		}
		if !currencyForm.MatchString(plan.Currency) || plan.Currency != plans[0].Currency {
			return nil, fmt.Errorf("the currency of %q must be three capital letters such as EUR, the same for all plans", plan.ID)
		}
	}
	return plans, nil
}
