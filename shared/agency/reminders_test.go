package agency

import (
	"testing"
	"time"
)

const days = 24 * time.Hour

var reminding = Rules{
	RequestLifetime: 14 * days, RemindBefore: 3 * days, LapseWarnings: []time.Duration{7 * days, days}, Retention: 90 * days,
}

const hour = time.Hour

// reminderStep is an action so long after noon, and when the profile's reminder and due mark are then,
// counted from noon; 0 is never.
type reminderStep struct {
	at          time.Duration
	do          Action
	until       time.Duration // of a Restrict or an Accept; 0 for none, -1 to remove it
	remind, due time.Duration
}

var (
	requested = reminderStep{0, OpenRequest, 0, 11 * days, 11 * days}
	accepted  = reminderStep{0, Accept, 31 * days, 24 * days, 24 * days}
)

// README, Requests: the reminder of a request is 3 days before it expires, those of an end date 7 days
// and 1 day before. A reminder less than a day after its request, or after the date was set, is
// dropped. A resend or a moved date plans it once more.
var reminderCases = []struct {
	name  string
	rules func(*Rules)
	steps []reminderStep
}{
	{"a request, reminded of once, expires", nil, []reminderStep{
		requested,
		{11 * days, Remind, 0, 0, 14 * days},
		{14 * days, Expire, 0, 0, 104 * days},
	}},
	{"a late reminder is one", nil, []reminderStep{requested, {13*days + 23*hour, Remind, 0, 0, 14 * days}}},
	{"an expiry that is recorded late keeps its time", nil, []reminderStep{requested, {20 * days, Expire, 0, 0, 104 * days}}},
	{"a resend plans it anew", nil, []reminderStep{requested, {2 * days, Resend, 0, 13 * days, 13 * days}}},
	{"and so does one after the reminder", nil, []reminderStep{
		requested, {11 * days, Remind, 0, 0, 14 * days}, {12 * days, Resend, 0, 23 * days, 23 * days}, {23 * days, Remind, 0, 0, 26 * days},
	}},
	{"withdrawn", nil, []reminderStep{requested, {1 * days, Withdraw, 0, 0, 91 * days}}},
	{"declined", nil, []reminderStep{requested, {1 * days, Decline, 0, 0, 91 * days}}},
	{"moved", nil, []reminderStep{requested, {1 * days, Move, 0, 0, 91 * days}}},
	{"asked again", nil, []reminderStep{requested, {1 * days, Withdraw, 0, 0, 91 * days}, {2 * days, OpenRequest, 0, 13 * days, 13 * days}}},
	{"a request that is reminded of a day after", func(r *Rules) { r.RequestLifetime = 4 * days }, []reminderStep{{0, OpenRequest, 0, days, days}}},
	{"a request that would be reminded of too soon", func(r *Rules) { r.RequestLifetime = 4*days - time.Millisecond }, []reminderStep{{0, OpenRequest, 0, 0, 4*days - time.Millisecond}}},
	{"a request that lives shorter than that", func(r *Rules) { r.RequestLifetime = 5 * time.Second }, []reminderStep{{0, OpenRequest, 0, 0, 5 * time.Second}}},

	{"accepted for good", nil, []reminderStep{requested, {days, Accept, 0, 0, 0}}},
	{"accepted until then, warned twice, lapses", nil, []reminderStep{
		requested, {days, Accept, 31 * days, 24 * days, 24 * days},
		{24 * days, Warn, 0, 30 * days, 30 * days}, {30 * days, Warn, 0, 0, 31 * days}, {31 * days, Lapse, 0, 0, 121 * days},
	}},
	{"a warning that is so late that the next is due is one", nil, []reminderStep{requested, accepted, {30*days + hour, Warn, 0, 0, 31 * days}}},
	{"a warning in time leaves the next, however near", nil, []reminderStep{
		requested, accepted, {29*days + 23*hour, Warn, 0, 30 * days, 30 * days},
	}},
	{"the first would be too soon", nil, []reminderStep{requested, {0, Accept, 7*days + 23*hour, 6*days + 23*hour, 6*days + 23*hour}}},
	{"the first is a day after", nil, []reminderStep{requested, {0, Accept, 8 * days, days, days}}},
	{"both would be too soon", nil, []reminderStep{requested, {0, Accept, days + 23*hour, 0, days + 23*hour}}},
	{"the second is a day after", nil, []reminderStep{requested, {0, Accept, 2 * days, days, days}}},
	{"moved ahead plans anew", nil, []reminderStep{
		requested, accepted, {24 * days, Warn, 0, 30 * days, 30 * days},
		{25 * days, Restrict, 50 * days, 43 * days, 43 * days}, {43 * days, Warn, 0, 49 * days, 49 * days},
	}},
	{"moved nearer plans anew", nil, []reminderStep{
		requested, {0, Accept, 60 * days, 53 * days, 53 * days}, {days, Restrict, 10 * days, 3 * days, 3 * days},
	}},
	{"taken away", nil, []reminderStep{requested, accepted, {days, Restrict, -1, 0, 0}}},
	{"the same date is no news", nil, []reminderStep{
		requested, accepted, {24 * days, Warn, 0, 30 * days, 30 * days},
		{25 * days, Restrict, 31 * days, 30 * days, 30 * days},
	}},
	{"revoked", nil, []reminderStep{requested, accepted, {days, Revoke, 0, 0, 91 * days}}},
	{"left", nil, []reminderStep{requested, accepted, {days, Leave, 0, 0, 91 * days}}},
	{"ended with its account", nil, []reminderStep{requested, accepted, {days, End, 0, 0, 91 * days}}},
	{"a lapse that is recorded late keeps its time", nil, []reminderStep{requested, accepted, {40 * days, Lapse, 0, 0, 121 * days}}},
	{"asked again after a lapse that nobody recorded", nil, []reminderStep{requested, accepted, {40 * days, OpenRequest, 0, 51 * days, 51 * days}}},
	{"no warnings", func(r *Rules) { r.LapseWarnings = nil }, []reminderStep{requested, {0, Accept, 31 * days, 0, 31 * days}}},
}

