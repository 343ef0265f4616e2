package audit

import (
	"maps"
	"slices"
	"strings"
)

// A rule says who gets an event's emails of one kind.
type rule struct {
	kind string
	to   func(*Data, Event) recipients
}

// recipients are who must get an email, and who may. They differ while somebody's role changes
// between the event and its emails.
type recipients struct{ must, may []string }

// rules are the law's section Emails, told once more: the persons that each type of event
// concerns. A type that is not there mails nobody.
var rules = map[string][]rule{
	"account.created": {{"created-agency", agencySide}, {"created-client", client}},
	"account.closed":  {{"closed-agency", agenciesAtClosing}, {"closed-client", teamAtClosing}},

	"connection.requested":   {{"requested", owners}, {"requested-person", addressee}},
	"connection.resent":      {{"resent", owners}, {"resent-person", addressee}},
	"connection.reminded":    {{"reminded", owners}, {"reminded-person", addressee}},
	"connection.accepted":    {{"accepted-agency", agencySide}, {"accepted-client", owners}},
	"connection.declined":    {{"declined-agency", agencySide}, {"declined-client", owners}, {"declined-person", addressee}},
	"connection.revoked":     {{"revoked-agency", agencySide}, {"revoked-client", owners}},
	"connection.left":        {{"left-agency", agencySide}, {"left-client", owners}},
	"connection.lapsed":      {{"lapsed-agency", agencySide}, {"lapsed-client", owners}},
	"connection.withdrawn":   {{"withdrawn-client", reached(owners)}, {"withdrawn-person", reached(addressee)}},
	"connection.expired":     {{"expired-agency", agencySide}, {"expired-client", reached(owners)}, {"expired-person", reached(addressee)}},
	"connection.restricted":  {{"restricted-agency", agencySide}},
	"connection.lapse_ahead": {{"lapse-ahead-agency", agencySide}, {"lapse-ahead-client", owners}},

	"person.invited":              {{"invited", member}},
	"person.invitation_resent":    {{"invited-again", ofKind("invitation", member)}, {"offered-again", ofKind("ownership", member)}},
	"person.invitation_reminded":  {{"invited-reminder", ofKind("invitation", member)}, {"offered-reminder", ofKind("ownership", member)}},
	"person.ownership_offered":    {{"offered", member}},
	"person.invitation_declined":  {{"invitation-declined", maker}},
	"person.invitation_withdrawn": {{"invitation-withdrawn", reached(member)}},
	"person.invitation_expired":   {{"invitation-expired", reached(member)}, {"invitation-expired-maker", maker}},
	"person.ownership_accepted":   {{"ownership-accepted", otherOwners}, {"ownership-received", member}},
	"person.added": {
		{"person-joined", maker}, {"ownership-accepted", ofRole("owner", ownersButMaker)},
		{"person-added", in("client", member)}, {"access-given", in("agency", member)},
	},
	"person.changed": {{"person-changed", in("client", member)}, {"access-changed", in("agency", member)}},
	"person.removed": {{"person-removed", in("client", member)}, {"access-taken", in("agency", member)}},
	"person.left":    {{"person-left", in("client", owners)}, {"person-left", in("agency", agencySide)}},

	"subscription.plan_changed":      payer("plan-changed"),
	"subscription.cancelled":         payer("subscription-cancelled"),
	"subscription.resumed":           payer("subscription-resumed"),
	"subscription.frozen":            payer("subscription-frozen"),
	"subscription.payment_failed":    payer("payment-failed"),
	"subscription.payment_recovered": payer("payment-recovered"),
}

func payer(kind string) []rule {
	return []rule{{kind, in("client", owners)}, {kind + "-agency", in("agency", agencySide)}}
}

// rulesOf returns the rules of an event. A muted event mails nobody on the client's side.
func rulesOf(e Event) (all []rule) {
	if e.IsDigest() {
		return nil
	}
	for _, r := range rules[e.Type] {
		if e.Muted == 0 || strings.HasSuffix(r.kind, "-agency") {
			all = append(all, r)
		}
	}
	return all
}

