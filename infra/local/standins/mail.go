package standins

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"agencyhub/infra/local/lambda"
	"agencyhub/infra/local/template"
	"agencyhub/shared/testbed/sesrules"
)

// A Mail stands in for SES: it passes calls on to the mailbox, and publishes the
// events that SES would. Names of SES's mailbox simulator decide, at any domain:
// bounce@…, complaint@…, ooto@… and suppressed@… (or suppressionlist@…), each also as
// bounce+label@…. To complained@…, a name of our own, an email is withheld as to an
// address that has complained before. Every other email is delivered.
type Mail struct {
	Mailbox string              // host:port
	Events  map[string][]string // the types to publish, as events name them, by configuration set
	Publish func(Event) error
	Now     func() time.Time
	Logf    func(format string, args ...any)

	mu         sync.Mutex
	suppressed map[string]outcome // SES's suppression list, with what becomes of an email to it
}

// An email is what matters of a SendEmail.
type email struct {
	FromEmailAddress     string
	ConfigurationSetName string
	Destination          struct{ ToAddresses, CcAddresses, BccAddresses []string }
	EmailTags            []struct{ Name, Value string }
}

// Handler serves the API of SES, and refuses what SES refuses.
func (m *Mail) Handler() http.Handler {
	mailbox := &url.URL{Scheme: "http", Host: m.Mailbox}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v2/email/outbound-emails", m.send)
	mux.HandleFunc("DELETE /v2/email/suppression/addresses/{address}", m.unsuppress)
	mux.Handle("/", &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(mailbox) }})
	return sesrules.Handler(mux)
}

// send passes an email to the mailbox and then publishes its events.
func (m *Mail) send(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	req, err := http.NewRequestWithContext(r.Context(), r.Method, "http://"+m.Mailbox+r.URL.RequestURI(), bytes.NewReader(body))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	req.Header = r.Header.Clone()
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		http.Error(w, "the mailbox does not answer", http.StatusBadGateway)
		return
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	if err != nil {
		http.Error(w, "the mailbox does not answer", http.StatusBadGateway)
		return
	}
	var s email
	var taken struct{ MessageID string }
	if res.StatusCode == http.StatusOK {
		err := errors.Join(json.Unmarshal(body, &s), json.Unmarshal(answer, &taken))
		if err == nil {
			err = m.publishEvents(s, taken.MessageID)
		}
		if err != nil {
			m.Logf("what became of an email is lost: %v", err)
		}
	}
	w.Header().Set("Content-Type", res.Header.Get("Content-Type"))
	w.WriteHeader(res.StatusCode)
	_, _ = w.Write(answer) // fails when the caller has gone
}

// publishEvents publishes what SES would of an email that it has accepted.
func (m *Mail) publishEvents(e email, messageID string) error {
	now := m.Now().UTC().Format("2006-01-02T15:04:05.000Z")
	tags := map[string][]string{"ses:configuration-set": {e.ConfigurationSetName}, "ses:operation": {"SendEmail"}}
	for _, t := range e.EmailTags {
		tags[t.Name] = append(tags[t.Name], t.Value)
	}
	to := slices.Concat(e.Destination.ToAddresses, e.Destination.CcAddresses, e.Destination.BccAddresses)
	mail := map[string]any{
		"timestamp": now, "source": e.FromEmailAddress, "sendingAccountId": template.AccountID, "messageId": messageID,
		"destination": to, "headersTruncated": false, "tags": tags,
	}
	for _, address := range to {
		who := []any{map[string]any{"emailAddress": address}}
		for _, n := range m.outcomes(address) {
			detail := map[string]any{"eventType": n.kind, "mail": mail}
			switch n.kind {
			case "Bounce":
				detail["bounce"] = map[string]any{
					"bounceType": n.how, "bounceSubType": n.why, "bouncedRecipients": who, "timestamp": now, "feedbackId": lambda.NewID(),
				}
			case "Complaint":
				complaint := map[string]any{"complainedRecipients": who, "timestamp": now, "feedbackId": lambda.NewID(), "complaintSubType": nil}
				if n.why != "" {
					complaint["complaintSubType"] = n.why // SES has withheld the email: nobody reports it
				} else {
					complaint["complaintFeedbackType"] = "abuse"
				}
				detail["complaint"] = complaint
			case "Delivery":
				detail["delivery"] = map[string]any{"timestamp": now, "recipients": []string{address}, "processingTimeMillis": 1, "smtpResponse": "250 2.0.0 OK"}
			}
			if !slices.Contains(m.Events[e.ConfigurationSetName], n.kind) {
				continue
			}
			raw, err := json.Marshal(detail)
			if err != nil {
				return err
			}
			if err := m.Publish(newEvent("aws.ses", n.title, m.Now(), raw)); err != nil {
				return err
			}
		}
	}
	return nil
}

// An outcome is one event of an email. how and why are a bounce's type and subtype, or
// why a complaint's subtype.
type outcome struct{ kind, title, how, why string }

// outcomes returns the events of an email to an address, in order. An address that
// bounces permanently or complains is suppressed from then on, except at the
// simulator's own domain.
func (m *Mail) outcomes(address string) []outcome {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.suppressed == nil {
		m.suppressed = map[string]outcome{}
	}
	name, domain, _ := strings.Cut(strings.ToLower(address), "@")
	name, _, _ = strings.Cut(name, "+")
	delivered := outcome{kind: "Delivery", title: "Email Delivered"}
	bounced := func(how, why string) outcome {
		return outcome{kind: "Bounce", title: "Email Bounced", how: how, why: why}
	}
	complained := func(why string) outcome {
		return outcome{kind: "Complaint", title: "Email Complaint Received", why: why}
	}
	const onList = "OnAccountSuppressionList"
	suppress := func(next outcome) {
		if domain != "simulator.amazonses.com" {
			m.suppressed[address] = next
		}
	}
	if next, ok := m.suppressed[address]; ok {
		return []outcome{next}
	}
	switch name {
	case "suppressed", "suppressionlist":
		return []outcome{bounced("Permanent", "Suppressed")}
	case "complained":
		return []outcome{complained(onList)}
	case "bounce":
		suppress(bounced("Permanent", onList))
		return []outcome{bounced("Permanent", "General")}
	case "complaint":
		suppress(complained(onList))
		return []outcome{delivered, complained("")}
	case "ooto":
		return []outcome{delivered, bounced("Transient", "General")}
	default:
		return []outcome{delivered}
	}
}

// unsuppress removes an address from the suppression list.
func (m *Mail) unsuppress(w http.ResponseWriter, r *http.Request) {
	m.mu.Lock()
	defer m.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	if _, ok := m.suppressed[r.PathValue("address")]; !ok {
		w.Header().Set("X-Amzn-ErrorType", "NotFoundException")
		w.WriteHeader(http.StatusNotFound)
		_, _ = fmt.Fprint(w, `{"message":"The address is not on the list."}`)
		return
	}
	delete(m.suppressed, r.PathValue("address"))
	_, _ = fmt.Fprint(w, "{}")
}
