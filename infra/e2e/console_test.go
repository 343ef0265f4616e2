package e2e

import "testing"

// site is the stack that people visit by browser. Each test's people have
// addresses of their own, so the tests do not get into each other's way.
func site(t *testing.T) *stack {
	t.Helper()
	return visited.get(t, "site", "-set", `SettingsOverride={"pairMails":100,"resendAfter":"1s","dailyMails":1000,"dailyRequests":1000}`)
}

func TestConsoleSmoke(t *testing.T) {
	for _, mode := range []string{"mouse", "off", "keys"} {
		t.Run(mode, func(t *testing.T) {
			s := site(t)
			w := s.window(t, "nora")
			switch mode {
			case "off":
				w.withoutScripts(t)
			case "keys":
				w.byKeyboard = true
			}
			w.open(t, "/")
			w.sees(t, "Welcome")
			w.press(t, button("Sign in"))
			w.signsIn(t, "nora-"+mode+"@new.test")
			w.at(t, "/")
			w.sees(t, "You are in no account yet")
			w.press(t, button("Open an account"))
			w.fill(t, "Name of the account", "Nora "+mode)
			w.press(t, button("Open the account"))
			w.quiet(t)
		})
	}
}
