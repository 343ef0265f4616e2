package main

import (
	"strconv"
	"strings"
	"time"

	"agencyhub/shared/agency"
)

// accessSummary returns levels in a line, as in "Edit: Pages, Mail · View: Contacts".
func (c *console) accessSummary(areas agency.Areas) string {
	named := map[agency.Level][]string{}
	for _, area := range c.svc.Rules.Areas {
		level := areas[area.ID]
		named[level] = append(named[level], area.Name)
	}
	var parts []string
	for _, one := range []struct {
		level agency.Level
		words string
	}{{agency.Edit, "Edit"}, {agency.View, "View"}} {
		switch names := named[one.level]; len(names) {
		case 0:
		case len(c.svc.Rules.Areas):
			return one.words + ": everything"
		default:
			parts = append(parts, one.words+": "+strings.Join(names, ", "))
		}
	}
	if len(parts) == 0 {
		return "Nothing"
	}
	return strings.Join(parts, " · ")
}

// areaLevel is the access level in one area.
type areaLevel struct {
	Name  string
	Level agency.Level
}

// areaLevels returns the level in each area, in the order of the settings.
func (c *console) areaLevels(areas agency.Areas) []areaLevel {
	var out []areaLevel
	for _, area := range c.svc.Rules.Areas {
		level := areas[area.ID]
		if !level.IsValid() {
			level = agency.None
		}
		out = append(out, areaLevel{Name: area.Name, Level: level})
	}
	return out
}

func (c *console) planName(id string) string { return c.svc.Rules.Plan(id).Name }

// planPrice returns what a plan costs a month, as in "29 USD".
func (c *console) planPrice(id string) string {
	p := c.svc.Rules.Plan(id)
	return agency.Money(p.MonthlyPrice, p.Currency)
}

func allLevels() []agency.Level { return []agency.Level{agency.None, agency.View, agency.Edit} }

// levelName returns a level as a label.
func levelName(l agency.Level) string {
	words := l.Words()
	return strings.ToUpper(words[:1]) + words[1:]
}

func roleName(r agency.Role) string {
	switch r {
	case agency.Owner:
		return "Owner"
	case agency.Admin:
		return "Admin"
	default:
		return "Member"
	}
}

// statusName returns a profile's status as a label.
func statusName(s agency.Status) string {
	return map[agency.Status]string{
		agency.Pending: "Waiting", agency.Invited: "Invited", agency.Active: "Active", agency.Declined: "Declined", agency.Withdrawn: "Withdrawn", agency.Expired: "Expired",
		agency.Revoked: "Revoked", agency.Left: "Left", agency.Lapsed: "Ended on its date", agency.Ended: "Account closed", agency.Moved: "Taken up",
	}[s]
}

// fullTime returns an instant in full.
func fullTime(t time.Time) string { return t.UTC().Format("Monday, 2 January 2006 at 15:04:05 UTC") }

// iso is an instant for programs, to the millisecond by which it is decided.
func iso(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.999Z07:00") }

// inWords returns a length of time as in "3 days": in the largest unit that it
// reaches, rounded up.
func inWords(d time.Duration) string {
	for _, unit := range []struct {
		name string
		long time.Duration
	}{{"day", 24 * time.Hour}, {"hour", time.Hour}, {"minute", time.Minute}} {
		if d < unit.long {
			continue
		}
		n := int((d + unit.long - 1) / unit.long)
		if n == 1 {
			return "1 " + unit.name
		}
		return strconv.Itoa(n) + " " + unit.name + "s"
	}
	return "a minute"
}

// planWithPrice returns a plan as in "Starter, 29 USD a month".
func (c *console) planWithPrice(id string) string {
	return c.planName(id) + ", " + c.planPrice(id) + " a month"
}
