package law

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"agencyhub/shared/agency"
)

// Kinds of emails that go to the person of the event, and to who asked them.
var (
	isToAsked = set("created-client", "requested-person", "resent-person", "reminded-person", "declined-person", "withdrawn-person", "expired-person",
		"invited", "invited-again", "offered-again", "invited-reminder", "offered-reminder", "offered", "invitation-withdrawn", "invitation-expired",
		"ownership-received", "person-added", "access-given", "owner-named", "person-changed", "access-changed", "person-removed", "access-taken", "owner-replaced")
	isToMaker = set("invitation-declined", "invitation-expired-maker", "person-joined")
)

func set(names ...string) map[string]bool {
	all := map[string]bool{}
	for _, name := range names {
		all[name] = true
	}
	return all
}

// isToAgency reports whether an email of a kind goes to the agency's side.
func isToAgency(kind string) bool { return strings.HasSuffix(kind, "-agency") }

// mailRules are README, "Emails", for one event: agency mail goes to who asked and to the
// agency's owners, client mail to the account's owners, the person or the addressee. What
// is muted is told to the agency's side alone.
func mailRules(c letter) []mailRule {
	rules := c.rulesOfConnection()
	rules = append(rules, c.rulesOfPerson()...)
	rules = append(rules, c.rulesOfAccount()...)
	return slices.DeleteFunc(rules, func(r mailRule) bool { return c.e.Muted && !isToAgency(r.kind) })
}

func (c letter) rulesOfConnection() []mailRule {
	never := func(c letter) bool { return c.m.AccountName == "" }
	asks := func(kind string) []mailRule {
		return []mailRule{{kind, letter.owners, letter.isAnswered, never}, {kind + "-person", letter.addressee, letter.isAnswered, never}}
	}
	record := func(kind string) []mailRule {
		return []mailRule{{kind: kind + "-agency", to: letter.agencySide}, {kind: kind + "-client", to: letter.owners}}
	}
	end := func(kind string) []mailRule {
		return []mailRule{
			{kind + "-client", func(c letter) []agency.PersonID { return c.reached(c.owners()) }, letter.isFollowed, never},
			{kind + "-person", func(c letter) []agency.PersonID { return c.reached(c.addressee()) }, letter.isFollowed, never},
		}
	}
	switch c.e.Type {
	case agency.ConnectionRequested:
		return asks("requested")
	case agency.ConnectionResent:
		return asks("resent")
	case agency.ConnectionReminded:
		return asks("reminded")
	case agency.ConnectionAccepted:
		return record("accepted")
	case agency.ConnectionDeclined:
		return append(record("declined"), mailRule{kind: "declined-person", to: letter.addressee})
	case agency.ConnectionRevoked:
		return record("revoked")
	case agency.ConnectionLeft:
		return record("left")
	case agency.ConnectionLapsed:
		return []mailRule{{kind: "lapsed-agency", to: letter.agencySide, over: letter.isOfClosing}, {kind: "lapsed-client", to: letter.owners, over: letter.isOfClosing}}
	case agency.ConnectionWithdrawn:
		return end("withdrawn")
	case agency.ConnectionExpired:
		return append([]mailRule{{kind: "expired-agency", to: letter.agencySide, over: letter.isFollowed}}, end("expired")...)
	case agency.ConnectionRestricted:
		return []mailRule{{kind: "restricted-agency", to: letter.agencySide, over: letter.isChanged}}
	case agency.ConnectionLapseAhead:
		return []mailRule{{kind: "lapse-ahead-agency", to: letter.agencySide, over: letter.hasOtherEnd}, {kind: "lapse-ahead-client", to: letter.owners, over: letter.hasOtherEnd}}
	default:
		return nil
	}
}

