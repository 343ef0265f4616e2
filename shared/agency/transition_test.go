package agency

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

var (
	someAgency  = NewAccountID("per_x", "an agency")
	someAccount = NewAccountID("per_y", "an account")
	somePerson  = NewPersonID("ann@client.test")
)

// row is what one action by its own side does in every state. Its lines read "states: outcome". An
// outcome is
//
//	the new status           with the row's event
//	expired, the new status  with two events, the clock's first
//	again                    no change and no error
//	a code                   a refusal
type row struct {
	do   Action
	by   Side
	as   EventType
	then string
}

// README, Life of a connection. An "overdue" profile is past its time by the clock, and no event
// says so yet.
var lifeOfAConnection = []row{
	{Create, AgencySide, AccountCreated, `
		none:                                                          active
		permanent:                                                     again
		active:                                                        again
		pending overdue-pending overdue-active:                        not_active
		declined withdrawn expired revoked left lapsed ended moved:      not_active`},
	{OpenRequest, AgencySide, ConnectionRequested, `
		none declined withdrawn expired revoked left lapsed ended moved: pending
		overdue-pending:                                               expired, pending
		overdue-active:                                                lapsed, pending
		pending:                                                       already_requested
		active:                                                        already_connected
		permanent:                                                     permanently_owned`},
	{Accept, AccountSide, ConnectionAccepted, `
		pending:                                                       active
		active:                                                        again
		overdue-pending expired:                                       request_expired
		none overdue-active declined withdrawn revoked left lapsed:      not_pending
		ended moved:                                                   not_pending
		permanent:                                                     permanently_owned`},
	{Decline, AccountSide, ConnectionDeclined, `
		pending expired:                                               declined
		overdue-pending:                                               expired, declined
		declined:                                                        again
		none active overdue-active withdrawn revoked left lapsed:      not_pending
		ended moved:                                                   not_pending
		permanent:                                                     permanently_owned`},
	{Withdraw, AgencySide, ConnectionWithdrawn, `
		pending:                                                       withdrawn
		withdrawn:                                                     again
		overdue-pending expired:                                       request_expired
		none active overdue-active declined revoked left lapsed:         not_pending
		ended moved:                                                   not_pending
		permanent:                                                     permanently_owned`},
	{Resend, AgencySide, ConnectionResent, `
		pending:                                                       pending
		overdue-pending expired:                                       request_expired
		none active overdue-active declined withdrawn revoked left:      not_pending
		lapsed ended moved:                                            not_pending
		permanent:                                                     permanently_owned`},
	{Expire, ClockSide, ConnectionExpired, `
		overdue-pending:                                               expired
		expired:                                                       again
		none pending active overdue-active declined withdrawn revoked:   conflict
		left lapsed ended moved permanent:                             conflict`},
	{Restrict, AccountSide, ConnectionRestricted, `
		active:                                                        active
		none pending overdue-pending overdue-active declined withdrawn:  not_active
		expired revoked left lapsed ended moved:                       not_active
		permanent:                                                     permanently_owned`},
	{Revoke, AccountSide, ConnectionRevoked, `
		active:                                                        revoked
		revoked:                                                       again
		none pending overdue-pending overdue-active declined withdrawn:  not_active
		expired left lapsed ended moved:                               not_active
		permanent:                                                     permanently_owned`},
	{Leave, AgencySide, ConnectionLeft, `
		active:                                                        left
		left:                                                          again
		none pending overdue-pending overdue-active declined withdrawn:  not_active
		expired revoked lapsed ended moved:                            not_active
		permanent:                                                     permanently_owned`},
	{Lapse, ClockSide, ConnectionLapsed, `
		overdue-active:                                                lapsed
		lapsed:                                                        again
		none pending overdue-pending active declined withdrawn expired:  conflict
		revoked left ended moved permanent:                            conflict`},
	// README, Endings and Requests by email: an account is closed, a request by email moves to an account.
	{End, ClockSide, ConnectionEnded, `
		active permanent:                                              ended
		pending overdue-pending:                                       expired
		overdue-active:                                                lapsed
		ended:                                                         again
		none declined withdrawn expired revoked left lapsed moved:       not_active`},
	{Move, ClockSide, ConnectionMoved, `
		pending:                                                       moved
		moved:                                                         again
		none overdue-pending active overdue-active declined withdrawn:   not_pending
		expired revoked left lapsed ended permanent:                   not_pending`},
	// Reminders and warnings.
	{Remind, ClockSide, ConnectionReminded, `
		pending:                                                       pending
		none overdue-pending active overdue-active declined withdrawn:   not_pending
		expired revoked left lapsed ended moved permanent:             not_pending`},
	{Warn, ClockSide, ConnectionLapseAhead, `
		active permanent:                                              active
		none pending overdue-pending overdue-active declined withdrawn:  not_active
		expired revoked left lapsed ended moved:                       not_active`},
}

