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

// activityLine is an event as people read it.
type activityLine struct {
	At time.Time
	// Sentence says what happened, and Details what it meant.
	Sentence []words
	Details  []activityDetail
	// Message are words of the agency's.
	Message string
	// By says who did it.
	By []words
}

// words are a part of a sentence. A Name is what somebody has typed.
type words struct {
	Text string
	Name bool
}

// activityDetail is one thing that an event changed, from what to what; Was is ""
// where nothing stood before. At is a date instead of the words in Now.
type activityDetail struct {
	Name, Was, Now string
	At             time.Time
}

// telling is where events are told.
type telling int

// An account's own activity says "here"; an agency's, over all of its clients,
// names the account of each line.
const (
	tellInAccount telling = iota
	tellInAgency
)

// say makes a sentence: each % stands for the next of the names.
func say(pattern string, names ...string) []words {
	var out []words
	for _, name := range append(names, "") {
		text, rest, found := strings.Cut(pattern, "%")
		if text != "" {
			out = append(out, words{Text: text})
		}
		if !found {
			break
		}
		out, pattern = append(out, words{Text: name, Name: true}), rest
	}
	return out
}

// teller tells one event.
type teller struct {
	*console
	service.ActivityEntry
	where telling
}

// sentences say what happened, by the event's type: % stands for the agency, $
// for the person, and @ for where it happened. A first word of ours is written in
// lower case. What is missing here is told by a neutral sentence.
var sentences = map[agency.EventType]string{
	agency.AccountOpened:     "the account @ was opened",
	agency.AccountCreated:    "% created the account @, owns it and pays for it",
	agency.AccountRenamed:    "the account was renamed",
	agency.AccountClosed:     "the account @ was closed",
	agency.AgencySwitchedOn:  "the agency hub was switched on",
	agency.AgencySwitchedOff: "the agency hub was switched off",

	agency.AccountRegistered: "the platform made the account @ known",
	agency.PersonReleased:    "$ may sign in anew: the next sign-in with this address counts",

	agency.PlanChanged:           "the plan was changed @",
	agency.SubscriptionCancelled: "the subscription was cancelled @, and runs to the end of its period",
	agency.SubscriptionResumed:   "the subscription goes on @",
	agency.SubscriptionFroze:     "the subscription ended @: everything can be viewed, and nothing changed",
	agency.PaymentFailed:         "a payment failed @",
	agency.PaymentRecovered:      "what was due was paid @",

	agency.AgencyBlocked:   "% was blocked: its requests reach nobody here",
	agency.AgencyUnblocked: "% was allowed to ask again",
	agency.PersonErasing:   "a person asked to be forgotten",
	agency.PersonErased:    "a person was forgotten, as they had asked",

	agency.ConnectionRequested:  "% asked to work @",
	agency.ConnectionResent:     "% sent its request again",
	agency.ConnectionAccepted:   "% may work @ from now on",
	agency.ConnectionDenied:     "the request of % was declined",
	agency.ConnectionWithdrawn:  "% took its request back",
	agency.ConnectionExpired:    "the request of % expired without an answer",
	agency.ConnectionRestricted: "what % may do @ was changed",
	agency.ConnectionRevoked:    "the access of % was revoked",
	agency.ConnectionLeft:       "% ended its work @",
	agency.ConnectionLapsed:     "the access of % ended on its date",
	agency.ConnectionEnded:      "the access of % ended with the account",
	agency.ConnectionMoved:      "the request of % was taken up by an account",
	agency.ConnectionReminded:   "a reminder of the request of % went out",
	agency.ConnectionLapseAhead: "both sides were told that the access of % ends soon",

	agency.PersonAdded:   "$ was let in @",
	agency.PersonChanged: "what $ may do @ was changed",
	agency.PersonRemoved: "$ was removed",
	agency.PersonLeft:    "$ left",
	agency.PersonEnded:   "the access of $ ended with the account",
}

// sentencesInAgency say what happened to an agency's own people, who read it over
// all of their clients. What is missing here is told as in an account.
var sentencesInAgency = map[agency.EventType]string{
	agency.AccountCreated: "your agency created the account @, owns it and pays for it",
	agency.AccountRenamed: "the account @ was renamed",

	agency.ConnectionRequested:  "your agency asked to work @",
	agency.ConnectionResent:     "your agency sent its request again, to work @",
	agency.ConnectionAccepted:   "your agency may work @ from now on",
	agency.ConnectionDenied:     "your request to work @ was declined",
	agency.ConnectionWithdrawn:  "your agency took back its request to work @",
	agency.ConnectionExpired:    "your request to work @ expired without an answer",
	agency.ConnectionRestricted: "what your agency may do @ was changed",
	agency.ConnectionRevoked:    "your agency's access was revoked, @",
	agency.ConnectionLeft:       "your agency ended its work @",
	agency.ConnectionLapsed:     "your agency's access ended on its date, @",
	agency.ConnectionEnded:      "your agency's access ended with the account, @",
	agency.ConnectionReminded:   "a reminder of your request to work @ went out",
	agency.ConnectionLapseAhead: "both sides were told that your agency's access ends soon, @",

	agency.PersonRemoved: "$ was removed @",
	agency.PersonLeft:    "$ left, @",
	agency.PersonEnded:   "the access of $ ended with the account, @",
}

