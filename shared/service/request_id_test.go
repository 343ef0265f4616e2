package service_test

import (
	"context"
	"errors"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"agencyhub/shared/agency"
	"agencyhub/shared/table"
	"agencyhub/shared/trace"
)

// Events keep the call that has caused them, and are reported once they are saved.
func TestEventsKeepTheirCall(t *testing.T) {
	f := newFixture(t)
	var saved []agency.Event
	f.RequestID = trace.RequestID
	f.Saved = func(ctx context.Context, events []agency.Event) {
		for _, e := range events {
			if e.RequestID != trace.RequestID(ctx) {
				t.Errorf("%s is of the call %q, not %q", e.Type, e.RequestID, trace.RequestID(ctx))
			}
		}
		saved = append(saved, events...)
	}
	ctx := trace.WithRequest(t.Context(), "JKJaXmPLvHcESHA=")
	ann := agency.NewActor("ann@x.test", "issuer", "ann")
	view, err := f.OpenAccount(ctx, ann, "a-key-of-some-length", "Shop")
	if err != nil {
		t.Fatal(err)
	}
	// A repeat, a refusal and a transaction that fails save nothing.
	if _, err := f.OpenAccount(ctx, ann, "a-key-of-some-length", "Shop"); err != nil {
		t.Fatal(err)
	}
	if _, err := f.RenameAccount(ctx, agency.Caller{Actor: ann}, view.ID, ""); agency.CodeOf(err) != agency.Invalid {
		t.Fatal(err)
	}
	before := f.BeforeWrite
	f.BeforeWrite = func(*dynamodb.TransactWriteItemsInput) error { return errors.New("the table fails") }
	if _, err := f.RenameAccount(ctx, agency.Caller{Actor: ann}, view.ID, "Another"); err == nil {
		t.Fatal("it is renamed")
	}
	f.BeforeWrite = before
	if len(saved) != 1 {
		t.Fatalf("%d events are reported, want 1", len(saved))
	}
	e, found, err := f.store.Event(t.Context(), table.EventKey{Addressee: saved[0].Addressee, ID: saved[0].ID})
	if err != nil || !found || e.RequestID != "JKJaXmPLvHcESHA=" || e.Type != agency.AccountOpened {
		t.Errorf("%+v, %t, %v", e.Event, found, err)
	}
}