// README, Persons. An "offered" person is active and has an open offer of ownership; a "refused" one
// has declined it.
var lifeOfAPerson = []row{
	{Open, SelfSide, AccountOpened, `
		none:                                                          active
		active offered overdue-offer refused:                          again
		invited overdue-invited:                                       not_active
		declined withdrawn expired revoked left lapsed ended moved:    not_active`},
	{OpenRequest, AccountSide, PersonInvited, `
		none declined withdrawn expired revoked left lapsed ended moved: invited
		overdue-invited:                                               expired, invited
		invited offered:                                               already_requested
		active refused:                                                active
		overdue-offer:                                                 active, active`},
	{Accept, SelfSide, PersonAdded, `
		invited offered:                                               active
		active:                                                        again
		overdue-invited expired overdue-offer:                         request_expired
		refused:                                                       not_pending
		none declined withdrawn revoked left lapsed ended moved:       not_pending`},
	{Decline, SelfSide, InvitationDeclined, `
		invited expired:                                               declined
		overdue-invited:                                               expired, declined
		offered:                                                       active
		overdue-offer:                                                 active, active
		declined refused:                                              again
		none active withdrawn revoked left lapsed ended moved:         not_pending`},
	{Withdraw, AccountSide, InvitationWithdrawn, `
		invited:                                                       withdrawn
		offered:                                                       active
		withdrawn:                                                     again
		overdue-invited expired overdue-offer:                         request_expired
		none active refused declined:                                  not_pending
		revoked left lapsed ended moved:                               not_pending`},
	{Resend, AccountSide, InvitationResent, `
		invited:                                                       invited
		offered:                                                       active
		overdue-invited expired overdue-offer:                         request_expired
		none active refused declined withdrawn:                        not_pending
		revoked left lapsed ended moved:                               not_pending`},
	{Expire, ClockSide, InvitationExpired, `
		overdue-invited:                                               expired
		overdue-offer:                                                 active
		expired:                                                       again
		none invited active offered refused declined withdrawn:        conflict
		revoked left lapsed ended moved:                               conflict`},
	{CloseRequest, ClockSide, InvitationWithdrawn, `
		invited:                                                       withdrawn
		offered:                                                       active
		withdrawn:                                                     again
		none active overdue-offer refused declined overdue-invited:    not_pending
		expired revoked left lapsed ended moved:                       not_pending`},
	{Remind, ClockSide, InvitationReminded, `
		invited:                                                       invited
		offered:                                                       active
		none active overdue-invited overdue-offer refused declined:    not_pending
		withdrawn expired revoked left lapsed ended moved:             not_pending`},
	{Appoint, PlatformSide, PersonAdded, `
		none declined withdrawn expired revoked left lapsed ended moved: active
		invited:                                                       withdrawn, active
		overdue-invited:                                               expired, active
		active refused:                                                active
		offered overdue-offer:                                         active, active`},
	{Change, AccountSide, PersonChanged, `
		active refused:                                                active
		offered overdue-offer:                                         active, active
		invited overdue-invited:                                       not_active
		none declined withdrawn expired revoked left lapsed ended moved: not_active`},
	{NewSignIn, AccountSide, PersonInvited, `
		active refused:                                                invited
		offered overdue-offer:                                         active, invited
		invited overdue-invited:                                       not_active
		none declined withdrawn expired revoked left lapsed ended moved: not_active`},
	{Remove, AccountSide, PersonRemoved, `
		active refused:                                                revoked
		offered overdue-offer:                                         active, revoked
		revoked:                                                       again
		invited overdue-invited:                                       not_active
		none declined withdrawn expired left lapsed ended moved:       not_active`},
	{Leave, SelfSide, PersonLeft, `
		active refused:                                                left
		offered overdue-offer:                                         active, left
		left:                                                          again
		invited overdue-invited:                                       not_active
		none declined withdrawn expired revoked lapsed ended moved:    not_active`},
	{End, ClockSide, PersonEnded, `
		active refused:                                                ended
		offered overdue-offer:                                         active, ended
		invited overdue-invited:                                       expired
		ended:                                                         again
		none declined withdrawn expired revoked left lapsed moved:     not_active`},
}

var sides = []Side{AccountSide, AgencySide, SelfSide, PlatformSide, ClockSide}

