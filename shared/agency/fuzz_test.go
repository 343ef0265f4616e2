package agency

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
)

// The claims of any token are a person with a verified address, the platform, or a
// refusal, and never both.
func FuzzClaims(f *testing.F) {
	f.Add([]byte(`{"iss":"https://issuer.test","sub":"1","email":"ann@client.test","email_verified":true}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		var all map[string]json.RawMessage
		if json.Unmarshal(raw, &all) != nil {
			return
		}
		claims := Claims{}
		for name, value := range all {
			claims[name] = ClaimText(value)
		}
		actor, err := claims.Actor()
		platform, err2 := claims.Platform()
		if err == nil && err2 == nil {
			t.Errorf("%s is a person and the platform", raw)
		}
		if err != nil && (!errors.Is(err, ErrToken) || CodeOf(err) != Unauthenticated || actor != (Actor{})) || err2 != nil && CodeOf(err2) != Forbidden {
			t.Errorf("%s: %v, %v", raw, err, err2)
		}
		if err != nil {
			if err2 == nil && (platform.Client == "" || claims["email"] != "") {
				t.Errorf("%s is the platform %q", raw, platform.Client)
			}
			return
		}
		verified := strings.TrimSpace(string(all["email_verified"]))
		var text string
		isText := json.Unmarshal(all["email_verified"], &text) == nil
		if verified != "true" && !(isText && text == "true") {
			t.Errorf("%s is a person, and the address is not verified", raw)
		}
		var email string
		if json.Unmarshal(all["email"], &email) != nil || NormaliseEmail(email) != actor.Email || !actor.ID().IsValid() || actor.Issuer == "" || actor.Subject == "" {
			t.Errorf("%s is %+v", raw, actor)
		}
	})
}