// emailsOf returns the emails of an event, by kind and recipient.
func (d *Data) emailsOf(e Event) map[[2]string]Mail {
	all := map[[2]string]Mail{}
	for _, m := range d.mailsOf[e.ID()] {
		if m.Kind() != "bus" {
			all[[2]string{m.Kind(), m.Recipient()}] = m
		}
	}
	return all
}

// Due returns which emails are missing that events should have caused, and which are there
// without a reason. due counts the emails that had to be there.
func (d *Data) Due() (due int, wrong []string) {
	var f findings
	for _, e := range d.Events {
		if e.IsDigest() {
			continue
		}
		got, allowed := d.emailsOf(e), map[[2]string]bool{}
		for _, r := range rulesOf(e) {
			to := r.to(d, e)
			for _, id := range to.must {
				due++
				allowed[[2]string{r.kind, id}] = true
				if _, ok := got[[2]string{r.kind, id}]; !ok {
					f.addf("the event %s %s should mail %s to %s: it has %v", e.ID(), e.Type, r.kind, id, slices.Collect(maps.Keys(got)))
				}
			}
			for _, id := range to.may {
				allowed[[2]string{r.kind, id}] = true
			}
		}
		for key := range got {
			if !allowed[key] {
				f.addf("the event %s %s has no reason to mail %v", e.ID(), e.Type, key)
			}
		}
	}
	return due, f
}

// A span is what a person was in an account, and from when.
type span struct {
	from, at     string // the event's sort key and time
	status, role string
}

// spans returns what a person was in an account, by the events.
func (d *Data) spans(account, person string) []span {
	var all []span
	for _, e := range d.at[account] {
		switch {
		case e.Type == "account.opened" && e.Actor == person:
			all = append(all, span{e.SK, e.At, "active", "owner"})
		case e.Member == person && e.Now.Status != "":
			all = append(all, span{e.SK, e.At, e.Now.Status, e.Now.Role})
		}
	}
	return all
}

// during returns who has been active in an account in a role between an event and its emails:
// always, and at some time. "" is any role. Somebody who is being erased may get none.
func (d *Data) during(account string, e Event, role string, but ...string) recipients {
	var r recipients
	people := map[string]bool{}
	for _, other := range d.at[account] {
		if other.Type == "account.opened" {
			people[other.Actor] = true
		}
		if strings.HasPrefix(other.Member, "per_") {
			people[other.Member] = true
		}
	}
	for _, id := range slices.Sorted(maps.Keys(people)) {
		if slices.Contains(but, id) {
			continue
		}
		before, always, once := false, true, false
		for _, s := range d.spans(account, id) {
			is := s.status == "active" && (role == "" || s.role == role)
			switch {
			case s.from <= e.SK:
				before = is
			case e.Notified == "" || s.at <= e.Notified:
				always, once = always && is, once || is
			}
		}
		switch {
		case before && always && !d.isErasing(id):
			r.must = append(r.must, id)
		case before || once:
			r.may = append(r.may, id)
		}
	}
	return r
}

func owners(d *Data, e Event) recipients { return d.during(e.Addressee, e, "owner") }

func otherOwners(d *Data, e Event) recipients { return d.during(e.Addressee, e, "owner", e.Member) }

func ownersButMaker(d *Data, e Event) recipients {
	r := otherOwners(d, e)
	by := d.makerOf(e)
	remove := func(list []string) []string {
		return slices.DeleteFunc(list, func(id string) bool { return id == by })
	}
	return recipients{remove(r.must), remove(r.may)}
}

// agencySide is the agency's owners; the person who asked may get it too.
func agencySide(d *Data, e Event) recipients {
	agency := e.Agency
	if agency == "" {
		agency = d.Accounts[e.Addressee].Owner
	}
	r := d.during(agency, e, "owner")
	staff := d.during(agency, e, "")
	r.may = append(r.may, staff.must...)
	r.may = append(r.may, staff.may...)
	return r
}

// one returns a person as recipients: must, unless their address is deleted meanwhile.
func one(d *Data, id string) recipients {
	switch {
	case !strings.HasPrefix(id, "per_"):
		return recipients{}
	case d.isErasing(id):
		return recipients{may: []string{id}}
	default:
		return recipients{must: []string{id}}
	}
}

func client(d *Data, e Event) recipients    { return one(d, e.Client) }
func member(d *Data, e Event) recipients    { return byPerson(e, one(d, e.Member)) }
func addressee(d *Data, e Event) recipients { return one(d, e.Addressee) }