// statesOfAgency returns an agency's profiles in all states, by the names of the rows.
func statesOfAgency() map[string]Profile {
	base := Profile{
		ProfileKey: AgencyAt(someAccount, someAgency), Areas: Areas{"pages": Edit, "mail": View}, Name: "Agency", Ownership: ClientOwned,
		Request: Request{Number: 2, Message: "hello", Areas: Areas{"pages": Edit, "mail": View}, RequestedAt: noon.Add(-time.Hour), ExpiresAt: noon.Add(time.Hour)}, Since: noon.Add(-time.Hour), Version: 7,
	}
	all := map[string]Profile{"none": {ProfileKey: base.ProfileKey, Ownership: ClientOwned}}
	for _, s := range Statuses {
		if s == Invited {
			continue
		}
		p := base
		if p.Status = s; p.ShowsRequest() {
			p.Areas = nil
		}
		p.Request.Kind, p.Request.State = ConnectionKind, requestStateOf(s)
		all[string(s)] = p
	}
	// At its very moment a request has expired.
	overdue := all["pending"]
	overdue.Request.ExpiresAt = noon
	all["overdue-pending"] = overdue
	lapsed := all["active"]
	lapsed.Until = noon
	all["overdue-active"] = lapsed
	permanent := all["active"]
	permanent.Ownership, permanent.Request.Number, permanent.Request.ExpiresAt = AgencyOwned, 0, time.Time{}
	all["permanent"] = permanent
	return all
}

// requestStateOf returns the state of the request of a profile in a status.
func requestStateOf(s Status) RequestState {
	switch s {
	case Pending:
		return StateOpen
	case Declined, Withdrawn, Expired, Moved:
		return RequestState(s)
	default:
		return StateAccepted
	}
}

// statesOfPerson returns a person's profiles. A person is never pending and has no end date.
func statesOfPerson() map[string]Profile {
	all := map[string]Profile{}
	for name, p := range statesOfAgency() {
		if strings.HasPrefix(name, "overdue") || name == "permanent" {
			continue
		}
		p.ProfileKey, p.Name, p.Email = PersonAt(someAccount, somePerson), "", "ann@client.test"
		if name == "pending" {
			name, p.Status = "invited", Invited
		}
		if name == "none" {
			all[name] = p
			continue
		}
		p.Request.Kind, p.Request.Role, p.Request.From, p.Request.Message = InvitationKind, Admin, someAccount, ""
		if !p.ShowsRequest() {
			p.Role, p.Issuer, p.Subject = Admin, "issuer", "subject"
		}
		all[name] = p
	}
	overdue := all["invited"]
	overdue.Request.ExpiresAt = noon
	all["overdue-invited"] = overdue
	offered := all["active"]
	offered.Request.Kind, offered.Request.State, offered.Request.Role = OwnershipKind, StateOpen, Owner
	all["offered"] = offered
	refused := offered
	refused.Request.State = StateDeclined
	all["refused"] = refused
	offered.Request.ExpiresAt = noon
	all["overdue-offer"] = offered
	return all
}

// stepFor returns a step that is valid in a state that allows it.
func stepFor(do Action, by Side) Step {
	s := Step{Do: do, By: by, At: noon}
	switch do {
	case OpenRequest:
		s.Areas, s.Message, s.Maker, s.ExpiresAt = Areas{"pages": View}, "please", somePerson, noon.Add(24*time.Hour)
	case Resend:
		s.ExpiresAt, s.Maker = noon.Add(24*time.Hour), somePerson
	case NewSignIn:
		s.Maker, s.From, s.ExpiresAt = somePerson, someAccount, noon.Add(24*time.Hour)
	case Accept, Decline:
		s.Number = 2
	case Restrict:
		s.Areas = Areas{"mail": View}
	case Open:
		s.Role, s.Areas = Member, Areas{"pages": View}
	case Appoint:
		s.Role, s.Areas = Owner, Areas{"pages": Edit}
	case Change:
		s.Role = Member
	case Move:
		s.Into = someAccount
	case Create:
		s.Areas = Areas{"pages": Edit}
	case Withdraw, Expire, CloseRequest, Revoke, Leave, Lapse, End, Remove, Remind, Warn:
	}
	return s
}

func TestEveryActionInEveryState(t *testing.T) {
	for _, of := range []struct {
		kind   string
		rows   []row
		states map[string]Profile
	}{
		{"agency", lifeOfAConnection, statesOfAgency()},
		{"person", lifeOfAPerson, statesOfPerson()},
	} {
		for _, r := range of.rows {
			outcomes := r.outcomes(t, of.states)
			for _, name := range slices.Sorted(maps.Keys(of.states)) {
				t.Run(fmt.Sprintf("%s/%s/%s", of.kind, r.do, name), func(t *testing.T) {
					before := of.states[name]
					got, events, err := Apply(before, stepFor(r.do, r.by))
					if said := outcomeOf(before, got, events, err); said != outcomes[name] {
						t.Fatalf("%s of %s: %s, want %s (%v)", r.do, name, said, outcomes[name], err)
					}
					checkStep(t, before, got, events, err)
					if err == nil && len(events) > 0 {
						checkEvents(t, r, before, events)
					}
				})
			}
		}
	}
}

