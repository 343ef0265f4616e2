package standins

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"agencyhub/infra/local/disk"
	"agencyhub/infra/local/template"
)

// newTestBus returns a bus whose functions do what invoke says, without pauses.
func newTestBus(t *testing.T, invoke func(function string, payload []byte) error) *Bus {
	t.Helper()
	return &Bus{
		Stack: &template.Stack{
			Buses:     []string{"hub"},
			Rules:     []template.Rule{{Name: "News", Function: "DeliveryFunction", Pattern: json.RawMessage(`{"source":["aws.ses"],"detail":{"eventType":["Bounce","Delivery","Complaint"],"mail":{"tags":{"ses:configuration-set":["hub"]}}}}`)}},
			Functions: []*template.Function{{ID: "DeliveryFunction", Async: &template.Async{Retries: 2, Failures: "Failures"}}},
		},
		Data: t.TempDir(),
		Invoke: func(_ context.Context, function string, payload []byte) ([]byte, error) {
			return nil, invoke(function, payload)
		},
		Now: func() time.Time { return time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC) }, Sleep: func(context.Context, time.Duration) {},
		Logf: t.Logf,
	}
}

func TestPutEvents(t *testing.T) {
	b := newTestBus(t, func(string, []byte) error { return nil })
	put := func(target, body string) (int, string) {
		t.Helper()
		req := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", strings.NewReader(body))
		req.Header.Set("X-Amz-Target", target)
		w := httptest.NewRecorder()
		b.ServeHTTP(w, req)
		return w.Code, w.Body.String()
	}
	const good = `{"Source":"agencyhub","DetailType":"account.opened","Detail":"{\"a\":1}","EventBusName":"hub","Time":1763899200.5}`
	code, answer := put("AWSEvents.PutEvents", `{"Entries":[`+strings.Join([]string{
		good,
		strings.Replace(good, `"hub"`, `"other"`, 1),
		strings.Replace(good, `{\"a\":1}`, `[1]`, 1),
		strings.Replace(good, `"agencyhub"`, `"aws.ses"`, 1),
		strings.Replace(good, `account.opened`, `account.closed`, 1),
	}, ",")+`]}`)
	var out struct {
		FailedEntryCount int
		Entries          []struct{ EventID, ErrorCode string }
	}
	if err := json.Unmarshal([]byte(answer), &out); err != nil || code != http.StatusOK || out.FailedEntryCount != 3 || len(out.Entries) != 5 {
		t.Fatalf("%d %s: %v", code, answer, err)
	}
	var codes []string
	for _, e := range out.Entries {
		codes = append(codes, e.ErrorCode)
		if (e.EventID == "") != (e.ErrorCode != "") {
			t.Errorf("%+v", e)
		}
	}
	if diff := cmp.Diff([]string{"", "InvalidArgument", "MalformedDetail", "InvalidArgument", ""}, codes); diff != "" {
		t.Error(diff)
	}
	for _, bad := range [][2]string{{"AWSEvents.PutRule", `{}`}, {"AWSEvents.PutEvents", `{"Entries":[]}`}, {"AWSEvents.PutEvents", `no`}} {
		if code, _ := put(bad[0], bad[1]); code != http.StatusBadRequest {
			t.Errorf("%s %s: %d", bad[0], bad[1], code)
		}
	}

	for _, test := range []struct {
		kind string
		last int
		want []string
	}{{"", 20, []string{"account.opened", "account.closed"}}, {"", 1, []string{"account.closed"}}, {"account.opened", 1, []string{"account.opened"}}, {"x", 1, nil}} {
		var shown bytes.Buffer
		if n, err := PrintEvents(b.Data, test.kind, test.last, &shown); err != nil || n != len(test.want) {
			t.Fatal(n, err)
		}
		var got []string
		for d := json.NewDecoder(&shown); d.More(); {
			var e Event
			if err := d.Decode(&e); err != nil {
				t.Fatal(err)
			}
			got = append(got, e.DetailType)
			if e.Source != "agencyhub" || e.Time != "2025-11-23T12:00:00Z" || string(bytes.Join(bytes.Fields(e.Detail), nil)) != `{"a":1}` {
				t.Errorf("%+v", e)
			}
		}
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%+v: %s", test, diff)
		}
	}
}

