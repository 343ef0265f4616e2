package table_test

import (
	"fmt"

	"agencyhub/shared/agency"
	"agencyhub/shared/table"
)

// mail is one email to a person.
func mail(n int, to agency.Actor) table.MailKey {
	return table.MailKey{Event: agency.EventID(fmt.Sprintf("evt_%026d", n)), Kind: "requested", Recipient: to.ID()}
}

// mustClaim claims an unsolicited email, of which there may be ten a day.
func mustClaim(w *world, n int, to agency.Actor) {
	w.t.Helper()
	if got, err := w.store.ClaimUnsolicited(w.t.Context(), mail(n, to), w.Now(), lease, 10); got != table.Claimed || err != nil {
		w.t.Fatalf("claim %d, %v", got, err)
	}
}