// byPerson leaves out what the platform does by itself, whose emails are of other kinds.
func byPerson(e Event, r recipients) recipients {
	switch e.Type {
	case "person.added", "person.changed", "person.removed":
		if e.Actor == "" {
			return recipients{}
		}
	}
	return r
}

// maker is who invited or made the offer, if they are active in the account that asks.
func maker(d *Data, e Event) recipients {
	by := d.makerOf(e)
	if by == "" || e.Type == "person.added" && e.Actor != e.Member {
		return recipients{}
	}
	at := e.Addressee
	if e.Ownership == "agency" {
		at = d.Accounts[e.Addressee].Owner
	}
	all := d.during(at, e, "")
	switch {
	case slices.Contains(all.must, by):
		return recipients{must: []string{by}}
	default:
		return recipients{may: []string{by}}
	}
}

// makerOf returns the person who asked last before an event.
func (d *Data) makerOf(e Event) string {
	by := ""
	for _, other := range d.at[e.Addressee] {
		if other.SK >= e.SK {
			break
		}
		switch other.Type {
		case "person.invited", "person.invitation_resent", "person.ownership_offered":
			if other.Member == e.Member {
				by = other.Actor
			}
		case "account.created":
			if other.Client == e.Member {
				by = other.Actor
			}
		}
	}
	return by
}

// reached makes recipients optional: it depends on an earlier email, which may not have reached them.
func reached(to func(*Data, Event) recipients) func(*Data, Event) recipients {
	return func(d *Data, e Event) recipients {
		r := to(d, e)
		return recipients{may: append(r.must, r.may...)}
	}
}

// teamAtClosing is the account's owners at its closing, in an agency-owned one its members.
func teamAtClosing(d *Data, e Event) recipients {
	var r recipients
	for _, p := range d.Profiles {
		if p.Addressee() != e.Addressee || p.isAgency() {
			continue
		}
		was := span{}
		for _, s := range d.spans(e.Addressee, p.Member()) {
			if s.from < e.SK {
				was = s
			}
		}
		role := "owner"
		if e.Ownership == "agency" {
			role = "member"
		}
		if was.status != "active" || was.role != role {
			continue
		}
		one := one(d, p.Member())
		r.must, r.may = append(r.must, one.must...), append(r.may, one.may...)
	}
	return r
}

// agenciesAtClosing is the side of each agency that was active or waited at a closing.
func agenciesAtClosing(d *Data, e Event) recipients {
	status := map[string]string{}
	for _, other := range d.at[e.Addressee] {
		if other.SK >= e.SK {
			break
		}
		if other.Type == "account.created" {
			status[other.Agency] = "active"
		}
		if strings.HasPrefix(other.Member, "acct_") && other.Now.Status != "" {
			status[other.Member] = other.Now.Status
		}
	}
	var r recipients
	for agency, s := range status {
		if s != "active" && s != "pending" {
			continue
		}
		side := agencySide(d, Event{SK: e.SK, At: e.At, Notified: e.Notified, Addressee: e.Addressee, Agency: agency})
		r.must, r.may = append(r.must, side.must...), append(r.may, side.may...)
	}
	return r
}

// in limits recipients to events in accounts of one ownership.
func in(ownership string, to func(*Data, Event) recipients) func(*Data, Event) recipients {
	return func(d *Data, e Event) recipients {
		if e.Ownership != ownership {
			return recipients{}
		}
		return to(d, e)
	}
}

// ofKind limits recipients to requests of one kind.
func ofKind(kind string, to func(*Data, Event) recipients) func(*Data, Event) recipients {
	return func(d *Data, e Event) recipients {
		if e.Kind != kind {
			return recipients{}
		}
		return to(d, e)
	}
}

// ofRole limits recipients to events that give a role.
func ofRole(role string, to func(*Data, Event) recipients) func(*Data, Event) recipients {
	return func(d *Data, e Event) recipients {
		if e.Now.Role != role {
			return recipients{}
		}
		return to(d, e)
	}
}

func (d *Data) isErasing(person string) bool {
	return slices.ContainsFunc(d.at[person], func(e Event) bool { return e.Type == "person.erasing" })
}
