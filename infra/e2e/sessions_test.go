package e2e

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestSessionsOfManyTabs uses one session from twenty tabs at once, while its id token
// ends every two seconds and the issuer takes each refresh token once. Until the
// sign-out nobody is asked to sign in again, and every form is served.
func TestSessionsOfManyTabs(t *testing.T) {
	t.Parallel()
	const tabs, token = 20, 2 * time.Second
	s := startOwn(t, "-schedules=false", "-page-token", token.String())
	cookie := s.signInToPages(t, "tina@tabs.test")
	expectEqual(t, "how long a token for calls lasts", time.Hour, lifetime(t, s.person(t, "tom@tabs.test").token))
	headers := []string{"Cookie", cookie, "Content-Type", "application/x-www-form-urlencoded", "Origin", s.PublicURL}
	const rounds = 32 // of a quarter of a second, which the gateway's throttle lets pass: four tokens
	pace := time.NewTicker(token / 8)
	defer pace.Stop()
	for round := range rounds {
		<-pace.C
		var all sync.WaitGroup
		for tab := range tabs {
			all.Go(func() {
				if tab%7 > 0 {
					got, err := s.Call(t.Context(), http.MethodGet, "/me", nil, headers...)
					if err != nil || got.Status != http.StatusOK || !strings.Contains(string(got.Body), "tina@tabs.test") {
						t.Errorf("round %d, page of tab %d: %v, %v", round, tab, got, err)
					}
					return
				}
				form := url.Values{"name": {fmt.Sprintf("Shop %d", tab)}, "key": {fmt.Sprintf("the-key-of-tab-%02d", tab)}}
				got, err := s.Call(t.Context(), http.MethodPost, "/accounts/new", []byte(form.Encode()), headers...)
				if err != nil || got.Status != http.StatusSeeOther || !strings.HasPrefix(got.Header.Get("Location"), "/accounts/acct_") {
					t.Errorf("round %d, form of tab %d: %v, %v", round, tab, got, err)
				}
			})
		}
		all.Wait()
	}

	out, err := s.Call(t.Context(), http.MethodPost, "/signout", []byte("do=signout"), headers...)
	must(t, err)
	if out.Status != http.StatusOK || !strings.HasPrefix(out.Header.Get("Refresh"), "0; url="+s.OIDC+"/session/end?") {
		t.Errorf("the sign-out answers %d and goes on to %s", out.Status, out.Header.Get("Refresh"))
	}
	for _, path := range []string{"/me", "/waiting", "/accounts/new"} {
		got, err := s.Call(t.Context(), http.MethodGet, path, nil, headers...)
		must(t, err)
		expectEqual(t, fmt.Sprintf("where %s leads with the old cookie", path), "/signin?to="+url.QueryEscape(path), got.Header.Get("Location"))
	}
}

// lifetime returns how long a token is valid from its issue.
func lifetime(t *testing.T, token string) time.Duration {
	t.Helper()
	payload, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[1])
	must(t, err)
	var claims struct{ Iat, Exp int64 }
	must(t, json.Unmarshal(payload, &claims))
	return time.Duration(claims.Exp-claims.Iat) * time.Second
}
