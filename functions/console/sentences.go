package main

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"time"

	"agencyhub/shared/agency"
	"agencyhub/shared/service"
)

// activityEntry is an event in words.
type activityEntry struct {
	At time.Time
	// Sentence says what happened, and Changes what changed by it.
	Sentence []span
	Changes  []activityChange
	// Message is the agency's, with its request; "" for none.
	Message string
	// By says who did it, as in "by ann@agency.test".
	By []span
}

// span is a part of a sentence. Name marks what somebody typed, which pages set
// apart from the text around it.
type span struct {
	Text string
	Name bool
}

// activityChange is one thing that an event changed. Was is "" where there was
// nothing before. At, if set, stands in place of Now.
type activityChange struct {
	Name, Was, Now string
	At             time.Time
}

// activityScope is where an entry is read.
type activityScope int

// An account's activity says "here". An agency's, over all of its clients, names the
// account of each entry.
const (
	accountScope activityScope = iota
	agencyScope
)

// spans returns a sentence with each % replaced by the next of the names.
func spans(pattern string, names ...string) []span {
	var out []span
	for _, name := range append(names, "") {
		text, rest, found := strings.Cut(pattern, "%")
		if text != "" {
			out = append(out, span{Text: text})
		}
		if !found {
			break
		}
		out, pattern = append(out, span{Text: name, Name: true}), rest
	}
	return out
}

// entryWriter puts one event into words.
type entryWriter struct {
	*console
	service.ActivityEntry
	scope activityScope
}

// sentences say what happened, by the event's type: % is replaced by the agency, $ by
// the person, @ by where it happened, and # by the account or the address asked. The first word is in lower case. An event
// without a sentence gets a neutral one.
var sentences = map[agency.EventType]string{
	agency.AccountOpened:     "the account @ was opened",
	agency.AccountCreated:    "% created the account @, owns it and pays for it",
	agency.AccountRenamed:    "the account was renamed",
	agency.AccountClosed:     "the account @ was closed",
	agency.AgencySwitchedOn:  "the agency hub was switched on",
	agency.AgencySwitchedOff: "the agency hub was switched off",

	agency.AccountRegistered: "the platform made the account @ known",
	agency.PersonReleased:    "the next sign-in of $ counts as theirs",

	agency.PlanChanged:           "the plan was changed @",
	agency.SubscriptionCancelled: "the subscription was cancelled @, and runs to the end of its period",
	agency.SubscriptionResumed:   "the subscription goes on @",
	agency.SubscriptionFroze:     "the subscription ended @: everything can be viewed, and nothing changed",
	agency.PaymentFailed:         "a payment failed @",
	agency.PaymentRecovered:      "what was due was paid @",

	agency.AgencyBlocked:   "% was blocked",
	agency.AgencyUnblocked: "% was unblocked",
	agency.PersonErasing:   "a person asked to be forgotten",
	agency.PersonErased:    "a person was forgotten, as they had asked",

	agency.ConnectionRequested:  "% requested access",
	agency.ConnectionResent:     "% sent its request again",
	agency.ConnectionAccepted:   "% got access",
	agency.ConnectionDeclined:   "the request of % was declined",
	agency.ConnectionWithdrawn:  "% withdrew its request",
	agency.ConnectionExpired:    "the request of % expired",
	agency.ConnectionRestricted: "the access of % was changed",
	agency.ConnectionRevoked:    "the access of % was revoked",
	agency.ConnectionLeft:       "% left",
	agency.ConnectionLapsed:     "the access of % ended on its end date",
	agency.ConnectionEnded:      "the access of % ended with the account",
	agency.ConnectionMoved:      "the request of % was accepted for an account",
	agency.ConnectionReminded:   "a reminder of the request of % was sent",
	agency.ConnectionLapseAhead: "both sides were told that the access of % ends soon",

	agency.PersonInvited:       "$ was invited",
	agency.InvitationResent:    "the invitation of $ was sent again",
	agency.InvitationDeclined:  "$ declined the invitation",
	agency.InvitationWithdrawn: "the invitation of $ was withdrawn",
	agency.InvitationExpired:   "the invitation of $ expired",
	agency.InvitationReminded:  "a reminder of the invitation of $ was sent",
	agency.OwnershipOffered:    "$ was offered ownership",
	agency.OwnershipAccepted:   "$ became an owner",

	agency.PersonAdded:   "$ joined",
	agency.PersonChanged: "the access of $ was changed",
	agency.PersonRemoved: "$ was removed",
	agency.PersonLeft:    "$ left",
	agency.PersonEnded:   "the access of $ ended with the account",
}