func (c letter) rulesOfPerson() []mailRule {
	isOffer, isOwned, byPerson := c.e.Kind == agency.OwnershipKind, c.e.Ownership == agency.AgencyOwned, c.e.Actor != ""
	choose := func(is bool, yes, no string) string {
		if is {
			return yes
		}
		return no
	}
	unanswered := func(c letter) bool { return c.m.Request.State != agency.StateAccepted }
	unused := func(c letter) bool { return c.m.Subject == "" }
	reached := func(c letter) []agency.PersonID { return c.reached(c.person()) }
	switch c.e.Type {
	case agency.PersonInvited:
		return []mailRule{{"invited", letter.person, letter.isNotOpen, unanswered}}
	case agency.OwnershipOffered:
		return []mailRule{{"offered", letter.person, letter.isNotOpen, unanswered}}
	case agency.InvitationResent:
		return []mailRule{{choose(isOffer, "offered-again", "invited-again"), letter.person, letter.isNotOpen, unanswered}}
	case agency.InvitationReminded:
		return []mailRule{{choose(isOffer, "offered-reminder", "invited-reminder"), letter.person, letter.isNotOpen, unanswered}}
	case agency.InvitationDeclined:
		return []mailRule{{kind: "invitation-declined", to: letter.maker, over: letter.isAskedAgain}}
	case agency.InvitationWithdrawn:
		return []mailRule{{"invitation-withdrawn", reached, letter.isAskedAgain, unanswered}}
	case agency.InvitationExpired:
		known := func(c letter) bool { return c.isAskedAgain() || c.isOfClosing() }
		return []mailRule{{"invitation-expired", reached, letter.isAskedAgain, unanswered}, {kind: "invitation-expired-maker", to: letter.maker, over: known}}
	case agency.OwnershipAccepted:
		return []mailRule{{kind: "ownership-accepted", to: letter.otherOwners}, {kind: "ownership-received", to: letter.person, over: letter.isNoOwner}}
	case agency.PersonAdded:
		if !byPerson {
			return []mailRule{{kind: "owner-named", to: letter.person, over: letter.isNoOwner}}
		}
		rules := []mailRule{{kind: "person-joined", to: letter.maker, over: letter.isGoneOrNew}}
		if !isOwned && c.e.Role == agency.Owner {
			rules = append(rules, mailRule{kind: "ownership-accepted", to: func(c letter) []agency.PersonID { return without(c.otherOwners(), c.m.Request.By) }})
		}
		return append(rules, mailRule{kind: choose(isOwned, "access-given", "person-added"), to: letter.person, over: letter.isGoneOrNew})
	case agency.PersonChanged:
		if !byPerson {
			return []mailRule{{kind: "owner-named", to: letter.person, over: letter.isNoOwner}}
		}
		return []mailRule{{choose(isOwned, "access-changed", "person-changed"), letter.person, letter.isChanged, unused}}
	case agency.PersonRemoved:
		if !byPerson {
			return []mailRule{{kind: "owner-replaced", to: letter.person, over: letter.isBack}}
		}
		return []mailRule{{choose(isOwned, "access-taken", "person-removed"), letter.person, letter.isBack, unused}}
	case agency.PersonLeft:
		if isOwned {
			return []mailRule{{kind: "person-left", to: letter.agencySide}}
		}
		return []mailRule{{kind: "person-left", to: letter.owners}}
	default:
		return nil
	}
}

func (c letter) rulesOfAccount() []mailRule {
	payer := func(kind string, holds func(Account) bool) []mailRule {
		over := func(c letter) bool { return !c.account.isOpen() || !holds(c.byClockNow(c.account)) }
		if c.e.Ownership == agency.AgencyOwned {
			return []mailRule{{kind: kind + "-agency", to: letter.agencySide, over: over}}
		}
		return []mailRule{{kind: kind, to: letter.owners, over: over}}
	}
	switch c.e.Type {
	case agency.AccountCreated:
		return []mailRule{
			{kind: "created-agency", to: letter.agencySide},
			{"created-client", letter.person, letter.isNotOpen, func(c letter) bool { return c.m.Request.State != agency.StateAccepted }},
		}
	case agency.AccountClosed:
		return []mailRule{{kind: "closed-agency", to: letter.agencySide}, {kind: "closed-client", to: letter.teamAtClosing}}
	case agency.PlanChanged:
		return payer("plan-changed", func(a Account) bool { return a.Plan == c.e.Plan })
	case agency.SubscriptionCancelled:
		return payer("subscription-cancelled", func(a Account) bool { return a.FreezesAt.Equal(c.e.Until) })
	case agency.SubscriptionResumed:
		return payer("subscription-resumed", func(a Account) bool {
			return a.State == agency.SubscriptionActive || a.State == agency.SubscriptionPastDue
		})
	case agency.SubscriptionFroze:
		return payer("subscription-frozen", func(a Account) bool { return a.State == agency.SubscriptionFrozen })
	case agency.PaymentFailed:
		return payer("payment-failed", func(a Account) bool { return a.Unpaid })
	case agency.PaymentRecovered:
		return payer("payment-recovered", func(a Account) bool { return !a.Unpaid })
	default:
		return nil
	}
}

// Recipients.

// active lists the active persons of an account who match, the longest active first, after
// one of them.
func (c letter) active(id agency.AccountID, first agency.PersonID, match func(Member) bool) []agency.PersonID {
	type place struct {
		id    agency.PersonID
		since time.Time
	}
	var found []place
	for key, m := range c.Members {
		person := key.Member.Person()
		if id == "" || key.Addressee != agency.Party(id) || person == "" || m.Status != agency.Active || m.Email == "" {
			continue
		}
		if person == first {
			found = append(found, place{id: person})
		} else if match(m) {
			found = append(found, place{person, m.Since})
		}
	}
	slices.SortFunc(found, func(a, b place) int { return cmp.Or(a.since.Compare(b.since), cmp.Compare(a.id, b.id)) })
	var ids []agency.PersonID
	for _, p := range found[:min(len(found), 10)] {
		ids = append(ids, p.id)
	}
	return ids
}

func isOwner(m Member) bool { return m.Role == agency.Owner }

func (c letter) owners() []agency.PersonID { return c.active(c.account.ID, "", isOwner) }

func (c letter) otherOwners() []agency.PersonID { return without(c.owners(), c.key.Member.Person()) }

func without(ids []agency.PersonID, id agency.PersonID) []agency.PersonID {
	return slices.DeleteFunc(ids, func(other agency.PersonID) bool { return other == id })
}

