package roles

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const tableARN = "arn:aws:dynamodb:us-east-1:000000000000:table/Notes"

// role is what the function F of these tests may do.
var role = Role{
	{Actions: []string{"dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:ConditionCheckItem"}, Resources: []string{tableARN}},
	{Actions: []string{"dynamodb:Query"}, Resources: []string{tableARN + "/index/ByDue"}},
	{
		Actions: []string{"dynamodb:DeleteItem"}, Resources: []string{tableARN},
		Conditions: []Condition{{"ForAllValues:StringLike", LeadingKeys, []string{"OWN#*", "MINE"}}},
	},
	{
		Actions: []string{"ses:SendEmail"}, Resources: []string{"arn:aws:ses:us-east-1:000000000000:identity/*", "arn:aws:ses:us-east-1:000000000000:configuration-set/Set"},
		Conditions: []Condition{{"StringEquals", FromAddress, []string{"hub@notes.test"}}},
	},
	{Actions: []string{"events:PutEvents"}, Resources: []string{"arn:aws:events:us-east-1:000000000000:event-bus/notes"}},
	{Actions: []string{"ses:DeleteSuppressedDestination"}, Resources: []string{"*"}},
}

func newChecker() *Checker {
	return NewChecker("us-east-1", "000000000000", map[string]Role{"F": role, "Idle": nil}, map[string]string{"Notes": "pk", "Other": "id"}, func(string, ...any) {})
}

func TestCallsOfDynamoDB(t *testing.T) {
	for name, tt := range map[string]struct{ operation, body, want string }{
		"an item":                     {"GetItem", `{"TableName":"Notes","Key":{"pk":{"S":"a"},"sk":{"S":"b"}}}`, ""},
		"an item by the table's ARN":  {"GetItem", `{"TableName":"` + tableARN + `"}`, ""},
		"an item of another table":    {"GetItem", `{"TableName":"Other","Key":{"id":{"S":"a"}}}`, "the role of F does not allow dynamodb:GetItem on arn:aws:dynamodb:us-east-1:000000000000:table/Other"},
		"another action":              {"UpdateItem", `{"TableName":"Notes","Key":{"pk":{"S":"a"}}}`, "dynamodb:UpdateItem"},
		"an index":                    {"Query", `{"TableName":"Notes","IndexName":"ByDue"}`, ""},
		"another index":               {"Query", `{"TableName":"Notes","IndexName":"ByMember"}`, "dynamodb:Query on " + tableARN + "/index/ByMember"},
		"the index's table":           {"Query", `{"TableName":"Notes"}`, "dynamodb:Query on " + tableARN},
		"a scan":                      {"Scan", `{"TableName":"Notes"}`, "dynamodb:Scan"},
		"a batch":                     {"BatchGetItem", `{"RequestItems":{"Notes":{"Keys":[]}}}`, "dynamodb:BatchGetItem"},
		"a key that is allowed":       {"DeleteItem", `{"TableName":"Notes","Key":{"pk":{"S":"OWN#1"}}}`, ""},
		"a key that is allowed whole": {"DeleteItem", `{"TableName":"Notes","Key":{"pk":{"S":"MINE"}}}`, ""},
		"a key that is not":           {"DeleteItem", `{"TableName":"Notes","Key":{"pk":{"S":"MINE#OWN#1"}}}`, "dynamodb:DeleteItem"},
		"a part that is allowed":      {"TransactWriteItems", `{"TransactItems":[{"Put":{"TableName":"Notes","Item":{"pk":{"S":"a"}}}},{"ConditionCheck":{"TableName":"Notes","Key":{"pk":{"S":"b"}}}}]}`, ""},
		"a part that is not":          {"TransactWriteItems", `{"TransactItems":[{"Put":{"TableName":"Notes","Item":{"pk":{"S":"a"}}}},{"Update":{"TableName":"Notes","Key":{"pk":{"S":"b"}}}}]}`, "dynamodb:UpdateItem"},
		"a part whose key is not":     {"TransactWriteItems", `{"TransactItems":[{"Delete":{"TableName":"Notes","Key":{"pk":{"S":"b"}}}}]}`, "dynamodb:DeleteItem"},
		"reads of a transaction":      {"TransactGetItems", `{"TransactItems":[{"Get":{"TableName":"Notes","Key":{"pk":{"S":"b"}}}}]}`, ""},
		"another part":                {"TransactWriteItems", `{"TransactItems":[{"Merge":{"TableName":"Notes"}}]}`, "a call of F can't be checked: the part Merge"},
		"another operation":           {"ExecuteStatement", `{"Statement":"SELECT"}`, "a call of F can't be checked: the operation ExecuteStatement"},
		"an item without its key":     {"PutItem", `{"TableName":"Notes","Item":{"sk":{"S":"b"}}}`, "the item has no partition key"},
		"malformed JSON":              {"PutItem", `{`, "a call of F can't be checked"},
		"no table":                    {"Query", `{}`, "dynamodb:Query on arn:aws:dynamodb:us-east-1:000000000000:table/"},
	} {
		t.Run(name, func(t *testing.T) {
			c := newChecker()
			requests, err := c.dynamodb(tt.operation, []byte(tt.body))
			expectRefusal(t, c.check("F", requests, err), tt.want)
			if err := c.check("Idle", requests, err); err == nil {
				t.Error("a role without statements allows it")
			}
		})
	}
}

