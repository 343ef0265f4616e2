package rest

import (
	"github.com/danielgtaylor/huma/v2"

	"agencyhub/shared/agency"
)

// The patterns of ids: a prefix and 26 characters of Crockford's base 32 in lower case.
// The law checks ids by code of its own; a test holds both to each other.
const (
	suffix    = "[0-9a-hjkmnp-tv-z]{26}"
	accountID = "acct_" + suffix
	personID  = "per_" + suffix
	memberID  = "(acct|per)_" + suffix
)

// The form of an address as far as a pattern says it: a dot-atom of ASCII before the @
// (RFC 5322, 3.2.3), and a dot after it, which IDNA takes in four spellings.
const (
	atom           = "[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
	addressPattern = `^` + atom + `(\.` + atom + `)*@[^@\s]+[.。．｡][^@\s]+$`
	addressRule    = "an email address of at most 64 characters before the @, which are English letters, digits and signs. " +
		"After it comes a domain with a dot, also in Unicode (IDNA), and the ASCII form has at most 254 characters"
)

// form is what a text looks like that a field's tag names, as in format:"account-id".
type form struct {
	// name is the schema's name in the document.
	name string
	// pattern is checked in a call, and described in words that follow "Give ".
	pattern, description string
	// example is one value.
	example string
	// document describes a form that the use cases check alone, since their sentences
	// say more: it changes the schema in the document, after which no call is checked.
	document func(*huma.Schema)
}

const (
	exampleID = "01jdx3v5k8m2n4p6q7r9s0t1w2"
	idWords   = " and 26 characters of 0-9 and a-z without i, l, o and u"
)

var forms = map[string]form{
	"account-id": {name: "AccountID", pattern: "^" + accountID + "$", description: "an account's id: acct_" + idWords, example: "acct_" + exampleID},
	"person-id":  {name: "PersonID", pattern: "^" + personID + "$", description: "a person's id: per_" + idWords, example: "per_" + exampleID},
	"member-id":  {name: "MemberID", pattern: "^" + memberID + "$", description: "the id of a person or an agency: per_ or acct_" + idWords, example: "per_" + exampleID},
	"event-id":   {name: "EventID", pattern: "^evt_" + suffix + "$", description: "an event's id: evt_" + idWords, example: "evt_" + exampleID},
	"connection-id": {
		name:        "ConnectionID",
		pattern:     "^con_" + memberID + "_" + accountID + "$",
		description: "a connection's id: con_, then the ids of the account or person and of the agency with _ between them",
		example:     "con_acct_" + exampleID + "_acct_" + exampleID,
	},
	"via": {pattern: "^(own|" + accountID + ")$", description: "own or an account's id", example: "own"},

	"address": {document: func(s *huma.Schema) {
		s.Format, s.Title, s.Pattern, s.PatternDescription = "idn-email", "EmailAddress", addressPattern, addressRule
		s.Examples = []any{"ann@example.com"}
	}},
	// A name has something to see. What else it must not have, no pattern says.
	"name":      {document: func(s *huma.Schema) { s.Format, s.Pattern = "", `[\p{L}\p{N}\p{P}\p{S}]` }},
	"confirmed": {document: func(s *huma.Schema) { s.Format, s.Enum = "", []any{true} }},
	"areas":     {document: func(s *huma.Schema) { s.Format, s.MinProperties = "", new(1) }},
	// In a call some area has a level above none.
	"given-areas": {document: func(s *huma.Schema) {
		s.Format, s.MinProperties = "", new(1)
		s.Not = &huma.Schema{AdditionalProperties: &huma.Schema{Type: huma.TypeString, Enum: []any{string(agency.None)}}}
	}},
}

// complete adds what huma leaves out of a schema: the patterns of the forms that tags
// name, the messages for the values of a map, and null in the enum of a nullable value,
// without which null would be invalid.
func complete(schema *huma.Schema) {
	if f, ok := forms[schema.Format]; ok && f.pattern != "" {
		schema.Format, schema.Title, schema.Pattern, schema.PatternDescription = "", f.name, f.pattern, f.description
		schema.Examples = []any{f.example}
		schema.PrecomputeMessages()
	}
	if values, ok := schema.AdditionalProperties.(*huma.Schema); ok {
		values.PrecomputeMessages()
	}
	if schema.Nullable && len(schema.Enum) > 0 && !hasNull(schema.Enum) {
		schema.Enum = append(schema.Enum, nil)
	}
	parts(schema, complete)
}

func hasNull(values []any) bool {
	for _, v := range values {
		if v == nil {
			return true
		}
	}
	return false
}

// describe changes the schemas of the forms that the use cases check alone.
func describe(schema *huma.Schema) {
	if f := forms[schema.Format]; f.document != nil {
		f.document(schema)
	}
	parts(schema, describe)
}

// parts calls do with the schemas of a schema's properties and items.
func parts(schema *huma.Schema, do func(*huma.Schema)) {
	if schema.Items != nil {
		do(schema.Items)
	}
	for _, property := range schema.Properties {
		do(property)
	}
}
