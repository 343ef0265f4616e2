package main

import (
	"testing"

	"agencyhub/shared/agency"
	"agencyhub/shared/testbed/apitest"
)

// A person reads and changes whether their mailbox gets unsolicited mail, for all its
// spellings and nobody else's.
func TestUnsolicitedMailOfMe(t *testing.T) {
	s := apitest.New(t, api)
	type me struct{ Email, UnsolicitedMail string }
	cleo, other := apitest.Person("cleo"), apitest.Person("olga")
	tagged := apitest.Person("cleo+news")
	is := func(who agency.Actor, want string) {
		t.Helper()
		if got := apitest.Read[me](s.Call(who, "GET /v1/me", ""), 200); got.UnsolicitedMail != want || got.Email != who.Email {
			t.Errorf("%+v, want %s", got, want)
		}
	}
	is(cleo, "allowed")
	for _, state := range []string{"stopped", "stopped", "allowed", "allowed"} {
		got := apitest.Read[me](s.Call(tagged, "PATCH /v1/me", `{"unsolicitedMail":"`+state+`"}`), 200)
		if got.UnsolicitedMail != state {
			t.Errorf("%+v, want %s", got, state)
		}
		is(cleo, state)
		is(other, "allowed")
	}
	for _, body := range []string{`{}`, `{"unsolicitedMail":"no"}`, `{"unsolicitedMail":null}`, `{"unsolicitedMail":"stopped","email":"x@y.test"}`, ``} {
		if got := s.Call(cleo, "PATCH /v1/me", body); got.Status != 400 || got.Problem.Code != agency.Invalid {
			t.Errorf("%s: %+v", body, got)
		}
	}
	if got := s.Call(agency.Actor{}, "PATCH /v1/me", `{"unsolicitedMail":"stopped"}`); got.Refusal() != "unauthenticated" {
		t.Errorf("nobody: %+v", got)
	}
	is(cleo, "allowed")
}
