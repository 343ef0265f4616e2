package e2e

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"agencyhub/infra/e2e/client"
)

// roleUses are the permissions of all stacks of this run, and whether one has used them.
var roleUses struct {
	sync.Mutex
	used map[string]bool // by function, action and resource
}

// neverUsed are permissions that no test needs, with the reason for keeping them.
var neverUsed = map[string]string{}

// noteRoles notes what the functions of a running stack have used of their roles.
func noteRoles(s *client.Stack) error {
	if s == nil || errors.Is(syscall.Kill(s.PID, 0), syscall.ESRCH) {
		return nil // it was killed, or never up
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	uses, err := s.Roles(ctx)
	if err != nil {
		return err
	}
	roleUses.Lock()
	defer roleUses.Unlock()
	if roleUses.used == nil {
		roleUses.used = map[string]bool{}
	}
	for _, u := range uses {
		key := permissionKey(u)
		roleUses.used[key] = roleUses.used[key] || u.Used
	}
	return nil
}

// permissionKey returns the function, the action and what is behind the last colon of the
// resource.
func permissionKey(u client.Use) string {
	parts := strings.SplitN(u.Resource, ":", 6)
	return u.Function + " " + u.Action + " " + parts[len(parts)-1]
}

// unusedPermissions returns what is wrong with the roles after a whole run. Without a
// browser nothing shows what the pages need.
func unusedPermissions() []string {
	roleUses.Lock()
	defer roleUses.Unlock()
	used := maps.Clone(roleUses.used)
	if _, err := chromium(); errors.Is(err, errNoBrowser) {
		maps.DeleteFunc(used, func(key string, _ bool) bool { return strings.HasPrefix(key, "ConsoleFunction ") })
	}
	return wrongPermissions(used, neverUsed)
}

// wrongPermissions returns the permissions that were not used, but for the exceptions, and
// the exceptions that were used or that no role has.
func wrongPermissions(used map[string]bool, exceptions map[string]string) []string {
	var wrong []string
	for key, isUsed := range used {
		if _, excepted := exceptions[key]; isUsed == excepted {
			wrong = append(wrong, key)
		}
	}
	for key := range exceptions {
		if _, allowed := used[key]; !allowed {
			wrong = append(wrong, key)
		}
	}
	slices.Sort(wrong)
	return wrong
}

// TestTheRolesCheckFindsWhatIsUnused checks that the check of roles can fail.
func TestTheRolesCheckFindsWhatIsUnused(t *testing.T) {
	used := map[string]bool{"F a table": true, "F b table": false, "F c table": false, "F d table": true}
	exceptions := map[string]string{"F c table": "a reason", "F d table": "a reason that is none", "F e table": "of a role that has changed"}
	if diff := cmp.Diff([]string{"F b table", "F d table", "F e table"}, wrongPermissions(used, exceptions)); diff != "" {
		t.Errorf("wrong (-want +got):\n%s", diff)
	}
}