// agencySentences are those for the agency's own people, in agencyScope. Events that
// are missing here use sentences.
var agencySentences = map[agency.EventType]string{
	agency.AccountCreated: "your agency created the account @, owns it and pays for it",
	agency.AccountRenamed: "the account @ was renamed",

	agency.ConnectionRequested:  "your agency requested access to #",
	agency.ConnectionResent:     "your agency sent its request again, @",
	agency.ConnectionAccepted:   "your agency got access to #",
	agency.ConnectionDeclined:   "your request was declined, @",
	agency.ConnectionWithdrawn:  "your agency withdrew its request, @",
	agency.ConnectionExpired:    "your request expired, @",
	agency.ConnectionRestricted: "your agency's access was changed, @",
	agency.ConnectionRevoked:    "your agency's access was revoked, @",
	agency.ConnectionLeft:       "your agency left, @",
	agency.ConnectionLapsed:     "your agency's access ended on its end date, @",
	agency.ConnectionEnded:      "your agency's access ended with the account, @",
	agency.ConnectionReminded:   "a reminder of your request was sent, @",
	agency.ConnectionLapseAhead: "both sides were told that your agency's access ends soon, @",

	agency.PersonInvited:       "$ was invited, @",
	agency.InvitationResent:    "the invitation of $ was sent again, @",
	agency.InvitationDeclined:  "$ declined the invitation, @",
	agency.InvitationWithdrawn: "the invitation of $ was withdrawn, @",
	agency.InvitationExpired:   "the invitation of $ expired, @",
	agency.InvitationReminded:  "a reminder of the invitation of $ was sent, @",

	agency.PersonAdded:   "$ joined, @",
	agency.PersonChanged: "the access of $ was changed, @",
	agency.PersonRemoved: "$ was removed, @",
	agency.PersonLeft:    "$ left, @",
	agency.PersonEnded:   "the access of $ ended with the account, @",
}

// offerSentences are those of an offer of ownership, for the events that it shares with
// invitations. Only a client-owned account has any, so an agency reads none.
var offerSentences = map[agency.EventType]string{
	agency.InvitationResent:    "the offer of ownership to $ was sent again",
	agency.InvitationDeclined:  "$ declined ownership",
	agency.InvitationWithdrawn: "the offer of ownership to $ was withdrawn",
	agency.InvitationExpired:   "the offer of ownership to $ expired",
	agency.InvitationReminded:  "a reminder of the offer of ownership to $ was sent",
}

// byPlatform are the events that the platform reports, without an actor.
var byPlatform = map[agency.EventType]bool{
	agency.AccountRegistered: true, agency.AccountRenamed: true, agency.PersonAdded: true, agency.PersonReleased: true,
	agency.PlanChanged: true, agency.PaymentFailed: true, agency.PaymentRecovered: true,
}

// newActivityEntry puts an event into words.
func (c *console) newActivityEntry(e service.ActivityEntry, scope activityScope) activityEntry {
	w := entryWriter{console: c, ActivityEntry: e, scope: scope}
	return activityEntry{At: e.At, Sentence: w.sentence(), Changes: w.changes(), Message: w.message(), By: w.author()}
}

