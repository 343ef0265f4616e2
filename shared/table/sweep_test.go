package table_test

import (
	"errors"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/google/go-cmp/cmp"

	"agencyhub/shared/service"
	"agencyhub/shared/table"
	"agencyhub/shared/testbed"
)

// The newest run's report is read as it was saved. One that ended earlier comes too late.
func TestTheNewestSweepIsKept(t *testing.T) {
	db, name := testbed.Table(t)
	faults := &testbed.Faults{Client: db}
	store := table.New(faults, name)
	is := func(want service.Sweep) {
		t.Helper()
		got, err := store.LastSweep(t.Context())
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Error(diff, err)
		}
	}
	is(service.Sweep{})
	full := service.Sweep{
		At: noon, Version: "v7", Finished: true, Failed: 1, Backlog: new(2), OldestDue: noon.Add(-time.Hour), Unfinished: new(3), OldestUnfinished: noon.Add(-time.Minute), AtLeast: true,
	}
	none := service.Sweep{At: noon.Add(time.Minute), Backlog: new(0), Unfinished: new(0)}
	uncounted := service.Sweep{At: noon.Add(2 * time.Minute), AtLeast: true}
	for _, step := range []struct {
		save, want service.Sweep
		kept       bool
	}{{full, full, true}, {full, full, true}, {none, none, true}, {full, none, false}, {uncounted, uncounted, true}, {none, uncounted, false}} {
		if kept, err := store.SaveSweep(t.Context(), step.save); err != nil || kept != step.kept {
			t.Fatalf("%t, %v", kept, err)
		}
		is(step.want)
	}
	failure := errors.New("the engine fails")
	faults.BeforeGet = func(*dynamodb.GetItemInput) error { return failure }
	if got, err := store.LastSweep(t.Context()); !errors.Is(err, failure) || got != (service.Sweep{}) {
		t.Errorf("%+v, %v", got, err)
	}
}