// outcomes parses a row, which names every state once.
func (r row) outcomes(t *testing.T, states map[string]Profile) map[string]string {
	t.Helper()
	out := map[string]string{}
	for line := range strings.Lines(strings.TrimSpace(r.then)) {
		names, outcome, ok := strings.Cut(line, ":")
		if !ok {
			t.Fatalf("%s: %q", r.do, line)
		}
		for _, name := range strings.Fields(names) {
			if _, known := states[name]; !known || out[name] != "" {
				t.Fatalf("%s: %q is no state, or is there twice", r.do, name)
			}
			out[name] = strings.TrimSpace(outcome)
		}
	}
	if len(out) != len(states) {
		t.Fatalf("%s: %d states of %d: %v", r.do, len(out), len(states), out)
	}
	return out
}

// outcomeOf describes the result of Apply in the words of a row.
func outcomeOf(before, got Profile, events []Event, err error) string {
	if err != nil {
		return string(CodeOf(err))
	}
	if len(events) == 0 {
		return "again"
	}
	words := make([]string, len(events))
	for i, e := range events {
		words[i] = string(e.Now.Status)
	}
	if last := events[len(events)-1].Now.Status; last != got.Status || events[0].Was.Status != before.Status {
		return fmt.Sprintf("%s, told as from %s to %s", got.Status, events[0].Was.Status, last)
	}
	return strings.Join(words, ", ")
}

// checkStep checks what holds for every step.
func checkStep(t interface {
	Helper()
	Errorf(string, ...any)
}, before, got Profile, events []Event, err error,
) {
	t.Helper()
	if err != nil {
		if diff := cmp.Diff(before, got); diff != "" || len(events) != 0 {
			t.Errorf("a refusal changed something: %s, %d events", diff, len(events))
		}
		refusal, ok := err.(*Error) //nolint:errorlint // Apply answers its own refusals bare
		if !ok || refusal.Message == "" {
			t.Errorf("no refusal with a sentence: %v", err)
			return
		}
		switch refusal.Code {
		case PermanentlyOwned, Forbidden, Invalid:
		default:
			if want := before.StatusAt(noon); refusal.State != want && before.Status != "" {
				t.Errorf("the refusal names the state %q, want %q", refusal.State, want)
			}
		}
		return
	}
	if got.Version != before.Version+len(events) {
		t.Errorf("version %d after %d events on version %d", got.Version, len(events), before.Version)
	}
	for i, e := range events {
		if e.Version != before.Version+i+1 {
			t.Errorf("event %d of version %d on version %d", i, e.Version, before.Version)
		}
		if e.Addressee != before.Addressee || e.Member != before.Member || e.Request != got.Request.Number && i == len(events)-1 {
			t.Errorf("the event tells of another profile or request: %+v", e)
		}
	}
	if len(events) == 0 && !reflect.DeepEqual(before, got) {
		t.Errorf("changed without an event: %s", cmp.Diff(before, got))
	}
}