func expectRefusal(t *testing.T, err error, want string) {
	t.Helper()
	if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
		t.Errorf("refused with %v, want %q", err, want)
	}
}

func TestCallsOfSESAndEventBridge(t *testing.T) {
	const mail = "POST /v2/email/outbound-emails"
	for name, tt := range map[string]struct{ call, target, body, want string }{
		"an email":                      {mail, "", `{"FromEmailAddress":"Hub <hub@notes.test>","ConfigurationSetName":"Set","Destination":{"ToAddresses":["a@b.test"]}}`, ""},
		"another sender":                {mail, "", `{"FromEmailAddress":"x@notes.test","ConfigurationSetName":"Set"}`, "does not allow ses:SendEmail on arn:aws:ses:us-east-1:000000000000:identity/notes.test"},
		"another configuration set":     {mail, "", `{"FromEmailAddress":"hub@notes.test","ConfigurationSetName":"x"}`, "configuration-set/x"},
		"off the list":                  {"DELETE /v2/email/suppression/addresses/a@b.test", "", "", ""},
		"onto the list":                 {"PUT /v2/email/suppression/addresses", "", "", "PUT of SES is not understood"},
		"an event":                      {"POST /", "AWSEvents.PutEvents", `{"Entries":[{"EventBusName":"notes"}]}`, ""},
		"an event by the bus's ARN":     {"POST /", "AWSEvents.PutEvents", `{"Entries":[{"EventBusName":"arn:aws:events:us-east-1:000000000000:event-bus/notes"}]}`, ""},
		"one of two on the default bus": {"POST /", "AWSEvents.PutEvents", `{"Entries":[{"EventBusName":"notes"},{}]}`, "event-bus/default"},
		"another operation":             {"POST /", "AWSEvents.PutRule", `{}`, "AWSEvents.PutRule is not understood"},
	} {
		t.Run(name, func(t *testing.T) {
			c := newChecker()
			method, path, _ := strings.Cut(tt.call, " ")
			for key, want := range map[string]int{"F": http.StatusOK, "Idle": http.StatusForbidden, "test": http.StatusOK} {
				r := httptest.NewRequest(method, path, strings.NewReader(tt.body))
				r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential="+key+"/20260101/us-east-1/x/aws4_request, SignedHeaders=host, Signature=1")
				if tt.target != "" {
					r.Header.Set("X-Amz-Target", tt.target)
				}
				if key == "F" {
					requests, err := c.cloud(r, []byte(tt.body))
					expectRefusal(t, c.check(key, requests, err), tt.want)
				}
				if key == "F" && tt.want != "" {
					want = http.StatusForbidden
				}
				if want == http.StatusForbidden && tt.target != "" {
					want = http.StatusBadRequest
				}
				w := httptest.NewRecorder()
				c.Cloud(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusOK) })).ServeHTTP(w, r)
				if w.Code != want || (want != http.StatusOK) != strings.HasSuffix(w.Header().Get("X-Amzn-ErrorType"), "AccessDeniedException") {
					t.Errorf("%s got %d %s, want %d", key, w.Code, w.Body, want)
				}
			}
		})
	}
}

