// Command events writes events.schema.json, the JSON Schema of the events on the
// bus, into this folder: `make schemas`. The platform validates what it reads by
// it, and the tests validate what is really sent.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"agencyhub/shared/agency"
)

// fileName is the document's name in this folder.
const fileName = "events.schema.json"

func main() {
	content, err := format(document(), "")
	if err == nil {
		err = os.WriteFile(filepath.Join("infra", "events", fileName), []byte(content+"\n"), 0o644)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "events:", err)
		os.Exit(1)
	}
}

type object = map[string]any

// The patterns of ids.
const (
	ulid         = "[0-9a-hjkmnp-tv-z]{26}"
	accountID    = "^acct_" + ulid + "$"
	personID     = "^per_" + ulid + "$"
	memberID     = "^(acct|per)_" + ulid + "$"
	connectionID = "^con_(acct|per)_" + ulid + "_acct_" + ulid + "$"
	eventID      = "^evt_" + ulid + "$"
)

// What an id of an event of one subject is, where the shared definition admits more.
var (
	present = object{"type": "string"}
	absent  = object{"type": "null"}
	account = object{"type": "string", "pattern": accountID}
	person  = object{"type": "string", "pattern": personID}
)

// subject is what a type of event is about: the name of the definition that says
// which ids such an event has, and what its number counts.
type subject string

const (
	ofAccount    subject = "accountEvent"
	ofMember     subject = "memberEvent"
	ofConnection subject = "connectionEvent"
	ofRequest    subject = "requestEvent"
	ofMoved      subject = "movedRequestEvent"
	ofBlock      subject = "blockEvent"
	ofPerson     subject = "personEvent"
	ofInvitation subject = "invitationEvent"
)

// subjects narrow the shared definition of an event. An id that a subject does not
// name may be null.
var subjects = map[subject]object{
	ofAccount:    {"account": present, "person": absent, "connection": absent, "member": absent, "number": number("Rises with each event of the account itself.")},
	ofMember:     {"account": present, "person": absent, "connection": absent, "member": person, "number": ofProfile},
	ofConnection: {"account": present, "person": absent, "agency": present, "connection": present, "member": account, "number": ofProfile},
	// A request can be addressed to a person.
	ofRequest:    {"agency": present, "connection": present, "member": account, "number": ofProfile},
	ofMoved:      {"account": absent, "person": present, "agency": present, "connection": present, "member": account, "number": ofProfile},
	ofBlock:      {"agency": absent, "connection": absent, "member": account, "number": number("Rises with each change of the block or cooldown.")},
	ofInvitation: {"account": present, "person": absent, "connection": absent, "member": person, "kind": invitationKind, "request": object{"type": "integer"}, "number": ofProfile},
	ofPerson:     {"account": absent, "person": present, "agency": absent, "connection": absent, "member": person, "number": number("Rises with each event of the person.")},
}

// invitationKind is the kind of an event's invitation.
var invitationKind = object{"enum": []agency.RequestKind{agency.InvitationKind, agency.OwnershipKind}}

var ofProfile = number("Rises with each event of this member in this account, or at this person.")

func number(counts string) object {
	return object{"description": counts + " Order by it, and drop what you have had."}
}

// description is what the schema says of a type.
type description struct {
	text  string
	about subject
	// now names what the new state always has.
	now []string
}

