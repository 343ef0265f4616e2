package agency

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

var someRules = Rules{
	Areas: []Area{{ID: "pages", Name: "Pages"}, {ID: "mail", Name: "Mail"}},
	Plans: []Plan{{ID: "starter", Name: "Starter"}, {ID: "growth", Name: "Growth"}},
}

var ann = NewActor("ann@client.test", "issuer", "ann")

// levels returns the areas pages and mail.
func levels(pages, mail Level) Areas { return Areas{"pages": pages, "mail": mail} }

func accountNow(ownership Ownership) Account {
	return Account{ID: someAccount, Ownership: ownership, Version: 1, Subscription: Subscription{Plan: "starter", State: SubscriptionActive}}
}

// member is ann's profile in an account.
func member(in AccountID, s Status, r Role, a Areas) Profile {
	return Profile{ProfileKey: PersonAt(in, ann.ID()), Status: s, Role: r, Areas: a, Ownership: ClientOwned, Issuer: ann.Issuer, Subject: ann.Subject, Version: 1}
}

// through returns a path through an agency in which ann is a member.
func through(s Status, granted Areas, role Role, staff Areas) Path {
	return Path{
		Agency:     Account{ID: someAgency, Ownership: ClientOwned, AgencyOn: true, Version: 1},
		Connection: Profile{ProfileKey: AgencyAt(someAccount, someAgency), Status: s, Areas: granted, Ownership: ClientOwned, Request: Request{ExpiresAt: noon.Add(time.Hour)}, Version: 1},
		Staff:      member(someAgency, Active, role, staff),
	}
}

// but returns a copy of v with a change.
func but[T any](v T, change func(*T)) T {
	change(&v)
	return v
}

type accessCase struct {
	name    string
	account Account
	own     Profile
	paths   []Path
	want    Access
}

