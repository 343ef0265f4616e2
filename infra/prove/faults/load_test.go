package faults

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"agencyhub/infra/e2e/client"
	"agencyhub/infra/prove/audit"
	"agencyhub/shared/agency"
)

// A person calls the API.
type person struct {
	email, token string
}

func (p person) id() string { return string(agency.NewPersonID(p.email)) }

// An outcome is what a caller knows of a command in the end.
type outcome string

const (
	made    outcome = "made"
	refused outcome = "refused"
	// unknown may have been made: some answer was lost, and no later one tells.
	unknown outcome = "unknown"
)

// A fact is an event that a command has.
type fact struct{ kind, addressee, member string }

// A command is one call, with the events that it has if it is made.
type command struct {
	by           person
	method, path string
	body         any
	key          string // Idempotency-Key
	facts        []fact
	// isWrong reports whether the call must be refused, and so has no event, whatever answers were
	// lost.
	isWrong bool
}

func newCommand(by person, method, path string, body any, key string, facts []fact) command {
	return command{by: by, method: method, path: path, body: body, key: key, facts: facts}
}

// wrong makes a command that must be refused.
func wrong(by person, method, path string, body any, facts []fact) command {
	return command{by: by, method: method, path: path, body: body, facts: facts, isWrong: true}
}

// A ledger holds what callers know.
type ledger struct {
	mu       sync.Mutex
	outcomes map[outcome]int
	// sure counts events that must be there, maybe those that may be.
	sure, maybe map[fact]int
	calls       int // of the API, repeats included
	statuses    map[string]int
	odd         []string // refusals of what an answer was lost before, and 500 of ours
}

func newLedger() *ledger {
	return &ledger{outcomes: map[outcome]int{}, sure: map[fact]int{}, maybe: map[fact]int{}, statuses: map[string]int{}}
}

func (l *ledger) add(c command, o outcome) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if c.isWrong {
		if o == made {
			l.odd = append(l.odd, fmt.Sprintf("%s %s was made, and must be refused", c.method, c.path))
		}
		o = refused
	}
	l.outcomes[o]++
	for _, f := range c.facts {
		switch o {
		case made:
			l.sure[f]++
		case unknown:
			l.maybe[f]++
		}
	}
}

func (l *ledger) called(status string, odd string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.calls++
	l.statuses[status]++
	if odd != "" {
		l.odd = append(l.odd, odd)
	}
}

// consequences are events that no command of the load has, but the clock, a closing or an erasing.
var consequences = map[string]bool{
	"person.ended": true, "person.erased": true, "connection.ended": true, "connection.expired": true, "person.invitation_expired": true,
	"person.invitation_withdrawn": true,
}

// check compares what callers know with the events that are there.
func (l *ledger) check(d *audit.Data) []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var wrong []string
	got := map[fact]int{}
	for _, e := range d.Events {
		if !e.IsDigest() {
			got[fact{e.Type, e.Addressee, e.Member}]++
		}
	}
	for f, n := range l.sure {
		if got[f] < n {
			wrong = append(wrong, fmt.Sprintf("LOST: %v was acknowledged %d times, and there are %d events", f, n, got[f]))
		}
	}
	for f, n := range got {
		if most := l.sure[f] + l.maybe[f]; n > most && (!consequences[f.kind] || most > 0) {
			wrong = append(wrong, fmt.Sprintf("there are %d events %v, of %d acknowledged commands and %d whose outcome nobody knows", n, f, l.sure[f], l.maybe[f]))
		}
	}
	return wrong
}

// A worker plays stories, one after the other.
type worker struct {
	*load
	n      int
	random *rand.Rand
	owner  person
	others []person
}

// A load is the workers and what they share.
type load struct {
	here     func() *client.Stack
	ctx      context.Context
	ledger   *ledger
	agencies []string
	ann      []person // owners of the agencies
	// hasTaken reports whether SES has taken an email to an address.
	hasTaken func(to string) bool
	// backlog is how many events are not finished. Workers wait a while for publish and notify.
	backlog atomic.Int64
}

// maxBacklog is from how many unfinished events on workers wait.
const maxBacklog = 60

const (
	// maxAttempts bounds how often a caller repeats a command.
	maxAttempts = 15
	// maxWait bounds how long a caller waits between two attempts.
	maxWait = 5 * time.Second
	// giveUpShare is how many of a hundred callers do not repeat a call without an answer.
	giveUpShare = 20
)

type problem struct{ Code, Detail string }