// types are all types of events. A new one needs its line here, and `make schemas`.
var types = map[agency.EventType]description{
	agency.AccountOpened:     {"A person has opened an account of their own, and owns and pays for it.", ofMember, []string{"name", "role", "status"}},
	agency.AccountCreated:    {"An agency has created an account that it owns and pays for permanently. client is the person who was invited with it, and request the number of the invitation.", ofConnection, []string{"name", "areas", "status"}},
	agency.AccountRegistered: {"The platform has registered an account that a client owns. member is its owner.", ofMember, []string{"name", "role", "status"}},
	agency.AccountRenamed:    {"An account was renamed.", ofAccount, []string{"name"}},
	agency.AccountClosed:     {"An account is closed permanently: all access ends. Events of each member's end may follow.", ofAccount, nil},
	agency.AgencySwitchedOn:  {"The agency features of an account are on: it is an agency.", ofAccount, []string{"name"}},
	agency.AgencySwitchedOff: {"The agency features of an account are off. It had no clients and no open requests.", ofAccount, []string{"name"}},

	agency.PlanChanged:           {"An account has another plan. Its price applies from now on.", ofAccount, []string{"plan", "subscription"}},
	agency.SubscriptionCancelled: {"A subscription ends with its period: until says when.", ofAccount, []string{"plan", "subscription", "until"}},
	agency.SubscriptionResumed:   {"A cancelled or frozen subscription was resumed.", ofAccount, []string{"plan", "subscription"}},
	agency.SubscriptionFroze:     {"A subscription is frozen: every area is at most at view.", ofAccount, []string{"plan", "subscription"}},
	agency.PaymentFailed:         {"The platform has reported that a payment failed.", ofAccount, []string{"plan", "subscription"}},
	agency.PaymentRecovered:      {"The platform has reported that a due payment succeeded.", ofAccount, []string{"plan", "subscription"}},

	agency.AgencyBlocked:   {"An account, or a person, has blocked an agency or an account that invited them. It must not be told.", ofBlock, nil},
	agency.AgencyUnblocked: {"An account, or a person, has ended a block or a cooldown. The agency must not be told.", ofBlock, nil},

	agency.PersonErasing: {"A person has asked to be erased: they have no access anywhere from now on. Close their sessions.", ofPerson, nil},
	agency.PersonErased:  {"The person is erased here. What else is kept of them should go too.", ofPerson, nil},

	agency.ConnectionRequested:  {"An agency requests access to an account. A muted request is shown to nobody on the account's side.", ofRequest, []string{"areas", "expires", "status"}},
	agency.ConnectionResent:     {"An agency has sent its request again.", ofRequest, []string{"areas", "expires", "status"}},
	agency.ConnectionReminded:   {"A request is about to expire, and its addressee is reminded.", ofRequest, []string{"areas", "expires", "status"}},
	agency.ConnectionAccepted:   {"An agency has access to an account from now on. A request that was addressed to a person ends by this too: its connection is the one in the account that they chose.", ofConnection, []string{"areas", "status"}},
	agency.ConnectionDeclined:   {"A request was declined.", ofRequest, []string{"status"}},
	agency.ConnectionWithdrawn:  {"An agency has withdrawn its request.", ofRequest, []string{"status"}},
	agency.ConnectionExpired:    {"A request was not answered in time.", ofRequest, []string{"status"}},
	agency.ConnectionMoved:      {"A request to a person was accepted into the account that they chose. It is not sent so far: connection.accepted there reports it.", ofMoved, []string{"status"}},
	agency.ConnectionRestricted: {"An agency's access levels or end date in an account have changed.", ofConnection, []string{"areas", "status"}},
	agency.ConnectionLapseAhead: {"An agency's access is about to end by its date.", ofConnection, []string{"status", "until"}},
	agency.ConnectionRevoked:    {"An account has revoked an agency's access. Close the sessions of its staff there.", ofConnection, []string{"status"}},
	agency.ConnectionLeft:       {"An agency has left an account. Close the sessions of its staff there.", ofConnection, []string{"status"}},
	agency.ConnectionLapsed:     {"An agency's access has ended by its date. Close the sessions of its staff there.", ofConnection, []string{"status"}},
	agency.ConnectionEnded:      {"An agency's access ended with the account.", ofConnection, []string{"status"}},

	// Of an offer of ownership, status and role stay those that the person has: kind tells.
	agency.PersonInvited:       {"A person is invited to an account's team. They have no access until they accept. If was.status is active they are asked for a new sign-in: close their sessions there.", ofInvitation, []string{"areas", "expires", "role", "status"}},
	agency.InvitationResent:    {"An invitation or an offer of ownership was sent again, perhaps with other terms under a new number of the request.", ofInvitation, []string{"expires", "status"}},
	agency.InvitationReminded:  {"An invitation or an offer of ownership is about to expire, and the person is reminded.", ofInvitation, []string{"expires", "status"}},
	agency.InvitationDeclined:  {"A person has declined an invitation or an offer of ownership.", ofInvitation, []string{"status"}},
	agency.InvitationWithdrawn: {"An invitation or an offer of ownership was withdrawn, or closed because the person who made it lost the role that it needs: then it has no actor.", ofInvitation, []string{"status"}},
	agency.InvitationExpired:   {"An invitation or an offer of ownership was not answered in time, or its account was closed.", ofInvitation, []string{"status"}},
	agency.OwnershipOffered:    {"A member of an account is offered to become an owner. They keep their role until they accept.", ofInvitation, []string{"expires", "role", "status"}},
	agency.OwnershipAccepted:   {"A member of an account has accepted to become an owner, and pays for the account with the other owners.", ofInvitation, []string{"role", "status"}},

	agency.PersonAdded:    {"A person has access to an account from now on: they have accepted an invitation, or the platform has made them its owner.", ofMember, []string{"areas", "role", "status"}},
	agency.PersonChanged:  {"A person's role or access levels in an account have changed.", ofMember, []string{"areas", "role", "status"}},
	agency.PersonRemoved:  {"A person was removed from an account. Close their sessions there.", ofMember, []string{"status"}},
	agency.PersonLeft:     {"A person has left an account.", ofMember, []string{"status"}},
	agency.PersonReleased: {"A person's profile is bound to the next sign-in with their address.", ofMember, []string{"role", "status"}},
	agency.PersonEnded:    {"A person's access ended with the account, or because they are erased.", ofMember, []string{"status"}},
}

