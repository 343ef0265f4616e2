package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"agencyhub/shared/rest"
	"agencyhub/shared/service"
)

// The page of clients should take less than three times as long as the JSON list:
// go test ./functions/console -run '^$' -bench Clients

// busySite returns an agency with 50 clients.
func busySite(b *testing.B) *agencySite {
	b.Helper()
	s := newAgencySite(b)
	for n := range 25 {
		s.createAccount(fmt.Sprintf("Owned %02d", n), nil)
		s.connect(fmt.Sprintf("c%d@client.test", n), fmt.Sprintf("Connected %02d", n), nil)
	}
	return s
}

func BenchmarkClientsList(b *testing.B) {
	s := busySite(b)
	for b.Loop() {
		list, counts, err := s.svc.Clients(b.Context(), s.ann, s.id, service.ClientFilter{}, service.Page{Limit: 50})
		if err != nil || counts.Owned != 25 {
			b.Fatal(err, counts)
		}
		rows := make([]rest.Connection, len(list.Items))
		for i, p := range list.Items {
			rows[i] = rest.NewConnection(s.svc, p)
		}
		if _, err := json.Marshal(rows); err != nil || len(rows) != 50 {
			b.Fatal(err, len(rows))
		}
	}
}

func BenchmarkClientsPage(b *testing.B) {
	s := busySite(b)
	session := &http.Cookie{Name: hostSession, Value: s.as(annAt).cookies[hostSession]}
	for b.Loop() {
		r := httptest.NewRequest(http.MethodGet, publicURL+s.path(""), nil)
		r.AddCookie(session)
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		if w.Code != http.StatusOK {
			b.Fatal(w.Code)
		}
	}
}