// What a function fails at to the last try is in its queue.
func TestAnEventThatFailsIsTriedAgain(t *testing.T) {
	calls, fails := 0, 2
	var mu sync.Mutex
	b := newTestBus(t, func(function string, payload []byte) error {
		mu.Lock()
		defer mu.Unlock()
		if calls++; function != "DeliveryFunction" || !json.Valid(payload) {
			t.Errorf("%s %s", function, payload)
		}
		if calls <= fails {
			return errors.New("it fails")
		}
		return nil
	})
	say := func(detail string) {
		t.Helper()
		if err := b.Publish(newEvent("aws.ses", "Email Bounced", b.Now(), json.RawMessage(detail))); err != nil {
			t.Fatal(err)
		}
		b.Deliveries.Wait()
	}
	queue := disk.QueueFile(b.Data, "Failures")
	const bounce = `{"eventType":"Bounce","mail":{"tags":{"ses:configuration-set":["hub"]}}}`
	say(bounce)
	if _, err := os.Stat(queue); calls != 3 || !os.IsNotExist(err) {
		t.Errorf("%d calls, %v", calls, err)
	}
	say(strings.Replace(bounce, `"hub"`, `"other"`, 1))
	say(strings.Replace(bounce, `"Bounce"`, `"Open"`, 1))
	if calls != 3 {
		t.Errorf("%d calls: what the rule does not match was led on", calls)
	}
	calls, fails = 0, 3
	say(bounce)
	content, err := os.ReadFile(queue)
	if calls != 3 || err != nil || !strings.Contains(string(content), `"requestPayload":{"version":"0"`) || !strings.Contains(string(content), "RetriesExhausted") {
		t.Errorf("%d calls, %v, %s", calls, err, content)
	}
}

// What becomes of an email is as SES's mailbox simulator has it.
func TestWhatSESWouldSay(t *testing.T) {
	var said []string
	inbox := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/store" {
			_, _ = io.WriteString(w, "the inbox")
			return
		}
		body, err := io.ReadAll(r.Body)
		if err != nil || strings.Contains(string(body), "refused@") {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		_, _ = io.WriteString(w, `{"MessageId":"ses-1"}`)
	}))
	defer inbox.Close()
	m := &Mail{
		Mailbox: strings.TrimPrefix(inbox.URL, "http://"), Events: map[string][]string{"hub": {"Delivery", "Bounce", "Complaint"}},
		Now: time.Now, Logf: t.Logf,
		Publish: func(e Event) error {
			var d struct {
				EventType string
				Mail      struct {
					MessageID string
					Tags      map[string][]string
				}
				Bounce    struct{ BounceType, BounceSubType string }
				Complaint struct{ ComplaintSubType, ComplaintFeedbackType string }
			}
			if err := json.Unmarshal(e.Detail, &d); err != nil {
				return err
			}
			if d.Mail.MessageID != "ses-1" || d.Mail.Tags["mail"][0] != "tag" || d.Mail.Tags["ses:configuration-set"][0] != "hub" || e.Source != "aws.ses" {
				t.Errorf("%s", e.Detail)
			}
			said = append(said, strings.Join(strings.Fields(d.EventType+" "+d.Bounce.BounceType+" "+d.Bounce.BounceSubType+" "+d.Complaint.ComplaintSubType+" "+d.Complaint.ComplaintFeedbackType), " "))
			return nil
		},
	}
	call := func(method, path, body string) int {
		t.Helper()
		w := httptest.NewRecorder()
		m.Handler().ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), method, path, strings.NewReader(body)))
		return w.Code
	}
	mail := func(to, set string, want ...string) {
		t.Helper()
		said = nil
		call(http.MethodPost, "/v2/email/outbound-emails", `{"FromEmailAddress":"hub@agencyhub.test","ConfigurationSetName":"`+set+`","Destination":{"ToAddresses":["`+to+`"]},"EmailTags":[{"Name":"mail","Value":"tag"}]}`)
		if diff := cmp.Diff(want, said); diff != "" {
			t.Errorf("to %s: %s", to, diff)
		}
	}
	mail("ann@agency.test", "hub", "Delivery")
	mail("ann@agency.test", "other")
	mail("refused@agency.test", "hub")
	mail("olga@bücher.test", "hub") // SES wants Punycode
	mail("olga@xn--bcher-kva.test", "hub", "Delivery")
	mail("ooto@simulator.amazonses.com", "hub", "Delivery", "Bounce Transient General")
	mail("suppressionlist@simulator.amazonses.com", "hub", "Bounce Permanent Suppressed")
	mail("suppressed@shop.test", "hub", "Bounce Permanent Suppressed")
	for range 2 { // the simulator's own never come onto the list
		mail("bounce@simulator.amazonses.com", "hub", "Bounce Permanent General")
		mail("complaint@simulator.amazonses.com", "hub", "Delivery", "Complaint abuse")
		mail("complained@shop.test", "hub", "Complaint OnAccountSuppressionList")
	}
	mail("bounce+1@shop.test", "hub", "Bounce Permanent General")
	mail("bounce+1@shop.test", "hub", "Bounce Permanent OnAccountSuppressionList")
	mail("complaint+1@shop.test", "hub", "Delivery", "Complaint abuse")
	mail("complaint+1@shop.test", "hub", "Complaint OnAccountSuppressionList")
	const path = "/v2/email/suppression/addresses/complaint%2B1%40shop.test"
	if code := call(http.MethodDelete, path, ""); code != http.StatusOK {
		t.Errorf("%d", code)
	}
	if code := call(http.MethodDelete, path, ""); code != http.StatusNotFound {
		t.Errorf("the second time: %d", code)
	}
	mail("complaint+1@shop.test", "hub", "Delivery", "Complaint abuse")
	if code := call(http.MethodGet, "/store", ""); code != http.StatusOK {
		t.Errorf("the inbox's own page: %d", code)
	}
}
