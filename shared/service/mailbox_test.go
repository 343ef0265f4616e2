package service_test

import (
	"testing"

	"agencyhub/shared/agency"
	"agencyhub/shared/service"
)

// A stop holds for the mailbox, whatever its spelling, and ends by its person alone. A
// link that is none stops nothing, in one answer.
func TestAPersonStopsAndAllowsMail(t *testing.T) {
	w := newWorld(t)
	vera, tagged := actor("vera"), actor("vera+1")
	is := func(want bool) {
		t.Helper()
		for _, who := range []agency.Actor{vera, tagged} {
			if got, err := w.MyMailStopped(t.Context(), who); got != want || err != nil {
				t.Errorf("mail to %s is stopped: %t, want %t (%v)", who.Email, got, want, err)
			}
		}
	}
	box := agency.Mailbox(vera.Email)
	is(false)
	for _, link := range []struct {
		box   agency.MailboxID
		value string
	}{{box, ""}, {box, "x"}, {"", "x"}, {"box_x", "x"}, {agency.MailboxID(vera.ID()), "x"}} {
		before := w.items()
		if err := w.StopMail(t.Context(), link.box, link.value); agency.CodeOf(err) != agency.NotFound || len(w.items()) != len(before) {
			t.Errorf("%q.%q: %v", link.box, link.value, err)
		}
	}
	for range 2 {
		if err := w.StopMyMail(t.Context(), tagged); err != nil {
			t.Fatal(err)
		}
		is(true)
	}
	for range 2 {
		if err := w.AllowMyMail(t.Context(), vera); err != nil {
			t.Fatal(err)
		}
		is(false)
	}
	if done, err := w.SweepMailbox(t.Context(), box); done != service.OutcomeNone || err != nil {
		t.Errorf("%q, %v", done, err)
	}
}