func accessCases() []accessCase {
	var (
		client  = accountNow(ClientOwned)
		owned   = accountNow(AgencyOwned)
		edit    = levels(Edit, Edit)
		nobody  = Profile{ProfileKey: PersonAt(someAccount, ann.ID())}
		other   = NewAccountID("per_z", "another agency")
		refusal = func(why Reason) Access {
			return Access{Areas: levels(None, None), Reason: why, Ownership: ClientOwned, Payer: ClientOwned}
		}
		stranger = Access{Areas: levels(None, None), Reason: NoProfile}
		grant    = func(a Areas, via string) Access {
			return Access{Allowed: true, Areas: a, Via: via, Ownership: ClientOwned, Payer: ClientOwned}
		}
		viaAgency = string(someAgency)
		rebound   = func(p *Profile) { p.Subject = "somebody else" }
	)
	return []accessCase{
		{"unknown account", Account{ID: someAccount}, nobody, nil, stranger},
		{"unknown account, through an agency", Account{ID: someAccount}, nobody, []Path{through("", nil, Owner, nil)}, stranger},
		{"stranger", client, nobody, nil, stranger},
		{"stranger, through an agency that is not there", client, nobody, []Path{through("", nil, Owner, nil)}, stranger},
		{"stranger to an owned account", owned, nobody, nil, stranger},
		{"stranger to a closed account", but(client, func(a *Account) { a.Closed = noon }), nobody, nil, stranger},

		{"own, owner: everything, whatever stands there", client, member(someAccount, Active, Owner, nil), nil, grant(edit, ViaOwn)},
		{"own, admin", client, member(someAccount, Active, Admin, levels(View, None)), nil, grant(edit, ViaOwn)},
		{"own, member", client, member(someAccount, Active, Member, levels(View, None)), nil, grant(levels(View, None), ViaOwn)},
		{"own, an area that the settings no longer know", client, member(someAccount, Active, Member, Areas{"pages": View, "gone": Edit}), nil, grant(levels(View, None), ViaOwn)},
		{"own, revoked", client, member(someAccount, Revoked, Owner, nil), nil, refusal(HasEnded)},
		{"own, left", client, member(someAccount, Left, Member, edit), nil, refusal(HasEnded)},
		{"own, ended", client, member(someAccount, Ended, Member, edit), nil, refusal(HasEnded)},
		{"own, another subject", client, but(member(someAccount, Active, Owner, nil), rebound), nil, refusal(ChangedIdentity)},
		{"own, another issuer", client, but(member(someAccount, Active, Owner, nil), func(p *Profile) { p.Issuer = "another" }), nil, refusal(ChangedIdentity)},
		{"own, not bound yet", client, but(member(someAccount, Active, Owner, nil), func(p *Profile) { p.Issuer, p.Subject = "", "" }), nil, grant(edit, ViaOwn)},
		{"own, client of an owned account", owned, but(member(someAccount, Active, Member, levels(None, View)), func(p *Profile) { p.Ownership = AgencyOwned }), nil,
			but(grant(levels(None, View), ViaOwn), func(a *Access) { a.Ownership, a.Payer = AgencyOwned, AgencyOwned })},

		{"agency, owner", client, nobody, []Path{through(Active, levels(Edit, View), Owner, nil)}, grant(levels(Edit, View), viaAgency)},
		{"agency, staff: the lower of both", client, nobody, []Path{through(Active, levels(Edit, View), Member, levels(View, Edit))}, grant(levels(View, View), viaAgency)},
		{"agency, staff: the lower of both is nothing", client, nobody, []Path{through(Active, levels(Edit, None), Member, levels(None, Edit))}, stranger},
		{"agency, staff limited to this client", client, nobody, []Path{but(through(Active, edit, Member, edit), func(p *Path) { p.Staff.Clients = []AccountID{other, someAccount} })}, grant(edit, viaAgency)},
		{"agency, staff limited to others", client, nobody, []Path{but(through(Active, edit, Member, edit), func(p *Path) { p.Staff.Clients = []AccountID{other} })}, refusal(NotAssigned)},
		{"agency, staff limited to none", client, nobody, []Path{but(through(Active, edit, Member, edit), func(p *Path) { p.Staff.Clients = []AccountID{} })}, refusal(NotAssigned)},
		{"agency without a connection, staff limited to others", client, nobody, []Path{but(through("", nil, Member, edit), func(p *Path) { p.Staff.Clients = []AccountID{other} })}, stranger},
		{"agency, staff limited to others, who has left", client, nobody, []Path{but(through(Active, edit, Member, edit), func(p *Path) { p.Staff.Clients, p.Staff.Status = []AccountID{other}, Left })}, stranger},
		{"agency, staff limited to others, another identity", client, nobody, []Path{but(through(Active, edit, Member, edit), func(p *Path) { p.Staff.Clients = []AccountID{other}; rebound(&p.Staff) })}, refusal(ChangedIdentity)},
		{"own, and not assigned", client, member(someAccount, Active, Member, levels(View, None)), []Path{but(through(Active, edit, Member, edit), func(p *Path) { p.Staff.Clients = []AccountID{other} })}, grant(levels(View, None), ViaOwn)},
		{"agency, pending", client, nobody, []Path{through(Pending, edit, Owner, nil)}, refusal(StillPending)},
		{"agency, overdue pending", client, nobody, []Path{but(through(Pending, edit, Owner, nil), func(p *Path) { p.Connection.Request.ExpiresAt = noon })}, refusal(HasEnded)},
		{"agency, declined", client, nobody, []Path{through(Declined, edit, Owner, nil)}, refusal(HasEnded)},
		{"agency, revoked", client, nobody, []Path{through(Revoked, edit, Owner, nil)}, refusal(HasEnded)},
		{"agency, expired", client, nobody, []Path{through(Expired, edit, Owner, nil)}, refusal(HasEnded)},
		{"agency, lapsed", client, nobody, []Path{through(Lapsed, edit, Owner, nil)}, refusal(HasLapsed)},
		{"agency, overdue active", client, nobody, []Path{but(through(Active, edit, Owner, nil), func(p *Path) { p.Connection.Until = noon })}, refusal(HasLapsed)},
		{"agency, a moment before its end date", client, nobody, []Path{but(through(Active, edit, Owner, nil), func(p *Path) { p.Connection.Until = noon.Add(time.Millisecond) })}, grant(edit, viaAgency)},
		{"agency, not of its staff", client, nobody, []Path{but(through(Active, edit, Owner, nil), func(p *Path) { p.Staff = Profile{ProfileKey: p.Staff.ProfileKey} })}, stranger},
		{"agency, no more of its staff", client, nobody, []Path{but(through(Active, edit, Owner, nil), func(p *Path) { p.Staff.Status = Revoked })}, stranger},
		{"agency, hub off", client, nobody, []Path{but(through(Active, edit, Owner, nil), func(p *Path) { p.Agency.AgencyOn = false })}, stranger},
		{"agency, closed", client, nobody, []Path{but(through(Active, edit, Owner, nil), func(p *Path) { p.Agency.Closed = noon })}, stranger},
		{"agency, staff's identity changed", client, nobody, []Path{but(through(Active, edit, Owner, nil), func(p *Path) { rebound(&p.Staff) })}, refusal(ChangedIdentity)},
		{"agency without a connection, staff's identity changed", client, nobody, []Path{but(through("", nil, Owner, nil), func(p *Path) { rebound(&p.Staff) })}, stranger},
		{"agency with its hub off, staff's identity changed", client, nobody, []Path{but(through(Active, edit, Owner, nil), func(p *Path) { rebound(&p.Staff); p.Agency.AgencyOn = false })}, stranger},
		{"owning agency: everything", owned, nobody, []Path{but(through(Active, nil, Admin, nil), func(p *Path) { p.Connection.Ownership = AgencyOwned })},
			but(grant(edit, viaAgency), func(a *Access) { a.Ownership, a.Payer = AgencyOwned, AgencyOwned })},

		{"both, own higher", client, member(someAccount, Active, Owner, nil), []Path{through(Active, levels(View, View), Owner, nil)}, grant(edit, ViaOwn)},
		{"both, agency higher", client, member(someAccount, Active, Member, levels(View, None)), []Path{through(Active, levels(Edit, View), Owner, nil)}, grant(levels(Edit, View), viaAgency)},
		{"both, each higher somewhere", client, member(someAccount, Active, Member, levels(Edit, None)), []Path{through(Active, levels(View, View), Owner, nil)}, grant(levels(Edit, View), ViaOwn)},
		{"a tie", client, member(someAccount, Active, Member, levels(View, View)), []Path{through(Active, levels(View, View), Owner, nil)}, grant(levels(View, View), ViaOwn)},
		{"own ended, agency active", client, member(someAccount, Left, Member, edit), []Path{through(Active, levels(View, None), Owner, nil)}, grant(levels(View, None), viaAgency)},
		{"own active, agency revoked", client, member(someAccount, Active, Member, levels(View, None)), []Path{through(Revoked, edit, Owner, nil)}, grant(levels(View, None), ViaOwn)},
		{"own another's, agency active", client, but(member(someAccount, Active, Owner, nil), rebound), []Path{through(Active, levels(View, None), Owner, nil)}, grant(levels(View, None), viaAgency)},
		{"two agencies, the second higher", client, nobody, []Path{
			but(through(Active, levels(View, None), Owner, nil), func(p *Path) { p.Agency.ID = other }),
			through(Active, levels(Edit, None), Owner, nil),
		}, grant(levels(Edit, None), viaAgency)},

		{"closed, to its owner", but(client, func(a *Account) { a.Closed = noon }), member(someAccount, Active, Owner, nil), nil, refusal(HasClosed)},
		{"closed, to its agency", but(client, func(a *Account) { a.Closed = noon }), nobody, []Path{through(Active, edit, Owner, nil)}, refusal(HasClosed)},
		{"frozen", but(client, func(a *Account) { a.Subscription.State = SubscriptionFrozen }), member(someAccount, Active, Owner, nil), nil,
			but(grant(levels(View, View), ViaOwn), func(a *Access) { a.Reason = Frozen })},
		{"frozen, revoked", but(client, func(a *Account) { a.Subscription.State = SubscriptionFrozen }), member(someAccount, Revoked, Owner, nil), nil, refusal(HasEnded)},
		{"past due cuts nothing", but(client, func(a *Account) { a.Subscription.State = SubscriptionPastDue }), member(someAccount, Active, Owner, nil), nil, grant(edit, ViaOwn)},
	}
}

