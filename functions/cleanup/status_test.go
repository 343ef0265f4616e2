package main

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/google/go-cmp/cmp"

	"agencyhub/shared/service"
)

// Each run keeps its figures for the hub's status.
func TestARunKeepsItsFigures(t *testing.T) {
	f := newFixture(t)
	f.finishEvents(t, 2*time.Minute)
	f.request(t, 1)
	opened := f.now
	is := func(want service.Sweep) {
		t.Helper()
		want.At, want.Finished = f.now, true
		got, err := f.store.LastSweep(t.Context())
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Error(diff, err)
		}
	}
	f.clean(t.Context(), t)
	is(service.Sweep{})
	f.now = f.now.Add(5 * time.Minute)
	f.clean(t.Context(), t)
	is(service.Sweep{Unfinished: 2, OldestUnfinished: opened})

	// A request that can't be expired stays due, and its failure is in the figures.
	f.now = opened.Add(2 * time.Hour)
	f.finishEvents(t)
	f.faults.BeforeWrite = func(*dynamodb.TransactWriteItemsInput) error { return errors.New("the table fails") }
	if r, err := f.handle(t.Context(), input{}); err != nil || r.Failed == 0 {
		t.Fatalf("%+v, %v", r, err)
	}
	is(service.Sweep{Failed: 1, Backlog: 1, OldestDue: opened.Add(time.Hour)})
	f.faults.BeforeWrite = nil
	f.clean(t.Context(), t)
	f.now = f.now.Add(time.Minute)
	f.finishEvents(t)
	f.clean(t.Context(), t)
	is(service.Sweep{})
}

// Figures that can't be kept are a failure of the run, which an alarm counts.
func TestFiguresThatAreNotKeptAreAFailure(t *testing.T) {
	f := newFixture(t)
	f.finishEvents(t, time.Hour)
	f.faults.BeforeUpdate = func(*dynamodb.UpdateItemInput) error { return errors.New("the table fails") }
	f.metrics.Reset()
	r, err := f.handle(t.Context(), input{})
	if err != nil || r.Failed != 1 || !strings.Contains(f.metrics.String(), `"CleanupFailed":[1]`) {
		t.Errorf("%+v, %v, %s", r, err, f.metrics)
	}
}
