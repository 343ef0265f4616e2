package main

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"agencyhub/shared/agency"
	"agencyhub/shared/rest"
	"agencyhub/shared/service"
	"agencyhub/shared/testbed/apitest"
)

// A side reads who of its own people did what, and of the other side that it did it.
func TestActivityNamesOnlyOnesOwnPeople(t *testing.T) {
	s := apitest.New(t, api)
	cleo, gil, ian := apitest.Person("cleo"), apitest.Person("gil"), apitest.Person("ian")
	shop, studio := s.Open(cleo, "Shop"), s.OpenAgency(gil, "Studio")
	p := apitest.Must[agency.Profile](s)(s.RequestConnection(t.Context(), gil, studio, service.ConnectionRequest{Account: shop, Areas: agency.Areas{"pages": agency.View}}))
	apitest.Must[agency.Profile](s)(s.AcceptRequest(t.Context(), agency.Caller{Actor: cleo}, shop, studio, service.Grant{Request: 1}))
	s.Invite(agency.Caller{Actor: cleo}, shop, ian, agency.Admin)
	cafe := s.CreateOwned(gil, studio, "Cafe")
	s.Join(agency.Caller{Actor: gil, As: studio}, cafe, ian, agency.Member)

	type line struct{ Type, Actor, Side, As, Member, Kind string }
	read := func(who agency.Actor, path string) (lines []line) {
		t.Helper()
		for _, l := range apitest.Read[rest.List[Line]](s.Call(who, "GET "+path, ""), 200).Items {
			value := func(s *string) string {
				if s == nil {
					return ""
				}
				return *s
			}
			lines = append([]line{{l.Type, value(l.Actor), value(l.Side), value(l.As), value(l.Member), value(l.Kind)}}, lines...)
		}
		return lines
	}
	c, g, i, agencyID := string(cleo.ID()), string(gil.ID()), string(ian.ID()), string(studio)
	requested := line{"connection.requested", g, "agency", "", agencyID, ""}
	accepted := line{"connection.accepted", c, "account", "", agencyID, ""}
	hidden := func(l line) line { l.Actor = ""; return l }
	ofCafe := []line{
		{"account.created", g, "agency", "", agencyID, ""},
		{"person.invited", g, "", agencyID, i, "invitation"},
		{"person.added", i, "", "", i, ""},
	}
	for path, want := range map[string][]line{
		"cleo /v1/accounts/" + string(shop) + "/activity": {
			{"account.opened", c, "", "", c, ""}, hidden(requested), accepted, {"person.invited", c, "", "", i, "invitation"},
		},
		"gil /v1/accounts/" + string(shop) + "/activity?as=" + agencyID: {requested, hidden(accepted)},
		"gil /v1/agencies/" + agencyID + "/activity":                    append([]line{requested, hidden(accepted)}, ofCafe...),
		"gil /v1/accounts/" + string(cafe) + "/activity?as=" + agencyID: ofCafe,
	} {
		name, path, _ := strings.Cut(path, " ")
		if diff := cmp.Diff(want, read(apitest.Person(name), path)); diff != "" {
			t.Errorf("%s reads %s (-want +got): %s", name, path, diff)
		}
	}
	// The pages read the same events from the use case, with the addresses that the
	// reader may know.
	events := apitest.Must[service.List[agency.Event]](s)(s.AccountActivity(t.Context(), agency.Caller{Actor: cleo}, shop, service.Page{Limit: 25}))
	for _, e := range apitest.Must[[]service.ActivityEntry](s)(s.ActivityEntries(t.Context(), agency.Caller{Actor: cleo}, events.Items...)) {
		if e.Type == agency.ConnectionRequested && (e.By != "" || e.AgencyName != "Studio") {
			t.Errorf("the entry of %s: by %q for %q", p.ID(), e.By, e.AgencyName)
		}
	}
}
