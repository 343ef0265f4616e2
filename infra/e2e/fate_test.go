package e2e

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"agencyhub/infra/local/disk"
	"agencyhub/shared/agency"
	"agencyhub/shared/outbox"
)

// fates returns the fate of each email to a person, by the email's kind.
func (s *stack) fates(t *testing.T, who *person) map[string]string {
	t.Helper()
	out := map[string]string{}
	for key, item := range s.settled(t) {
		_, mail, _ := strings.Cut(key, " ")
		if kind, ok := strings.CutSuffix(mail, "#"+who.id()); isEmail(key) && ok {
			_, rest, _ := strings.Cut(item, `"fate":"`)
			fate, _, _ := strings.Cut(rest, `"`)
			out[kind] = fate
		}
	}
	return out
}

// delivery returns what the agency reads of its request's email.
func (s agencyStaff) delivery(t *testing.T, addressee string) string {
	t.Helper()
	c := read[connection](t, s.ann.get(t, s.agencyPath+"/connections/"+connectionID(addressee, s.agencyID)).is(t, http.StatusOK))
	return value(c.Delivery)
}

// invitationDelivery returns what an account reads of its invitation's email.
func invitationDelivery(t *testing.T, by *person, account string, who *person) string {
	t.Helper()
	for _, m := range read[list[member]](t, by.get(t, "/v1/accounts/"+account+"/team").is(t, http.StatusOK)).Items {
		if m.ID == who.id() {
			return value(m.Delivery)
		}
	}
	t.Fatalf("%s is not in the team", who.email)
	return ""
}

// TestFate tests the fates of emails, with the addresses of SES's mailbox simulator.
func TestFate(t *testing.T) {
	s := newAgency(t, unlimited(t), "Bright Agency", "fate.test")
	areas := levels{"pages": "edit"}
	fate := func(t *testing.T, who *person, kind, want string) {
		t.Helper()
		// SES reports a complaint after the delivery.
		eventually(t, "the email "+kind+" to "+who.email+" is "+want, func() bool { return s.fates(t, who)[kind] == want })
	}
	delivery := func(t *testing.T, addressee, want string) {
		t.Helper()
		eventually(t, "the request to "+addressee+" reads "+want, func() bool { return s.delivery(t, addressee) == want })
	}
	for local, as := range map[string]string{"bounce": "bounced", "complaint": "complained", "suppressed": "bounced", "complained": "complained"} {
		step(t, t.Run(local, func(t *testing.T) {
			who := s.person(t, local+"@luna.fate.test")
			luna := who.opens(t, "Luna Bakery")
			s.ann.requests(t, s.agencyID, luna, areas)
			s.newEmails(t)
			// An email that SES withholds because of an earlier complaint is none itself.
			first := map[string]string{"complained": "suppressed"}[local]
			if first == "" {
				first = as
			}
			fate(t, who, "requested", first)
			delivery(t, luna, map[string]string{"bounced": "failed", "complained": ""}[as])

			// The next emails to that person are suppressed, which nobody reads.
			rival := s.person(t, "sam@"+local+".rival.fate.test")
			theirs := rival.opens(t, "Rival Offices")
			rival.sendsInvitation(t, theirs, who, "admin", nil)
			s.expectEmails(t)
			fate(t, who, "invited", "suppressed")
			expectEqual(t, "what the team shows of the invitation's email", "", invitationDelivery(t, rival, theirs, who))
			s.ann.post(t, s.agencyPath+"/connections/"+connectionID(luna, s.agencyID)+"/withdraw", nil).is(t, http.StatusOK)
			s.ann.requests(t, s.agencyID, luna, areas)
			s.expectEmails(t)
			delivery(t, luna, "")

			// Signing in ends the suppression, in SES too, or the email's fate would be
			// another.
			expectContains(t, "what she is told", string(who.get(t, "/v1/me").is(t, http.StatusOK).Body), `"suppressed":"`+as+`"`)
			who.joins(t, theirs)
			s.expectEmails(t, joins(who, rival, "Rival Offices", "an admin")...)
			fate(t, who, "person-added", first)
		}))
	}
	step(t, t.Run("an answer from somebody on holiday is no bounce", func(t *testing.T) {
		who := s.person(t, "ooto@luna.fate.test")
		luna := who.opens(t, "Luna Bakery")
		s.ann.requests(t, s.agencyID, luna, areas)
		s.newEmails(t)
		fate(t, who, "requested", "delivered")
		delivery(t, luna, "")
	}))
	step(t, t.Run("of two owners one is enough", func(t *testing.T) {
		who, other := s.person(t, "bounce+two@luna.fate.test"), s.person(t, "olga@luna.fate.test")
		luna := other.opens(t, "Luna Bakery")
		other.invites(t, luna, who, "owner", nil)
		s.newEmails(t)
		who.get(t, "/v1/me").is(t, http.StatusOK)
		s.ann.requests(t, s.agencyID, luna, areas)
		s.newEmails(t)
		fate(t, who, "requested", "bounced")
		fate(t, other, "requested", "delivered")
		delivery(t, luna, "")
	}))
	step(t, t.Run("a request by email", func(t *testing.T) {
		who := s.person(t, "bounce@simulator.amazonses.com")
		s.ann.requestsByEmail(t, s.agencyID, who.email, areas)
		s.newEmails(t)
		fate(t, who, "requested-person", "bounced")
		delivery(t, who.id(), "failed")
	}))
	step(t, t.Run("a bounce that comes once notify is done", s.bouncesLate))
	step(t, t.Run("an invitation", func(t *testing.T) {
		who, olga := s.person(t, "bounce+three@luna.fate.test"), s.person(t, "olga@garden.fate.test")
		garden := olga.opens(t, "Luna Garden")
		olga.sendsInvitation(t, garden, who, "owner", nil)
		s.newEmails(t)
		fate(t, who, "invited", "bounced")
		eventually(t, "the team shows that the email failed", func() bool { return invitationDelivery(t, olga, garden, who) == "failed" })
		olga.delete(t, "/v1/accounts/"+garden+"/team/"+olga.id()).refused(t, http.StatusConflict, "last_owner", "active")
	}))
}

