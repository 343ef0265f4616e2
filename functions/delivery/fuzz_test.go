package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"agencyhub/shared/agency"
	"agencyhub/shared/cloud"
	"agencyhub/shared/outbox"
	"agencyhub/shared/table"
)

// anyStore takes everything, and notes what it was told.
type anyStore struct {
	outbox.Requests
	fates      []outbox.Fate
	keys       []outbox.MailKey
	suppressed []agency.PersonID
}

func (s *anyStore) Event(context.Context, table.EventKey) (outbox.Event, bool, error) {
	return outbox.Event{}, false, nil
}

func (s *anyStore) AdvanceFate(_ context.Context, m outbox.MailKey, fate outbox.Fate, _ string, _ time.Time) (bool, error) {
	s.fates, s.keys = append(s.fates, fate), append(s.keys, m)
	return true, nil
}

func (s *anyStore) Suppress(_ context.Context, id agency.PersonID, _ agency.SuppressionReason, at time.Time) (bool, error) {
	if at.IsZero() || at.After(monday) {
		return false, errors.New("suppressed at no time, or in the future")
	}
	s.suppressed = append(s.suppressed, id)
	return true, nil
}

// secret is a text that no log line may have, wherever in an event it is.
const secret = "ann.secret@client.test"

// Any text from SES is a known fate of one email, nothing, or an error that leads to
// the failures queue. Nothing of it is in the log but ids.
func FuzzNews(f *testing.F) {
	f.Add([]byte(`{}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		var log, metrics bytes.Buffer
		before := slog.Default()
		slog.SetDefault(slog.New(slog.NewJSONHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})))
		t.Cleanup(func() { slog.SetDefault(before) })
		now := func() time.Time { return monday }
		s := &anyStore{}
		err := (&receiver{store: s, configurationSet: "hub", meter: cloud.NewMeter(&metrics, now), now: now}).Handle(t.Context(), raw)
		if err != nil && !errors.Is(err, errUnreadable) {
			t.Errorf("%s: %v", raw, err)
		}
		if err != nil && len(s.fates)+len(s.suppressed) > 0 || len(s.fates) > 1 || len(s.suppressed) > 1 {
			t.Errorf("%s: %v %v, %v", raw, s.fates, s.suppressed, err)
		}
		for i, fate := range s.fates {
			if m := s.keys[i]; !slices.Contains(outbox.Fates, fate) || !m.Event.IsValid() || !m.Recipient.IsValid() || strings.Contains(m.Kind, "#") {
				t.Errorf("%s: %q of %v", raw, fate, m)
			}
		}
		text := log.String() + metrics.String()
		if err != nil {
			text += err.Error()
		}
		var e sesEvent
		if json.Unmarshal(raw, &e) == nil {
			// SES's id of the email is logged as it is.
			text = strings.ReplaceAll(text, e.Detail.Mail.MessageID, "")
		}
		if strings.Contains(text, secret) {
			t.Errorf("%s is logged: %s", raw, text)
		}
	})
}
