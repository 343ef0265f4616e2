package e2e

import (
	"testing"

	"agencyhub/infra/e2e/runner"
)

// TestTheAuditFindsWhatLeaks checks that the audit of logs can fail.
func TestTheAuditFindsWhatLeaks(t *testing.T) {
	for line, leaks := range map[string]bool{
		`accounts | {"level":"INFO","message":"request","account":"acct_1"}`:     false,
		`local       | sign-in  http://x   (make token EMAIL=ann@agency.test)`:   false,
		`accounts | {"message":"request","path":"/v1/x/ann@agency.test"}`:        true,
		`notify | {"message":"to Zoë@Shop.Example"}`:                             true,
		`accounts | {"authorization":"Bearer OPAQUE-token-1"}`:                   true,
		`accounts | eyJhbGciOiJSUzI1NiJ9`:                                        true,
		`delivery | {"destination":["bounce@simulator.amazonses.com"]}`:          true,
		`accounts | {"level":"ERROR","message":"A call failed."}`:                true,
		`notify | {"message":"An email is sent.","subject":"spring collection"}`: true,
	} {
		s := &stack{log: &runner.Log{}}
		s.addSecret("zoë@shop.example", "address")
		s.addSecret("opaque-TOKEN-1", "token")
		_, err := s.log.Write([]byte(line + "\n"))
		must(t, err)
		if err := s.audit(); (err != nil) != leaks {
			t.Errorf("%s: %v", line, err)
		}
	}
}
