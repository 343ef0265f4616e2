package linear

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"agencyhub/infra/prove/law"
	"agencyhub/infra/prove/run"
	"agencyhub/shared/agency"
	"agencyhub/shared/service"
)

// The reads of a history besides the access check: one profile or one account, strongly
// consistent.
const (
	readMember  law.Do = "read member"
	readAccount law.Do = "read account"
)

// An answer is what an operation answered, in a form that can be compared: by the product
// or by the law.
type answer struct {
	Code  agency.Code   `json:",omitempty"`
	State agency.Status `json:",omitempty"`
	// Result is the profile, account or access that was answered.
	Result string `json:",omitempty"`
	// Events are those that were written, in order.
	Events string `json:",omitempty"`
	// Unknown is set where the change may have been made or not.
	Unknown bool `json:",omitempty"`
	// Message is for people who look into a failure.
	Message string `json:",omitempty"`
}

// equals compares what the law determines. It names no state where a limit refuses.
func (a answer) equals(b answer) bool {
	return a.Code == b.Code && (a.State == b.State || a.Code == agency.RateLimited) && a.Result == b.Result && a.Events == b.Events
}

// answerOf puts an outcome of the law, or of the product in its form, into one line for each
// part that can be compared.
func answerOf(out law.Outcome) answer {
	a := answer{Code: out.Code, State: out.State}
	if out.Code != "" {
		return a
	}
	result := []string{out.Done}
	if m := out.Profile; m != nil {
		shown := *m
		if len(out.Events) == 0 {
			shown.AccountName = "" // a copy, which a repeat may show fresher
		}
		result = append(result, memberLine(shown))
	}
	if out.Account != nil {
		result = append(result, accountLine(*out.Account))
	}
	if out.Access != nil {
		result = append(result, accessLine(*out.Access))
	}
	a.Result = strings.TrimSpace(strings.Join(result, " "))
	var events []string
	for _, e := range out.Events {
		events = append(events, eventLine(e))
	}
	a.Events = strings.Join(events, "\n")
	return a
}

func levelsLine(a agency.Areas) string {
	var out []string
	for _, area := range slices.Sorted(maps.Keys(a)) {
		if a[area] != agency.None && a[area] != "" {
			out = append(out, fmt.Sprint(area, "=", a[area]))
		}
	}
	return strings.Join(out, ",")
}

func timeLine(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.UTC().Format("15:04:05.000")
}

// memberLine is a profile with its latest request.
func memberLine(m law.Member) string {
	r := m.Request
	return fmt.Sprintf("%s role=%s %s until=%s since=%s clients=%t%v %q moved=%s #%d %s %s from=%s by=%s role=%s %s expires=%s resends=%d muted=%t",
		m.Status, m.Role, levelsLine(m.Areas), timeLine(m.Until), timeLine(m.Since), m.Limited, m.Clients, m.AccountName, m.MovedTo, r.Number, r.Kind, r.State, r.From, r.By,
		r.Role, levelsLine(r.Areas), timeLine(r.ExpiresAt), r.Resends, r.Muted)
}

func accountLine(a law.Account) string {
	return fmt.Sprintf("%q %s %s agency=%t plan=%s %s freezes=%s closed=%s", a.Name, a.Ownership, a.Owner, a.IsAgency, a.Plan, a.State,
		timeLine(a.FreezesAt), timeLine(a.Closed))
}

func accessLine(a agency.Access) string {
	return fmt.Sprintf("allowed=%t %s via=%s reason=%s ownership=%s payer=%s", a.Allowed, levelsLine(a.Areas), a.Via, a.Reason, a.Ownership, a.Payer)
}

func eventLine(e law.Event) string {
	return fmt.Sprintf("%s %s at %s agency=%s member=%s by=%s as=%s #%d %s muted=%t client=%s %s was %s", e.Type, e.Addressee, timeLine(e.At),
		e.Agency, e.Member, e.Actor, e.As, e.Request, e.Kind, e.Muted, e.Client, reportedLine(e.Reported), reportedLine(e.Was))
}

func reportedLine(r law.Reported) string {
	return fmt.Sprintf("%q %s role=%s %s until=%s expires=%s %q clients=%t%v plan=%s %s", r.Name, r.Status, r.Role, levelsLine(r.Areas), timeLine(r.Until),
		timeLine(r.Expires), r.Message, r.Limited, r.Clients, r.Plan, r.Subscription)
}

// isUnknown reports whether an answer says that the change may have been made.
func isUnknown(err error) bool {
	e, ok := errors.AsType[*agency.Error](err)
	return ok && e.Code == agency.Unavailable && strings.Contains(e.Message, "We can't say whether your change was made")
}

// perform makes an operation by a service. The answer has no events.
func perform(ctx context.Context, s *service.Service, c law.Command) (law.Outcome, error) {
	switch c.Do {
	case readMember:
		got, err := s.Store.Load(ctx, service.Want{Profiles: []agency.ProfileKey{c.Profile}})
		m := run.Member(got.Profile(c.Profile))
		return law.Outcome{Profile: &m}, err
	case readAccount:
		got, err := s.Store.Load(ctx, service.Want{Accounts: []agency.AccountID{c.Account}})
		a := run.Account(got.Account(c.Account))
		return law.Outcome{Account: &a}, err
	default:
		return run.Try(ctx, s, c)
	}
}
