package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/lambdacontext"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"agencyhub/shared/agency"
	"agencyhub/shared/trace"
)

// A line about an event names the event and the call that caused it. What a run changes
// itself is of the run.
func TestLinesNameTheEventAndItsCall(t *testing.T) {
	var lines bytes.Buffer
	before := slog.Default()
	slog.SetDefault(slog.New(trace.NewHandler(slog.NewJSONHandler(&lines, nil))))
	t.Cleanup(func() { slog.SetDefault(before) })
	f := newFixture(t)
	f.finishEvents(t, 2*time.Minute)
	f.svc.RequestID = trace.RequestID
	ctx := lambdacontext.NewContext(t.Context(), &lambdacontext.LambdaContext{AwsRequestID: "run"})
	if _, err := f.svc.RenameAccount(trace.WithRequest(ctx, "call"), agency.Caller{Actor: f.ann}, f.agencyID, "Another name"); err != nil {
		t.Fatal(err)
	}
	f.now = f.now.Add(time.Minute)
	fails := true
	f.faults.BeforeUpdate = func(in *dynamodb.UpdateItemInput) error {
		if fails && strings.Contains(*in.UpdateExpression, "wake") {
			return errors.New("the table fails")
		}
		return nil
	}
	for range 2 {
		if _, err := f.handle(ctx, input{}); err != nil {
			t.Fatal(err)
		}
		fails = false
	}
	got := map[string]string{}
	for line := range strings.Lines(lines.String()) {
		var l struct{ Msg, Event, Account, RequestID string }
		if err := json.Unmarshal([]byte(line), &l); err != nil {
			t.Fatal(err)
		}
		got[l.Msg] = l.RequestID
		if isOfEvent := l.Msg != "Cleaned up."; isOfEvent != (strings.HasPrefix(l.Event, "evt_") && l.Account == string(f.agencyID)) {
			t.Errorf("%s", line)
		}
	}
	if got["Something due could not be done."] != "call" || got["An event is woken."] != "call" || got["Cleaned up."] != "run" || len(got) != 3 {
		t.Errorf("%v", got)
	}

	// An expiry is an event of the run.
	f.request(t, 1)
	f.now = f.now.Add(2 * time.Hour)
	if r, err := f.handle(ctx, input{}); err != nil || r.Expired != 1 {
		t.Fatalf("%+v, %v", r, err)
	}
	ofRun := 0
	f.now = f.now.Add(time.Hour)
	for item, err := range f.store.DueEvents(t.Context(), f.now) {
		if err != nil {
			t.Fatal(err)
		}
		if item.RequestID == "run" {
			ofRun++
		}
	}
	if ofRun != 1 {
		t.Errorf("%d events are of the run, want 1", ofRun)
	}
}
