package e2e

import (
	"net/http"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestRestart cuts the power in the middle of the story and goes on with it.
func TestRestart(t *testing.T) {
	t.Parallel()
	s := startOwn(t)
	o := newOffice(t, s, "Bright Agency", "restart.test")
	olga := s.person(t, "olga@luna.restart.test")
	const name = "Luna Brewery"
	luna := olga.opens(t, name)
	c := o.ben.asks(t, o.id, luna, levels{"pages": "edit"})
	letter := request{by: o.ben.email, agency: o.name, account: name, until: moment(*c.ExpiresAt), link: s.PublicURL + "/requests/" + c.ID}
	s.told(t, requested(olga, letter))
	accept := "/v1/accounts/" + luna + "/team/" + o.id + "/accept"
	in := "yes, " + o.id + ", pages:edit; client owns"
	var before map[string]string

	then(t, t.Run("the power is cut between a change and its emails", func(t *testing.T) {
		// notify is stopped where it stands, so the change is made and nobody is told.
		pids := s.children(t, "notify")
		if len(pids) == 0 {
			t.Fatal("there is no notify to stop")
		}
		for _, pid := range pids {
			if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
				t.Fatal(err)
			}
		}
		olga.post(t, accept, map[string]any{"request": 1}).is(t, http.StatusOK)
		accesses(t, luna, check{o.ben, o.id, in})
		before = s.dump(t)
		if err := s.kill(); err != nil {
			t.Fatal(err)
		}
		for _, pid := range pids {
			eventually(t, "what the runner started is gone too", func() bool { return !alive(pid) })
		}
	}))

	restart := func(t *testing.T) {
		t.Helper()
		began := time.Now()
		if err := s.again(); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took > 10*time.Second {
			t.Errorf("the second start took %s", took)
		}
		s.inbox.since, s.inbox.read = time.Time{}, map[string]bool{} // an inbox is memory only: it begins empty
	}

	then(t, t.Run("the second start is quick; nothing is lost, and the tokens of before are good", func(t *testing.T) {
		restart(t)
		accesses(t, luna, check{o.ben, o.id, in}, check{olga, "", "yes, own, " + everything + "; client owns"})
		now := s.dump(t)
		for key, item := range before {
			// Of the event not told yet, notify takes the mark off as it tells it.
			if got, there := now[key]; !there || got != item && !isEvent(key) {
				t.Errorf("%s was %s and is %s", key, item, got)
			}
		}
		want := []string{"account.opened", "connection.requested", "connection.accepted"}
		if diff := cmp.Diff(want, kinds(olga.activity(t, luna, ""))); diff != "" {
			t.Errorf("activity (-want +got):\n%s", diff)
		}
		if page := s.page(t, http.MethodGet, "/requests/"+c.ID); page.Status != http.StatusOK {
			t.Errorf("the link of before answers %d", page.Status)
		}
	}))

	then(t, t.Run("who had not been told is told, and nobody is told again", func(t *testing.T) {
		grant := "Pages: view and edit"
		s.told(t, accepted(o.ben, o.name, name, grant), accepted(o.ann, o.name, name, grant), acceptedBy(olga, olga, o.name, name, grant))
	}))

	then(t, t.Run("the whole stream once more tells nobody anything", func(t *testing.T) {
		if err := s.kill(); err != nil {
			t.Fatal(err)
		}
		checkpoints := filepath.Join(s.Data, "data", "stream")
		if files, err := os.ReadDir(checkpoints); err != nil || len(files) == 0 {
			t.Fatalf("there are no checkpoints to lose: %v", err)
		}
		if err := os.RemoveAll(checkpoints); err != nil {
			t.Fatal(err)
		}
		restart(t)
		s.told(t)
	}))

	then(t, t.Run("the story goes on", func(t *testing.T) {
		olga.delete(t, "/v1/accounts/"+luna+"/team/"+o.id).is(t, http.StatusOK)
		accesses(t, luna, check{o.ben, o.id, "no, ended; client owns"})
		s.told(t, revoked(o.ben, o.name, name), revoked(o.ann, o.name, name), revokedBy(olga, olga, o.name, name))
		again := s.person(t, olga.email)
		again.get(t, "/v1/accounts/"+luna).is(t, http.StatusOK) // a sign-in of after is the same person's
	}))
}
