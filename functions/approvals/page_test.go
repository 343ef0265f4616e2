package main

import (
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-lambda-go/events"
	"github.com/google/go-cmp/cmp"

	"agencyhub/shared/agency"
)

// visit calls the page as the gateway does: nobody is signed in.
func visit(t *testing.T, method, id string) events.APIGatewayV2HTTPResponse {
	t.Helper()
	event := events.APIGatewayV2HTTPRequest{RawPath: "/requests/" + id}
	event.RequestContext.HTTP.Method = method
	event.RequestContext.DomainName = "hub.example.com"
	answer, err := api(needs{product: `The "Hub" & <Co>`}).Invoke(t.Context(), event)
	if err != nil {
		t.Fatal(err)
	}
	return answer
}

func TestRequestPageSaysHowItIsDecidedAndNothingOfTheRequest(t *testing.T) {
	account, agent := agency.NewAccountID("x", "1"), agency.NewAccountID("x", "2")
	id := string(agency.NewConnectionID(agency.Party(account), agent))
	got := visit(t, http.MethodGet, id)
	if got.StatusCode != http.StatusOK || got.Headers["Content-Type"] != "text/html; charset=utf-8" {
		t.Fatalf("%d %v", got.StatusCode, got.Headers)
	}
	for _, part := range []string{
		"owner or an admin", "signed in", "/v1/accounts/" + string(account) + "/team/" + string(agent) + "/accept", "The &#34;Hub&#34; &amp; &lt;Co&gt;",
	} {
		if !strings.Contains(got.Body, part) {
			t.Errorf("the page does not say %q", part)
		}
	}
	for _, decision := range []string{"/accept", "/deny", "/unblock"} {
		if !strings.Contains(got.Body, "POST /v1/accounts/"+string(account)+"/team/"+string(agent)+decision) {
			t.Errorf("the page does not say how to %s", decision)
		}
	}
	if strings.Contains(got.Body, "<form") || strings.Contains(got.Body, "<script") {
		t.Error("the page can be submitted or runs something")
	}

	// Another request's page differs in nothing but the ids in its address.
	other := agency.NewAccountID("x", "3")
	same := visit(t, http.MethodGet, string(agency.NewConnectionID(agency.Party(other), agent)))
	if diff := cmp.Diff(strings.ReplaceAll(got.Body, string(account), string(other)), same.Body); diff != "" {
		t.Error(diff)
	}
}

// Whom an agency asked by their address decides by the request's id, and chooses
// the account.
func TestRequestPageOfARequestByEmailSaysHowItIsDecided(t *testing.T) {
	person, agent := agency.NewPersonID("petra@pots.test"), agency.NewAccountID("x", "2")
	id := string(agency.NewConnectionID(agency.Party(person), agent))
	got := visit(t, http.MethodGet, id)
	for _, part := range []string{
		"signed in with the address", "GET /v1/requests/" + id, "POST /v1/requests/" + id + "/accept", "POST /v1/requests/" + id + "/deny",
		"POST /v1/requests/" + id + "/unblock", `"account"`, "POST /v1/accounts",
	} {
		if got.StatusCode != http.StatusOK || !strings.Contains(got.Body, part) {
			t.Errorf("%d: the page does not say %q", got.StatusCode, part)
		}
	}
	other := agency.NewPersonID("ursel@pots.test")
	same := visit(t, http.MethodGet, string(agency.NewConnectionID(agency.Party(other), agent)))
	if diff := cmp.Diff(strings.ReplaceAll(got.Body, string(person), string(other)), same.Body); diff != "" {
		t.Error(diff)
	}
}

func TestRequestPageIsSafeInEveryWayItIsAsked(t *testing.T) {
	id := string(agency.NewConnectionID(agency.Party(agency.NewAccountID("x", "1")), agency.NewAccountID("x", "2")))
	for _, c := range []struct {
		method, id string
		status     int
		empty      bool
	}{
		{http.MethodGet, id, http.StatusOK, false},
		{http.MethodHead, id, http.StatusOK, true},
		{http.MethodPost, id, http.StatusMethodNotAllowed, true},
		{http.MethodOptions, id, http.StatusMethodNotAllowed, true},
		{http.MethodGet, "con_nonsense", http.StatusNotFound, false},
		{http.MethodGet, "%3Cscript%3E", http.StatusNotFound, false},
	} {
		got := visit(t, c.method, c.id)
		if got.StatusCode != c.status || (got.Body == "") != c.empty {
			t.Errorf("%s %s: %d with %d bytes, want %d, empty %t", c.method, c.id, got.StatusCode, len(got.Body), c.status, c.empty)
		}
		if strings.Contains(got.Body, c.id) && c.status == http.StatusNotFound {
			t.Errorf("%s %s: the page repeats what it was asked for", c.method, c.id)
		}
		for header, want := range map[string]string{
			"Referrer-Policy": "no-referrer", "X-Content-Type-Options": "nosniff", "Cache-Control": "no-store",
		} {
			if got.Headers[header] != want {
				t.Errorf("%s %s: %s is %q, want %q", c.method, c.id, header, got.Headers[header], want)
			}
		}
		policy := got.Headers["Content-Security-Policy"]
		if !strings.Contains(policy, "default-src 'none'") || !strings.Contains(policy, "frame-ancestors 'none'") || strings.Contains(policy, "unsafe") {
			t.Errorf("%s %s: policy %q", c.method, c.id, policy)
		}
	}
}
