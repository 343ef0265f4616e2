package main

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/text/unicode/norm"

	"agencyhub/shared/agency"
	"agencyhub/shared/testbed/apitest"
)

// A line of the activity has the state before and after the event, without a request's
// message, which the request itself shows.
func TestLinesShowTheChange(t *testing.T) {
	at := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	member := func(areas agency.Areas, clients ...agency.AccountID) agency.State {
		return agency.State{Status: agency.Active, Role: agency.Member, Areas: areas, Clients: clients}
	}
	view, edit := agency.Areas{"pages": agency.View}, agency.Areas{"pages": agency.Edit}
	const pages = `{"status":"active","role":"member","areas":{"pages":`
	for _, tt := range []struct {
		was, now         agency.State
		wantWas, wantNow string
	}{
		{member(view), member(edit), pages + `"view"}}`, pages + `"edit"}}`},
		{member(view), member(view, "acct_1"), pages + `"view"}}`, pages + `"view"},"clients":["acct_1"]}`},
		// Limited to no clients differs from not limited.
		{member(view), member(view, []agency.AccountID{}...), pages + `"view"}}`, pages + `"view"},"clients":[]}`},
		{agency.State{Expires: at}, agency.State{Expires: at.Add(time.Hour)}, `{"expires":"2026-11-23T12:00:00.000Z"}`, `{"expires":"2026-11-23T13:00:00.000Z"}`},
		{agency.State{Until: at}, agency.State{Until: at.Add(time.Hour)}, `{"until":"2026-11-23T12:00:00.000Z"}`, `{"until":"2026-11-23T13:00:00.000Z"}`},
		{agency.State{Plan: "starter", Subscription: agency.SubscriptionActive}, agency.State{Plan: "growth", Subscription: agency.SubscriptionPastDue},
			`{"plan":"starter","subscription":"active"}`, `{"plan":"growth","subscription":"past_due"}`},
	} {
		line := newLine(agency.Event{Type: agency.PersonChanged, At: at, Was: tt.was, Now: tt.now})
		for want, got := range map[string]state{tt.wantWas: line.Was, tt.wantNow: line.Now} {
			text, err := json.Marshal(got)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, string(text)); diff != "" {
				t.Errorf("(-want +got) %s", diff)
			}
		}
	}
}

// The bound of a name is that of the stored one, however it is typed.
func TestTypedNames(t *testing.T) {
	s := apitest.New(t, api)
	cleo := apitest.Person("cleo")
	at := "PATCH /v1/accounts/" + string(s.Open(cleo, "Cleo Shoes"))
	for _, letter := range []string{"\ud55c", "\u1f82", "\u00e9", "\U0001e900", "\U0001f642"} {
		name := func(n int) string { return `{"name":"` + norm.NFD.String(strings.Repeat(letter, n)) + `"}` }
		got := apitest.Read[struct{ Name string }](s.Call(cleo, at, name(agency.MaxName)), 200)
		if got.Name != strings.Repeat(letter, agency.MaxName) {
			t.Errorf("%+q", got.Name)
		}
		if got := s.Call(cleo, at, name(agency.MaxName+1)); got.Status != 400 || got.Problem.Code != agency.Invalid {
			t.Errorf("%+q: %d %s", letter, got.Status, got.Body)
		}
	}
}