// bouncesLate reports a bounce of an email that was delivered.
func (s agencyStaff) bouncesLate(t *testing.T) {
	who := s.person(t, "late@luna.fate.test")
	luna := who.opens(t, "Luna Bakery")
	s.ann.requests(t, s.agencyID, luna, levels{"pages": "edit"})
	s.newEmails(t)
	expectEqual(t, "the fate", "delivered", s.fates(t, who)["requested"])
	var mail outbox.MailKey
	for key := range s.dump(t) {
		if event, ok := strings.CutSuffix(key, " requested#"+who.id()); ok {
			mail = outbox.MailKey{Event: agency.EventID(strings.TrimPrefix(event, "MAIL#")), Kind: "requested", Recipient: agency.PersonID(who.id())}
		}
	}
	s.sendsEmail(t, "bounce+late@elsewhere.fate.test", map[string]string{"mail": mail.Tag(), "addressee": luna})
	eventually(t, "the request reads failed", func() bool { return s.delivery(t, luna) == "failed" })
	expectEqual(t, "the fate", "bounced", s.fates(t, who)["requested"])
	s.newEmails(t)
}

// sendsEmail sends an email with these tags through the hub's configuration set.
func (s *stack) sendsEmail(t *testing.T, to string, tags map[string]string) {
	t.Helper()
	type tag struct{ Name, Value string }
	list := []tag{}
	for name, value := range tags {
		list = append(list, tag{name, value})
	}
	type data struct{ Data string }
	body, err := json.Marshal(map[string]any{
		"FromEmailAddress": "hub@agencyhub.test", "ConfigurationSetName": "MailConfiguration", "Destination": map[string]any{"ToAddresses": []string{to}},
		"Content": map[string]any{"Simple": map[string]any{"Subject": data{"News"}, "Body": map[string]any{"Text": data{"News"}}}}, "EmailTags": list,
	})
	must(t, err)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.Cloud+"/v2/email/outbound-emails", bytes.NewReader(body))
	must(t, err)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=local/20260101/eu-central-1/ses/aws4_request")
	res, err := http.DefaultClient.Do(req)
	must(t, err)
	answer, err := io.ReadAll(res.Body)
	must(t, errors.Join(err, res.Body.Close()))
	expectEqual(t, "the status of SES, which says "+string(answer), http.StatusOK, res.StatusCode)
}

// TestNewsThatCannotBeRead sends an email through the hub's configuration set without the
// hub's tags. What SES says of it is tried three times, and kept in the failures queue.
func TestNewsThatCannotBeRead(t *testing.T) {
	t.Parallel()
	s := startOwn(t, "-schedules=false")
	s.expectedError = "An event of SES can't be read."
	queue := disk.QueueFile(filepath.Join(s.Data, "data"), "DeliveryFailures")
	// News that the hub can read is not kept.
	olga := s.person(t, "olga@news.test")
	account := olga.opens(t, "News Stand")
	olga.sendsInvitation(t, account, s.person(t, "ann@news.test"), "admin", nil)
	s.newEmails(t)
	before := s.settled(t)
	s.sendsEmail(t, "olga@news.test", map[string]string{"addressee": account})
	var content []byte
	eventually(t, "the news is in the queue", func() bool {
		var err error
		content, err = os.ReadFile(queue)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
		return strings.HasSuffix(string(content), "\n")
	})
	var kept struct {
		RequestContext struct {
			Condition              string
			ApproximateInvokeCount int
		}
		RequestPayload struct {
			Source string
			Detail struct {
				EventType string
				Mail      struct{ Tags map[string][]string }
			}
		}
	}
	must(t, json.Unmarshal(content, &kept)) // one message
	tags := kept.RequestPayload.Detail.Mail.Tags
	if c := kept.RequestContext; c.Condition != "RetriesExhausted" || c.ApproximateInvokeCount != 3 || kept.RequestPayload.Source != "aws.ses" || len(tags["mail"]) > 0 || len(tags["addressee"]) != 1 {
		t.Errorf("%s", content)
	}
	expectEqual(t, "the tries", 3, strings.Count(s.log.String(), s.expectedError))
	expectUnchanged(t, before, s.dump(t))
}
