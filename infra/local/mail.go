package main

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
)

// A mailRoom stands before the mailbox: it hands all calls of SES on to it, and
// says on the bus what SES would say of each email. SES's mailbox simulator gives
// the names, at any domain: bounce@…, complaint@…, ooto@… and suppressed@… (or
// suppressionlist@…), each also as bounce+label@…; every other email is delivered.
type mailRoom struct {
	mailbox string              // its address
	news    map[string][]string // what is said, by configuration set
	publish func(busEvent) error
	now     func() time.Time
	logf    func(format string, args ...any)

	mu         sync.Mutex
	suppressed map[string]bool // SES's own list of addresses that it does not mail
}

// A sending is what matters of a SendEmail.
type sending struct {
	FromEmailAddress     string
	ConfigurationSetName string
	Destination          struct{ ToAddresses, CcAddresses, BccAddresses []string }
	EmailTags            []struct{ Name, Value string }
}

func (m *mailRoom) handler() http.Handler {
	mailbox := &url.URL{Scheme: "http", Host: m.mailbox}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v2/email/outbound-emails", m.send)
	mux.HandleFunc("DELETE /v2/email/suppression/addresses/{address}", m.unsuppress)
	mux.Handle("/", &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(mailbox) }})
	return mux
}

// send hands an email to the mailbox, and says what became of it once that has
// taken it.
func (m *mailRoom) send(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	req, err := http.NewRequestWithContext(r.Context(), r.Method, "http://"+m.mailbox+r.URL.RequestURI(), bytes.NewReader(body))
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
	var s sending
	var taken struct{ MessageID string }
	if res.StatusCode == http.StatusOK {
		err := errors.Join(json.Unmarshal(body, &s), json.Unmarshal(answer, &taken))
		if err == nil {
			err = m.tell(s, taken.MessageID)
		}
		if err != nil {
			m.logf("what became of an email is lost: %v", err)
		}
	}
	w.Header().Set("Content-Type", res.Header.Get("Content-Type"))
	w.WriteHeader(res.StatusCode)
	_, _ = w.Write(answer) // a caller who went away needs none
}

// tell says what SES would say of an email that it has taken.
func (m *mailRoom) tell(s sending, messageID string) error {
	now := m.now().UTC().Format("2006-01-02T15:04:05.000Z")
	tags := map[string][]string{"ses:configuration-set": {s.ConfigurationSetName}, "ses:operation": {"SendEmail"}}
	for _, t := range s.EmailTags {
		tags[t.Name] = append(tags[t.Name], t.Value)
	}
	to := slices.Concat(s.Destination.ToAddresses, s.Destination.CcAddresses, s.Destination.BccAddresses)
	mail := map[string]any{
		"timestamp": now, "source": s.FromEmailAddress, "sendingAccountId": accountID, "messageId": messageID,
		"destination": to, "headersTruncated": false, "tags": tags,
	}
	for _, address := range to {
		who := []any{map[string]any{"emailAddress": address}}
		for _, n := range m.fates(address) {
			detail := map[string]any{"eventType": n.kind, "mail": mail}
			switch n.kind {
			case "Bounce":
				detail["bounce"] = map[string]any{
					"bounceType": n.how, "bounceSubType": n.why, "bouncedRecipients": who, "timestamp": now, "feedbackId": newID(),
				}
			case "Complaint":
				detail["complaint"] = map[string]any{
					"complainedRecipients": who, "timestamp": now, "feedbackId": newID(), "complaintFeedbackType": "abuse",
				}
			case "Delivery":
				detail["delivery"] = map[string]any{"timestamp": now, "recipients": []string{address}, "processingTimeMillis": 1, "smtpResponse": "250 2.0.0 OK"}
			}
			if !slices.Contains(m.news[s.ConfigurationSetName], strings.ToUpper(n.kind)) {
				continue
			}
			raw, err := json.Marshal(detail)
			if err != nil {
				return err
			}
			if err := m.publish(newBusEvent("aws.ses", n.title, m.now(), raw)); err != nil {
				return err
			}
		}
	}
	return nil
}

// A fate is one thing that SES says of an email.
type fate struct{ kind, title, how, why string }

// fates are what becomes of an email to an address, in order. What bounced for
// good or complained is on SES's list from then on, but for the simulator's own.
func (m *mailRoom) fates(address string) []fate {
	m.mu.Lock()
	defer m.mu.Unlock()
	name, domain, _ := strings.Cut(strings.ToLower(address), "@")
	name, _, _ = strings.Cut(name, "+")
	delivered := fate{kind: "Delivery", title: "Email Delivered"}
	bounced := func(how, why string) fate {
		return fate{kind: "Bounce", title: "Email Bounced", how: how, why: why}
	}
	own := domain == "simulator.amazonses.com"
	switch {
	case m.suppressed[address]:
		return []fate{bounced("Permanent", "OnAccountSuppressionList")}
	case name == "suppressed", name == "suppressionlist":
		return []fate{bounced("Permanent", "Suppressed")}
	case name == "bounce":
		m.suppressed[address] = !own
		return []fate{bounced("Permanent", "General")}
	case name == "complaint":
		m.suppressed[address] = !own
		return []fate{delivered, {kind: "Complaint", title: "Email Complaint Received"}}
	case name == "ooto":
		return []fate{delivered, bounced("Transient", "General")}
	default:
		return []fate{delivered}
	}
}

// unsuppress takes an address off SES's list.
func (m *mailRoom) unsuppress(w http.ResponseWriter, r *http.Request) {
	m.mu.Lock()
	defer m.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	if !m.suppressed[r.PathValue("address")] {
		w.Header().Set("X-Amzn-ErrorType", "NotFoundException")
		w.WriteHeader(http.StatusNotFound)
		_, _ = fmt.Fprint(w, `{"message":"The address is not on the list."}`)
		return
	}
	delete(m.suppressed, r.PathValue("address"))
	_, _ = fmt.Fprint(w, "{}")
}
