package agency

import (
	"maps"
	"slices"
	"strings"
)

// Level says how far a profile reaches into an area.
type Level string

// The levels, from the lowest.
const (
	None Level = "none"
	View Level = "view"
	Edit Level = "edit"
)

func (l Level) rank() int {
	switch l {
	case View:
		return 1
	case Edit:
		return 2
	default:
		return 0
	}
}

// IsValid reports whether the level is one of the three.
func (l Level) IsValid() bool { return l == None || l == View || l == Edit }

// IsWithin reports whether the level is no higher than another.
func (l Level) IsWithin(other Level) bool { return l.rank() <= other.rank() }

// Words returns the level as people read it within a sentence, on pages and in
// emails. An unknown level reads like None.
func (l Level) Words() string {
	switch l {
	case View:
		return "view only"
	case Edit:
		return "view and edit"
	default:
		return "no access"
	}
}

// Areas is the access level of each area. An area that is not named is None.
type Areas map[string]Level

// at is the level at an area, None where it is not named.
func (a Areas) at(area string) Level {
	if l := a[area]; l.IsValid() {
		return l
	}
	return None
}

// IsAny reports whether some area is not None.
func (a Areas) IsAny() bool {
	for _, l := range a {
		if l.rank() > 0 {
			return true
		}
	}
	return false
}

// Equal reports whether two Areas give every area the same level.
func (a Areas) Equal(b Areas) bool { return a.isWithin(b) && b.isWithin(a) }

// isWithin reports whether no level of a is above b's.
func (a Areas) isWithin(b Areas) bool {
	for area, level := range a {
		if level.rank() > b.at(area).rank() {
			return false
		}
	}
	return true
}

// lower is the lower of both, area by area.
func (a Areas) lower(b Areas) Areas {
	out := Areas{}
	for area, level := range a {
		if other := b.at(area); other.rank() < level.rank() {
			level = other
		}
		out[area] = level
	}
	return out
}

// higher is the higher of both, area by area.
func (a Areas) higher(b Areas) Areas {
	out := maps.Clone(a)
	if out == nil {
		out = Areas{}
	}
	for area, level := range b {
		if level.rank() > out.at(area).rank() {
			out[area] = level
		}
	}
	return out
}

// cappedAtView is what a frozen subscription leaves.
func (a Areas) cappedAtView() Areas {
	out := Areas{}
	for area, level := range a {
		if level.rank() > View.rank() {
			level = View
		}
		out[area] = level
	}
	return out
}

// Area is one part of the platform's product.
type Area struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

// AllAreas is all the areas of the settings at one level.
func (r Rules) AllAreas(level Level) Areas {
	out := Areas{}
	for _, area := range r.Areas {
		out[area.ID] = level
	}
	return out
}

// CompleteAreas names every area of the settings. One that is not in a is None,
// and one that the settings don't know is dropped.
func (r Rules) CompleteAreas(a Areas) Areas {
	out := Areas{}
	for _, area := range r.Areas {
		out[area.ID] = a.at(area.ID)
	}
	return out
}

// ParseAreas checks levels that a caller gave: known areas, known levels, and
// something above None.
func (r Rules) ParseAreas(field string, given Areas) (Areas, error) {
	refusal := &Error{Code: Invalid, Message: "The areas are not all right."}
	for _, id := range slices.Sorted(maps.Keys(given)) {
		level := given[id]
		if !slices.ContainsFunc(r.Areas, func(a Area) bool { return a.ID == id }) {
			refusal.Fields = append(refusal.Fields, FieldError{Field: field + "." + id, Message: "There is no such area. The areas are: " + r.areaList() + "."})
		} else if !level.IsValid() {
			refusal.Fields = append(refusal.Fields, FieldError{Field: field + "." + id, Message: "A level is none, view or edit."})
		}
	}
	if len(refusal.Fields) > 0 {
		return nil, refusal
	}
	if !given.IsAny() {
		return nil, InvalidField(field, "Give at least one area the level view or edit.")
	}
	return r.CompleteAreas(given), nil
}

func (r Rules) areaList() string {
	ids := make([]string, len(r.Areas))
	for i, a := range r.Areas {
		ids[i] = a.ID
	}
	return strings.Join(ids, ", ")
}

// ParseRole checks a role and the areas given with it. A new member must be
// given some.
func (r Rules) ParseRole(role Role, areas Areas, beginning bool) (Areas, error) {
	switch {
	case !role.IsValid() && (beginning || role != ""):
		return nil, InvalidField("role", "A role is owner, admin or member.")
	case role == Owner || role == Admin:
		if areas != nil {
			return nil, InvalidField("areas", "Owners and admins have every area. Leave the areas out.")
		}
		return r.AllAreas(Edit), nil
	case areas == nil && !beginning:
		return nil, nil
	case areas == nil:
		return nil, InvalidField("areas", "Say which areas the member may view or edit.")
	default:
		return r.ParseAreas("areas", areas)
	}
}