// In SES's sandbox a role needs the identities of the recipients too.
func TestRecipientsNeedAnIdentity(t *testing.T) {
	const identities = "arn:aws:ses:us-east-1:000000000000:identity/"
	c := NewChecker("us-east-1", "000000000000", map[string]Role{"F": {{Actions: []string{"ses:SendEmail"}, Resources: []string{identities + "notes.test"}}}}, nil, func(string, ...any) {})
	for body, want := range map[string]string{
		`{"FromEmailAddress":"hub@notes.test"}`:                                              "",
		`{"FromEmailAddress":"hub@notes.test","Destination":{"CcAddresses":["ann@b.test"]}}`: "ses:SendEmail on " + identities + "%3Can%20address%3E",
	} {
		requests, err := c.sendEmail([]byte(body))
		expectRefusal(t, c.check("F", requests, err), want)
	}
}

// What Lambda does is noted apart from what functions use.
func TestLambdaDoes(t *testing.T) {
	c := newChecker()
	query := Permission{"dynamodb:Query", tableARN + "/index/ByDue"}
	expectRefusal(t, c.LambdaDoes("F", query), "")
	expectRefusal(t, c.LambdaDoes("F", query, Permission{"dynamodb:Query", tableARN}), "the role of F does not allow dynamodb:Query on "+tableARN)
	for _, u := range c.Uses() {
		if u.Used || u.ByLambda != (u.Permission == query) {
			t.Errorf("%+v", u)
		}
	}
}

// What was used is noted by the permission that allowed it, and nothing that was refused.
func TestUses(t *testing.T) {
	c := newChecker()
	get, err := c.dynamodb("GetItem", []byte(`{"TableName":"Notes","Key":{"pk":{"S":"a"}}}`))
	expectRefusal(t, c.check("F", get, err), "")
	half, err := c.dynamodb("TransactWriteItems", []byte(`{"TransactItems":[{"Put":{"TableName":"Notes","Item":{"pk":{"S":"a"}}}},{"Update":{"TableName":"Notes","Key":{"pk":{"S":"b"}}}}]}`))
	expectRefusal(t, c.check("F", half, err), "dynamodb:UpdateItem")
	mail, err := c.sendEmail([]byte(`{"FromEmailAddress":"hub@notes.test","Destination":{"ToAddresses":["a@b.test"]}}`))
	expectRefusal(t, c.check("F", mail, err), "")
	used := []string{}
	for _, u := range c.Uses() {
		if u.Used {
			used = append(used, u.Function+" "+u.Action+" "+u.Resource)
		}
	}
	want := []string{"F dynamodb:GetItem " + tableARN, "F ses:SendEmail arn:aws:ses:us-east-1:000000000000:identity/*"}
	if diff := cmp.Diff(want, used); diff != "" {
		t.Errorf("used (-want +got):\n%s", diff)
	}
	if got := len(c.Uses()); got != len(role.Permissions()) || got != 9 {
		t.Errorf("%d permissions", got)
	}
}

func TestMatches(t *testing.T) {
	for pattern, tt := range map[string]struct{ yes, no string }{
		"a":     {"a", "aa"},
		"*":     {"", ""},
		"a*":    {"abc", "ba"},
		"*c":    {"abc", "cb"},
		"a*c":   {"abcc", "abcd"},
		"a*b*c": {"a-b-c", "a-c-c"},
		"ab*ba": {"abba", "aba"},
	} {
		if !matches(pattern, tt.yes) {
			t.Errorf("%q does not match %q", pattern, tt.yes)
		}
		if pattern != "*" && matches(pattern, tt.no) {
			t.Errorf("%q matches %q", pattern, tt.no)
		}
	}
}
