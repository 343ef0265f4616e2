package main

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/smithy-go"
	"github.com/google/go-cmp/cmp"

	"agencyhub/shared/service"
	"agencyhub/shared/table"
	"agencyhub/shared/testbed/apitest"
)

const statusCall = "GET /v1/platform/status"

// The status says what cleanup's last run has found, by one strongly consistent read.
func TestStatus(t *testing.T) {
	s := apitest.New(t, api)
	if got := s.CallPlatform(statusCall, ""); got.Status != 200 || got.Body != `{"version":"dev","now":"2026-11-23T12:00:00.000Z","sweep":null}`+"\n" {
		t.Errorf("before the first run: %d %s", got.Status, got.Body)
	}
	store, ok := s.Store.(*table.Table)
	if !ok {
		t.Fatalf("the store is a %T", s.Store)
	}
	ago := func(d time.Duration) time.Time { return apitest.Noon.Add(-d) }
	for _, tt := range []struct {
		sweep service.Sweep
		want  string
	}{
		{
			service.Sweep{At: ago(3 * time.Minute), Version: "v7", AtLeast: true},
			`{"at":"2026-11-23T11:57:00.000Z","version":"v7","finished":false,"failed":0,"backlog":null,"oldestDue":null,"unfinished":null,"oldestUnfinished":null,"atLeast":true}`,
		},
		{
			service.Sweep{At: ago(2 * time.Minute), Version: "v7", Finished: true, Backlog: new(0), Unfinished: new(0)},
			`{"at":"2026-11-23T11:58:00.000Z","version":"v7","finished":true,"failed":0,"backlog":0,"oldestDue":null,"unfinished":0,"oldestUnfinished":null,"atLeast":false}`,
		},
		{
			service.Sweep{At: ago(time.Minute), Version: "v8", Failed: 1, Backlog: new(2), OldestDue: ago(time.Hour), Unfinished: new(3), OldestUnfinished: ago(2 * time.Hour), AtLeast: true},
			`{"at":"2026-11-23T11:59:00.000Z","version":"v8","finished":false,"failed":1,"backlog":2,"oldestDue":"2026-11-23T11:00:00.000Z","unfinished":3,"oldestUnfinished":"2026-11-23T10:00:00.000Z","atLeast":true}`,
		},
	} {
		if kept, err := store.SaveSweep(t.Context(), tt.sweep); err != nil || !kept {
			t.Fatalf("%t, %v", kept, err)
		}
		s.TakeCalls()
		got := s.CallPlatform(statusCall, "")
		if diff := cmp.Diff(`{"version":"dev","now":"2026-11-23T12:00:00.000Z","sweep":`+tt.want+"}\n", got.Body); diff != "" || got.Status != 200 {
			t.Errorf("%d %s", got.Status, diff)
		}
		if diff := cmp.Diff(map[string]int{"GetItem": 1}, s.TakeCalls()); diff != "" {
			t.Error(diff)
		}
	}
	s.BeforeGet = func(in *dynamodb.GetItemInput) error {
		if in.ConsistentRead == nil || !*in.ConsistentRead {
			t.Error("the read is not strongly consistent")
		}
		return &smithy.GenericAPIError{Code: "ProvisionedThroughputExceededException"}
	}
	if got := s.CallPlatform(statusCall, ""); got.Refusal() != "unavailable" || got.Header["Retry-After"] == "" {
		t.Errorf("a busy table: %d %s", got.Status, got.Body)
	}
	s.BeforeGet = func(*dynamodb.GetItemInput) error { return errors.New("the table fails") }
	if got := s.CallPlatform(statusCall, ""); got.Refusal() != "internal" || strings.Contains(got.Body, "table") {
		t.Errorf("a table that fails: %d %s", got.Status, got.Body)
	}
}

func TestStatusIsForThePlatform(t *testing.T) {
	s := apitest.New(t, api)
	if got := s.Call(olga, statusCall, ""); got.Refusal() != "forbidden" {
		t.Errorf("by a person: %d %s", got.Status, got.Body)
	}
	if got := s.CallWithout(statusCall, ""); got.Refusal() != "unauthenticated" {
		t.Errorf("without a token: %d %s", got.Status, got.Body)
	}
	if calls := s.TakeCalls(); calls["GetItem"] != 0 {
		t.Errorf("the refused calls have read: %v", calls)
	}
}
