package law

import (
	"strings"

	"agencyhub/shared/agency"
)

// The columns of README, "Who may do what".
const (
	asOwner = iota
	asAdmin
	asMember
	asAgencyOwner
	asAgencyAdmin
	asStaff
	asStranger
)

// Rows of that table.
const (
	toRename    = "rename"
	toManage    = "persons"
	toDecide    = "decide"
	toSwitchOn  = "switch on"
	toSwitchOff = "switch off"
	toClose     = "close"
	toPay       = "billing"
	toSeeTeam   = "team"
	toWork      = "agency work"
)

// Both tables of README, "Who may do what". A cell is yes, no, own (lines), some (not
// owners), payer (not_payer) or fixed (permanently_owned); the columns are those above.
var clientOwned = table(`
team:         yes yes  no  own   own   no
rename:       yes yes  no  no    no    no
persons:      yes some no  no    no    no
decide:       yes yes  no  no    no    no
switch-on:    yes no   no  no    no    no
switch-off:   yes no   no  no    no    no
close:        yes no   no  no    no    no
billing:      yes no   no  payer payer payer
agency-work:  yes yes  no  no    no    no`)

var agencyOwned = table(`
team:         no no no    yes   yes   no
rename:       no no no    yes   yes   no
persons:      no no no    yes   yes   no
decide:       no no fixed fixed fixed fixed
switch-on:    no no fixed fixed fixed fixed
switch-off:   no no no    no    no    no
close:        no no no    yes   no    no
billing:      no no payer yes   no    no
agency-work:  no no no    no    no    no`)

func table(text string) map[string][]string {
	rows := map[string][]string{}
	for line := range strings.Lines(strings.TrimSpace(text)) {
		cells := strings.Fields(line)
		rows[strings.ReplaceAll(strings.TrimSuffix(cells[0], ":"), "-", " ")] = cells[1:]
	}
	return rows
}

// position is what the caller is in an account.
type position struct {
	column  int
	account Account
	// self is the caller's profile in the account or, for an agency, in that.
	self Member
}

// may returns the cell of the table for an operation.
func (p position) may(op string) string {
	rows := clientOwned
	if p.account.Ownership == agency.AgencyOwned {
		rows = agencyOwned
	}
	if p.column == asStranger {
		return "no"
	}
	return rows[op][p.column]
}

// allow refuses a caller who may not do an operation by the table.
func (p position) allow(op string) error {
	switch p.may(op) {
	case "no":
		return refuse(agency.Forbidden)
	case "payer":
		return refuse(agency.NotPayer)
	case "fixed":
		return refuse(agency.PermanentlyOwned)
	default:
		return nil
	}
}

// allowWork is allow for what an agency does in its own account.
func (p position) allowWork() error {
	if err := p.allow(toWork); err != nil {
		return err
	}
	if !p.account.isWorking() {
		return refuse(agency.Conflict)
	}
	return nil
}

// allowMember is allow for an operation on a member. Who can't list the team gets one
// answer for every member.
func (p position) allowMember(op string, exists bool) error {
	err := p.allow(op)
	if !exists && (err == nil || p.may(toSeeTeam) == "yes") {
		return refuse(agency.NotFound)
	}
	return err
}

// allowOwner refuses an admin who would change an owner, or make one.
func (p position) allowOwner(m Member, role agency.Role) error {
	owns := m.Status == agency.Active && m.Role == agency.Owner
	if p.may(toManage) == "some" && (owns || role == agency.Owner) {
		return refuse(agency.Forbidden)
	}
	return nil
}

func (a Account) exists() bool    { return a.ID != "" }
func (a Account) isOpen() bool    { return a.exists() && a.Closed.IsZero() }
func (a Account) isWorking() bool { return a.isOpen() && a.IsAgency }

// isAnother reports whether a profile belongs to another sign-in than an actor's.
func (m Member) isAnother(by agency.Actor) bool {
	return m.Subject != "" && (m.Subject != by.Subject || m.Issuer != by.Issuer)
}

// reaches reports whether a member of an agency is assigned to a client.
func (m Member) reaches(account agency.AccountID) bool {
	if !m.Limited {
		return true
	}
	for _, id := range m.Clients {
		if id == account {
			return true
		}
	}
	return false
}

// locate finds what the caller is in an account: themselves, or for their agency.
func (t *turn) locate(id agency.AccountID) (position, error) {
	me, by := t.c.By.ID(), id
	if t.c.As != "" {
		by = t.c.As
	}
	key := agency.PersonAt(by, me)
	p := position{column: asStranger, account: t.Accounts[id], self: t.Members[key]}
	if p.self.Status == agency.Active && p.self.isAnother(t.c.By) {
		return p, refuse(agency.IdentityChanged)
	}
	role := map[agency.Role]int{agency.Owner: asOwner, agency.Admin: asAdmin, agency.Member: asMember}[p.self.Role]
	works := p.self.Status == agency.Active && p.account.isOpen() && t.People[me].Erasing.IsZero()
	switch connection := t.Members[agency.AgencyAt(id, t.c.As)]; {
	case !works:
	case t.c.As == "":
		p.column = role
	case connection.isActive(t.now) && t.Accounts[t.c.As].isWorking() && p.self.reaches(id):
		p.column = asAgencyOwner + role
	}
	if p.column == asStranger {
		return p, refuse(agency.NotFound)
	}
	if p.self.Registered && p.self.Subject == "" {
		p.self.Issuer, p.self.Subject = t.c.By.Issuer, t.c.By.Subject
		t.put(key, p.self)
		t.bound = &key
	}
	return p, nil
}
