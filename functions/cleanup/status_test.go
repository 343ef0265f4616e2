package main

import (
	"context"
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
		want.At, want.Finished, want.Version = f.now, true, "dev"
		if want.Backlog == nil {
			want.Backlog = new(0)
		}
		if want.Unfinished == nil {
			want.Unfinished = new(0)
		}
		got, err := f.store.LastSweep(t.Context())
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Error(diff, err)
		}
	}
	f.clean(t.Context(), t)
	is(service.Sweep{})
	f.now = f.now.Add(5 * time.Minute)
	f.clean(t.Context(), t)
	is(service.Sweep{Unfinished: new(2), OldestUnfinished: opened})

	// A request that can't be expired stays due, and its failure is in the figures.
	f.now = opened.Add(2 * time.Hour)
	f.finishEvents(t)
	f.faults.BeforeWrite = func(*dynamodb.TransactWriteItemsInput) error { return errors.New("the table fails") }
	if r, err := f.handle(t.Context(), input{}); err != nil || r.Failed == 0 {
		t.Fatalf("%+v, %v", r, err)
	}
	is(service.Sweep{Failed: 1, Backlog: new(1), OldestDue: opened.Add(time.Hour)})
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

// A run that can't count reports no counts, and not that nothing is left.
func TestWhatIsNotCountedIsNotReportedAsNone(t *testing.T) {
	f := newFixture(t)
	f.finishEvents(t, time.Hour)
	f.now = f.now.Add(time.Minute)
	f.faults.BeforeQuery = func(*dynamodb.QueryInput) error { return errors.New("the table fails") }
	r, err := f.handle(t.Context(), input{})
	if err != nil || r.Failed == 0 || !r.AtLeast {
		t.Fatalf("%+v, %v", r, err)
	}
	got, err := f.store.LastSweep(t.Context())
	if diff := cmp.Diff(service.Sweep{At: f.now, Version: "dev", Finished: true, Failed: r.Failed, AtLeast: true}, got); diff != "" || err != nil {
		t.Error(diff, err)
	}
	// Nor does one whose time is over.
	f.faults.BeforeQuery = nil
	f.now = f.now.Add(time.Minute)
	r = report{}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	l := f.count(ctx, f.now, &r)
	if s := r.sweep(f.now, l); s.Backlog != nil || s.Unfinished != nil || !s.AtLeast || r.Failed != 0 {
		t.Errorf("%+v, %+v", s, r)
	}
}

// A report that a later one keeps away is a failure of the run: its figures are not shown.
func TestAReportFromAClockThatWasAhead(t *testing.T) {
	f := newFixture(t)
	f.finishEvents(t, time.Hour)
	ahead := service.Sweep{At: f.now.Add(time.Hour)}
	if kept, err := f.store.SaveSweep(t.Context(), ahead); err != nil || !kept {
		t.Fatalf("%t, %v", kept, err)
	}
	f.metrics.Reset()
	r, err := f.handle(t.Context(), input{})
	if err != nil || r.Failed != 1 || !strings.Contains(f.metrics.String(), `"CleanupFailed":[1]`) {
		t.Errorf("%+v, %v, %s", r, err, f.metrics)
	}
}
