package faults

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"agencyhub/infra/e2e/client"
	"agencyhub/infra/e2e/runner"
	"agencyhub/infra/local/process"
	"agencyhub/infra/local/standins"
	"agencyhub/infra/prove"
	"agencyhub/infra/prove/audit"
	"agencyhub/shared/testbed"
)

// override are settings: limits that no worker reaches, but for that of unsolicited emails, so that
// there are digests; and times that a proof can wait for.
const override = `SettingsOverride={"wakeAfter":"1s","cooldown":"2s","pairMails":100,"resendAfter":"1s","resends":20,"dailyRequests":10000,"openRequests":10000,"openInvitations":10000,` +
	`"unsolicitedMails":{"all":2,"bySender":1000,"byAccount":1000,"neverSignedIn":2},"digestAt":"3s","digestSpread":"0s",` +
	`"dailyByPerson":{"accountsOpened":10000,"accountsCreated":10000,"requests":10000,"invitations":10000},` +
	`"dailyByNewPerson":{"accountsOpened":10000,"accountsCreated":10000,"requests":10000,"invitations":10000}}`

// A kill is a function that was killed; "" for the whole stack.
type kill struct {
	function string
	at       time.Time
}

// A stack is the whole product behind two proxies.
type stack struct {
	t       *testing.T
	program runner.Program
	folder  string
	log     runner.Log
	spawner *process.Spawner
	engine  *process.Process
	port    int // of the engine
	// dynamo and cloud are the proxies.
	dynamo, cloud *proxy
	env           []string

	mu      sync.Mutex
	process *runner.Process
	at      *client.Stack
	kills   []kill
}

// newStack starts a stack.
func newStack(t *testing.T, program runner.Program, seed uint64) *stack {
	t.Helper()
	s := &stack{t: t, program: program, folder: t.TempDir()}
	var err error
	s.spawner, err = process.NewSpawner(process.NewTerminal(io.Discard), s.folder)
	must(t, err)
	must(t, s.startEngine())
	t.Cleanup(func() { s.engine.Kill(); <-s.engine.Exited })
	of := func(r *http.Request) service {
		if r.Header.Get("X-Amz-Target") != "" {
			return bus
		}
		return ses
	}
	s.dynamo = newProxy(seed, func(*http.Request) service { return dynamo }, func() string { return fmt.Sprintf("http://127.0.0.1:%d", s.port) }, nil)
	s.cloud = newProxy(seed+1, of, s.cloudAddress, s.killCaller)
	s.env = append(os.Environ(), "AWS_REGION=eu-central-1", "AWS_ACCESS_KEY_ID=local", "AWS_SECRET_ACCESS_KEY=local", "AWS_SESSION_TOKEN=")
	for p, names := range map[*proxy][]string{s.dynamo: {"DYNAMODB"}, s.cloud: {"SESV2", "EVENTBRIDGE"}} {
		address, server, err := p.listen()
		must(t, err)
		t.Cleanup(func() { _ = server.Close() }) // the test is over
		for _, name := range names {
			s.env = append(s.env, "AWS_ENDPOINT_URL_"+name+"="+address)
		}
	}
	must(t, s.start("-http", "0", "-ses", "0", "-oidc", "0"))
	t.Cleanup(func() {
		if err := s.process.Stop(); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			prove.Keep(t, "log", []byte(s.log.String()))
		}
	})
	return s
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (s *stack) start(args ...string) error {
	p, err := s.program.Start(filepath.Join(s.folder, "stack"), s.env, &s.log, append(args, "-schedules=false", "-set", override)...)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.process, s.at = p, p.Stack
	return nil
}