// byAgency are the events that an agency's people bring about from their side of
// a connection, and IsByClock those that time alone does.
var (
	byAgency = map[agency.EventType]bool{
		agency.ConnectionRequested: true, agency.ConnectionResent: true, agency.ConnectionWithdrawn: true, agency.ConnectionLeft: true,
		agency.AccountCreated: true,
	}
	byClock = map[agency.EventType]bool{
		agency.ConnectionExpired: true, agency.ConnectionLapsed: true, agency.ConnectionReminded: true, agency.ConnectionLapseAhead: true,
	}
)

// byPlatform are the events that the platform reports.
var byPlatform = map[agency.EventType]bool{
	agency.AccountRegistered: true, agency.AccountRenamed: true, agency.PersonAdded: true, agency.PersonReleased: true,
	agency.PlanChanged: true, agency.PaymentFailed: true, agency.PaymentRecovered: true,
}

// planInFull is a plan with its price, as in "Starter, 29 USD a month".
func (c *console) planInFull(id string) string {
	return c.planName(id) + ", " + c.planPrice(id) + " a month"
}

// tell is an event in a person's words.
func (c *console) tell(l service.ActivityEntry, where telling) activityLine {
	t := teller{console: c, ActivityEntry: l, where: where}
	return activityLine{At: l.At, Sentence: t.sentence(), Details: t.details(), Message: t.message(), By: t.by()}
}

func (t teller) sentence() []words {
	pattern, known := sentences[t.Type]
	if own, ok := sentencesInAgency[t.Type]; ok && t.where == tellInAgency {
		pattern = own
	}
	switch {
	case !known:
		// Something that this version of the page has no words for.
		pattern = "something else happened @: " + strings.NewReplacer(".", " ", "_", " ").Replace(string(t.Type))
	case t.Type == agency.ConnectionDenied && t.Was.Status == agency.Expired && t.where == tellInAccount:
		pattern = "the expired request of % was dismissed"
	case t.Type == agency.PersonAdded && t.Ownership == agency.AgencyOwned:
		pattern = "$ was given access @ as the client"
	}
	var line []words
	for pattern != "" {
		plain, rest, found := cutAny(pattern, "%$@")
		line = append(line, say(plain)...)
		switch {
		case !found:
			return capital(line)
		case rest[0] == '%':
			line = append(line, named(t.AgencyName, "an agency"))
		case rest[0] == '$':
			line = append(line, named(t.Person, "a person"))
		default:
			line = append(line, t.place()...)
		}
		pattern = rest[1:]
	}
	return capital(line)
}

// cutAny cuts a text before the first of some characters.
func cutAny(s, chars string) (before, rest string, found bool) {
	if at := strings.IndexAny(s, chars); at >= 0 {
		return s[:at], s[at:], true
	}
	return s, "", false
}

// named is a name, or words of ours where nobody knows it.
func named(name, otherwise string) words {
	if name == "" {
		return words{Text: otherwise}
	}
	return words{Text: name, Name: true}
}

// capital begins a sentence in upper case, but for a name, which stands as it is.
func capital(line []words) []words {
	if len(line) > 0 && !line[0].Name {
		line[0].Text = strings.ToUpper(line[0].Text[:1]) + line[0].Text[1:]
	}
	return line
}

// place is where it happened.
func (t teller) place() []words {
	itself := slices.Contains([]agency.EventType{
		agency.AccountOpened, agency.AccountCreated, agency.AccountRegistered, agency.AccountRenamed, agency.AccountClosed,
	}, t.Type)
	switch {
	case t.where == tellInAccount && !itself:
		return say("here")
	case itself:
		return []words{named(t.Account, "itself")}
	case t.Account != "":
		return say("in %", t.Account)
	case t.Asked != "":
		return say("for %", t.Asked)
	default:
		return say("in %", string(t.Addressee))
	}
}

// message is what the agency wrote, where the event is its request.
func (t teller) message() string {
	if t.Type == agency.ConnectionRequested {
		return t.Now.Message
	}
	return ""
}

