// Command events writes the schema of each type of event on the bus, as JSON
// Schema, into this folder: `make schemas`. The platform validates what it reads
// by them, and the tests hold what is really sent to them.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"agencyhub/shared/agency"
)

func main() {
	if err := write(filepath.Join("infra", "events")); err != nil {
		fmt.Fprintln(os.Stderr, "events:", err)
		os.Exit(1)
	}
}

func write(folder string) error {
	for kind, what := range types {
		content, err := schema(kind, what)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(folder, string(kind)+".json"), content, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// subject is what a type of event is about, which says what its ids name.
type subject struct {
	// account, agency, connection and member are patterns of what must be there;
	// "" is null, and a list of patterns what may be.
	account, person, agency, connection, member any
	number                                      string
}

// The patterns of ids.
const (
	aulid        = "[0-9a-hjkmnp-tv-z]{26}"
	anAccount    = "^acct_" + aulid + "$"
	aPerson      = "^per_" + aulid + "$"
	aConnection  = "^con_(acct|per)_" + aulid + "_acct_" + aulid + "$"
	anEvent      = "^evt_" + aulid + "$"
	nothing      = ""
	ofProfile    = "Rises with each event of this member in this account, or at this person."
	ofAccount    = "Rises with each event of the account itself."
	ofThatPerson = "Rises with each event of the person."
	ofPair       = "Rises with each change to what the addressee holds of the agency."
)

// maybe is an id that may be null.
type maybe string

var (
	theAccount = subject{anAccount, nothing, maybe(anAccount), nothing, nothing, ofAccount}
	// aRequest can be addressed to a person.
	aRequest    = subject{maybe(anAccount), maybe(aPerson), anAccount, aConnection, anAccount, ofProfile}
	inAccount   = subject{anAccount, nothing, anAccount, aConnection, anAccount, ofProfile}
	aMember     = subject{anAccount, nothing, maybe(anAccount), nothing, aPerson, ofProfile}
	aHeldOff    = subject{maybe(anAccount), maybe(aPerson), nothing, nothing, anAccount, ofPair}
	personsData = subject{nothing, aPerson, nothing, nothing, aPerson, ofThatPerson}
)

// description is what the platform is told of a type.
type description struct {
	says  string
	about subject
	// now names what the new state always has.
	now []string
}

// types are all there are. A new one needs its line here, and `make schemas`.
var types = map[agency.EventType]description{
	agency.AccountOpened:     {"A person has opened an account of their own, and owns and pays for it.", aMember, []string{"name", "role", "status"}},
	agency.AccountCreated:    {"An agency has created an account that it owns, and pays for, for good. client is the person who was given access with it.", inAccount, []string{"name", "areas", "status"}},
	agency.AccountRegistered: {"The platform has made an account known that a client owns. member is its owner.", aMember, []string{"name", "role", "status"}},
	agency.AccountRenamed:    {"An account has another name.", theAccount, []string{"name"}},
	agency.AccountClosed:     {"An account is closed for good: nobody has access from now on. Events of each member's end may follow.", theAccount, nil},
	agency.AgencySwitchedOn:  {"An account is an agency from now on.", theAccount, []string{"name"}},
	agency.AgencySwitchedOff: {"An account is an agency no more. It had no clients and no open requests.", theAccount, []string{"name"}},

	agency.PlanChanged:           {"An account has another plan, and its price holds from now on.", theAccount, []string{"plan", "subscription"}},
	agency.SubscriptionCancelled: {"A subscription ends with its period: until says when.", theAccount, []string{"plan", "subscription", "until"}},
	agency.SubscriptionResumed:   {"A cancellation is taken back, or a freeze is over.", theAccount, []string{"plan", "subscription"}},
	agency.SubscriptionFroze:     {"A subscription is over: every area is at most to be viewed from now on.", theAccount, []string{"plan", "subscription"}},
	agency.PaymentFailed:         {"The platform has reported that a payment failed.", theAccount, []string{"plan", "subscription"}},
	agency.PaymentRecovered:      {"The platform has reported that what was due is paid.", theAccount, []string{"plan", "subscription"}},

	agency.AgencyBlocked:   {"An account, or a person, holds an agency off. The agency must not be told.", aHeldOff, nil},
	agency.AgencyUnblocked: {"What an account, or a person, held of an agency is over. The agency must not be told.", aHeldOff, nil},

	agency.PersonErasing: {"A person has asked to be erased: they have no access anywhere from now on. Close their sessions.", personsData, nil},
	agency.PersonErased:  {"The person is erased here. What else is kept of them should go too.", personsData, nil},

	agency.ConnectionRequested:  {"An agency asks to work in an account. A muted request is shown to nobody on the account's side.", aRequest, []string{"areas", "expires", "status"}},
	agency.ConnectionResent:     {"An agency has sent its request again.", aRequest, []string{"areas", "expires", "status"}},
	agency.ConnectionReminded:   {"A request is about to expire, and its addressee is reminded.", aRequest, []string{"areas", "expires", "status"}},
	agency.ConnectionAccepted:   {"An agency has access to an account from now on. A request that was addressed to a person ends by this too: its connection is from now on the one in the account that they chose.", inAccount, []string{"areas", "status"}},
	agency.ConnectionDenied:     {"A request was denied.", aRequest, []string{"status"}},
	agency.ConnectionWithdrawn:  {"An agency has taken its request back.", aRequest, []string{"status"}},
	agency.ConnectionExpired:    {"A request was not answered in time.", aRequest, []string{"status"}},
	agency.ConnectionMoved:      {"A request to a person has gone to the account that they chose. It is not sent so far: connection.accepted there tells of it.", subject{nothing, aPerson, anAccount, aConnection, anAccount, ofProfile}, []string{"status"}},
	agency.ConnectionRestricted: {"What an agency may do in an account, or until when, has changed.", inAccount, []string{"areas", "status"}},
	agency.ConnectionLapseAhead: {"An agency's access is about to end by its date.", inAccount, []string{"status", "until"}},
	agency.ConnectionRevoked:    {"An account has taken an agency's access away. Close the sessions of its staff there.", inAccount, []string{"status"}},
	agency.ConnectionLeft:       {"An agency has left an account. Close the sessions of its staff there.", inAccount, []string{"status"}},
	agency.ConnectionLapsed:     {"An agency's access has ended by its date. Close the sessions of its staff there.", inAccount, []string{"status"}},
	agency.ConnectionEnded:      {"An agency's access ended with the account.", inAccount, []string{"status"}},

	agency.PersonAdded:    {"A person is in the team of an account from now on, or the client has access to an owned one.", aMember, []string{"areas", "role", "status"}},
	agency.PersonChanged:  {"What a person may do in an account has changed.", aMember, []string{"areas", "role", "status"}},
	agency.PersonRemoved:  {"A person has no access to an account any more. Close their sessions there.", aMember, []string{"status"}},
	agency.PersonLeft:     {"A person has left an account.", aMember, []string{"status"}},
	agency.PersonReleased: {"A person's profile belongs to whichever sign-in of their address uses it next.", aMember, []string{"role", "status"}},
	agency.PersonEnded:    {"A person's access ended with the account, or because they are erased.", aMember, []string{"status"}},
}

type object = map[string]any

// schema is that of one type, for version 1 of the detail.
func schema(kind agency.EventType, what description) ([]byte, error) {
	properties := object{
		"version":    object{"const": 1, "description": "The version of this form. Properties may be added within it: ignore what you do not know."},
		"id":         object{"type": "string", "pattern": anEvent, "description": "The event's. One that comes again has the same."},
		"type":       object{"const": kind},
		"at":         object{"type": "string", "format": "date-time"},
		"account":    id(what.about.account, "Where it happened."),
		"person":     id(what.about.person, "Where it happened, if in no account: whom a request is addressed to, or who is concerned."),
		"agency":     id(what.about.agency, "The agency concerned; of an owned account, its owner."),
		"connection": id(what.about.connection, "How the API names the connection."),
		"member":     id(what.about.member, "Whose profile changed; of what is held off, the agency."),
		"actor":      id(maybe(aPerson), "Who did it; null for the clock."),
		"as":         id(maybe(anAccount), "The agency in whose name they did it."),
		"client":     id(maybe(aPerson), "Who was given access to an account that was created."),
		"ownership":  object{"enum": []string{"agency", "client"}},
		"payer":      object{"enum": []string{"agency", "client"}, "description": "Who pays for the account."},
		"request":    object{"type": []string{"integer", "null"}, "minimum": 1, "description": "The number of the connection's request."},
		"number":     object{"type": "integer", "minimum": 1, "description": what.about.number + " Order by it, and drop what you have had."},
		"muted":      object{"type": "boolean", "description": "Nobody on the account's side may learn of it."},
		"was":        state(nil, "What the event changed, before it."),
		"now":        state(what.now, "The same after it."),
	}
	var required []string
	for _, name := range order {
		required = append(required, name)
		if properties[name] == nil {
			return nil, fmt.Errorf("%s is not described", name)
		}
	}
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	err := e.Encode(object{
		"$schema": "https://json-schema.org/draft/2020-12/schema", "title": kind, "description": what.says,
		"type": "object", "required": required, "properties": properties,
	})
	return out.Bytes(), err
}

// order is that of the properties, all of which are always there.
var order = []string{
	"version", "id", "type", "at", "account", "person", "agency", "connection", "member", "actor", "as", "client",
	"ownership", "payer", "request", "number", "muted", "was", "now",
}

func id(of any, says string) object {
	switch of := of.(type) {
	case maybe:
		return object{"type": []string{"string", "null"}, "pattern": string(of), "description": says}
	case string:
		if of == nothing {
			return object{"type": "null"}
		}
		return object{"type": "string", "pattern": of, "description": says}
	default:
		panic("an id is a pattern or maybe one")
	}
}

func state(required []string, says string) object {
	moment := object{"type": "string", "format": "date-time"}
	out := object{
		"type": "object", "description": says,
		"properties": object{
			"name":         object{"type": "string", "maxLength": 80, "description": "The account's."},
			"status":       object{"enum": agency.Statuses},
			"role":         object{"enum": []agency.Role{agency.Owner, agency.Admin, agency.Member}},
			"areas":        object{"type": "object", "additionalProperties": object{"enum": []agency.Level{agency.None, agency.View, agency.Edit}}, "description": "An area that is not named is none. Owners, admins and an owning agency have every area at edit whatever stands here."},
			"until":        moment,
			"expires":      moment,
			"plan":         object{"type": "string", "description": "What the account's subscription is for."},
			"subscription": object{"enum": []agency.SubscriptionState{agency.SubscriptionActive, agency.SubscriptionPastDue, agency.SubscriptionCancelling, agency.SubscriptionFrozen}},
			"clients":      object{"type": "array", "items": object{"type": "string", "pattern": anAccount}, "description": "The only clients that a member of an agency is assigned to; not there for all."},
		},
	}
	if len(required) > 0 {
		out["required"] = required
	}
	return out
}
