package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/sesv2"

	"agencyhub/infra/prove"
	"agencyhub/infra/prove/model"
	"agencyhub/shared/agency"
	"agencyhub/shared/cloud"
	"agencyhub/shared/outbox"
	"agencyhub/shared/stream"
	"agencyhub/shared/table"
	"agencyhub/shared/testbed"
)

// The emails of random sequences of commands are those of the law: who gets which, and
// with which fate. It is a proof, which infra/prove/model runs.
func TestEmailsOfTheLaw(t *testing.T) {
	sequences := prove.Size(t, 160, 4000)
	logger := slog.Default()
	slog.SetDefault(slog.New(slog.DiscardHandler))
	defer slog.SetDefault(logger)
	model.Compare(t, sequences, newLawMailer)
}

// lawMailer is a notifier whose SES accepts everything.
type lawMailer struct {
	*notifier
	mu   sync.Mutex
	sent []model.Sent
	at   time.Time
}

func newLawMailer(t *testing.T, db *dynamodb.Client, tableName string) model.Mailer {
	t.Helper()
	m := &lawMailer{}
	ses := httptest.NewServer(m)
	t.Cleanup(ses.Close)
	clock := testbed.NewClock(monday)
	d := testDeployment(t)
	d.rules = model.Rules
	m.notifier = &notifier{
		store: table.New(db, tableName), deployment: d, templates: testTemplates(t), now: func() time.Time { return m.at },
		mailer: mailer{
			ses:     sesv2.NewFromConfig(testbed.Config(), func(o *sesv2.Options) { o.BaseEndpoint = &ses.URL }),
			product: "Agency Hub", sender: "hub@example.com", configurationSet: "hub",
		},
		// One at a time, so that the daily limits count in an order.
		meter: cloud.NewMeter(io.Discard, time.Now), workers: 1, pause: func(context.Context, time.Duration) {},
		ses: &stream.Sink{Now: clock.Now, Pause: clock.Pause}, slow: newSlowRecipients(),
	}
	return m
}

// Send handles the record of one event.
func (m *lawMailer) Send(ctx context.Context, e agency.Event, now time.Time) ([]model.Sent, error) {
	m.at, m.sent = now, nil
	out, err := m.Handle(ctx, batch(table.EventKey{Addressee: e.Addressee, ID: e.ID}))
	if err == nil && len(out.BatchItemFailures) > 0 {
		err = fmt.Errorf("%s is given back", e.ID)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.sent, err
}

// ServeHTTP is SES.
func (m *lawMailer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		_, _ = io.WriteString(w, "{}")
		return
	}
	var in struct {
		Destination struct{ ToAddresses []string }
		EmailTags   []struct{ Name, Value string }
	}
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil || len(in.Destination.ToAddresses) != 1 || len(in.EmailTags) == 0 {
		http.Error(w, "no such call", http.StatusBadRequest)
		return
	}
	key, err := outbox.ParseMailTag(in.EmailTags[0].Value)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.sent = append(m.sent, model.Sent{Key: key, Address: in.Destination.ToAddresses[0]})
	_, _ = io.WriteString(w, `{"MessageId":"id"}`)
}