// startEngine starts the engine on its data, again on its port.
func (s *stack) startEngine() error {
	home, err := standins.Home()
	if err != nil {
		return err
	}
	program, err := standins.Engine(home, s.port, s.folder)
	if err != nil {
		return err
	}
	if err := program.Reserve(); err != nil {
		return err
	}
	if s.port == 0 {
		s.port = program.Port // it stays
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	engine, err := program.Start(ctx, s.spawner)
	if err != nil {
		return err // the engine before, which has ended, stays
	}
	s.engine = engine
	return nil
}

// here returns where the stack is. Its ports stay the same but for those inside.
func (s *stack) here() *client.Stack {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.at
}

// cloudAddress returns the address of SES and the bus; "" until the stack has said it.
func (s *stack) cloudAddress() string {
	if at := s.here(); at != nil {
		return at.Cloud
	}
	return ""
}

// killCaller kills the function that calls SES or the bus.
func (s *stack) killCaller(of service) {
	function := map[service]string{ses: "notify", bus: "publish"}[of]
	s.mu.Lock()
	p := s.process
	s.mu.Unlock()
	pids, err := p.Instances(function)
	if err != nil {
		s.t.Error(err)
	}
	s.killOne(function, pids...)
}

func (s *stack) killOne(function string, pids ...int) (killed int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, pid := range pids {
		if syscall.Kill(pid, syscall.SIGKILL) == nil {
			killed++
			s.kills = append(s.kills, kill{function, time.Now()})
		}
	}
	return killed
}

// functions are those that are killed at any moment.
var functions = []string{"accounts", "connections", "approvals", "team", "billing", "publish", "notify", "delivery", "cleanup"}

// killAny kills an instance of a function.
func (s *stack) killAny(random *rand.Rand) {
	function := functions[random.IntN(len(functions))]
	s.mu.Lock()
	p := s.process
	s.mu.Unlock()
	pids, err := p.Instances(function)
	if err != nil {
		s.t.Error(err)
	}
	if len(pids) == 0 {
		return // none is up
	}
	for range s.killOne(function, pids[random.IntN(len(pids))]) {
		s.dynamo.count("functions", killed)
	}
}

// cutPower kills everything, the engine too, and starts it again on its data. Meanwhile no
// fault is injected: a stack that can't look at its table does not start.
func (s *stack) cutPower() error {
	faults := s.dynamo.isOn()
	s.dynamo.set(false)
	s.cloud.set(false)
	s.mu.Lock()
	p := s.process
	s.kills = append(s.kills, kill{"", time.Now()})
	s.mu.Unlock()
	s.engine.Kill()
	err := p.Kill()
	<-s.engine.Exited
	s.mu.Lock()
	s.kills = append(s.kills, kill{"", time.Now()})
	s.mu.Unlock()
	s.dynamo.count("functions", powerCut)
	if err = errors.Join(err, s.startEngine()); err != nil {
		return err
	}
	if err := s.start(runner.SamePorts(p.Stack)...); err != nil {
		return err
	}
	s.dynamo.set(faults)
	s.cloud.set(faults)
	return nil
}

// db returns a client of the engine itself.
func (s *stack) db() *dynamodb.Client {
	return dynamodb.NewFromConfig(testbed.Config(), func(o *dynamodb.Options) { o.BaseEndpoint = aws.String(fmt.Sprintf("http://127.0.0.1:%d", s.port)) })
}

// read reads the whole table.
func (s *stack) read() (*audit.Data, error) {
	return audit.Scan(context.Background(), s.db(), s.here().Table)
}

// unfinished counts the events that are not finished.
func (s *stack) unfinished(ctx context.Context) (n int64, err error) {
	for shard := 4; shard < 8; shard++ {
		out, err := s.db().Query(ctx, &dynamodb.QueryInput{
			TableName: aws.String(s.here().Table), IndexName: aws.String("ByDue"), Select: types.SelectCount, KeyConditionExpression: aws.String("duePk = :shard"),
			ExpressionAttributeValues: map[string]types.AttributeValue{":shard": &types.AttributeValueMemberS{Value: fmt.Sprintf("DUE#%d", shard)}},
		})
		if err != nil {
			return 0, err
		}
		n += int64(out.Count)
	}
	return n, nil
}

const past = "2020-01-01T00:00:00.000Z"

// endLeases moves the end of every claim into the past, as the two minutes of a lease do, and
// the beginning of every erasing, which waits five minutes for the indexes. Only after a power
// cut is no claim anybody's.
func (s *stack) endLeases() (ended int, err error) {
	d, err := s.read()
	if err != nil {
		return 0, err
	}
	text := func(value string) types.AttributeValue { return &types.AttributeValueMemberS{Value: value} }
	set := func(pk, sk, update, condition string, values map[string]types.AttributeValue) error {
		values[":past"] = text(past)
		_, err := s.db().UpdateItem(context.Background(), &dynamodb.UpdateItemInput{
			TableName: aws.String(s.here().Table), UpdateExpression: &update, ConditionExpression: &condition, ExpressionAttributeValues: values,
			Key: map[string]types.AttributeValue{"pk": text(pk), "sk": text(sk)},
		})
		if _, finished := errors.AsType[*types.ConditionalCheckFailedException](err); finished {
			return nil
		}
		return err
	}
	for _, m := range d.Mails {
		if m.Fate != "waiting" || m.LeaseUntil == "" {
			continue
		}
		ended++
		if err := set(m.PK, m.SK, "SET leaseUntil = :past", "fate = :waiting", map[string]types.AttributeValue{":waiting": text("waiting")}); err != nil {
			return ended, err
		}
	}
	for _, p := range d.People {
		if p.Erasing == "" {
			continue
		}
		if err := set(p.PK, p.SK, "SET erasing = :past, dueSk = :past", "erasing = :since", map[string]types.AttributeValue{":since": text(p.Erasing)}); err != nil {
			return ended, err
		}
	}
	return ended, nil
}

// killsOf returns when a function was killed, alone or with everything.
func (s *stack) killsOf(function string) []time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []time.Time
	for _, k := range s.kills {
		if k.function == function || k.function == "" {
			all = append(all, k.at)
		}
	}
	slices.SortFunc(all, time.Time.Compare)
	return all
}