func (w entryWriter) sentence() []span {
	pattern, known := sentences[w.Type]
	if own, ok := agencySentences[w.Type]; ok && w.scope == agencyScope {
		pattern = own
	}
	switch {
	case !known:
		// A type that this version does not know.
		pattern = "something else happened @: " + strings.NewReplacer(".", " ", "_", " ").Replace(string(w.Type))
	case w.Type == agency.ConnectionDeclined && w.Was.Status == agency.Expired && w.scope == accountScope:
		pattern = "the expired request of % was dismissed"
	case w.Type == agency.PersonInvited && w.Was.Status == agency.Active:
		pattern = "a new sign-in was asked of $"
	case w.Kind == agency.OwnershipKind && offerSentences[w.Type] != "":
		pattern = offerSentences[w.Type]
	}
	var line []span
	for pattern != "" {
		plain, rest, found := cutAny(pattern, "%$@#")
		line = append(line, spans(plain)...)
		switch {
		case !found:
			return capitalized(line)
		case rest[0] == '%':
			line = append(line, nameOr(w.AgencyName, "an agency"))
		case rest[0] == '$':
			line = append(line, nameOr(w.Person, "a person"))
		case rest[0] == '#':
			line = append(line, nameOr(cmp.Or(w.Account, w.Asked, string(w.Addressee)), "an account"))
		default:
			line = append(line, w.place()...)
		}
		pattern = rest[1:]
	}
	return capitalized(line)
}

// cutAny cuts a text before the first of the characters.
func cutAny(s, chars string) (before, rest string, found bool) {
	if at := strings.IndexAny(s, chars); at >= 0 {
		return s[:at], s[at:], true
	}
	return s, "", false
}

// nameOr returns a name, or otherwise where it is unknown.
func nameOr(name, otherwise string) span {
	if name == "" {
		return span{Text: otherwise}
	}
	return span{Text: name, Name: true}
}

// capitalized returns a sentence that begins in upper case; a name stays as it is.
func capitalized(line []span) []span {
	if len(line) > 0 && !line[0].Name {
		line[0].Text = strings.ToUpper(line[0].Text[:1]) + line[0].Text[1:]
	}
	return line
}

// place says where it happened.
func (w entryWriter) place() []span {
	isOfAccount := slices.Contains([]agency.EventType{
		agency.AccountOpened, agency.AccountCreated, agency.AccountRegistered, agency.AccountRenamed, agency.AccountClosed,
	}, w.Type)
	switch {
	case w.scope == accountScope && !isOfAccount:
		return spans("here")
	case isOfAccount:
		return []span{nameOr(w.Account, "itself")}
	case w.Account != "":
		return spans("in %", w.Account)
	case w.Asked != "":
		return spans("for %", w.Asked)
	default:
		return spans("in %", string(w.Addressee))
	}
}

// message returns what the agency wrote with its request.
func (w entryWriter) message() string {
	if w.Type == agency.ConnectionRequested {
		return w.Now.Message
	}
	return ""
}

// changes returns what the event changed.
func (w entryWriter) changes() []activityChange {
	switch w.Type {
	case agency.AccountRenamed:
		return []activityChange{{Name: "Name", Was: w.Was.Name, Now: w.Now.Name}}
	case agency.PlanChanged:
		return []activityChange{{Name: "Plan", Was: w.planWithPrice(w.Was.Plan), Now: w.planWithPrice(w.Now.Plan)}}
	case agency.SubscriptionCancelled:
		return w.endDate()
	case agency.ConnectionRequested:
		return []activityChange{{Name: "Access requested", Now: w.accessSummary(w.Now.Areas)}, {Name: "Expires", At: w.Now.Expires}}
	case agency.ConnectionResent, agency.ConnectionReminded, agency.InvitationReminded, agency.OwnershipOffered:
		return []activityChange{{Name: "Expires", At: w.Now.Expires}}
	case agency.PersonInvited:
		return append(w.roleOrAccess(), activityChange{Name: "Expires", At: w.Now.Expires})
	case agency.InvitationResent:
		// New terms may come with it. An offer shows the present role.
		changes := []activityChange{{Name: "Expires", At: w.Now.Expires}}
		if w.Kind == agency.InvitationKind {
			changes = append(w.roleOrAccess(), changes...)
		}
		return changes
	case agency.ConnectionAccepted:
		return append([]activityChange{{Name: "Granted", Now: w.accessSummary(w.Now.Areas)}}, w.endDate()...)
	case agency.ConnectionLapseAhead:
		return w.endDate()
	case agency.ConnectionRestricted:
		return append(w.changedLevels(), w.endDateChange()...)
	case agency.AccountCreated:
		if w.Client != "" {
			return []activityChange{{Name: "Invited", Now: cmp.Or(w.Person, "the client")}}
		}
	case agency.PersonAdded:
		return w.roleOrAccess()
	case agency.PersonChanged:
		return w.personChanged()
	default:
	}
	return nil
}

