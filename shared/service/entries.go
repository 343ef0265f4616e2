package service

import (
	"context"

	"agencyhub/shared/agency"
)

// ActivityEntry is an event with the names of those concerned, as far as its
// reader may know them; "" for the others and for what is deleted.
type ActivityEntry struct {
	agency.Event
	// Account is the name of the account in which it happened. An agency reads
	// its last copy: "" before its first acceptance.
	Account string
	// Asked is the address of a request by email.
	Asked string
	// By is the address of the actor, and For the name of the agency that they
	// acted for.
	By, For string
	// AgencyName is the name of the agency concerned, also where it was blocked
	// or unblocked.
	AgencyName string
	// Person is the address of the person whose profile changed, or who got
	// access by AccountCreated.
	Person string
}

// ActivityEntries completes events that another use case has returned to the
// caller. The caller reads an address if they see a team in which the person is
// or was: as an owner or admin of the account, or of the agency, that the event
// concerns. It takes one batch read.
func (s *Service) ActivityEntries(ctx context.Context, caller agency.Caller, events ...agency.Event) ([]ActivityEntry, error) {
	if len(events) == 0 {
		return nil, nil
	}
	var want Want
	for _, e := range events {
		want = want.plus(wantNames(e, caller))
	}
	read, err := s.Store.Load(ctx, want)
	if err != nil {
		return nil, err
	}
	reader := entryReader{decision: decision{read: read, now: s.Now(), caller: &caller}}
	lines := make([]ActivityEntry, len(events))
	for i, e := range events {
		lines[i] = reader.entry(e)
	}
	return lines, nil
}

// wantNames is what must be read to complete an event for a caller.
func wantNames(e agency.Event, c agency.Caller) Want {
	var w Want
	for _, team := range e.Teams() {
		w.Accounts = append(w.Accounts, team)
		w.Profiles = append(w.Profiles, agency.PersonAt(team, c.ID()))
		for _, person := range e.People() {
			w.Profiles = append(w.Profiles, agency.PersonAt(team, person))
		}
	}
	if c.As != "" {
		w.Accounts = append(w.Accounts, c.As)
		w.Profiles = append(w.Profiles, agency.PersonAt(c.As, c.ID()))
	}
	if agencyID := e.ConcernedAgency(); agencyID != "" {
		w.Accounts = append(w.Accounts, agencyID)
		w.Profiles = append(w.Profiles, agency.ProfileKey{Addressee: e.Addressee, Member: agency.Party(agencyID)})
	}
	return w.plus(Want{})
}

// entryReader completes events for a caller from what was read.
type entryReader struct{ decision }

// seesTeam reports whether the caller sees an account's team: by their own role
// in it, or by one in the agency that owns it.
func (r entryReader) seesTeam(team agency.AccountID) bool {
	a := r.read.Account(team)
	if a.Owner != "" {
		return a.IsOpen() && a.Owner == r.caller.As && r.isManager(a.Owner)
	}
	return a.IsOpen() && r.isManager(team)
}

func (r entryReader) isManager(id agency.AccountID) bool {
	own := r.read.Profile(agency.PersonAt(id, r.caller.ID()))
	active := own.StatusAt(r.now) == agency.Active && !own.IsBoundToAnother(r.caller.Actor)
	return active && (own.Role == agency.Owner || own.Role == agency.Admin)
}

// address is a person's address as people read it, if the caller sees a team in which they are or
// were.
func (r entryReader) address(e agency.Event, person agency.PersonID) string {
	if person == "" {
		return ""
	}
	for _, team := range e.Teams() {
		if p := r.read.Profile(agency.PersonAt(team, person)); p.Email != "" && r.seesTeam(team) {
			return agency.DisplayEmail(p.Email)
		}
	}
	return ""
}

func (r entryReader) entry(e agency.Event) ActivityEntry {
	agencyID := e.ConcernedAgency()
	connection := r.read.Profile(agency.ProfileKey{Addressee: e.Addressee, Member: agency.Party(agencyID)})
	line := ActivityEntry{
		Event: e, Account: connection.AccountName, By: r.address(e, e.Actor),
		AgencyName: r.read.Account(agencyID).Name, For: r.read.Account(e.As).Name,
	}
	if e.AccountID() == "" {
		line.Asked = agency.DisplayEmail(connection.Email)
	} else if r.seesTeam(e.AccountID()) {
		line.Account = r.read.Account(e.AccountID()).Name
	}
	if line.AgencyName == "" {
		line.AgencyName = connection.Name
	}
	for _, person := range []agency.PersonID{e.Member.Person(), e.Client} {
		if address := r.address(e, person); address != "" {
			line.Person = address
		}
	}
	return line
}
