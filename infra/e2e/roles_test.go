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
	used     map[string]bool // by function, action and resource
	byLambda map[string]bool // those that Lambda itself uses
}

// neverUsed are permissions that no test needs, with the reason for keeping them.
var neverUsed = map[string]string{}

// lambdaUses are the actions that Lambda itself does by a function's role. No test sees one:
// the runner derives from the template what they are on, and does not start without them.
var lambdaUses = map[string]string{
	"logs:CreateLogStream":      "each instance writes its log to a stream of its own",
	"logs:PutLogEvents":         "the lines of the log",
	"dynamodb:DescribeStream":   "the event source mapping finds the stream's shards",
	"dynamodb:GetShardIterator": "it begins to read a shard",
	"dynamodb:GetRecords":       "it reads a shard",
	"dynamodb:ListStreams":      "Lambda refuses to make the mapping for a role without it",
	"sqs:SendMessage":           "it writes what failed to the on-failure queue",
}

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
		roleUses.used, roleUses.byLambda = map[string]bool{}, map[string]bool{}
	}
	for _, u := range uses {
		key := permissionKey(u)
		roleUses.used[key] = roleUses.used[key] || u.Used
		roleUses.byLambda[key] = roleUses.byLambda[key] || u.ByLambda
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
	used, byLambda := maps.Clone(roleUses.used), maps.Clone(roleUses.byLambda)
	if _, err := chromium(); errors.Is(err, errNoBrowser) {
		ofPages := func(key string, _ bool) bool { return strings.HasPrefix(key, "ConsoleFunction ") }
		maps.DeleteFunc(used, ofPages)
		maps.DeleteFunc(byLambda, ofPages)
	}
	return append(wrongPermissions(used, withLambdas(neverUsed, byLambda)), unreasoned(byLambda, lambdaUses)...)
}

// withLambdas returns the permissions that no test needs, with what Lambda does.
func withLambdas(neverUsed map[string]string, byLambda map[string]bool) map[string]string {
	all := map[string]string{}
	maps.Copy(all, neverUsed)
	for key, does := range byLambda {
		if does {
			all[key] = lambdaUses[actionOf(key)]
		}
	}
	return all
}

// unreasoned returns what Lambda does without a reason, and the actions with a reason that
// it does not do.
func unreasoned(byLambda map[string]bool, reasons map[string]string) []string {
	var wrong []string
	left := maps.Clone(reasons)
	for key, does := range byLambda {
		if does && reasons[actionOf(key)] == "" {
			wrong = append(wrong, key)
		}
		if does {
			delete(left, actionOf(key))
		}
	}
	return slices.Sorted(slices.Values(slices.AppendSeq(wrong, maps.Keys(left))))
}

// actionOf returns the action of a permissionKey.
func actionOf(key string) string { return strings.Fields(key)[1] }

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
	byLambda := map[string]bool{"F a table": false, "F b table": true, "F c log": true}
	if diff := cmp.Diff([]string{"F c log", "d"}, unreasoned(byLambda, map[string]string{"b": "a reason", "d": "of what it does not do"})); diff != "" {
		t.Errorf("without a reason (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"F d table"}, wrongPermissions(map[string]bool{"F b table": false, "F c log": false, "F d table": false}, withLambdas(nil, byLambda))); diff != "" {
		t.Errorf("unused beside what Lambda does (-want +got):\n%s", diff)
	}
}