func TestAccessDecision(t *testing.T) {
	for _, tt := range accessCases() {
		t.Run(tt.name, func(t *testing.T) {
			got := someRules.DecideAccess(ann, tt.account, tt.own, tt.paths, noon)
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// Access per area is that of the widest single path. A refused stranger learns nothing of the account.
func TestAccessHolds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		level := rapid.SampledFrom([]Level{None, View, Edit})
		status := rapid.SampledFrom(append([]Status{none}, Statuses...))
		draw := func(label string) Areas {
			return levels(level.Draw(t, label+" pages"), level.Draw(t, label+" mail"))
		}
		own := member(someAccount, status.Draw(t, "own"), Member, draw("own"))
		p := through(status.Draw(t, "connection"), draw("connection"), Member, draw("staff"))
		p.Staff.Status = status.Draw(t, "staff")
		p.Agency.AgencyOn = rapid.Bool().Draw(t, "hub")
		if rapid.Bool().Draw(t, "another's") {
			p.Staff.Subject = "another"
		}
		got := someRules.DecideAccess(ann, accountNow(ClientOwned), own, []Path{p}, noon)
		for _, area := range []string{"pages", "mail"} {
			most := 0
			if own.Status == Active {
				most = own.Areas.at(area).rank()
			}
			if p.Connection.Status == Active && p.Staff.Status == Active && p.Agency.AgencyOn && p.Staff.Subject == ann.Subject {
				most = max(most, min(p.Connection.Areas.at(area).rank(), p.Staff.Areas.at(area).rank()))
			}
			if got.Areas.at(area).rank() != most {
				t.Fatalf("%s: %v, want rank %d", area, got, most)
			}
		}
		if got.Allowed != got.Areas.IsAny() || got.Allowed != (got.Via != "") || got.Allowed == (got.Reason != "") {
			t.Fatalf("%+v", got)
		}
		if (got.Reason == NoProfile) != (got.Ownership == "") || got.Ownership != got.Payer {
			t.Fatalf("%+v", got)
		}
		if own.Status == none && p.Connection.Status == none && got.Reason != NoProfile {
			t.Fatalf("nobody here is told %+v", got)
		}
	})
}