// do makes a command as the contract says: it repeats what was not made, or whose answer was
// lost, until an answer tells. Some callers give up after a lost answer. Every command of the
// load may be repeated.
func (w *worker) do(c command) (body []byte, o outcome) {
	content, err := json.Marshal(c.body)
	if err != nil {
		panic(err) // the load's own bug
	}
	header := []string{"Authorization", "Bearer " + c.by.token}
	if c.body == nil {
		content = nil
	} else {
		header = append(header, "Content-Type", "application/json")
	}
	if c.key != "" {
		header = append(header, "Idempotency-Key", c.key)
	}
	o = refused
	defer func() { w.ledger.add(c, o) }()
	for range maxAttempts {
		if o == unknown && w.random.IntN(100) < giveUpShare {
			return nil, o
		}
		answer, err := w.here().Call(w.ctx, c.method, c.path, content, header...)
		wait := 200 * time.Millisecond
		if err != nil {
			if op, ok := errors.AsType[*net.OpError](err); !ok || op.Op != "dial" {
				o = unknown
			}
			w.ledger.called("no answer", "")
			w.pause(wait)
			continue
		}
		var p problem
		_ = json.Unmarshal(answer.Body, &p) // the gateway's own answers have no code
		odd := ""
		switch {
		case answer.Status < 300:
			w.ledger.called(strconv.Itoa(answer.Status), "")
			o = made
			return answer.Body, o
		case answer.Status == http.StatusServiceUnavailable && p.Code == "unavailable":
			if !strings.Contains(p.Detail, "Nothing was changed") {
				o = unknown
			}
			if answer.Header.Get("Retry-After") == "" {
				odd = "unavailable without Retry-After"
			}
		case answer.Status >= 500:
			o = unknown
			if p.Code != "" {
				odd = fmt.Sprintf("%s %s: %d %s", c.method, c.path, answer.Status, answer.Body)
			}
		case answer.Status == http.StatusTooManyRequests && p.Code == "":
		default:
			if o == unknown && !c.isWrong {
				odd = fmt.Sprintf("after a lost answer, %s %s: %d %s", c.method, c.path, answer.Status, answer.Body)
			}
			w.ledger.called(strconv.Itoa(answer.Status)+" "+p.Code, odd)
			return answer.Body, o
		}
		w.ledger.called(strconv.Itoa(answer.Status)+" "+p.Code, odd)
		if seconds, err := strconv.Atoi(answer.Header.Get("Retry-After")); err == nil {
			wait = min(time.Duration(seconds)*time.Second, maxWait)
		}
		w.pause(wait)
	}
	return nil, o
}

func (w *worker) pause(d time.Duration) {
	select {
	case <-time.After(d):
	case <-w.ctx.Done():
	}
}

type levels map[string]string

type body map[string]any

func (w *worker) newKey() string { return fmt.Sprintf("key-%d-%d", w.n, w.random.Uint64()) }

// run plays stories until the context of the load ends, or stop says so.
func (w *worker) run(stop func() bool) {
	if w.n < 3 {
		w.doubt() // so that there is one however few stories there are
	}
	for !stop() {
		for range 10 {
			if w.backlog.Load() > maxBacklog {
				w.pause(500 * time.Millisecond)
			}
		}
		stories := []func(){w.connection, w.connection, w.team, w.team, w.owned, w.byEmail, w.erasing, w.billing, w.doubt}
		stories[w.random.IntN(len(stories))]()
	}
}

// one draws one of a few.
func one[T any](w *worker, of ...T) T { return of[w.random.IntN(len(of))] }

// open opens an account; "" if it is not open in the end.
func (w *worker) open(by person) string {
	key := w.newKey()
	id := string(agency.NewAccountID(agency.Party(by.id()), key))
	_, o := w.do(newCommand(by, http.MethodPost, "/v1/accounts", body{"name": fmt.Sprintf("Account %d", w.random.IntN(1000))}, key, []fact{{"account.opened", id, by.id()}}))
	if o != made {
		return ""
	}
	return id
}

// agency draws one of the agencies.
func (w *worker) agency() (string, person) {
	n := w.random.IntN(len(w.agencies))
	return w.agencies[n], w.ann[n]
}