// endDate returns the end date; nothing for none.
func (w entryWriter) endDate() []activityChange {
	if w.Now.Until.IsZero() {
		return nil
	}
	return []activityChange{{Name: "Ends", At: w.Now.Until}}
}

// endDateChange returns what became of the end date.
func (w entryWriter) endDateChange() []activityChange {
	switch was, now := w.Was.Until, w.Now.Until; {
	case was.Equal(now):
		return nil
	case now.IsZero():
		return []activityChange{{Name: "End date", Now: "removed"}}
	case was.IsZero():
		return []activityChange{{Name: "Ends", At: now}}
	default:
		return []activityChange{{Name: "End date moved to", At: now}}
	}
}

// changedLevels returns the areas whose level changed.
func (w entryWriter) changedLevels() []activityChange {
	var out []activityChange
	before := w.areaLevels(w.Was.Areas)
	for i, now := range w.areaLevels(w.Now.Areas) {
		if was := before[i]; was.Level != now.Level {
			out = append(out, activityChange{Name: now.Name, Was: levelName(was.Level), Now: levelName(now.Level)})
		}
	}
	return out
}

// roleOrAccess returns a person's role, or a member's access.
func (w entryWriter) roleOrAccess() []activityChange {
	if w.Now.Role == agency.Member {
		return []activityChange{{Name: "Access", Now: w.accessSummary(w.Now.Areas)}}
	}
	return []activityChange{{Name: "Role", Now: roleName(w.Now.Role)}}
}

// personChanged returns what changed for a person.
func (w entryWriter) personChanged() []activityChange {
	var out []activityChange
	switch {
	case w.Was.Role != w.Now.Role:
		out = append(out, activityChange{Name: "Role", Was: roleName(w.Was.Role), Now: roleName(w.Now.Role)})
		if w.Now.Role == agency.Member {
			out = append(out, activityChange{Name: "Access", Now: w.accessSummary(w.Now.Areas)})
		}
	case w.Now.Role == agency.Member:
		out = append(out, w.changedLevels()...)
	}
	if was, now := clientCount(w.Was.Clients), clientCount(w.Now.Clients); was != now {
		out = append(out, activityChange{Name: "Works for", Was: was, Now: now})
	}
	return out
}

// clientCount says how many of the agency's clients a member works for; nil is all.
func clientCount(clients []agency.AccountID) string {
	switch {
	case clients == nil:
		return "all clients"
	case len(clients) == 1:
		return "1 client"
	default:
		return strconv.Itoa(len(clients)) + " clients"
	}
}

// author says who did it, as far as the reader may know.
func (w entryWriter) author() []span {
	switch {
	case w.By != "" && w.For != "":
		return spans("by % for %", w.By, w.For)
	case w.By != "":
		return spans("by %", w.By)
	case w.For != "":
		return spans("by %", w.For)
	case w.Actor == "" && byPlatform[w.Type]:
		return spans("by the platform")
	case w.Actor == "" && w.Ownership == agency.ClientOwned && w.Side() == agency.AccountSide && w.Account != "":
		// An agency may not know who works in a client-owned account.
		return spans("by the people of %", w.Account)
	case w.Actor == "" && w.Ownership == agency.ClientOwned && w.Side() == agency.AccountSide:
		return spans("by the other side")
	case w.Actor == "":
		return spans("automatically")
	case w.Side() == agency.AgencySide && w.AgencyName != "":
		return spans("by %", w.AgencyName)
	case w.Side() == agency.AgencySide:
		return spans("by the agency")
	case w.Account != "":
		return spans("by the people of %", w.Account)
	default:
		return spans("by the other side")
	}
}
