package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/service/sesv2"
	"github.com/google/go-cmp/cmp"

	"agencyhub/shared/agency"
	"agencyhub/shared/outbox"
	"agencyhub/shared/service"
	"agencyhub/shared/stream"
	"agencyhub/shared/testbed"
	"agencyhub/shared/trace"
)

// moodySES responds as SES does when it does not take an email.
type moodySES struct {
	mu sync.Mutex
	// mood returns the response to an email to an address: a status, a type of
	// error and its message. Status 200 takes it.
	mood     func(to string) (status int, kind, message string)
	received []sent
	// free returns the response to taking an address off SES's list; nil does it.
	// freed are the paths of these calls.
	free  func() (status int, kind string)
	freed []string
}

// sent is the part of a call that matters.
type sent struct {
	FromEmailAddress     string
	ConfigurationSetName string
	Destination          struct{ ToAddresses []string }
	EmailTags            []struct{ Name, Value string }
	Content              struct {
		Simple struct {
			Subject struct{ Data, Charset string }
			Body    map[string]struct{ Data, Charset string }
		}
	}
}

func (m *moodySES) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if r.Method == http.MethodDelete {
		m.freed = append(m.freed, r.URL.Path)
		status, kind := http.StatusOK, ""
		if m.free != nil {
			status, kind = m.free()
		}
		w.Header().Set("X-Amzn-ErrorType", kind)
		w.WriteHeader(status)
		_, _ = io.WriteString(w, `{"message":"about petra@bakery.test"}`)
		return
	}
	var s sent
	if err := json.NewDecoder(r.Body).Decode(&s); err != nil {
		http.Error(w, err.Error(), http.StatusTeapot)
		return
	}
	m.received = append(m.received, s)
	status, kind, message := m.mood(s.Destination.ToAddresses[0])
	w.Header().Set("Content-Type", "application/json")
	body := map[string]string{"MessageId": "m-1"}
	if status != http.StatusOK {
		w.Header().Set("X-Amzn-ErrorType", kind)
		body = map[string]string{"message": message}
	}
	w.WriteHeader(status)
	if err := json.NewEncoder(w).Encode(body); err != nil {
		slog.ErrorContext(r.Context(), "the answer is lost", "error", err)
	}
}

// start serves it, and returns a client that tries as often as the deployed one but
// does not pause.
func (m *moodySES) start(t *testing.T) *sesv2.Client {
	t.Helper()
	server := httptest.NewServer(m)
	t.Cleanup(server.Close)
	cfg := testbed.Config()
	cfg.Retryer = func() aws.Retryer {
		return retry.NewStandard(func(o *retry.StandardOptions) { o.MaxAttempts, o.MaxBackoff = 3, time.Microsecond })
	}
	return sesv2.NewFromConfig(cfg, func(o *sesv2.Options) { o.BaseEndpoint = &server.URL })
}

// closedSES returns a client of an SES that does not exist.
func closedSES(t *testing.T) *sesv2.Client {
	t.Helper()
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	cfg := testbed.Config()
	cfg.RetryMaxAttempts = 1
	return sesv2.NewFromConfig(cfg, func(o *sesv2.Options) { o.BaseEndpoint = &gone.URL })
}

func TestWhatSESRefuses(t *testing.T) {
	const (
		now   = "sent"
		never = "failed for good"
		later = "kept for later"
	)
	for _, test := range []struct {
		status  int
		kind    string
		message string
		want    string
	}{
		{200, "", "", now},
		{400, "MessageRejected", "Email contains a virus.", never},
		{400, "MessageRejected:http://internal.amazon.com/coral/com.amazonaws.sesv2/", "no", never},
		{400, "BadRequestException", "Local address contains control or whitespace: petra@bakery.test", never},
		{400, "MessageRejected", "Email address is not verified. The following identities failed the check: hub@example.com", later},
		{400, "AccountSuspendedException", "", later},
		{400, "SendingPausedException", "", later},
		{400, "MailFromDomainNotVerifiedException", "", later},
		{400, "LimitExceededException", "", later},
		{404, "NotFoundException", "Configuration set <hub> does not exist.", later},
		{403, "AccessDeniedException", "not authorized", later},
		{429, "TooManyRequestsException", "Maximum sending rate exceeded.", later},
		{500, "InternalFailure", "", later},
		{503, "ServiceUnavailable", "", later},
		{502, "", "", later},
	} {
		t.Run(test.kind+" "+test.message, func(t *testing.T) {
			s := newStage(t)
			_, _, id := s.requested(t)
			bakery, _, _ := id.Split()
			key := s.fresh(t, bakery.Account())[0]
			ses := &moodySES{mood: func(string) (int, string, string) { return test.status, test.kind, test.message }}
			var lines strings.Builder
			logged(t, &lines)
			n := s.notifier(t, ses.start(t))
			s.handle(t, n, batch(key), "")
			// What may pass is tried again within the invocation; what SES may have accepted,
			// once.
			tries := len(ses.received)
			switch {
			case test.want != later && tries == 1, test.want == later && test.status >= 500 && test.status != 503 && tries == 2:
			case test.want == later && tries > 5:
			default:
				t.Errorf("%d attempts", tries)
			}
			s.told(t, test.want != later, key)
			mail := outbox.MailKey{Event: key.ID, Kind: "requested", Recipient: petraActs.ID()}
			want := map[string]outbox.ClaimState{now: outbox.ClaimDone, never: outbox.ClaimDone, later: outbox.ClaimTaken}[test.want]
			if claim, err := s.store.ClaimMail(t.Context(), mail, outbox.NewOwner(), s.now, lease); claim.State != want || err != nil {
				t.Errorf("claim %v, %v; want %v", claim, err, want)
			}
			if test.want == later {
				s.delivery(t, id, notFailed)
			}
			if strings.Contains(lines.String(), "@") || !strings.Contains(lines.String(), string(key.ID)) {
				t.Errorf("the log names an address, or no event: %s", &lines)
			}
		})
	}
}

