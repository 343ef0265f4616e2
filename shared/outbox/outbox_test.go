package outbox_test

import (
	"strings"
	"testing"

	"agencyhub/shared/agency"
	"agencyhub/shared/outbox"
)

const event1 = agency.EventID("evt_01arz3ndektsv4rrffq69g5fav")

var person1 = agency.NewPersonID("a@b.test")

func TestMailTags(t *testing.T) {
	for _, kind := range []string{"request", "a-b-c", "-"} {
		m := outbox.MailKey{Event: event1, Kind: kind, Recipient: person1}
		if got, err := outbox.ParseMailTag(m.Tag()); err != nil || got != m {
			t.Errorf("%q is %v, %v", m.Tag(), got, err)
		}
	}
	for _, tag := range []string{"", "-", string(event1), string(event1) + "-" + string(person1), string(event1) + "--" + string(person1), string(person1) + "-x-" + string(person1), string(event1) + "-x-" + string(event1), string(event1) + "_x-" + string(person1), string(event1) + "-a#b-" + string(person1), string(event1) + "-" + strings.Repeat("a", 200) + "-" + string(person1)} {
		if m, err := outbox.ParseMailTag(tag); err == nil {
			t.Errorf("%q is the mail %v", tag, m)
		}
	}
}

func FuzzMailTag(f *testing.F) {
	f.Add(outbox.MailKey{Event: event1, Kind: "request", Recipient: person1}.Tag())
	f.Add(string(event1) + "--" + string(person1))
	f.Add(string(event1) + "-" + string(person1))
	f.Add(string(event1) + "-a.b-" + string(person1))
	f.Fuzz(func(t *testing.T, tag string) {
		m, err := outbox.ParseMailTag(tag)
		if err != nil {
			return
		}
		if m.Tag() != tag || m.Kind == "" {
			t.Errorf("%q is %v", tag, m)
		}
	})
}

func TestAllBounced(t *testing.T) {
	of := func(fates ...outbox.Fate) (mails []outbox.Mail) {
		for _, f := range fates {
			mails = append(mails, outbox.Mail{Fate: f})
		}
		return mails
	}
	for _, f := range outbox.Fates {
		if got, want := outbox.AllBounced(of(f)), f == outbox.Bounced; got != want {
			t.Errorf("%s: %t", f, got)
		}
		if got, want := outbox.AllBounced(of(outbox.Bounced, f)), f == outbox.Bounced || f == outbox.Dropped; got != want {
			t.Errorf("one bounced and one %s: all bounced is %t", f, got)
		}
	}
	if outbox.AllBounced(nil) || !outbox.AllBounced(of(outbox.Bounced, outbox.Bounced)) {
		t.Error("none, or two")
	}
}
