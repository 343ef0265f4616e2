//go:build unix

package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// mailboxPID returns the process of the mailbox behind SES.
func (s *stack) mailboxPID(t *testing.T) int {
	t.Helper()
	out, err := exec.Command("ps", "-A", "-o", "pid=,ppid=,args=").Output()
	must(t, err)
	for line := range strings.Lines(string(out)) {
		fields := strings.Fields(line)
		if len(fields) > 2 && fields[1] == strconv.Itoa(s.PID) && strings.Contains(line, "aws-ses-v2-local") {
			pid, err := strconv.Atoi(fields[0])
			must(t, err)
			return pid
		}
	}
	t.Fatal("the stack has no mailbox")
	return 0
}

// TestSESHangs tests that an SES that answers nobody delays no entry of the bus, and that every email
// comes once it answers again.
func TestSESHangs(t *testing.T) {
	s := startOwn(t, "-schedules=false", "-set", `SettingsOverride={"wakeAfter":"1s",`+personLimits+`}`)
	olga := s.person(t, "olga@luna.hangs.test")
	luna := olga.opens(t, "Luna Bakery")
	s.newEmails(t)
	mailbox := s.mailboxPID(t)
	must(t, syscall.Kill(mailbox, syscall.SIGSTOP))
	stopped := true
	resume := func() {
		if stopped {
			must(t, syscall.Kill(mailbox, syscall.SIGCONT))
			stopped = false
		}
	}
	defer resume()

	const invited = 40
	at, seen := map[string]time.Time{}, map[string]time.Time{}
	look := func() {
		all, err := s.bus()
		must(t, err)
		for _, p := range all {
			var d struct {
				ID, Account, Type string
				At                time.Time
			}
			must(t, json.Unmarshal(p.Detail, &d))
			if _, known := seen[d.ID]; !known && d.Account == luna && d.Type == "person.invited" {
				at[d.ID], seen[d.ID] = d.At, time.Now()
			}
		}
	}
	for i := range invited {
		body := map[string]any{"email": fmt.Sprintf("p%d@luna.hangs.test", i), "role": "member", "areas": levels{"pages": "edit"}}
		olga.post(t, "/v1/accounts/"+luna+"/team", body).is(t, http.StatusCreated)
		for range 5 {
			time.Sleep(50 * time.Millisecond)
			look()
		}
	}
	eventually(t, "every event is on the bus", func() bool { look(); return len(seen) == invited })
	var latencies []time.Duration
	for id := range seen {
		latencies = append(latencies, seen[id].Sub(at[id]))
	}
	slices.Sort(latencies)
	p50, longest := latencies[len(latencies)/2], latencies[len(latencies)-1]
	t.Logf("while SES hangs: on the bus p50 %s, max %s, %d of %d", p50, longest, len(latencies), invited)
	if p50 > time.Second {
		t.Error("the bus waits for SES")
	}

	resume()
	got := map[string]int{}
	eventually(t, "every email has come", func() bool {
		s.cleanup(t)
		emails, err := s.Emails(t.Context(), time.Time{})
		must(t, err)
		clear(got)
		for _, m := range emails {
			if strings.HasPrefix(m.To, "p") && strings.HasSuffix(m.To, "@luna.hangs.test") {
				got[m.To]++
			}
		}
		return len(got) == invited
	})
	// The mailbox may have taken what it was handed while it hung.
	repeated := 0
	for _, n := range got {
		repeated += n - 1
	}
	t.Logf("%d emails, %d repeats", len(got), repeated)
}