// connection plays the life of a connection.
func (w *worker) connection() {
	account := w.open(w.owner)
	if account == "" {
		return
	}
	id, ann := w.agency()
	con := "con_" + account + "_" + id
	at := func(kind string) []fact { return []fact{{kind, account, id}} }
	ours, theirs := "/v1/agencies/"+id+"/connections/"+con, "/v1/accounts/"+account+"/team/"+id
	request := body{"account": account, "areas": levels{"pages": "edit", "mail": "view"}}
	if _, o := w.do(newCommand(ann, http.MethodPost, "/v1/agencies/"+id+"/connections", request, w.newKey(), at("connection.requested"))); o != made {
		return
	}
	if w.random.IntN(3) == 0 {
		// Another number than the one that waits, and somebody who is nobody there.
		w.do(wrong(w.owner, http.MethodPost, theirs+"/accept", body{"request": 7}, at("connection.accepted")))
		w.do(wrong(w.others[0], http.MethodPost, theirs+"/decline", body{"request": 1}, at("connection.declined")))
		w.do(wrong(w.owner, http.MethodDelete, theirs, nil, at("connection.revoked")))
	}
	switch w.random.IntN(6) {
	case 0:
		w.do(newCommand(ann, http.MethodPost, ours+"/withdraw", nil, "", at("connection.withdrawn")))
		return
	case 1:
		w.do(newCommand(w.owner, http.MethodPost, theirs+"/decline", body{"request": 1}, "", at("connection.declined")))
		return
	case 2:
		return // it waits
	}
	if _, o := w.do(newCommand(w.owner, http.MethodPost, theirs+"/accept", body{"request": 1}, "", at("connection.accepted"))); o != made {
		return
	}
	for _, level := range []string{"view", "edit"} {
		if w.random.IntN(2) == 0 {
			w.do(newCommand(w.owner, http.MethodPatch, theirs, body{"areas": levels{"pages": level, "funnels": "view"}}, "", at("connection.restricted")))
		}
	}
	switch w.random.IntN(4) {
	case 0:
		w.do(newCommand(w.owner, http.MethodDelete, theirs, nil, "", at("connection.revoked")))
	case 1:
		w.do(newCommand(ann, http.MethodPost, ours+"/leave", nil, "", at("connection.left")))
	case 2:
		w.close(w.owner, account, "")
	}
}

func (w *worker) close(by person, account, as string) {
	w.do(newCommand(by, http.MethodDelete, "/v1/accounts/"+account+as, nil, "", []fact{{"account.closed", account, ""}}))
}

// join brings somebody into an account.
func (w *worker) join(account string, who person, role string) bool {
	in := body{"email": who.email, "role": role}
	if role == "member" {
		in["areas"] = levels{"pages": "view", "contacts": "edit"}
	}
	if _, o := w.do(newCommand(w.owner, http.MethodPost, "/v1/accounts/"+account+"/team", in, "", []fact{{"person.invited", account, who.id()}})); o != made {
		return false
	}
	_, o := w.do(newCommand(who, http.MethodPost, "/v1/me/invitations/"+account+"/accept", body{"request": 1}, "", []fact{{"person.added", account, who.id()}}))
	return o == made
}

// team plays invitations, changes of persons and an offer of ownership.
func (w *worker) team() {
	account := w.open(w.owner)
	if account == "" {
		return
	}
	team := "/v1/accounts/" + account + "/team"
	m, other := w.others[0], w.others[1]
	at := func(kind string, who person) []fact { return []fact{{kind, account, who.id()}} }
	invite := body{"email": other.email, "role": "admin"}
	if _, o := w.do(newCommand(w.owner, http.MethodPost, team, invite, "", at("person.invited", other))); o == made {
		switch w.random.IntN(3) {
		case 0:
			w.do(newCommand(other, http.MethodPost, "/v1/me/invitations/"+account+"/decline", body{"request": 1}, "", at("person.invitation_declined", other)))
		case 1:
			w.do(newCommand(w.owner, http.MethodPost, team+"/"+other.id()+"/withdraw", nil, "", at("person.invitation_withdrawn", other)))
		}
	}
	if !w.join(account, m, "member") {
		return
	}
	path := team + "/" + m.id()
	if w.random.IntN(2) == 0 {
		w.do(newCommand(w.owner, http.MethodPatch, path, body{"areas": levels{"mail": "view"}}, "", at("person.changed", m)))
	}
	switch w.random.IntN(4) {
	case 0:
		w.do(newCommand(w.owner, http.MethodDelete, path, nil, "", at("person.removed", m)))
	case 1:
		w.do(newCommand(m, http.MethodDelete, path, nil, "", at("person.left", m)))
	case 2:
		if _, o := w.do(newCommand(w.owner, http.MethodPatch, path, body{"role": "owner"}, "", at("person.ownership_offered", m))); o != made {
			return
		}
		if w.random.IntN(2) == 0 {
			w.do(newCommand(m, http.MethodPost, "/v1/me/invitations/"+account+"/decline", body{"request": 2}, "", at("person.invitation_declined", m)))
			return
		}
		accept := body{"request": 2, "plan": "starter"}
		if _, o := w.do(newCommand(m, http.MethodPost, "/v1/me/invitations/"+account+"/accept", accept, "", at("person.ownership_accepted", m))); o == made {
			w.do(newCommand(w.owner, http.MethodDelete, team+"/"+w.owner.id(), nil, "", at("person.left", w.owner)))
		}
	}
}

