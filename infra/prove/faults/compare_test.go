package faults

import (
	"slices"
	"strings"
	"testing"
	"time"

	"agencyhub/infra/prove/audit"
	"agencyhub/shared/agency"
)

// TestTheRecordFindsWhatIsWrong tests that the comparison of emails with what SES has taken fails
// for what it is for.
func TestTheRecordFindsWhatIsWrong(t *testing.T) {
	const address = "olga@client.test"
	who := string(agency.NewPersonID(address))
	at := func(seconds int) time.Time { return time.Unix(int64(1000+seconds), 0) }
	mail := func(kind, fate, id string, attempts int) audit.Mail {
		return audit.Mail{PK: "MAIL#evt_1", SK: kind + "#" + who, Fate: fate, MessageID: id, Attempts: attempts}
	}
	send := func(m audit.Mail, k kind, id string) call {
		return call{Service: ses, Item: m.Tag(), To: address, Kind: k, MessageID: id, At: at(1), Done: at(2), Taken: id != ""}
	}
	told, digest := mail("invited", "sent", "ses-1", 1), mail("digest", "sent", "ses-1", 1)
	held, doubted := mail("invited", "sent", "ses-1", 0), mail("invited", "unconfirmed", "", 1)
	obsolete := mail("invited", "obsolete", "", 1)
	claimed := map[string][]time.Time{doubted.PK + " " + doubted.SK: {at(0), at(60)}}
	for name, test := range map[string]struct {
		mails []audit.Mail
		calls []call
		kills []time.Time
		want  string // part of a finding; "" for none
	}{
		"an email is sent":                            {[]audit.Mail{told}, []call{send(told, "", "ses-1")}, nil, ""},
		"nobody has taken it":                         {[]audit.Mail{told}, nil, nil, "LOST"},
		"SES has given another id":                    {[]audit.Mail{told}, []call{send(told, "", "ses-2")}, nil, "has answered that for none"},
		"it was sent twice":                           {[]audit.Mail{told}, []call{send(told, "", "ses-1"), send(told, "", "ses-2")}, nil, "without a cause"},
		"it was sent twice, an answer was lost":       {[]audit.Mail{told}, []call{send(told, closeAfter, "ses-1"), send(told, "", "ses-2")}, nil, ""},
		"a digest tells it":                           {[]audit.Mail{held, digest}, []call{send(digest, "", "ses-1")}, nil, ""},
		"it has not the id of the digest":             {[]audit.Mail{held, mail("digest", "sent", "ses-2", 1)}, []call{send(digest, "", "ses-2")}, nil, "has answered that for none"},
		"nobody has taken the digest":                 {[]audit.Mail{held}, nil, nil, "LOST"},
		"it was taken, and is obsolete":               {[]audit.Mail{obsolete}, []call{send(obsolete, closeAfter, "ses-1")}, nil, "it was taken"},
		"it may have been sent":                       {[]audit.Mail{doubted}, []call{send(doubted, closeAfter, "ses-1")}, nil, ""},
		"it may have been sent, and nothing hit it":   {[]audit.Mail{doubted}, nil, nil, "nothing has hit it"},
		"it may have been sent, and was throttled":    {[]audit.Mail{doubted}, []call{send(doubted, throttle, "")}, nil, "nothing has hit it"},
		"notify was killed within a claim":            {[]audit.Mail{doubted}, nil, []time.Time{at(61)}, ""},
		"notify was killed before and between claims": {[]audit.Mail{doubted}, nil, []time.Time{at(-1), at(50)}, "nothing has hit it"},
	} {
		r := record{sends: map[string][]call{}, table: map[string][]time.Time{}, kills: map[service][]time.Time{ses: test.kills}, claims: claimed}
		for _, c := range test.calls {
			r.sends[c.Item] = append(r.sends[c.Item], c)
		}
		wrong := r.compare(ses, test.mails).wrong
		found := slices.ContainsFunc(wrong, func(text string) bool { return strings.Contains(text, test.want) })
		if len(wrong) > 1 || found != (test.want != "") || test.want == "" && len(wrong) > 0 {
			t.Errorf("%s: found %q", name, wrong)
		}
	}
}
