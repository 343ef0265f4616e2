package service

import "agencyhub/shared/agency"

// countActor counts something that the caller does, once, on this UTC day. raised are
// the limits of the account in whose name they act; nil where they act for
// themselves. The person must have been read.
func (d *decision) countActor(what agency.Counted, raised agency.Limits) {
	most := d.rules.With(raised).PersonLimit(what, d.read.Person(d.caller.ID()), d.now)
	if len(d.PersonCounts) == 0 {
		// One mailbox counts as one person, whatever tags its addresses have.
		id := agency.NewPersonID(agency.Untagged(d.caller.Email))
		d.PersonCounts = []PersonCount{{Person: id, Day: d.now, Max: map[agency.Counted]int{}}}
	}
	d.PersonCounts[0].Max[what] = most
}

// personLimitMessage is the sentence for a person who has reached a limit of the day.
func personLimitMessage(counted []agency.Counted) string {
	if len(counted) != 1 {
		return "You've reached a limit for today. Try again tomorrow."
	}
	switch counted[0] {
	case agency.AccountsOpened:
		return "You've opened as many accounts as you can today. You can open more tomorrow."
	case agency.AccountsCreated:
		return "You've created as many accounts as you can today. You can create more tomorrow."
	case agency.RequestsMade:
		return "You've sent as many requests as you can today. You can send more tomorrow."
	default:
		return "You've sent as many invitations as you can today. You can send more tomorrow."
	}
}

// noteFirst stores when the caller first changed anything, if their person was read.
func (d *decision) noteFirst() {
	if d.caller == nil || d.Changes.IsEmpty() {
		return
	}
	read, ok := d.read.People[d.caller.ID()]
	if !ok || !read.FirstAt.IsZero() {
		return
	}
	for i := range d.People {
		if d.People[i].ID == read.ID {
			d.People[i].FirstAt = d.now
			return
		}
	}
	read.FirstAt = d.now
	read.Version++
	d.People = append(d.People, read)
}
