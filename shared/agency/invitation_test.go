package agency

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestWhatAnInvitationWrites(t *testing.T) {
	states := statesOfPerson()
	day := noon.Add(24 * time.Hour)
	open := func(do Action, role Role) Step {
		return Step{Do: do, By: AccountSide, At: noon, Role: role, Areas: Areas{"pages": View}, From: someAccount, Maker: somePerson, ExpiresAt: day}
	}
	accept := Step{Do: Accept, By: SelfSide, At: noon, Number: 2, Issuer: "issuer", Subject: "new"}
	for _, tt := range []struct {
		name, from string
		step       Step
		code       Code
		want       func(*Profile)
	}{
		{name: "an invitation grants nothing", from: "left", step: open(OpenRequest, Member), want: func(p *Profile) {
			p.Status, p.Since, p.Role, p.Areas, p.Issuer, p.Subject, p.Version = Invited, noon, "", nil, "", "", 8
			p.Request = Request{
				Number: 3, Kind: InvitationKind, State: StateOpen, From: someAccount, Role: Member, Areas: Areas{"pages": View}, By: somePerson,
				RequestedAt: noon, MailedAt: noon, ExpiresAt: day, Delivery: p.Request.Delivery,
			}
		}},
		{name: "an acceptance grants and binds", from: "invited", step: accept, want: func(p *Profile) {
			p.Status, p.Since, p.Role, p.Areas, p.Issuer, p.Subject, p.Version = Active, noon, Admin, p.Request.Areas, "issuer", "new", 8
			p.Request.State = StateAccepted
		}},
		{name: "an earlier invitation", from: "invited", step: but(accept, func(s *Step) { s.Number = 1 }), code: Conflict},
		{name: "a decline of an earlier invitation", from: "invited", step: Step{Do: Decline, By: SelfSide, At: noon, Number: 1}, code: Conflict},
		{name: "the same terms keep the number", from: "invited", step: Step{Do: Resend, By: AccountSide, At: noon, Maker: somePerson, ExpiresAt: day}, want: func(p *Profile) {
			p.Request.By, p.Request.ExpiresAt, p.Request.MailedAt, p.Request.Resends, p.Version = somePerson, day, noon, 1, 8
		}},
		{name: "other terms raise it", from: "invited", step: open(Resend, Member), want: func(p *Profile) {
			p.Request.By, p.Request.ExpiresAt, p.Request.MailedAt, p.Request.Resends, p.Version = somePerson, day, noon, 1, 8
			p.Request.Number, p.Request.Role, p.Request.Areas = 3, Member, Areas{"pages": View}
		}},
		{name: "an offer leaves the grant", from: "active", step: open(OpenRequest, Owner), want: func(p *Profile) {
			p.Version = 8
			p.Request = Request{
				Number: 3, Kind: OwnershipKind, State: StateOpen, From: someAccount, Role: Owner, Areas: Areas{"pages": View}, By: somePerson,
				RequestedAt: noon, MailedAt: noon, ExpiresAt: day, Delivery: p.Request.Delivery,
			}
		}},
		{name: "an accepted offer makes an owner", from: "offered", step: accept, want: func(p *Profile) {
			p.Role, p.Areas, p.Subject, p.Request.State, p.Version = Owner, p.Request.Areas, "new", StateAccepted, 8
		}},
		{name: "a declined offer leaves the role", from: "offered", step: Step{Do: Decline, By: SelfSide, At: noon, Number: 2}, want: func(p *Profile) {
			p.Request.State, p.Version = StateDeclined, 8
		}},
		{name: "no change makes an owner", from: "active", step: Step{Do: Change, By: AccountSide, At: noon, Role: Owner}, code: Invalid},
		{name: "a new sign-in asks for what was granted", from: "active", step: Step{Do: NewSignIn, By: AccountSide, At: noon, From: someAccount, Maker: somePerson, ExpiresAt: day}, want: func(p *Profile) {
			p.Request = Request{
				Number: 3, Kind: InvitationKind, State: StateOpen, From: someAccount, Role: Admin, Areas: p.Areas, By: somePerson,
				RequestedAt: noon, MailedAt: noon, ExpiresAt: day, Delivery: p.Request.Delivery,
			}
			p.Status, p.Since, p.Role, p.Areas, p.Issuer, p.Subject, p.Version = Invited, noon, "", nil, "", "", 8
		}},
		{name: "the platform's owner waits for their sign-in", from: "left", step: Step{Do: Appoint, By: PlatformSide, At: noon, Role: Owner, Areas: Areas{"pages": Edit}}, want: func(p *Profile) {
			p.Status, p.Since, p.Role, p.Areas, p.Issuer, p.Subject, p.Registered, p.Version = Active, noon, Owner, Areas{"pages": Edit}, "", "", true, 8
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			want := states[tt.from]
			got, _, err := Apply(want, tt.step)
			if CodeOf(err) != tt.code {
				t.Fatalf("%v, want %q", err, tt.code)
			}
			if tt.want != nil {
				tt.want(&want)
				if tt.step.Do == Accept || tt.step.Do == Decline {
					want.Request.AnsweredAt = noon
				}
				want.Request.Delivery = got.Request.Delivery
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// A new sign-in keeps the clients that a member of an agency is assigned to; another invitation
// does not.
func TestANewSignInKeepsTheAssignedClients(t *testing.T) {
	p := statesOfPerson()["active"]
	p.Role, p.Clients = Member, []AccountID{someAccount}
	invited, _, err := Apply(p, stepFor(NewSignIn, AccountSide))
	back, _, err2 := Apply(invited, Step{Do: Accept, By: SelfSide, At: noon, Number: invited.Request.Number})
	if err != nil || err2 != nil || back.Role != Member || !cmp.Equal(back.Clients, p.Clients) {
		t.Errorf("%+v, %v, %v", back, err, err2)
	}
}

// Who makes an invitation needs a role for it, by the clock of the acceptance.
func TestWhoMayMakeAnInvitation(t *testing.T) {
	for role, want := range map[Role][2]bool{Owner: {true, true}, Admin: {true, false}, Member: {false, false}} {
		p := statesOfPerson()["active"]
		p.Role = role
		got := [2]bool{p.MayMake(Request{Role: Member}, noon), p.MayMake(Request{Role: Owner}, noon)}
		p.Status = Left
		if got != want || p.MayMake(Request{Role: Member}, noon) {
			t.Errorf("%s: %v, want %v", role, got, want)
		}
	}
}

func TestAccessOfTheInvited(t *testing.T) {
	p := statesOfPerson()["invited"]
	for _, tt := range []struct {
		change func(*Profile)
		want   Reason
	}{
		{func(*Profile) {}, StillInvited},
		{func(p *Profile) { p.Request.Muted = true }, NoProfile},
		{func(p *Profile) { p.Request.Muted, p.Status = true, Withdrawn }, NoProfile},
		{func(p *Profile) { p.Request.ExpiresAt = noon }, HasEnded},
		{func(p *Profile) { p.Status = Declined }, HasEnded},
	} {
		q := p
		tt.change(&q)
		if got := q.refusalReason(Actor{}, noon); got != tt.want {
			t.Errorf("%s, muted %t: %q, want %q", q.Status, q.Request.Muted, got, tt.want)
		}
	}
	offered := statesOfPerson()["offered"]
	offered.Request.Muted = true
	if got := offered.refusalReason(Actor{Issuer: "issuer", Subject: "subject"}, noon); got != "" {
		t.Errorf("a muted offer takes access away: %q", got)
	}
}