func TestReminders(t *testing.T) {
	for _, tt := range reminderCases {
		t.Run(tt.name, func(t *testing.T) {
			rules := reminding
			if tt.rules != nil {
				tt.rules(&rules)
			}
			p := Profile{ProfileKey: AgencyAt(someAccount, someAgency), Ownership: ClientOwned}
			for i, s := range tt.steps {
				now := noon.Add(s.at)
				step := Step{Do: s.do, By: connectionTable[s.do].by, Number: p.Request.Number, At: now, ExpiresAt: now.Add(rules.RequestLifetime), Into: someAccount}
				if s.do == Restrict {
					step.Areas = Areas{"mail": []Level{View, Edit}[i%2]}
				}
				switch {
				case s.until > 0:
					until := noon.Add(s.until)
					step.Until = &until
				case s.until < 0:
					step.Until = &time.Time{}
				}
				next, events, err := Apply(p, step)
				if err != nil || len(events) == 0 {
					t.Fatalf("%s: %d events, %v", s.do, len(events), err)
				}
				next.RemindAt = rules.NextReminder(p, next, step)
				next.DueAt = rules.Due(next)
				p = next
				for what, times := range map[string][2]time.Time{"reminded of": {p.RemindAt, afterNoon(s.remind)}, "due": {p.DueAt, afterNoon(s.due)}} {
					if !times[0].Equal(times[1]) {
						t.Errorf("after %s: %s at %s, want %s", s.do, what, times[0], times[1])
					}
				}
			}
		})
	}
}

// afterNoon returns the time so long after noon; the zero time for 0.
func afterNoon(d time.Duration) time.Time {
	if d == 0 {
		return time.Time{}
	}
	return noon.Add(d)
}