// owned plays an account that an agency owns.
func (w *worker) owned() {
	id, ann := w.agency()
	client, key := w.others[2], w.newKey()
	account := string(agency.NewAccountID(agency.Party(id), key))
	create := body{"name": "Owned", "plan": "starter", "confirmPermanentOwnership": true, "client": body{"email": client.email, "areas": levels{"pages": "view"}}}
	if _, o := w.do(newCommand(ann, http.MethodPost, "/v1/agencies/"+id+"/accounts", create, key, []fact{{"account.created", account, id}})); o != made {
		return
	}
	as := "?as=" + id
	if w.random.IntN(2) == 0 {
		w.do(newCommand(client, http.MethodPost, "/v1/me/invitations/"+account+"/accept", body{"request": 1}, "", []fact{{"person.added", account, client.id()}}))
	}
	w.plans(ann, account, as)
	if w.random.IntN(2) == 0 {
		w.close(ann, account, as)
	}
}

// plans changes a subscription.
func (w *worker) plans(by person, account, as string) {
	path := "/v1/accounts/" + account + "/subscription"
	at := func(kind string) []fact { return []fact{{kind, account, ""}} }
	w.do(newCommand(by, http.MethodPatch, path+as, body{"plan": one(w, "growth", "scale")}, "", at("subscription.plan_changed")))
	if w.random.IntN(2) == 0 {
		if _, o := w.do(newCommand(by, http.MethodPost, path+"/cancel"+as, nil, "", at("subscription.cancelled"))); o == made && w.random.IntN(2) == 0 {
			w.do(newCommand(by, http.MethodPost, path+"/resume"+as, nil, "", at("subscription.resumed")))
		}
	}
}

// billing plays the subscription of a client, and a rename.
func (w *worker) billing() {
	account := w.open(w.owner)
	if account == "" {
		return
	}
	w.do(newCommand(w.owner, http.MethodPatch, "/v1/accounts/"+account, body{"name": "Renamed " + strconv.Itoa(w.n)}, "", []fact{{"account.renamed", account, ""}}))
	w.plans(w.owner, account, "")
}

// byEmail plays a request to a person, who chooses an account.
func (w *worker) byEmail() {
	id, ann := w.agency()
	who := w.others[3]
	con := "con_" + who.id() + "_" + id
	by := []fact{{"connection.requested", who.id(), id}}
	answer, o := w.do(newCommand(ann, http.MethodPost, "/v1/agencies/"+id+"/connections", body{"ownerEmail": who.email, "areas": levels{"mail": "edit"}}, w.newKey(), by))
	var request struct{ Request int }
	if o != made || json.Unmarshal(answer, &request) != nil {
		return
	}
	switch w.random.IntN(3) {
	case 0:
		w.do(newCommand(ann, http.MethodPost, "/v1/agencies/"+id+"/connections/"+con+"/withdraw", nil, "", []fact{{"connection.withdrawn", who.id(), id}}))
	case 1:
		w.do(newCommand(who, http.MethodPost, "/v1/requests/"+con+"/decline", body{"request": request.Request}, "", []fact{{"connection.declined", who.id(), id}}))
	default:
		account := w.open(who)
		if account == "" {
			return
		}
		accept := body{"account": account, "request": request.Request}
		w.do(newCommand(who, http.MethodPost, "/v1/requests/"+con+"/accept", accept, "", []fact{{"connection.accepted", account, id}}))
	}
}

// erasing plays a person who joins and erases themselves.
func (w *worker) erasing() {
	account := w.open(w.owner)
	if account == "" {
		return
	}
	email := fmt.Sprintf("gone-%d-%d@erased.test", w.n, w.random.Uint64())
	token, err := w.here().SignIn(w.ctx, client.Identity{Email: email})
	if err != nil {
		return // while the power is cut
	}
	who := person{email, token}
	if w.join(account, who, "member") {
		w.do(newCommand(who, http.MethodDelete, "/v1/me", nil, "", []fact{{"person.erasing", who.id(), who.id()}}))
	}
}

// takenTime bounds how long a caller waits until SES has taken an email.
const takenTime = 10 * time.Second

// doubt plays an invitation that SES takes without an answer, and that is withdrawn then.
func (w *worker) doubt() {
	account := w.open(w.owner)
	if account == "" {
		return
	}
	email := fmt.Sprintf("%s%d-%d@client.test", doubtPrefix, w.n, w.random.Uint64())
	who, team := person{email: email}.id(), "/v1/accounts/"+account+"/team"
	at := func(kind string) []fact { return []fact{{kind, account, who}} }
	if _, o := w.do(newCommand(w.owner, http.MethodPost, team, body{"email": email, "role": "admin"}, "", at("person.invited"))); o != made {
		return
	}
	for end := time.Now().Add(takenTime); !w.hasTaken(email) && time.Now().Before(end); {
		w.pause(100 * time.Millisecond)
	}
	w.do(newCommand(w.owner, http.MethodPost, team+"/"+who+"/withdraw", nil, "", at("person.invitation_withdrawn")))
}
