package e2e

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

type restartStory struct {
	agencyStaff
	olga                                    *person
	accountName, luna, accept, activeAccess string
	request                                 connection
	before                                  map[string]string
}

// TestRestart kills the stack in the middle of a story, and goes on with it.
func TestRestart(t *testing.T) {
	t.Parallel()
	s := &restartStory{agencyStaff: newAgency(t, startOwn(t, "-set", `SettingsOverride={`+personLimits+`}`), "Bright Agency", "restart.test")}

	s.olga = s.person(t, "olga@luna.restart.test")
	s.accountName = "Luna Brewery"
	s.luna = s.olga.opens(t, s.accountName)
	s.request = s.ben.requests(t, s.agencyID, s.luna, levels{"pages": "edit"})
	sent := request{by: s.ben.email, agency: s.agencyName, account: s.accountName, until: moment(*s.request.ExpiresAt), link: s.PublicURL + "/requests/" + s.request.ID}
	s.expectEmails(t, requested(s.olga, sent))
	s.accept = "/v1/accounts/" + s.luna + "/team/" + s.agencyID + "/accept"
	s.activeAccess = "yes, " + s.agencyID + ", pages:edit; client owns"

	step(t, t.Run("the power is cut between a change and its emails", s.powerCut))

	step(t, t.Run("the second start is quick; nothing is lost, and the tokens of before are good", s.restartKeepsAll))
	step(t, t.Run("who had not been told is told, and nobody is told again", s.emailsOnce))
	step(t, t.Run("the whole stream once more tells nobody anything", s.replayStream))
	step(t, t.Run("the story goes on", s.goOn))
}

func (s *restartStory) powerCut(t *testing.T) {
	// While notify is stopped, the change is made and no email goes out.
	pids := s.childPIDs(t, "notify")
	if len(pids) == 0 {
		t.Fatal("there is no notify to stop")
	}
	for _, pid := range pids {
		must(t, syscall.Kill(pid, syscall.SIGSTOP))
	}
	s.olga.post(t, s.accept, map[string]any{"request": 1}).is(t, http.StatusOK)
	expectAccess(t, s.luna, wantAccess{s.ben, s.agencyID, s.activeAccess})
	s.before = s.dump(t)
	must(t, s.kill())
	for _, pid := range pids {
		eventually(t, "what the runner started is gone too", func() bool { return !isAlive(pid) })
	}
}

func (s *restartStory) startAgain(t *testing.T) {
	t.Helper()
	began := time.Now()
	must(t, s.restart())
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("the second start took %s", took)
	}
	s.inbox.since, s.inbox.read = time.Time{}, map[string]bool{} // the inbox does not outlive its process
	eventually(t, "the new inbox answers", func() bool {
		_, err := s.Emails(t.Context(), time.Time{})
		return err == nil
	})
}

func (s *restartStory) restartKeepsAll(t *testing.T) {
	s.startAgain(t)
	expectAccess(t, s.luna, wantAccess{s.ben, s.agencyID, s.activeAccess}, wantAccess{s.olga, "", "yes, own, " + everything + "; client owns"})
	now := s.dump(t)
	for key, item := range s.before {
		// notify changes the event once its emails are out, and publish was at its bus
		// entry or was not.
		if got, there := now[key]; !there || got != item && !isEvent(key) && !strings.HasSuffix(key, "bus#") {
			t.Errorf("%s was %s and is %s", key, item, got)
		}
	}
	want := []string{"account.opened", "connection.requested", "connection.accepted"}
	s.olga.expectActivity(t, s.luna, "", want...)
	s.fetchPage(t, http.MethodGet, "/requests/"+s.request.ID).is(t, http.StatusOK)
}

func (s *restartStory) emailsOnce(t *testing.T) {
	grant := "Pages: Edit"
	s.expectEmails(t, accepted(s.ben, s.agencyName, s.accountName, grant), accepted(s.ann, s.agencyName, s.accountName, grant), acceptedBy(s.olga, s.olga, s.agencyName, s.accountName, grant))
}

func (s *restartStory) replayStream(t *testing.T) {
	must(t, s.kill())
	checkpoints := filepath.Join(s.Data, "data", "stream")
	if files, err := os.ReadDir(checkpoints); err != nil || len(files) == 0 {
		t.Fatalf("there are no checkpoints to lose: %v", err)
	}
	must(t, os.RemoveAll(checkpoints))
	s.startAgain(t)
	s.expectEmails(t)
}

func (s *restartStory) goOn(t *testing.T) {
	s.olga.delete(t, "/v1/accounts/"+s.luna+"/team/"+s.agencyID).is(t, http.StatusOK)
	expectAccess(t, s.luna, wantAccess{s.ben, s.agencyID, "no, ended; client owns"})
	s.expectEmails(t, revoked(s.ben, s.agencyName, s.accountName), revoked(s.ann, s.agencyName, s.accountName), revokedBy(s.olga, s.olga, s.agencyName, s.accountName))
	again := s.person(t, s.olga.email)
	again.get(t, "/v1/accounts/"+s.luna).is(t, http.StatusOK) // a new sign-in is the same person
}
