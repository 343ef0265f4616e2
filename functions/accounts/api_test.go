package main

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"agencyhub/shared/agency"
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
