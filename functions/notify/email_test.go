package main

import (
	"flag"
	"html"
	htmltemplate "html/template"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"agencyhub/shared/agency"
	"agencyhub/shared/outbox"
	"agencyhub/shared/settings"
)

var update = flag.Bool("update", false, "write the golden files")

var (
	monday   = time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)
	deadline = monday.Add(14 * 24 * time.Hour)

	petra   = agency.NewPersonID("petra@bakery.test")
	ann     = agency.NewPersonID("ann@studio.test")
	bakery  = agency.NewAccountID(agency.Party(petra), "bakery")
	studio  = agency.NewAccountID(agency.Party(ann), "studio")
	some    = agency.Areas{"pages": agency.Edit, "funnels": agency.Edit, "mail": agency.View, "contacts": agency.None, "analytics": agency.View}
	fewer   = agency.Areas{"pages": agency.View, "funnels": agency.None, "mail": agency.View, "contacts": agency.None, "analytics": agency.View}
	message = "Hello Petra, as agreed on the phone: we would set up the autumn funnel & the newsletter for you."
)

func testSettings(t *testing.T) settings.Settings {
	t.Helper()
	s, err := settings.Load(deployed)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func testRules(t *testing.T) agency.Rules {
	t.Helper()
	return testSettings(t).Rules()
}

func testDeployment(t *testing.T) deployment {
	t.Helper()
	s := testSettings(t)
	return deployment{product: s.Product, publicURL: "https://hub.example.com", openURL: s.OpenURL, rules: s.Rules()}
}

// connection returns the context of an event of the studio's connection to the
// bakery, an hour after the request.
func connection(as agency.EventType, was, now agency.Status) eventContext {
	at := monday.Add(time.Hour)
	p := agency.Profile{
		ProfileKey: agency.AgencyAt(bakery, studio), Status: now, Areas: some, Name: "Bright Studio", Ownership: agency.ClientOwned,
		Request: agency.Request{
			Number: 1, Message: message, Areas: some, By: ann, RequestedAt: monday, ExpiresAt: deadline, Reached: []agency.PersonID{petra},
		},
		Since: at, Version: 2,
	}
	if was == agency.Active || now == agency.Active {
		p.AccountName = "Petra’s Bakery"
	}
	return eventContext{
		event: agency.Event{
			ID: agency.NewEventID("01KBQ0000000000000000000AA"), Type: as, At: at, Addressee: agency.Party(bakery), Agency: studio, Member: agency.Party(studio),
			Ownership: agency.ClientOwned, Request: 1, Version: 2,
			Was: agency.State{Status: was, Areas: some, Expires: deadline, Message: message},
			Now: agency.State{Status: now, Areas: some, Expires: deadline, Message: message},
		},
		now:     at,
		account: agency.Account{ID: bakery, Name: "Petra’s Bakery", Ownership: agency.ClientOwned, Owners: 1, Version: 1, Subscription: agency.Subscription{Plan: "starter"}},
		agency:  agency.Account{ID: studio, Name: "Bright Studio", Ownership: agency.ClientOwned, AgencyOn: true, Owners: 1, Version: 2},
		profile: p,
		team:    []agency.Profile{staff(bakery, "petra@bakery.test", agency.Owner)},
		staff:   []agency.Profile{staff(studio, "ann@studio.test", agency.Admin), staff(studio, "oskar@studio.test", agency.Owner)},
	}
}

// byEmail returns that of a request that is addressed to Petra, not to an account.
func byEmail(as agency.EventType, was, now agency.Status) eventContext {
	c := connection(as, was, now)
	c.event.Addressee, c.profile.Addressee = agency.Party(petra), agency.Party(petra)
	c.profile.Email, c.profile.AccountName = "petra@bakery.test", ""
	c.account, c.team = agency.Account{}, nil
	return c
}

// closing returns the context of the bakery's closing: for its own side, or for the
// studio, whose profile there had the status was and has now.
func closing(was, now agency.Status) eventContext {
	c := connection(agency.AccountClosed, was, now)
	c.event.Agency, c.event.Member, c.event.Request = "", "", 0
	c.event.Was, c.event.Now = agency.State{Name: "Petra’s Bakery"}, agency.State{Name: "Petra’s Bakery"}
	c.account.Closed = c.event.At
	c.now = c.now.Add(time.Minute)
	if c.team = nil; was == "" {
		c.team = []agency.Profile{staff(bakery, "petra@bakery.test", agency.Owner), staff(bakery, "tom@bakery.test", agency.Member)}
		c.profile, c.agency, c.staff = agency.Profile{}, agency.Account{}, nil
		c.actor, c.event.Actor = "petra@bakery.test", petra
	}
	return c
}

// closingOwned returns that of an account that the studio owns.
func closingOwned(was, now agency.Status) eventContext {
	c := closing(was, now)
	c.event.Agency, c.event.As, c.event.Actor, c.actor = studio, studio, ann, ""
	c.event.Ownership, c.profile.Ownership = agency.AgencyOwned, agency.AgencyOwned
	c.account.Ownership, c.account.Owner, c.account.Owners = agency.AgencyOwned, studio, 0
	c.agency = agency.Account{ID: studio, Name: "Bright Studio", Ownership: agency.ClientOwned, AgencyOn: true, Owners: 1, Version: 2}
	for i := range c.team {
		c.team[i].Role, c.team[i].Ownership = agency.Member, agency.AgencyOwned
	}
	if len(c.staff) > 0 {
		c.actor = "ann@studio.test"
	}
	return c
}

// ahead returns the context of a warning of an end date that is so far ahead.
func ahead(left time.Duration) eventContext {
	c := connection(agency.ConnectionLapseAhead, agency.Active, agency.Active)
	c.profile.Until = c.now.Add(left)
	c.event.Now.Until, c.event.Was.Until = c.profile.Until, c.profile.Until
	return c
}

// staff returns an active person in an account.
func staff(account agency.AccountID, email string, role agency.Role) agency.Profile {
	return agency.Profile{
		ProfileKey: agency.PersonAt(account, agency.NewPersonID(email)), Status: agency.Active, Role: role, Email: email, Since: monday,
		Ownership: agency.ClientOwned, Issuer: "https://issuer.test", Subject: email, Version: 1,
	}
}

// membership returns the context of an event of Tom's profile in the bakery, or in
// an account that the studio owns.
func membership(as agency.EventType, ownership agency.Ownership, role agency.Role, status agency.Status) eventContext {
	c := connection(as, "", status)
	p := staff(bakery, "tom@bakery.test", role)
	p.Status, p.Since, p.Ownership, p.Areas = status, c.event.At, ownership, fewer
	c.profile = p
	c.actor = "petra@bakery.test"
	e := &c.event
	e.Member, e.Agency, e.Request, e.Ownership, e.Actor = p.Member, "", 0, ownership, petra
	e.Was, e.Now = agency.State{Status: agency.Active, Role: role, Areas: some}, agency.State{Status: status, Role: role, Areas: fewer}
	if as == agency.PersonAdded || as == agency.AccountCreated {
		c.profile = p.Unbound()
	}
	if as == agency.PersonAdded {
		e.Was = agency.State{}
	}
	if ownership == agency.AgencyOwned {
		c.account.Ownership, c.account.Owner, c.account.Owners = ownership, studio, 0
		e.As, e.Actor, c.actor = studio, ann, "ann@studio.test"
	} else {
		c.agency = agency.Account{}
	}
	return c
}

// invitation returns the context of an event of Tom's invitation to the bakery, or to an
// account that the studio owns; of an offer of ownership, if he is active.
func invitation(as agency.EventType, ownership agency.Ownership, role agency.Role, state agency.RequestState) eventContext {
	status := map[agency.RequestState]agency.Status{
		agency.StateOpen: agency.Invited, agency.StateDeclined: agency.Declined, agency.StateWithdrawn: agency.Withdrawn, agency.StateExpired: agency.Expired,
	}[state]
	c := membership(as, ownership, "", status)
	at := c.event.At
	c.profile.Areas, c.profile.Issuer, c.profile.Subject = nil, "", ""
	c.profile.AccountName = c.account.Name
	c.profile.Request = agency.Request{
		Number: 1, Kind: agency.InvitationKind, State: state, From: bakery, By: petra, Role: role, Areas: fewer,
		RequestedAt: at, MailedAt: at, ExpiresAt: deadline, Reached: []agency.PersonID{c.profile.Member.Person()},
	}
	if ownership == agency.AgencyOwned {
		c.profile.Request.From, c.profile.Request.By = studio, ann
	}
	c.event.Request, c.event.Kind = 1, agency.InvitationKind
	c.event.Was, c.event.Now = agency.State{}, c.profile.EventState()
	if state != agency.StateOpen {
		c.event.Was = agency.State{Status: agency.Invited, Role: role, Areas: fewer, Expires: deadline}
	}
	if as == agency.InvitationDeclined {
		c = c.by("tom@bakery.test")
	}
	if as == agency.InvitationExpired {
		c.now, c.event.At = deadline, deadline
		c.actor, c.event.Actor = "", ""
	}
	return c
}

// offer returns that of an offer of ownership to Tom, who is a member.
func offer(as agency.EventType, state agency.RequestState) eventContext {
	c := invitation(as, agency.ClientOwned, agency.Owner, state)
	c.event.Kind, c.profile.Request.Kind = agency.OwnershipKind, agency.OwnershipKind
	c.profile.Status, c.profile.Role, c.profile.Areas, c.profile.Subject = agency.Active, agency.Member, fewer, "tom"
	if state == agency.StateAccepted {
		c.profile.Role, c.profile.Areas = agency.Owner, nil
		c.team = append(c.team, c.profile)
	}
	c.event.Now, c.event.Was = c.profile.EventState(), agency.State{Status: agency.Active, Role: agency.Member, Areas: fewer, Expires: deadline}
	return c
}

// joined returns that of Tom's acceptance of an invitation.
func joined(ownership agency.Ownership, role agency.Role) eventContext {
	c := membership(agency.PersonAdded, ownership, role, agency.Active).by("tom@bakery.test")
	from, by := bakery, petra
	if ownership == agency.AgencyOwned {
		from, by = studio, ann
		c.event.As = ""
	}
	c.profile.Request = agency.Request{Number: 1, Kind: agency.InvitationKind, State: agency.StateAccepted, From: from, By: by, Role: role, Areas: fewer}
	c.profile.Subject = "tom"
	return c
}

// subscribed returns the context of an event of the bakery's subscription, or of
// that of an account that the studio owns.
func subscribed(as agency.EventType, in agency.Ownership, was, now agency.Subscription) eventContext {
	c := closing("", "")
	if in == agency.AgencyOwned {
		c = closingOwned(agency.Active, agency.Active)
		c.team, c.profile = nil, agency.Profile{}
	}
	c.now = c.event.At
	c.account.Closed, c.account.Subscription = time.Time{}, now
	c.event.Type = as
	c.event.Was = agency.State{Plan: was.Plan, Subscription: was.State, Until: was.FreezesAt}
	c.event.Now = agency.State{Plan: now.Plan, Subscription: now.State, Until: now.FreezesAt}
	return c
}

// The states of a subscription, as those tests need them.
var (
	runs    = agency.Subscription{Plan: "starter", State: agency.SubscriptionActive}
	dearer  = agency.Subscription{Plan: "growth", State: agency.SubscriptionActive}
	due     = agency.Subscription{Plan: "starter", State: agency.SubscriptionPastDue, Unpaid: true}
	cancels = agency.Subscription{Plan: "starter", State: agency.SubscriptionCancelling, FreezesAt: deadline}
	frozen  = agency.Subscription{Plan: "starter", State: agency.SubscriptionFrozen}
)

func created(client bool) eventContext {
	c := membership(agency.AccountCreated, agency.AgencyOwned, agency.Member, agency.Active)
	c.event.Agency, c.event.Member, c.event.As = studio, agency.Party(studio), ""
	c.event.Client = c.profile.Member.Person()
	invited := invitation(agency.PersonInvited, agency.AgencyOwned, agency.Member, agency.StateOpen)
	c.profile, c.event.Request = invited.profile, 1
	if !client {
		c.event.Client, c.profile = "", agency.Profile{}
	}
	return c
}

// by returns the context with the person who did it.
func (c eventContext) by(email string) eventContext {
	c.actor, c.event.Actor = email, agency.NewPersonID(email)
	return c
}

// with returns the context after a change to it.
func (c eventContext) with(change func(*eventContext)) eventContext {
	change(&c)
	return c
}

// goldenEmails returns what the golden files show: each kind, and its variants.
func goldenEmails() map[string]eventContext {
	all := map[string]eventContext{}
	digest := eventContext{event: agency.Event{Type: agency.DigestDue}}
	for _, variant := range []string{"", " of one", " with one more", " with more", " of news"} {
		all[outbox.DigestKind+variant] = digest
	}
	for _, part := range []map[string]eventContext{requestEmails(), connectionEmails(), memberEmails(), invitationEmails(), subscriptionEmails()} {
		maps.Copy(all, part)
	}
	return all
}

// requestEmails are those of a request and its answers without access.
func requestEmails() map[string]eventContext {
	// What an earlier request asked for must not show.
	asked := connection(agency.ConnectionRequested, agency.Declined, agency.Pending).by("ann@studio.test").with(func(c *eventContext) { c.event.Was.Areas = fewer })
	reminded := func(c *eventContext) {
		c.actor, c.now = "ann@studio.test", deadline.Add(-72*time.Hour)
		c.event.At = c.now
	}
	asksPetra := byEmail(agency.ConnectionRequested, "", agency.Pending).by("ann@studio.test")
	withAccount := func(c *eventContext) { c.hasAccount = true }
	outOfTime := func(c *eventContext) { c.now, c.event.At = deadline, deadline }
	early := func(c *eventContext) { c.profile.Email = "" }
	return map[string]eventContext{
		"requested":                     asked,
		"requested without more":        asked.with(func(c *eventContext) { c.actor, c.event.Now.Message = "", "" }),
		"resent":                        connection(agency.ConnectionResent, agency.Pending, agency.Pending).by("ann@studio.test"),
		"resent unheard of":             connection(agency.ConnectionResent, agency.Pending, agency.Pending).by("ann@studio.test").with(func(c *eventContext) { c.profile.Request.Reached = nil }),
		"declined-agency":               connection(agency.ConnectionDeclined, agency.Pending, agency.Declined),
		"declined-client":               connection(agency.ConnectionDeclined, agency.Pending, agency.Declined).by("petra@bakery.test"),
		"expired-agency":                connection(agency.ConnectionExpired, agency.Pending, agency.Expired).with(outOfTime),
		"expired-client":                connection(agency.ConnectionExpired, agency.Pending, agency.Expired).with(outOfTime),
		"withdrawn-client":              connection(agency.ConnectionWithdrawn, agency.Pending, agency.Withdrawn),
		"reminded":                      connection(agency.ConnectionReminded, agency.Pending, agency.Pending).with(reminded),
		"requested-person":              asksPetra,
		"requested-person with account": asksPetra.with(withAccount),
		"resent-person":                 byEmail(agency.ConnectionResent, agency.Pending, agency.Pending).by("ann@studio.test"),
		"reminded-person":               byEmail(agency.ConnectionReminded, agency.Pending, agency.Pending).with(reminded).with(withAccount),
		"declined-agency by email":      byEmail(agency.ConnectionDeclined, agency.Pending, agency.Declined),
		"declined-person":               byEmail(agency.ConnectionDeclined, agency.Pending, agency.Declined).by("petra@bakery.test"),
		"withdrawn-person":              byEmail(agency.ConnectionWithdrawn, agency.Pending, agency.Withdrawn),
		"expired-agency by email":       byEmail(agency.ConnectionExpired, agency.Pending, agency.Expired).with(outOfTime),
		"expired-agency by email early": byEmail(agency.ConnectionExpired, agency.Pending, agency.Expired).with(early),
		"expired-person":                byEmail(agency.ConnectionExpired, agency.Pending, agency.Expired).with(outOfTime),
	}
}

// connectionEmails are those of access of an agency, and its end.
func connectionEmails() map[string]eventContext {
	accepted := connection(agency.ConnectionAccepted, agency.Pending, agency.Active).by("petra@bakery.test").with(func(c *eventContext) {
		c.event.Now.Areas, c.profile.Areas = fewer, fewer
	})
	ended := accepted.with(func(c *eventContext) { c.profile.Status = agency.Revoked })
	limited := connection(agency.ConnectionRestricted, agency.Active, agency.Active).with(func(c *eventContext) {
		c.event.Now.Areas, c.event.Now.Until = fewer, deadline.Add(24*time.Hour)
	})
	lapsed := connection(agency.ConnectionLapsed, agency.Active, agency.Lapsed).with(func(c *eventContext) { c.event.Now.Until = c.now })
	until := func(was, now time.Time) func(*eventContext) {
		return func(c *eventContext) {
			c.event.Was.Until, c.event.Now.Until, c.profile.Until = was, now, now
		}
	}
	restricted := connection(agency.ConnectionRestricted, agency.Active, agency.Active)
	next := deadline.Add(7 * 24 * time.Hour)
	return map[string]eventContext{
		"accepted-agency":                accepted,
		"accepted-agency ended":          ended,
		"accepted-client":                accepted,
		"accepted-client ended":          ended,
		"restricted-agency":              limited,
		"revoked-agency":                 connection(agency.ConnectionRevoked, agency.Active, agency.Revoked),
		"revoked-client":                 connection(agency.ConnectionRevoked, agency.Active, agency.Revoked).by("petra@bakery.test"),
		"left-agency":                    connection(agency.ConnectionLeft, agency.Active, agency.Left).by("ann@studio.test"),
		"left-client":                    connection(agency.ConnectionLeft, agency.Active, agency.Left),
		"lapsed-agency":                  lapsed,
		"lapsed-client":                  lapsed,
		"accepted-agency until":          accepted.with(until(time.Time{}, next)),
		"accepted-client until":          accepted.with(until(time.Time{}, next)),
		"restricted-agency date set":     restricted.with(until(time.Time{}, next)),
		"restricted-agency date moved":   restricted.with(until(deadline, next)),
		"restricted-agency date removed": restricted.with(until(next, time.Time{})),
		"restricted-agency date kept":    limited.with(until(next, next)),
		"lapse-ahead-agency":             ahead(7 * 24 * time.Hour),
		"lapse-ahead-client":             ahead(7 * 24 * time.Hour),
		"lapse-ahead-agency last day":    ahead(24*time.Hour - time.Minute),
		"lapse-ahead-client late":        ahead(5*time.Hour + 10*time.Minute),
		"closed-agency":                  closing(agency.Active, agency.Ended),
		"closed-agency asked":            closing(agency.Pending, agency.Expired).with(func(c *eventContext) { c.profile.AccountName = "" }),
		"closed-agency owned":            closingOwned(agency.Active, agency.Ended),
		"closed-client":                  closing("", ""),
		"closed-client owned":            closingOwned("", ""),
	}
}

func byThePlatform(c *eventContext) { c.actor, c.event.Actor = "", "" }

// memberEmails are those of access of a person.
func memberEmails() map[string]eventContext {
	added := joined(agency.ClientOwned, agency.Member)
	changed := membership(agency.PersonChanged, agency.ClientOwned, agency.Member, agency.Active)
	clients := func(was, now []agency.AccountID) eventContext {
		return changed.with(func(c *eventContext) {
			c.event.Was = c.event.Now
			c.event.Was.Clients, c.event.Now.Clients = was, now
		})
	}
	return map[string]eventContext{
		"created-agency":             created(true),
		"created-agency alone":       created(false),
		"created-client":             created(true),
		"access-given":               joined(agency.AgencyOwned, agency.Member),
		"access-changed":             membership(agency.PersonChanged, agency.AgencyOwned, agency.Member, agency.Active),
		"access-taken":               membership(agency.PersonRemoved, agency.AgencyOwned, agency.Member, agency.Revoked),
		"person-added":               added,
		"person-added owner":         joined(agency.ClientOwned, agency.Owner),
		"owner-named":                membership(agency.PersonAdded, agency.ClientOwned, agency.Owner, agency.Active).with(byThePlatform),
		"owner-replaced":             membership(agency.PersonRemoved, agency.ClientOwned, agency.Owner, agency.Revoked).with(byThePlatform),
		"person-changed":             changed,
		"person-changed admin":       membership(agency.PersonChanged, agency.ClientOwned, agency.Admin, agency.Active).with(func(c *eventContext) { c.event.Was.Role = agency.Member }),
		"person-removed":             membership(agency.PersonRemoved, agency.ClientOwned, agency.Member, agency.Revoked),
		"person-left":                membership(agency.PersonLeft, agency.ClientOwned, agency.Member, agency.Left),
		"person-left owned":          membership(agency.PersonLeft, agency.AgencyOwned, agency.Member, agency.Left),
		"person-changed clients":     clients(nil, []agency.AccountID{bakery, studio, bakery}),
		"person-changed one client":  clients([]agency.AccountID{}, []agency.AccountID{bakery}),
		"person-changed no client":   clients([]agency.AccountID{bakery}, []agency.AccountID{}),
		"person-changed all clients": clients([]agency.AccountID{bakery}, nil),
		"person-changed all": changed.with(func(c *eventContext) {
			c.event.Now.Clients = []agency.AccountID{bakery, studio}
		}),
	}
}

// invitationEmails are those of invitations and offers of ownership.
func invitationEmails() map[string]eventContext {
	invited := func(as agency.EventType, role agency.Role) eventContext {
		return invitation(as, agency.ClientOwned, role, agency.StateOpen)
	}
	reminded := func(c *eventContext) {
		c.now = deadline.Add(-72 * time.Hour)
		c.event.At, c.profile.Request.MailedAt = c.now, monday
	}
	early := func(c *eventContext) {
		c.event.At = deadline.Add(-time.Hour)
		c.account.Closed = c.event.At
	}
	otherTerms := func(role agency.Role, areas agency.Areas) func(c *eventContext) {
		return func(c *eventContext) {
			c.event.Was = agency.State{Status: agency.Invited, Role: role, Areas: areas, Expires: deadline}
		}
	}
	sameTerms := otherTerms(agency.Member, fewer)
	unheard := func(c *eventContext) { c.profile.Request.Reached = nil }
	newSignIn := func(c *eventContext) {
		c.event.Was = agency.State{Status: agency.Active, Role: agency.Member, Areas: fewer}
	}
	return map[string]eventContext{
		"invited":                        invited(agency.PersonInvited, agency.Member),
		"invited admin":                  invited(agency.PersonInvited, agency.Admin),
		"invited owner":                  invited(agency.PersonInvited, agency.Owner),
		"invited owned":                  invitation(agency.PersonInvited, agency.AgencyOwned, agency.Member, agency.StateOpen),
		"invited new sign-in":            invited(agency.PersonInvited, agency.Member).with(newSignIn),
		"invited-again":                  invited(agency.InvitationResent, agency.Member).with(sameTerms),
		"invited-again other access":     invited(agency.InvitationResent, agency.Member).with(otherTerms(agency.Member, some)),
		"invited-again as an owner":      invited(agency.InvitationResent, agency.Owner).with(otherTerms(agency.Admin, nil)),
		"invited-again unheard of":       invited(agency.InvitationResent, agency.Owner).with(otherTerms(agency.Admin, nil)).with(unheard),
		"invited-reminder unheard of":    invited(agency.InvitationReminded, agency.Member).with(reminded).with(unheard),
		"offered-again unheard of":       offer(agency.InvitationResent, agency.StateOpen).with(unheard),
		"invited-reminder":               invited(agency.InvitationReminded, agency.Member).with(reminded),
		"offered":                        offer(agency.OwnershipOffered, agency.StateOpen),
		"offered-again":                  offer(agency.InvitationResent, agency.StateOpen),
		"offered-reminder":               offer(agency.InvitationReminded, agency.StateOpen).with(reminded),
		"invitation-withdrawn":           invitation(agency.InvitationWithdrawn, agency.ClientOwned, agency.Member, agency.StateWithdrawn),
		"invitation-withdrawn offer":     offer(agency.InvitationWithdrawn, agency.StateWithdrawn),
		"invitation-expired":             invitation(agency.InvitationExpired, agency.ClientOwned, agency.Member, agency.StateExpired),
		"invitation-expired offer":       offer(agency.InvitationExpired, agency.StateExpired),
		"invitation-expired closed":      invitation(agency.InvitationExpired, agency.ClientOwned, agency.Member, agency.StateExpired).with(early),
		"invitation-expired-maker":       invitation(agency.InvitationExpired, agency.ClientOwned, agency.Member, agency.StateExpired),
		"invitation-expired-maker offer": offer(agency.InvitationExpired, agency.StateExpired),
		"invitation-expired-maker owned": invitation(agency.InvitationExpired, agency.AgencyOwned, agency.Member, agency.StateExpired),
		"invitation-declined":            invitation(agency.InvitationDeclined, agency.ClientOwned, agency.Member, agency.StateDeclined),
		"invitation-declined offer":      offer(agency.InvitationDeclined, agency.StateDeclined),
		"person-joined":                  joined(agency.ClientOwned, agency.Member),
		"person-joined owned":            joined(agency.AgencyOwned, agency.Member),
		"person-joined owner":            joined(agency.ClientOwned, agency.Owner),
		"ownership-received":             offer(agency.OwnershipAccepted, agency.StateAccepted).by("tom@bakery.test"),
		"ownership-accepted":             offer(agency.OwnershipAccepted, agency.StateAccepted).by("tom@bakery.test"),
	}
}

// subscriptionEmails are those of a subscription.
func subscriptionEmails() map[string]eventContext {
	clock := func(c *eventContext) { c.actor, c.event.Actor, c.event.As = "", "", "" }
	return map[string]eventContext{
		"plan-changed":                  subscribed(agency.PlanChanged, own, runs, dearer),
		"plan-changed cancelling":       subscribed(agency.PlanChanged, own, agency.Subscription{Plan: "growth", State: cancels.State, FreezesAt: deadline}, cancels),
		"plan-changed platform":         subscribed(agency.PlanChanged, own, dearer, runs).with(clock),
		"plan-changed-agency":           subscribed(agency.PlanChanged, owned, runs, dearer),
		"subscription-cancelled":        subscribed(agency.SubscriptionCancelled, own, runs, cancels),
		"subscription-cancelled-agency": subscribed(agency.SubscriptionCancelled, owned, runs, cancels),
		"subscription-resumed":          subscribed(agency.SubscriptionResumed, own, frozen, runs),
		"subscription-resumed unpaid":   subscribed(agency.SubscriptionResumed, own, frozen, due),
		"subscription-resumed-agency":   subscribed(agency.SubscriptionResumed, owned, cancels, runs),
		"subscription-frozen":           subscribed(agency.SubscriptionFroze, own, runs, frozen),
		"subscription-frozen clock":     subscribed(agency.SubscriptionFroze, own, cancels, frozen).with(clock),
		"subscription-frozen-agency":    subscribed(agency.SubscriptionFroze, owned, runs, frozen),
		"payment-failed":                subscribed(agency.PaymentFailed, own, runs, due).with(clock),
		"payment-failed frozen":         subscribed(agency.PaymentFailed, own, frozen, agency.Subscription{Plan: "starter", State: agency.SubscriptionFrozen, Unpaid: true}).with(clock),
		"payment-failed-agency":         subscribed(agency.PaymentFailed, owned, runs, due).with(clock),
		"payment-recovered":             subscribed(agency.PaymentRecovered, own, due, runs).with(clock),
		"payment-recovered-agency":      subscribed(agency.PaymentRecovered, owned, due, runs).with(clock),
	}
}

var parsed = sync.OnceValues(func() (templates, error) { return parseTemplates("#2456c8") })

func testTemplates(t *testing.T) templates {
	t.Helper()
	p, err := parsed()
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func render(t *testing.T, shown string, c eventContext) email {
	t.Helper()
	kind, variant, _ := strings.Cut(shown, " ")
	d := testDeployment(t)
	var to agency.PersonID
	for _, m := range emailsFor(c) {
		if m.kind == kind {
			to = m.to.ID
		}
	}
	data := d.emailData(kind, to, c)
	stop := d.stopURL(agency.Mailbox("petra@bakery.test"), "ABCDEFGHIJKLMNOPQRSTUVWXYZ")
	for _, m := range emailsFor(c) {
		if m.kind == kind && m.unsolicited {
			data.StopURL = stop
		}
	}
	if kind == outbox.DigestKind {
		data = digestExample(variant)
		data.StopURL = stop
	}
	r, err := testTemplates(t).render(kind, data)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// digestExample is a digest of one, of two or of many emails.
func digestExample(variant string) emailData {
	data := emailData{
		Product: "Agency Hub", To: "petra@bakery.test", HomeURL: "https://hub.example.com", WaitingURL: "https://hub.example.com/waiting",
		Asks: []heldLine{{"Bright Studio asks to work in Petra’s Bakery", 1}, {"Reminder: North & Co asks to work for you", 1}},
	}
	switch variant {
	case "of one":
		data.Asks = data.Asks[:1]
	case "with one more":
		data.More = 1
		data.News = []heldLine{{"The payment for Petra’s Bakery has failed", 4}, {"Your invitation to Café One has expired", 1}}
	case "with more":
		data.More, data.Elsewhere = 12, 3
	case "of news":
		data.Asks, data.News = nil, []heldLine{{"The payment for Petra’s Bakery has failed", 4}}
		data.Elsewhere = 1
	}
	return data
}

// layoutParts splits the HTML of an email into its layout and what differs: the
// subject, the preheader, the title, the body and the footer.
var layoutParts = regexp.MustCompile(`(?s)^(.*<title>)(.*)(</title>.*mso-hide:all">)(.*?)(</div>.*<h1 [^>]*>)(.*?)(</h1>\n)(.*)(\n</td></tr>\n<tr><td class="soft" [^>]*>)(.*?)(</td></tr>.*)$`)

// A golden file holds what an email says: its subject, preheader, text part and the
// body of its HTML. The rest of the HTML is the same in all, and stands in
// layout.html.
func TestGoldens(t *testing.T) {
	missing := maps.Clone(testTemplates(t).kinds)
	for shown, c := range goldenEmails() {
		kind, _, _ := strings.Cut(shown, " ")
		delete(missing, kind)
		t.Run(shown, func(t *testing.T) {
			r := render(t, shown, c)
			p := layoutParts.FindStringSubmatch(r.HTML)
			if p == nil {
				t.Fatalf("not the layout: %s", r.HTML)
			}
			subject, preheader, title, body, footer := p[2], p[4], p[6], p[8], p[10]
			golden(t, "layout.html", p[1]+"{subject}"+p[3]+"{preheader}"+p[5]+"{title}"+p[7]+"{body}"+p[9]+"{footer}"+p[11])
			golden(t, strings.ReplaceAll(shown, " ", "_")+".txt", "Subject: "+r.Subject+"\nPreheader: "+preheader+"\n\n"+r.Text+"\n"+body+"\n")
			first, _, _ := strings.Cut(r.Text, "\n\n")
			_, last, _ := strings.Cut(r.Text, "\n--\n")
			last, _, _ = strings.Cut(strings.Join(strings.Fields(last), " "), " Unsubscribe from")
			footer, _, _ = strings.Cut(footer, " <a ")
			want := []string{r.Subject, first, last}
			for i, text := range want {
				want[i] = htmltemplate.HTMLEscapeString(strings.Join(strings.Fields(text), " "))
			}
			if diff := cmp.Diff(want, []string{subject, title, footer}); diff != "" {
				t.Errorf("the HTML (+) says other than the text (-): %s", diff)
			}
		})
	}
	for kind := range missing {
		t.Errorf("no golden file shows %s", kind)
	}
}

func golden(t *testing.T, file, got string) {
	t.Helper()
	file = filepath.Join("testdata", file)
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s is not as it was; if it should be as it is now: go test ./functions/notify -update\n%s", file, diff)
	}
}

// The text part says the same as the HTML.
func TestBothPartsSayTheSame(t *testing.T) {
	for shown, c := range goldenEmails() {
		r := render(t, shown, c)
		_, body, _ := strings.Cut(r.HTML, "</div>")
		seen, _ := view(t, body)
		// The HTML has the product above the title too.
		wanted := testDeployment(t).product + " " + r.Text
		if diff := cmp.Diff(strings.Fields(marks.Replace(wanted)), strings.Fields(marks.Replace(seen))); diff != "" {
			t.Errorf("%s: the text says -, the HTML says +\n%s", shown, diff)
		}
	}
}

// marks are the layout of one part that the other does not have.
var marks = strings.NewReplacer("\n> ", "\n", "\n- ", "\n", "\n  - ", "\n", "\n--\n", "\n", ":", " ")

var (
	tag  = regexp.MustCompile(`<(/?[a-z0-9]+|!)[^>]*>`)
	href = regexp.MustCompile(`<a [^>]*href="([^"]*)"`)
)

// view returns the words of HTML with the address of each link behind its words, and
// those addresses.
func view(t *testing.T, source string) (words string, links []string) {
	t.Helper()
	address := ""
	words = tag.ReplaceAllStringFunc(source, func(element string) string {
		switch tag.FindStringSubmatch(element)[1] {
		case "a":
			address = html.UnescapeString(href.FindStringSubmatch(element)[1])
			links = append(links, address)
			return " "
		case "/a":
			return " " + address + " "
		case "b", "/b", "bdi", "/bdi", "span", "/span":
			return ""
		default:
			return " "
		}
	})
	return html.UnescapeString(words), links
}

func TestHostileNames(t *testing.T) {
	type shape struct{ links, elements []string }
	honest := map[string]shape{}
	for shown, c := range goldenEmails() {
		source := render(t, shown, c).HTML
		_, links := view(t, source)
		honest[shown] = shape{links, elements(source)}
	}
	wide := strings.Repeat("漢", 80)
	for name, hostile := range map[string]string{
		"markup":          `</td><script>alert(1)</script><img src=x onerror=alert(1)><a href="https://evil.test">x</a>`,
		"quotes":          `" onmouseover="alert(1)' style='x`,
		"a template":      `{{.By}} {{template "html" .}}`,
		"a link":          "https://evil.test click",
		"a host":          "www.evil.test/now",
		"an address":      "win@evil.test",
		"wide marks":      "evil。test evil．test win＠evil.test evil․test",
		"a number":        "+1 (555) 123-4567 evil",
		"an encoded word": "=?utf-8?q?evil?=",
		"a flag":          "🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f Kyiv 🇺🇦",
		"a header":        "Bright\r\nBcc: all@evil.test\r\n\r\nBuy now",
		"bidi":            "Bright\u202egnp.exe\u2066 Studio\u200f",
		"hidden":          "Bri\u00adght\ufeff\u200bStudio\x00\x1b[31m",
		"not UTF-8":       "Bright\xff\xfeStudio",
		"wide":            wide,
		"too long":        wide + wide,
		"emoji":           "👩‍👩‍👧 & Co.",
		"a quote":         "> You can answer",
	} {
		t.Run(name, func(t *testing.T) {
			for shown, c := range goldenEmails() {
				c.account.Name, c.agency.Name = hostile, hostile
				if c.profile.AccountName != "" {
					c.profile.AccountName = hostile
				}
				if c.event.Now.Message != "" {
					c.event.Now.Message = hostile
				}
				r := render(t, shown, c)

				if strings.ContainsAny(r.Subject, "\r\n") || len([]rune(r.Subject)) > 200 {
					t.Errorf("%s: subject %q", shown, r.Subject)
				}
				seen, links := view(t, r.HTML)
				if diff := cmp.Diff(honest[shown].links, links); diff != "" {
					t.Errorf("%s: the links differ\n%s", shown, diff)
				}
				if diff := cmp.Diff(honest[shown].elements, elements(r.HTML)); diff != "" {
					t.Errorf("%s: the elements differ\n%s", shown, diff)
				}
				for part, text := range map[string]string{"subject": r.Subject, "text": r.Text, "HTML": seen} {
					if found := linkable.FindString(text); found != "" {
						t.Errorf("%s: the %s can be made a link: %q", shown, part, found)
					}
					if i := strings.IndexFunc(text, hidden); i >= 0 {
						t.Errorf("%s: the %s hides something: %q", shown, part, text[i:min(len(text), i+10)])
					}
				}
			}
		})
	}
}

// linkable is what mail programs make links of, had it been left as it was.
var linkable = regexp.MustCompile(`https?://evil|evil[.。．․]test|[@＠]evil|555|=\?utf`)

// hidden are the characters that must not survive.
func hidden(r rune) bool {
	return r < ' ' && r != '\n' || strings.ContainsRune("\u202e\u2066\u200f\u00ad\ufeff\u200b\x7f\u2028", r)
}

var element = regexp.MustCompile(`<[a-z/!][^>]*>`)

// elements are the tags of HTML with their attributes.
func elements(source string) []string { return element.FindAllString(source, -1) }

// What people type is read as typed in both parts: entities are resolved once, and
// what looks like an element is none.
func TestTypedTextStaysAsTyped(t *testing.T) {
	for _, typed := range []string{
		`a < b > c & "d" + 'e'`, "&lt;p&gt; &amp;lt; &#39; &copy; &notit;", "<h1>x</h1> </a> <footer>", "<", "&", "- a", "> b",
		"👩‍👩‍👧 & Co.", strings.Repeat("x", 35) + "&lt;", "-- ` $1 {{.By}}",
	} {
		c := goldenEmails()["requested"]
		c.event.Now.Message, c.agency.Name = typed, typed
		r := render(t, "requested", c)
		seen, _ := view(t, r.HTML)
		for part, text := range map[string]string{"subject": r.Subject, "text": r.Text, "quote": strings.ReplaceAll(r.Text, "\n> ", "\n"), "HTML": seen} {
			text = strings.ReplaceAll(text, nonJoiner, "")
			if !strings.Contains(text, typed) || part == "text" && !strings.Contains(text, "\n> "+typed+"\n") {
				t.Errorf("the %s does not hold %q:\n%s", part, typed, text)
			}
		}
	}
}

func TestWrap(t *testing.T) {
	long := strings.Repeat("word ", 20)
	got := wrap("\n\nTitle\n\n\n- " + long + "\n> " + long + "\nhttps://" + strings.Repeat("x", 100) + "\n\n")
	want := "Title\n\n" +
		"- " + strings.TrimSpace(strings.Repeat("word ", 14)) + "\n  " + strings.TrimSpace(strings.Repeat("word ", 6)) + "\n" +
		"> " + strings.TrimSpace(strings.Repeat("word ", 14)) + "\n> " + strings.TrimSpace(strings.Repeat("word ", 6)) + "\n" +
		"https://" + strings.Repeat("x", 100) + "\n"
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestFormatDuration(t *testing.T) {
	for d, want := range map[time.Duration]string{
		90 * day: "90 days", 7 * day: "7 days", 7*day - time.Hour: "7 days", 7*day - 13*time.Hour: "6 days",
		day: "1 day", day - time.Minute: "1 day", 22 * time.Hour: "22 hours", 90 * time.Minute: "2 hours",
		time.Hour: "1 hour", 59 * time.Minute: "1 hour", 50 * time.Minute: "50 minutes", time.Minute: "1 minute",
		10 * time.Second: "less than a minute",
	} {
		if got := formatDuration(d); got != want {
			t.Errorf("%s: %q, want %q", d, got, want)
		}
	}
}

func TestPrice(t *testing.T) {
	for plan, want := range map[agency.Plan]string{
		{Currency: "USD"}: "", {MonthlyPrice: 2900, Currency: "USD"}: "29 USD", {MonthlyPrice: 2905, Currency: "EUR"}: "29.05 EUR",
		{MonthlyPrice: 7, Currency: "EUR"}: "0.07 EUR", {MonthlyPrice: 2900, Currency: "JPY"}: "2900 JPY",
		{MonthlyPrice: 1500, Currency: "KWD"}: "1.500 KWD",
	} {
		if got := price(plan); got != want {
			t.Errorf("%d %s: %q, want %q", plan.MonthlyPrice, plan.Currency, got, want)
		}
	}
}

// No agency learns the name of an account that never gave it access.
func TestNamesStayUnknownUntilAccepted(t *testing.T) {
	known := []string{"accepted-agency", "restricted-agency", "revoked-agency", "left-agency", "lapsed-agency", "lapse-ahead-agency", "closed-agency", "created-agency",
		// These are of accounts that the agency owns.
		"plan-changed-agency", "subscription-cancelled-agency", "subscription-resumed-agency", "subscription-frozen-agency", "payment-failed-agency", "payment-recovered-agency"}
	for shown, c := range goldenEmails() {
		kind, _, _ := strings.Cut(shown, " ")
		if !strings.HasSuffix(kind, "-agency") {
			continue
		}
		r := render(t, shown, c)
		isKnown := slices.Contains(known, kind) && shown != "closed-agency asked"
		if got := strings.Contains(r.Text+r.HTML+r.Subject, "Bakery"); got != isKnown {
			t.Errorf("%s names the account: %v", shown, got)
		}
	}
}

// deployed are the settings of these tests, whatever a deployment has in its file.
const deployed = `{
	"product": "Agency Hub", "openUrl": "https://app.example.com/accounts/{account}?agency={agency}",
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
	"pairWindow": "30d", "openRequests": 100, "openInvitations": 100, "dailyRequests": 50, "unsolicitedMails": {"all": 10, "bySender": 3, "byAccount": 3, "neverSignedIn": 3}, "digestAt": "06:00", "digestSpread": "2h", "resends": 3, "resendAfter": "1d",
	"dailyByPerson": {"accountsOpened": 1000, "accountsCreated": 1000, "requests": 1000, "invitations": 1000},
	"dailyByNewPerson": {"accountsOpened": 1000, "accountsCreated": 1000, "requests": 1000, "invitations": 1000}, "newPersonFor": "7d",
	"retention": "90d", "wakeAfter": "5m"
}`
