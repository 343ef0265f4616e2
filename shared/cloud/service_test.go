package cloud

import (
	"slices"
	"testing"
	"time"

	"agencyhub/shared/agency"
)

func TestEventIDsSortAsTheyWereMade(t *testing.T) {
	at := time.Date(2030, 1, 31, 12, 0, 0, 0, time.UTC)
	var ids []agency.EventID
	for range 200 {
		ids = append(ids, NewEventID(at))
	}
	ids = append(ids, NewEventID(at.Add(time.Millisecond)))
	if !slices.IsSorted(ids) || len(slices.Compact(slices.Clone(ids))) != len(ids) {
		t.Errorf("ids of one time are out of order: %v", ids)
	}
	for _, id := range ids {
		if !id.IsValid() {
			t.Errorf("%s is no event id", id)
		}
	}
}
