package e2e

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"agencyhub/shared/agency"
)

// TestImport registers accounts in bulk on a whole stack: the owners find them, and
// a second import changes nothing.
func TestImport(t *testing.T) {
	s := common(t)
	program := filepath.Join(t.TempDir(), "import")
	build := exec.Command("go", "build", "-o", program, "./infra/import")
	build.Dir = built.root
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	file := filepath.Join(t.TempDir(), "accounts.csv")
	var rows strings.Builder
	rows.WriteString("account,name,owner,plan\n")
	const many = 60
	for n := range many {
		fmt.Fprintf(&rows, "shop-%d,Shop %d,Owner-%d@import.test,growth\n", n, n, n%7)
	}
	rows.WriteString("shop-3,Shop 3,somebody@else.import.test,\nshop-x,Shop x,owner@import.test,free\nshop-5,Shop 5,owner-5@import.test,\nshop-y,\"Shop y,owner@import.test,\n")
	must(t, os.WriteFile(file, []byte(rows.String()), 0o600))
	run := func(path string) (string, bool) {
		cmd := exec.Command(program, "-url", s.PublicURL, "-data", s.Data, path)
		cmd.Env = append(os.Environ(), "HUB_TOKEN=", "HUB_TOKEN_URL=")
		out, err := cmd.CombinedOutput()
		return string(out), err == nil
	}
	if out, ok := run(file); ok || !strings.Contains(out, "64 rows, 60 registered, 1 already there, 3 refused") {
		t.Fatal(out)
	}
	report, err := os.ReadFile(file + ".refused.csv")
	must(t, err)
	for _, row := range []string{
		"\n62,conflict,\"This account has another owner, who can change its team.\",shop-3,Shop 3,somebody@else.import.test,\n",
		"\n63,invalid,\"There is no such plan.", ",shop-x,Shop x,owner@import.test,free\n",
		"\n65,invalid,A quote is opened and not closed", ",shop-y,\"Shop y,owner@import.test,\n",
	} {
		expectContains(t, "the report", string(report), row)
	}
	owner := s.person(t, "owner-3@import.test")
	mine := read[list[account]](t, owner.get(t, "/v1/accounts?limit=100").is(t, http.StatusOK))
	if want := (many + 3) / 7; len(mine.Items) != want || value(mine.Items[0].Role) != "owner" || mine.Items[0].Subscription.Plan != "growth" {
		t.Errorf("%d accounts, want %d: %+v", len(mine.Items), want, mine.Items)
	}
	id := string(agency.NewAccountID("platform", "shop-3"))
	owner.get(t, "/v1/accounts/"+id).is(t, http.StatusOK)
	before := s.settled(t)
	if out, ok := run(file); ok || !strings.Contains(out, "has been imported to its end") {
		t.Error(out)
	}
	expectUnchanged(t, before, s.dump(t))
	// The same rows in another file are there already.
	again := filepath.Join(t.TempDir(), "again.csv")
	must(t, os.WriteFile(again, []byte("account,name,owner,plan\nshop-4,Shop 4,owner-4@import.test,growth\n"), 0o600))
	if out, ok := run(again); !ok || !strings.Contains(out, "1 row, 0 registered, 1 already there, 0 refused") {
		t.Error(out)
	}
	expectUnchanged(t, before, s.dump(t))
	s.expectEmails(t)
}