// details are what the event changed.
func (t teller) details() []activityDetail {
	switch t.Type {
	case agency.AccountRenamed:
		return []activityDetail{{Name: "Name", Was: t.Was.Name, Now: t.Now.Name}}
	case agency.PlanChanged:
		return []activityDetail{{Name: "Plan", Was: t.planInFull(t.Was.Plan), Now: t.planInFull(t.Now.Plan)}}
	case agency.SubscriptionCancelled:
		return t.ends()
	case agency.ConnectionRequested:
		return []activityDetail{{Name: "Asked for", Now: t.inShort(t.Now.Areas)}, {Name: "To be answered until", At: t.Now.Expires}}
	case agency.ConnectionResent, agency.ConnectionReminded:
		return []activityDetail{{Name: "To be answered until", At: t.Now.Expires}}
	case agency.ConnectionAccepted:
		return append([]activityDetail{{Name: "Granted", Now: t.inShort(t.Now.Areas)}}, t.ends()...)
	case agency.ConnectionLapseAhead:
		return t.ends()
	case agency.ConnectionRestricted:
		return append(t.levels(), t.moved()...)
	case agency.AccountCreated:
		if t.Client != "" {
			return []activityDetail{{Name: "Access given to", Now: cmp.Or(t.Person, "the client")}}
		}
	case agency.PersonAdded:
		return t.asWhat()
	case agency.PersonChanged:
		return t.personChanged()
	default:
	}
	return nil
}

// ends is the end date, where there is one.
func (t teller) ends() []activityDetail {
	if t.Now.Until.IsZero() {
		return nil
	}
	return []activityDetail{{Name: "Ends", At: t.Now.Until}}
}

// moved is what became of the end date.
func (t teller) moved() []activityDetail {
	switch was, now := t.Was.Until, t.Now.Until; {
	case was.Equal(now):
		return nil
	case now.IsZero():
		return []activityDetail{{Name: "End date", Now: "removed"}}
	case was.IsZero():
		return []activityDetail{{Name: "Ends", At: now}}
	default:
		return []activityDetail{{Name: "End date moved to", At: now}}
	}
}

// levels are the areas whose level has changed.
func (t teller) levels() []activityDetail {
	var out []activityDetail
	before := t.grants(t.Was.Areas)
	for i, now := range t.grants(t.Now.Areas) {
		if was := before[i]; was.Level != now.Level {
			out = append(out, activityDetail{Name: now.Name, Was: levelWords(was.Level), Now: levelWords(now.Level)})
		}
	}
	return out
}

// asWhat is a person's role, or what a member may do.
func (t teller) asWhat() []activityDetail {
	if t.Now.Role == agency.Member {
		return []activityDetail{{Name: "May", Now: t.inShort(t.Now.Areas)}}
	}
	return []activityDetail{{Name: "Role", Now: roleWords(t.Now.Role)}}
}

func (t teller) personChanged() []activityDetail {
	var out []activityDetail
	switch {
	case t.Was.Role != t.Now.Role:
		out = append(out, activityDetail{Name: "Role", Was: roleWords(t.Was.Role), Now: roleWords(t.Now.Role)})
		if t.Now.Role == agency.Member {
			out = append(out, activityDetail{Name: "May", Now: t.inShort(t.Now.Areas)})
		}
	case t.Now.Role == agency.Member:
		out = append(out, t.levels()...)
	}
	if was, now := limitWords(t.Was.Clients), limitWords(t.Now.Clients); was != now {
		out = append(out, activityDetail{Name: "Works for", Was: was, Now: now})
	}
	if len(out) == 0 {
		out = append(out, activityDetail{Name: "Invited again", Now: "they may sign in anew"})
	}
	return out
}

// limitWords are how many of an agency's clients a member works for.
func limitWords(clients []agency.AccountID) string {
	switch {
	case clients == nil:
		return "all clients"
	case len(clients) == 1:
		return "1 client"
	default:
		return strconv.Itoa(len(clients)) + " clients"
	}
}

// by says who did it, as far as its reader may know.
func (t teller) by() []words {
	switch {
	case t.By != "" && t.For != "":
		return say("by % for %", t.By, t.For)
	case t.By != "":
		return say("by %", t.By)
	case t.For != "":
		return say("by %", t.For)
	case t.Actor == "" && byPlatform[t.Type]:
		return say("by the platform")
	case t.Actor == "" && t.Ownership == agency.ClientOwned && t.Side() == agency.AccountSide && t.Account != "":
		// Who it was is not the agency's to find out.
		return say("by the people of %", t.Account)
	case t.Actor == "" && t.Ownership == agency.ClientOwned && t.Side() == agency.AccountSide:
		return say("by the other side")
	case t.Actor == "" || byClock[t.Type]:
		return say("by itself")
	case byAgency[t.Type] && t.AgencyName != "":
		return say("by %", t.AgencyName)
	case byAgency[t.Type]:
		return say("by the agency")
	case t.Account != "":
		return say("by the people of %", t.Account)
	default:
		return say("by the other side")
	}
}
