package settings

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// Any override is an error that names what is wrong, or settings within their bounds.
func FuzzLoad(f *testing.F) {
	f.Add(`{"requestLifetime":"7d"}`)
	f.Fuzz(func(t *testing.T, override string) {
		s, err := Load(override)
		if err != nil {
			if !strings.HasPrefix(err.Error(), "settings") {
				t.Errorf("%q: %v", override, err)
			}
			return
		}
		r := s.Rules()
		for name, is := range map[string]bool{
			"product":            isName(s.Product),
			"areas":              len(r.Areas) > 0 && len(r.Areas) <= maxEntries,
			"plans":              len(r.Plans) > 0 && len(r.Plans) <= maxEntries,
			"requestLifetime":    within(r.RequestLifetime, minRequestLifetime, maxRequestLifetime),
			"invitationLifetime": within(r.InvitationLifetime, minRequestLifetime, maxRequestLifetime),
			"cooldown":           within(r.Cooldown, time.Second, 365*day),
			"retention":          within(r.Retention, time.Minute, 730*day),
			"wakeAfter":          within(r.WakeAfter, minWakeAfter, maxWakeAfter),
			"digest":             within(r.DigestAt, 0, day) && within(r.DigestAfter, 0, maxDigestAfter),
			"resends":            r.Resends >= 0 && r.Resends <= 20,
			"unsolicitedMails":   r.UnsolicitedMails.All >= 1 && r.UnsolicitedMails.All <= maxMails && r.UnsolicitedMails.NeverSignedIn >= 1,
			"dailyByPerson":      r.DailyByPerson.Requests >= 1 && r.DailyByPerson.Invitations <= maxLimit,
			"wakesPerRun":        r.WakesPerRun >= 1 && r.WakesPerRun <= 10_000,
		} {
			if !is {
				t.Errorf("%q: %s is out of bounds: %+v", override, name, r)
			}
		}
		if address := s.OpenURL("acct_1", "acct_2"); strings.ContainsAny(address, "{}<>\"' ") || !strings.HasPrefix(address, "http") {
			t.Errorf("%q: accounts are opened at %q", override, address)
		}
		again, err := Load(override)
		if diff := cmp.Diff(r, again.Rules()); err != nil || diff != "" {
			t.Errorf("%q is read as two settings: %v %s", override, err, diff)
		}
	})
}

func within(d, from, to time.Duration) bool { return d >= from && d <= to }