// document is the schema of any event, for version 1 of the detail. That of one
// type alone is #/$defs/ and the type.
func document() object {
	oneOf := []any{}
	definitions := object{"event": event(), "state": state()}
	for name, properties := range subjects {
		definitions[string(name)] = object{"$ref": ref("event"), "properties": properties}
	}
	for _, kind := range slices.Sorted(maps.Keys(types)) {
		of := types[kind]
		properties := object{"type": object{"const": kind}}
		if len(of.now) > 0 {
			properties["now"] = object{"required": of.now}
		}
		definitions[string(kind)] = object{"$ref": ref(string(of.about)), "description": of.text, "properties": properties}
		oneOf = append(oneOf, object{"$ref": ref(string(kind))})
	}
	return object{
		"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "Events of Agency Hub",
		"description": "The detail of an event on the bus. The schema of one type alone is #/$defs/ and the type.",
		"oneOf":       oneOf, "$defs": definitions,
	}
}

func ref(definition string) string { return "#/$defs/" + definition }

// event is what all events have: each property is always there.
func event() object {
	properties := object{
		"version":    object{"const": 1, "description": "The version of this form. Properties may be added within it: ignore what you do not know."},
		"id":         object{"type": "string", "pattern": eventID, "description": "The event's. One that comes again has the same."},
		"type":       object{"type": "string"},
		"at":         instant,
		"account":    id(accountID, "Where it happened."),
		"person":     id(personID, "Where it happened, if in no account: the person that a request is addressed to, or who is concerned."),
		"agency":     id(accountID, "The agency concerned; of an owned account, its owner."),
		"connection": id(connectionID, "How the API names the connection."),
		"member":     id(memberID, "Whose profile changed; of what is held off, the agency."),
		"actor":      id(personID, "Who did it; null for the clock."),
		"as":         id(accountID, "The agency in whose name they did it."),
		"client":     id(personID, "The person who was invited to an account that was created."),
		"ownership":  object{"enum": []string{"agency", "client"}},
		"payer":      object{"enum": []string{"agency", "client"}, "description": "Who pays for the account."},
		"request":    object{"type": []string{"integer", "null"}, "minimum": 1, "description": "The number of the request concerned: a connection's, an invitation's or an offer's."},
		"kind":       object{"enum": []any{agency.InvitationKind, agency.OwnershipKind, nil}, "description": "Whether it is an invitation or an offer of ownership, in an event of one; null for other events."},
		"number":     object{"type": "integer", "minimum": 1},
		"muted":      object{"type": "boolean", "description": "Nobody on the account's side may learn of it."},
		"was":        object{"$ref": ref("state"), "description": "What the event changed, before it."},
		"now":        object{"$ref": ref("state"), "description": "The same after it."},
	}
	return object{"type": "object", "required": slices.Sorted(maps.Keys(properties)), "properties": properties}
}

var instant = object{"type": "string", "format": "date-time"}

// id is an id that may be null.
func id(pattern, text string) object {
	return object{"type": []string{"string", "null"}, "pattern": pattern, "description": text}
}

// state is what an event can change.
func state() object {
	return object{"type": "object", "properties": object{
		"name":         object{"type": "string", "maxLength": 80, "description": "The account's."},
		"status":       object{"enum": agency.Statuses},
		"role":         object{"enum": []agency.Role{agency.Owner, agency.Admin, agency.Member}},
		"areas":        object{"type": "object", "additionalProperties": object{"enum": []agency.Level{agency.None, agency.View, agency.Edit}}, "description": "An area that is not named is none. Owners, admins and an owning agency have every area at edit whatever stands here."},
		"until":        instant,
		"expires":      instant,
		"plan":         object{"type": "string", "description": "What the account's subscription is for."},
		"subscription": object{"enum": []agency.SubscriptionState{agency.SubscriptionActive, agency.SubscriptionPastDue, agency.SubscriptionCancelling, agency.SubscriptionFrozen}},
		"clients":      object{"type": "array", "items": account, "description": "The only clients that a member of an agency is assigned to; not there for all."},
	}}
}

// maxLine is how long a line may be that holds an object or a list as a whole.
const maxLine = 120

// format writes JSON with keys in alphabetical order. What fits into a line is not
// broken up.
func format(v any, indent string) (string, error) {
	line, err := json.Marshal(v)
	if err != nil || len(indent)+len(line) <= maxLine {
		return string(line), err
	}
	further, brackets := indent+"  ", "{}"
	var parts []string
	add := func(prefix string, v any) {
		part, failed := format(v, further)
		parts, err = append(parts, further+prefix+part), errors.Join(err, failed)
	}
	switch v := v.(type) {
	case object:
		for _, key := range slices.Sorted(maps.Keys(v)) {
			add(fmt.Sprintf("%q: ", key), v[key])
		}
	case []any:
		brackets = "[]"
		for _, item := range v {
			add("", item)
		}
	default:
		return string(line), nil
	}
	return brackets[:1] + "\n" + strings.Join(parts, ",\n") + "\n" + indent + brackets[1:], err
}