// agencySide are the person who asked or created, and the agency's owners.
func (c letter) agencySide() []agency.PersonID {
	first := c.m.Request.By
	if c.e.Type == agency.AccountCreated {
		first = c.e.Actor
	}
	return c.active(c.of, first, isOwner)
}

func (c letter) addressee() []agency.PersonID {
	if id := c.e.Addressee.Person(); id != "" && c.m.Email != "" {
		return []agency.PersonID{id}
	}
	return nil
}

func (c letter) person() []agency.PersonID {
	if id := c.key.Member.Person(); id != "" && c.m.Email != "" {
		return []agency.PersonID{id}
	}
	return nil
}

// reached are those of the recipients who were reached by the request.
func (c letter) reached(ids []agency.PersonID) []agency.PersonID {
	return slices.DeleteFunc(ids, func(id agency.PersonID) bool { return !slices.Contains(c.m.Request.Reached, id) })
}

// maker is who asked last, while they are active where they asked from.
func (c letter) maker() []agency.PersonID {
	by := c.m.Request.By
	if by == "" {
		return nil
	}
	return c.active(c.asker(), by, func(Member) bool { return false })
}

// asker is the account that asks a person: the account itself, or the agency.
func (c letter) asker() agency.AccountID {
	if c.m.Request.From == c.account.ID {
		return c.account.ID
	}
	return c.of
}

// teamAtClosing are the owners of a closed account, or the members of one that an agency
// owned, when it was closed.
func (c letter) teamAtClosing() []agency.PersonID {
	if c.of != "" {
		return nil
	}
	role := agency.Owner
	if c.e.Ownership == agency.AgencyOwned {
		role = agency.Member
	}
	var ids []agency.PersonID
	for _, key := range c.keys(func(k agency.ProfileKey, m Member) bool {
		return k.Addressee == c.e.Addressee && k.Member.Person() != "" && m.Role == role && m.Email != "" && wasThere(m, c.e.At)
	}) {
		ids = append(ids, key.Member.Person())
	}
	return ids[:min(len(ids), 10)]
}

// When an email is over.

// isAnswered: there is no such request to decide any more, or a newer email asks for it.
func (c letter) isAnswered() bool {
	r := c.m.Request
	closed := c.e.Addressee.Account() != "" && !c.account.isOpen()
	return c.m.status(c.now) != agency.Pending || r.Number != c.e.Request || r.ExpiresAt.After(c.e.Expires) || r.Muted || closed || !c.Accounts[c.of].isWorking()
}

// isNotOpen: there is nothing for the person to accept any more, or a newer email asks.
func (c letter) isNotOpen() bool {
	r := c.m.Request
	maker := c.Members[agency.PersonAt(c.asker(), r.By)]
	return !c.m.waits(c.now) || r.Number != c.e.Request || r.MailedAt.After(c.e.At) || !canAsk(maker, r.Role) || !c.account.isOpen()
}

// isFollowed: the profile has another state or request by now, or was part of a closing.
func (c letter) isFollowed() bool {
	_, found := c.Members[c.key]
	return found && (c.m.Status != c.e.Status || c.m.Request.Number != c.e.Request) || c.isOfClosing()
}

// isOfClosing: the account was closed before the event's date, which has its own email.
func (c letter) isOfClosing() bool {
	end := c.e.Expires
	if c.e.Type == agency.ConnectionLapsed {
		end = c.e.Until
	}
	return !c.account.Closed.IsZero() && c.account.Closed.Before(end)
}

// isAskedAgain: something else has become of the invitation by now.
func (c letter) isAskedAgain() bool {
	if _, found := c.Members[c.key]; !found {
		return false
	}
	want := map[agency.EventType]agency.RequestState{
		agency.InvitationDeclined: agency.StateDeclined, agency.InvitationWithdrawn: agency.StateWithdrawn, agency.InvitationExpired: agency.StateExpired,
	}
	return c.m.Request.State != want[c.e.Type] || c.m.Request.Number != c.e.Request || c.m.Status != c.e.Status
}

// isChanged: the member has ended, or has something else by now.
func (c letter) isChanged() bool {
	role, areas := c.m.Role, c.m.Areas
	return !c.m.isActive(c.now) || c.m.Request.Number != c.e.Request || role != c.e.Role || !same(areas, c.e.Areas) || !c.m.Until.Equal(c.e.Until) ||
		c.m.Limited != c.e.Limited || !equal(c.m.Clients, c.e.Clients)
}

// hasOtherEnd: the access has ended, or has another end date by now.
func (c letter) hasOtherEnd() bool {
	return !c.m.isActive(c.now) || c.m.Request.Number != c.e.Request || !c.m.Until.Equal(c.e.Until) || !c.account.isOpen()
}

func (c letter) isBack() bool { return c.m.isActive(c.now) }

// isGoneOrNew: the person has lost their place since, or was given it once more.
func (c letter) isGoneOrNew() bool { return !c.m.isActive(c.now) || c.m.Since.After(c.e.At) }

func (c letter) isNoOwner() bool { return !c.m.isActive(c.now) || !isOwner(c.m) || !c.account.isOpen() }
