// Package sesrules refuses what SES refuses and the local mailbox takes.
package sesrules

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strings"
)

// maxRecipients is SES's bound of To, Cc and Bcc together.
const maxRecipients = 50

// Handler returns a handler that refuses the calls of SendEmail (SES API v2) that SES
// refuses, with 400 and BadRequestException. It passes all others on to next.
func Handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost || r.URL.Path != "/v2/email/outbound-emails" {
			next.ServeHTTP(w, r)
			return
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		if message := refusal(body); message != "" {
			w.Header().Set("Content-Type", "application/json")
			w.Header().Set("X-Amzn-ErrorType", "BadRequestException")
			w.WriteHeader(http.StatusBadRequest)
			_ = json.NewEncoder(w).Encode(map[string]string{"message": message}) // the client may be gone
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		next.ServeHTTP(w, r)
	})
}

// call has the addresses of a SendEmail.
type call struct {
	FromEmailAddress               string
	FeedbackForwardingEmailAddress string
	ReplyToAddresses               []string
	Destination                    struct{ ToAddresses, CcAddresses, BccAddresses []string }
}

// refusal returns why SES refuses a SendEmail; "" if it doesn't.
func refusal(body []byte) string {
	var c call
	if err := json.Unmarshal(body, &c); err != nil {
		return "The body is no JSON of a SendEmail."
	}
	to := slices.Concat(c.Destination.ToAddresses, c.Destination.CcAddresses, c.Destination.BccAddresses)
	switch {
	case len(to) == 0:
		return "The email has no recipient."
	case len(to) > maxRecipients:
		return "Recipient count exceeds 50."
	case c.FromEmailAddress == "":
		return "The email has no sender."
	}
	all := slices.Concat(to, c.ReplyToAddresses, []string{c.FromEmailAddress})
	if c.FeedbackForwardingEmailAddress != "" {
		all = append(all, c.FeedbackForwardingEmailAddress)
	}
	for _, address := range all {
		if message := addressRefusal(address); message != "" {
			return message
		}
	}
	return ""
}

// addressRefusal returns why SES refuses an address, with or without a name before it:
// it must have the form UserName@[SubDomain.]Domain.TopLevelDomain, in ASCII, since SES
// has no SMTPUTF8. A domain with other letters is in Punycode, and a name is an encoded
// word (API reference, Destination and SendEmail).
func addressRefusal(address string) string {
	if name, inBrackets, ok := strings.Cut(address, "<"); ok {
		if !isPrintable(name, " \t") || !strings.HasSuffix(inBrackets, ">") {
			return "Illegal address"
		}
		address = strings.TrimSuffix(inBrackets, ">")
	}
	at := strings.LastIndexByte(address, '@')
	if at < 0 {
		return "Missing final '@domain'"
	}
	local, domain := address[:at], address[at+1:]
	switch {
	case local == "":
		return "Missing local name"
	case domain == "" || strings.HasSuffix(domain, "."):
		return "Missing domain"
	case !isPrintable(local, ""):
		return "Local address contains control or whitespace"
	case !isPrintable(domain, ""):
		return "Domain contains control or whitespace"
	case strings.HasPrefix(domain, "."):
		return "Domain starts with dot"
	case strings.Contains(domain, ".."):
		return "Domain contains dot-dot"
	case strings.Trim(domain, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-") != "":
		return "Domain contains illegal character"
	case strings.ContainsAny(local, `@()<>[]:;,\"`), strings.HasPrefix(local, "."), strings.HasSuffix(local, "."), strings.Contains(local, ".."),
		len(local) > 64, len(domain) > 255, !strings.Contains(domain, "."):
		return "Illegal address"
	}
	return ""
}

// isPrintable reports whether a text has visible ASCII characters only, and the others
// that are given.
func isPrintable(s, others string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return (r <= ' ' || r > '~') && !strings.ContainsRune(others, r) })
}