// checkEvents checks the types of a step's events: the clock's own first, then the row's.
func checkEvents(t *testing.T, r row, before Profile, events []Event) {
	t.Helper()
	want := []EventType{r.as}
	expired, offer := ConnectionExpired, before.HasOffer()
	if before.Kind() == PersonKind {
		expired = InvitationExpired
	}
	switch settled := before.StatusAt(noon); {
	case offer && r.do == OpenRequest:
		want = []EventType{expired, OwnershipOffered}
	case offer && r.do == Accept:
		want = []EventType{OwnershipAccepted}
	case r.do == OpenRequest && before.Kind() == PersonKind && before.Status == Active:
		want = []EventType{OwnershipOffered}
	case r.do == Appoint && before.Status == Active:
		want = []EventType{PersonChanged}
		if offer {
			want = []EventType{InvitationWithdrawn, PersonChanged}
		}
	case offer && slices.Contains([]Action{Change, NewSignIn, Remove, Leave, End}, r.do), before.Status == Invited && r.do == Appoint:
		want = []EventType{InvitationWithdrawn, r.as}
	case r.do == End && settled == Lapsed:
		want = []EventType{ConnectionLapsed}
	case r.do == End && (settled == Pending || settled == Invited || settled == Expired):
		want = []EventType{expired}
	case r.do == Expire || r.do == Lapse:
	case settled != before.Status && settled == Expired, offer && !before.HasOpenRequestAt(noon):
		want = []EventType{expired, r.as}
	case settled != before.Status:
		want = []EventType{ConnectionLapsed, r.as}
	}
	if before.HasOpenRequest() && !before.HasOpenRequestAt(noon) && len(want) == 2 && want[0] == InvitationWithdrawn {
		// The clock was there first.
		want[0] = expired
	}
	var got []EventType
	for _, e := range events {
		got = append(got, e.Type)
		if e.At != noon {
			t.Errorf("%s is of %s", e.Type, e.At)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// An action by another side than the row's is refused in every state; so is a person's action on an
// agency and the reverse.
func TestOnlyItsOwnSideTakesAStep(t *testing.T) {
	for _, of := range []struct {
		rows, foreign []row
		states        map[string]Profile
	}{
		{lifeOfAConnection, lifeOfAPerson, statesOfAgency()},
		{lifeOfAPerson, lifeOfAConnection, statesOfPerson()},
	} {
		right := map[Action]Side{}
		for _, r := range of.rows {
			right[r.do] = r.by
		}
		for _, r := range append(slices.Clone(of.rows), of.foreign...) {
			for _, by := range sides {
				if right[r.do] == by {
					continue
				}
				for name, p := range of.states {
					want := Forbidden
					if name == "permanent" && by != ClockSide && r.do != Create {
						want = PermanentlyOwned
					}
					got, events, err := Apply(p, stepFor(r.do, by))
					if CodeOf(err) != want {
						t.Errorf("%s of %s by %s: %v, want %s", r.do, name, by, err, want)
					}
					checkStep(t, p, got, events, err)
				}
			}
		}
	}
}

func TestWhatAStepWrites(t *testing.T) {
	states := statesOfAgency()
	day := noon.Add(24 * time.Hour)
	never := time.Time{}
	past := noon
	for _, tt := range []struct {
		name string
		from string
		step Step
		code Code
		want func(*Profile)
	}{
		{name: "a request begins anew", from: "revoked", step: stepFor(OpenRequest, AgencySide), want: func(p *Profile) {
			p.Status, p.Since, p.Request.Number, p.Areas, p.Request.Areas, p.Request.Message, p.Request.By = Pending, noon, 3, nil, Areas{"pages": View}, "please", somePerson
			p.Request.RequestedAt, p.Request.MailedAt, p.Request.ExpiresAt, p.Request.Delivery, p.Version = noon, noon, day, "", 8
		}},
		{name: "a request after a lapse has no end date", from: "overdue-active", step: stepFor(OpenRequest, AgencySide), want: func(p *Profile) {
			p.Status, p.Since, p.Request.Number, p.Areas, p.Request.Areas, p.Request.Message, p.Request.By = Pending, noon, 3, nil, Areas{"pages": View}, "please", somePerson
			p.Request.RequestedAt, p.Request.MailedAt, p.Request.ExpiresAt, p.Request.Delivery, p.Until, p.Version = noon, noon, day, "", never, 9
		}},
		{name: "a resend lengthens, and waits again", from: "pending", step: stepFor(Resend, AgencySide), want: func(p *Profile) {
			p.Request.ExpiresAt, p.Request.By, p.Request.Delivery, p.Request.Resends, p.Request.MailedAt, p.Version = day, somePerson, "", 1, noon, 8
		}},
		{name: "a resend never shortens", from: "pending", step: Step{Do: Resend, By: AgencySide, At: noon, ExpiresAt: noon.Add(time.Minute), Maker: somePerson}, want: func(p *Profile) {
			p.Request.By, p.Request.Delivery, p.Request.Resends, p.Request.MailedAt, p.Version = somePerson, "", 1, noon, 8
		}},
		{name: "accept grants what was asked", from: "pending", step: Step{Do: Accept, By: AccountSide, At: noon, Number: 2}, want: func(p *Profile) {
			p.Status, p.Since, p.Areas, p.Version = Active, noon, p.Request.Areas, 8
		}},
		{name: "accept may narrow and set an end", from: "pending", step: Step{Do: Accept, By: AccountSide, At: noon, Number: 2, Areas: Areas{"pages": View}, Until: &day}, want: func(p *Profile) {
			p.Status, p.Since, p.Areas, p.Until, p.Version = Active, noon, Areas{"pages": View}, day, 8
		}},
		{name: "accept grants no more than was asked", from: "pending", step: Step{Do: Accept, By: AccountSide, At: noon, Number: 2, Areas: Areas{"mail": Edit}}, code: Invalid},
		{name: "accept grants nothing that was not asked", from: "pending", step: Step{Do: Accept, By: AccountSide, At: noon, Number: 2, Areas: Areas{"funnels": View}}, code: Invalid},
		{name: "accept of an earlier request", from: "pending", step: Step{Do: Accept, By: AccountSide, At: noon, Number: 1}, code: Conflict},
		{name: "accept of no request", from: "pending", step: Step{Do: Accept, By: AccountSide, At: noon}, code: Conflict},
		{name: "accept again of another request", from: "active", step: Step{Do: Accept, By: AccountSide, At: noon, Number: 1}, code: NotPending},
		{name: "an end date that is now", from: "active", step: Step{Do: Restrict, By: AccountSide, At: noon, Until: &past}, code: Invalid},
		{name: "an end date", from: "active", step: Step{Do: Restrict, By: AccountSide, At: noon, Until: &day}, want: func(p *Profile) {
			p.Until, p.Version = day, 8
		}},
		{name: "the end date away", from: "active", step: Step{Do: Restrict, By: AccountSide, At: noon, Until: &never}},
		{name: "later changes are free", from: "active", step: Step{Do: Restrict, By: AccountSide, At: noon, Areas: Areas{"funnels": Edit}}, want: func(p *Profile) {
			p.Areas, p.Version = Areas{"funnels": Edit}, 8
		}},
		{name: "a change that changes nothing", from: "active", step: Step{Do: Restrict, By: AccountSide, At: noon, Areas: Areas{"pages": Edit, "mail": View, "funnels": None}}},
		{name: "a request that moves", from: "pending", step: Step{Do: Move, By: ClockSide, At: noon, Into: someAccount}, want: func(p *Profile) {
			p.Status, p.Since, p.MovedTo, p.Version = Moved, noon, someAccount, 8
		}},
		{name: "a request is muted when it is made", from: "declined", step: but(stepFor(OpenRequest, AgencySide), func(s *Step) { s.Muted = true }), want: func(p *Profile) {
			p.Status, p.Since, p.Request.Number, p.Areas, p.Request.Areas, p.Request.Message, p.Request.By = Pending, noon, 3, nil, Areas{"pages": View}, "please", somePerson
			p.Request.RequestedAt, p.Request.MailedAt, p.Request.ExpiresAt, p.Request.Delivery, p.Request.Muted, p.Version = noon, noon, day, "", true, 8
		}},
		{name: "and only then", from: "pending", step: but(stepFor(Resend, AgencySide), func(s *Step) { s.Muted = true }), want: func(p *Profile) {
			p.Request.ExpiresAt, p.Request.By, p.Request.Delivery, p.Request.Resends, p.Request.MailedAt, p.Version = day, somePerson, "", 1, noon, 8
		}},
		{name: "a reminder changes nothing that is seen", from: "pending", step: stepFor(Remind, ClockSide), want: func(p *Profile) { p.Version = 8 }},
		{name: "nor does a warning", from: "active", step: stepFor(Warn, ClockSide), want: func(p *Profile) { p.Version = 8 }},
		{name: "an agency is assigned to nothing", from: "active", step: Step{Do: Restrict, By: AccountSide, At: noon, Clients: &[]AccountID{someAccount}}},
		{name: "an expiry is of its time", from: "overdue-pending", step: Step{Do: Expire, By: ClockSide, At: noon.Add(time.Minute)}, want: func(p *Profile) {
			p.Status, p.Since, p.Version = Expired, noon, 8
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			want := states[tt.from]
			got, events, err := Apply(want, tt.step)
			if CodeOf(err) != tt.code {
				t.Fatalf("%v, want %q", err, tt.code)
			}
			checkStep(t, want, got, events, err)
			if tt.want != nil {
				tt.want(&want)
				want.Request.State = requestStateOf(want.Status)
				if tt.step.Do == Accept {
					want.Request.AnsweredAt = noon
				}
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// A request keeps nothing of the one before.
func TestARequestBeginsAnew(t *testing.T) {
	was := statesOfAgency()["moved"]
	was.MovedTo, was.Request.Muted, was.Request.Resends, was.Request.Reached, was.Until = someAccount, true, 3, []PersonID{somePerson}, noon
	p, events, err := Apply(was, stepFor(OpenRequest, AgencySide))
	if err != nil || p.MovedTo != "" || p.Request.Muted || p.Request.Resends != 0 || p.Request.Reached != nil || !p.Until.IsZero() || p.Request.Number != 3 || events[0].Muted {
		t.Errorf("%+v, %+v, %v", p, events, err)
	}
}

// Every event of a muted request is marked as muted.
func TestWhatIsMutedStaysMuted(t *testing.T) {
	for _, s := range []Step{
		stepFor(Resend, AgencySide), stepFor(Withdraw, AgencySide), stepFor(Remind, ClockSide), stepFor(End, ClockSide),
		but(stepFor(Expire, ClockSide), func(s *Step) { s.At = noon.Add(time.Hour) }),
	} {
		p := statesOfAgency()["pending"]
		p.Request.Muted = true
		p, events, err := Apply(p, s)
		if err != nil || len(events) != 1 || !events[0].Muted || !p.Request.Muted || !p.IsHidden() {
			t.Errorf("%s: %+v, %v", s.Do, events, err)
		}
	}
	// A new request after an overdue one: the first event is of the muted request, the second of the new one.
	p := statesOfAgency()["overdue-pending"]
	p.Request.Muted = true
	p, events, err := Apply(p, stepFor(OpenRequest, AgencySide))
	if err != nil || len(events) != 2 || !events[0].Muted || events[1].Muted || p.IsHidden() {
		t.Errorf("%+v, %v", events, err)
	}
}

func TestTheClientsThatAMemberIsLimitedTo(t *testing.T) {
	one, two, nobody := []AccountID{someAccount}, []AccountID{someAccount, someAgency}, []AccountID{}
	var all []AccountID
	change := func(to *[]AccountID) Step { return Step{Do: Change, By: AccountSide, At: noon, Clients: to} }
	for _, tt := range []struct {
		name   string
		was    []AccountID
		status Status
		step   Step
		want   []AccountID
		events int
	}{
		{"limited", nil, Active, change(&one), one, 1},
		{"limited to others", one, Active, change(&two), two, 1},
		{"limited to the same", one, Active, change(&one), one, 0},
		{"limited to none at all", nil, Active, change(&nobody), nobody, 1},
		{"none at all is not all", nobody, Active, change(&all), nil, 1},
		{"the limit lifted", two, Active, change(&all), nil, 1},
		{"not given", one, Active, Step{Do: Change, By: AccountSide, At: noon, Areas: Areas{"mail": View}}, one, 1},
		{"an admin has no limit", one, Active, Step{Do: Change, By: AccountSide, At: noon, Role: Admin}, nil, 1},
		{"nor can one be limited", nil, Active, Step{Do: Change, By: AccountSide, At: noon, Role: Admin, Clients: &one}, nil, 1},
		{"invited again after leaving", one, Left, Step{Do: OpenRequest, By: AccountSide, At: noon, Role: Member, Areas: Areas{"mail": View}}, nil, 1},
		// A change of role and areas changes nothing else.
		{"given other areas", one, Active, Step{Do: Change, By: AccountSide, At: noon, Role: Member, Areas: Areas{"mail": View}}, one, 1},
		{"made an admin, with areas", one, Active, Step{Do: Change, By: AccountSide, At: noon, Role: Admin, Areas: Areas{"mail": View}}, nil, 1},
	} {
		p := statesOfPerson()[string(tt.status)]
		p.Role, p.Clients = Member, tt.was
		before := slices.Clone(tt.was)
		got, events, err := Apply(p, tt.step)
		if err != nil || len(events) != tt.events {
			t.Errorf("%s: %d events, %v", tt.name, len(events), err)
		}
		if diff := cmp.Diff(tt.want, got.Clients); diff != "" {
			t.Errorf("%s: %s", tt.name, diff)
		}
		if diff := cmp.Diff(before, p.Clients); diff != "" {
			t.Errorf("%s changed what it was given: %s", tt.name, diff)
		}
		for _, e := range events {
			if diff := cmp.Diff(got.Clients, e.Now.Clients); diff != "" {
				t.Errorf("%s is told as %s", tt.name, diff)
			}
		}
	}
}

// checkRandomLife draws a random life of one profile and checks each step of it.
func checkRandomLife(t *rapid.T, p Profile, actions []Action, check func(before, after Profile, s Step, events []Event, err error)) {
	levels := rapid.SampledFrom([]Level{None, View, Edit})
	areas := rapid.Custom(func(t *rapid.T) Areas {
		if rapid.Bool().Draw(t, "given") {
			return Areas{"pages": levels.Draw(t, "pages"), "mail": levels.Draw(t, "mail")}
		}
		return nil
	})
	now := noon
	for range rapid.IntRange(1, 40).Draw(t, "steps") {
		now = now.Add(time.Duration(rapid.IntRange(0, 90).Draw(t, "minutes")) * time.Minute)
		s := Step{
			Do: rapid.SampledFrom(actions).Draw(t, "do"), By: rapid.SampledFrom(sides).Draw(t, "by"), At: now,
			Areas: areas.Draw(t, "areas"), Number: rapid.IntRange(0, 4).Draw(t, "number"),
			ExpiresAt: now.Add(time.Duration(rapid.IntRange(1, 120).Draw(t, "life")) * time.Minute), Muted: rapid.Bool().Draw(t, "muted"),
		}
		if p.Kind() == PersonKind {
			s.Role = rapid.SampledFrom([]Role{"", Owner, Admin, Member}).Draw(t, "role")
			if rapid.Bool().Draw(t, "assigned") {
				s.Clients = &[]AccountID{someAccount}
			}
		}
		if p.Kind() == AgencyKind && rapid.Bool().Draw(t, "ends") {
			until := now.Add(time.Duration(rapid.IntRange(-60, 120).Draw(t, "until")) * time.Minute)
			s.Until = &until
		}
		before, asked := clone(p), maps.Clone(s.Areas)
		after, events, err := Apply(p, s)
		if diff := cmp.Diff(before, p); diff != "" {
			t.Fatalf("Apply changed what it was given: %s", diff)
		}
		if diff := cmp.Diff(asked, s.Areas); diff != "" {
			t.Fatalf("Apply changed the step: %s", diff)
		}
		check(before, after, s, events, err)
		p = after
	}
}

func clone(p Profile) Profile {
	p.Areas = maps.Clone(p.Areas)
	return p
}

func actionsOf(rows []row) []Action {
	var out []Action
	for _, r := range rows {
		out = append(out, r.do)
	}
	return out
}

func TestLifeOfAConnectionHolds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		start := Profile{ProfileKey: AgencyAt(someAccount, someAgency), Ownership: ClientOwned}
		checkRandomLife(t, start, actionsOf(lifeOfAConnection), func(before, after Profile, s Step, events []Event, err error) {
			if len(events) != after.Version-before.Version {
				t.Fatalf("%d events for %d versions", len(events), after.Version-before.Version)
			}
			was := before.StatusAt(s.At)
			for _, e := range events {
				if e.Now.Status == Active && e.Was.Status != Active && (e.Was.Status != Pending || s.Do != Accept) && s.Do != Create {
					t.Fatalf("active by %s from %s", s.Do, e.Was.Status)
				}
			}
			if was == Pending && after.Status == Pending && after.Request.ExpiresAt.Before(before.Request.ExpiresAt) {
				t.Fatalf("%s shortened the request", s.Do)
			}
			if err == nil && len(events) > 0 && after.StatusAt(s.At) != after.Status {
				t.Fatalf("%s left it %s while it is %s", s.Do, after.Status, after.StatusAt(s.At))
			}
			if after.Request.Number < before.Request.Number || after.Request.Number > before.Request.Number && (s.Do != OpenRequest || was == Pending || was == Active) {
				t.Fatalf("%s in %s counted request %d after %d", s.Do, was, after.Request.Number, before.Request.Number)
			}
			if err != nil && CodeOf(err) == Internal {
				t.Fatalf("no refusal: %v", err)
			}
			if after.Request.Muted != before.Request.Muted && s.Do != OpenRequest || after.Clients != nil || was == Pending && after.Request.Resends < before.Request.Resends {
				t.Fatalf("%s: muted %t after %t, %d resends after %d, limited to %v", s.Do, after.Request.Muted, before.Request.Muted, after.Request.Resends, before.Request.Resends, after.Clients)
			}
		})
	})
}

func TestLifeOfAPersonHolds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		start := Profile{ProfileKey: PersonAt(someAccount, somePerson), Ownership: ClientOwned}
		checkRandomLife(t, start, actionsOf(lifeOfAPerson), func(before, after Profile, s Step, events []Event, err error) {
			if len(events) != after.Version-before.Version || len(events) > 2 {
				t.Fatalf("%d events for %d versions", len(events), after.Version-before.Version)
			}
			if after.Status == Active && before.Status != Active && s.Do != Open && s.Do != Appoint &&
				(s.Do != Accept || s.By != SelfSide || !before.HasOpenRequestAt(s.At) || s.Number != before.Request.Number) {
				t.Fatalf("active by %s from %s", s.Do, before.Status)
			}
			owns := func(p Profile) bool { return p.Status == Active && p.Role == Owner }
			if owns(after) && !owns(before) && s.Do != Open && s.Do != Appoint && (s.Do != Accept || before.Request.Role != Owner) {
				t.Fatalf("an owner by %s", s.Do)
			}
			if n := after.Request.Number - before.Request.Number; n < 0 || n > 1 || n == 1 && s.Do != OpenRequest && s.Do != NewSignIn && s.Do != Resend {
				t.Fatalf("%s counted request %d after %d", s.Do, after.Request.Number, before.Request.Number)
			}
			if before.HasOpenRequestAt(s.At) && after.HasOpenRequest() && before.Request.Number == after.Request.Number && after.Request.ExpiresAt.Before(before.Request.ExpiresAt) {
				t.Fatalf("%s shortened the request", s.Do)
			}
			if err == nil && len(events) > 0 && after.HasOpenRequest() && !after.HasOpenRequestAt(s.At) {
				t.Fatalf("%s left an overdue request open", s.Do)
			}
			if after.Request.Muted != before.Request.Muted && s.Do != OpenRequest && s.Do != NewSignIn {
				t.Fatalf("%s changed whether the request is muted", s.Do)
			}
			if after.Status == Pending || !after.Until.IsZero() {
				t.Fatalf("a person is %s, until %s", after.Status, after.Until)
			}
			if after.Status == Active && after.Role != Member && after.Clients != nil {
				t.Fatalf("an %s is limited to %v", after.Role, after.Clients)
			}
		})
	})
}

// An owning agency's profile ends only with the account.
func TestOwnershipIsForGood(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		checkRandomLife(t, statesOfAgency()["permanent"], actionsOf(append(slices.Clone(lifeOfAConnection), lifeOfAPerson...)), func(before, after Profile, s Step, _ []Event, _ error) {
			if s.Do == Warn && s.By == ClockSide {
				after.Version = before.Version
			}
			if before.Status == Active && !reflect.DeepEqual(before, after) && (s.Do != End || s.By != ClockSide) {
				t.Fatalf("%s by %s: %s", s.Do, s.By, cmp.Diff(before, after))
			}
		})
	})
}