// logged writes the log into w for the time of the test.
func logged(t *testing.T, w *strings.Builder) {
	t.Helper()
	before := slog.Default()
	slog.SetDefault(slog.New(trace.NewHandler(slog.NewJSONHandler(w, nil))))
	t.Cleanup(func() { slog.SetDefault(before) })
}

func TestWhatSESIsGiven(t *testing.T) {
	s := newStage(t)
	bakery, _, _ := s.requested(t)
	key := s.fresh(t, bakery)[0]
	ses := &moodySES{mood: func(string) (int, string, string) { return 200, "", "" }}
	n := s.notifier(t, ses.start(t))
	n.mailer.product = "Überblick"
	s.handle(t, n, batch(key), "")
	if len(ses.received) != 1 {
		t.Fatalf("%d calls", len(ses.received))
	}
	got := ses.received[0]
	text, html := got.Content.Simple.Body["Text"], got.Content.Simple.Body["Html"]
	if text.Charset != "UTF-8" || html.Charset != "UTF-8" || !strings.HasPrefix(text.Data, "Bright Studio asks") || !strings.HasPrefix(html.Data, "<!doctype html>") {
		t.Errorf("the body: %+v", got.Content.Simple.Body)
	}
	given := []string{got.FromEmailAddress, got.ConfigurationSetName, got.Content.Simple.Subject.Data, strings.Join(got.Destination.ToAddresses, " ")}
	want := []string{"=?utf-8?q?=C3=9Cberblick?= <hub@example.com>", "hub", "Bright Studio asks to work in Petra’s Bakery", "petra@bakery.test"}
	if diff := cmp.Diff(want, given); diff != "" {
		t.Error(diff)
	}
	if len(got.EmailTags) != 2 || got.EmailTags[0].Name != "mail" || got.EmailTags[1].Name != "addressee" || got.EmailTags[1].Value != string(bakery) {
		t.Fatalf("tags: %v", got.EmailTags)
	}
	mail, err := outbox.ParseMailTag(got.EmailTags[0].Value)
	if diff := cmp.Diff(outbox.MailKey{Event: key.ID, Kind: "requested", Recipient: petraActs.ID()}, mail); diff != "" || err != nil {
		t.Error(diff, err)
	}
}

// A failing address delays neither the others of its event nor other profiles, and is
// tried again when the event is woken. The next event of its profile waits for it.
func TestOneEmailsTroubleIsItsOwn(t *testing.T) {
	s := newStage(t)
	bakery, studio, _ := s.requested(t)
	s.deliver(t, s.fresh(t, bakery)...)
	must[agency.Profile](t)(s.service.AcceptRequest(t.Context(), agency.Caller{Actor: petraActs}, bakery, studio, service.Grant{Request: 1}))
	must[agency.Profile](t)(s.service.RemoveMember(t.Context(), agency.Caller{Actor: petraActs}, bakery, agency.Party(studio), false))
	keys := s.fresh(t, bakery)
	s.invite(t, agency.Caller{Actor: petraActs}, bakery, service.Invitation{Email: "tom@bakery.test", Role: agency.Member, Areas: some})
	other := s.fresh(t, bakery)
	down := true
	ses := &moodySES{mood: func(to string) (int, string, string) {
		if down && to == "ann@studio.test" {
			return 503, "ServiceUnavailable", ""
		}
		return 200, "", ""
	}}
	n := s.notifier(t, ses.start(t))
	s.handle(t, n, batch(append(keys, other...)...), "")
	sent := map[string]int{}
	for _, call := range ses.received {
		sent[call.Destination.ToAddresses[0]]++
	}
	if sent["petra@bakery.test"] != 1 || sent["tom@bakery.test"] != 1 || sent["ann@studio.test"] < 5 {
		t.Errorf("attempts: %v", sent)
	}
	s.told(t, false, keys...)
	s.told(t, true, other...)
	// A woken event gets one attempt, since its due mark backs off already.
	ses.received = nil
	s.handle(t, n, batch(keys...), "")
	if len(ses.received) != 1 {
		t.Errorf("%d attempts at a woken event, want 1", len(ses.received))
	}
	down, ses.received = false, nil
	s.handle(t, n, batch(keys...), "")
	var order []string
	for _, call := range ses.received {
		order = append(order, call.Content.Simple.Subject.Data)
	}
	if diff := cmp.Diff([]string{"Petra’s Bakery has accepted your request", "Petra’s Bakery has revoked your access", "The access of Bright Studio to Petra’s Bakery was revoked"}, order); diff != "" {
		t.Error(diff)
	}
	s.told(t, true, keys...)
}

func TestSESThatDoesNotAnswer(t *testing.T) {
	over := make(chan struct{})
	stuck := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-over }))
	defer stuck.Close()
	defer close(over)
	ses := sesv2.NewFromConfig(testbed.Config(), func(o *sesv2.Options) { o.BaseEndpoint = &stuck.URL })
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	_, err := mailer{ses: ses, sender: "hub@example.com"}.send(ctx, "petra@bakery.test", tags{}, email{})
	if !errors.Is(err, stream.ErrNoAnswer) || !mayBeSent(err) {
		t.Errorf("%v", err)
	}
}
