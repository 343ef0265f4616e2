package service_test

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"agencyhub/shared/agency"
	"agencyhub/shared/service"
	"agencyhub/shared/testbed"
)

// ask addresses a person.
func (w *world) ask(who agency.Actor) (agency.Profile, error) {
	return w.RequestConnection(w.t.Context(), w.gil, w.agency, service.ConnectionRequest{OwnerEmail: who.Email, Areas: editAll, Message: "please"})
}

// byMail is the agency's connection to a person.
func (w *world) byMail(who agency.Actor) agency.ConnectionID {
	return agency.NewConnectionID(agency.Party(who.ID()), w.agency)
}

func (w *world) into(who agency.Actor, id agency.AccountID, number int) (agency.Profile, error) {
	return w.AcceptRequestInto(w.t.Context(), who, w.byMail(who), id, service.Grant{Request: number})
}

func (w *world) opened(who agency.Actor, n int, name string) agency.AccountID {
	w.t.Helper()
	return must[service.AccountView](w.t)(w.OpenAccount(w.t.Context(), who, key16(n), name)).ID
}

func (w *world) deny(by agency.Actor, block bool) (agency.Profile, error) {
	return w.DenyRequest(w.t.Context(), as(by), w.client, w.agency, block)
}

func (w *world) counts() service.Counts {
	w.t.Helper()
	return must[service.Counts](w.t)(w.store.Counts(w.t.Context(), w.agency))
}

func (h *hub) profile(key agency.ProfileKey) agency.Profile {
	h.t.Helper()
	return must[service.Snapshot](h.t)(h.store.Load(h.t.Context(), service.Want{Profiles: []agency.ProfileKey{key}})).Profile(key)
}

func (h *hub) pair(addressee agency.Party, of agency.AccountID) agency.Pair {
	h.t.Helper()
	key := agency.PairKey{Addressee: addressee, Agency: of}
	return must[service.Snapshot](h.t)(h.store.Load(h.t.Context(), service.Want{Pairs: []agency.PairKey{key}})).Pair(key)
}

// recording notes everything that is sent to DynamoDB, item by item, in an order
// of its own.
func (h *hub) recording() (sent func() []string) {
	var mu sync.Mutex
	var lines []string
	note := func(format string, args ...any) {
		mu.Lock()
		defer mu.Unlock()
		lines = append(lines, fmt.Sprintf(format, args...))
	}
	h.BeforeBatch = func(in *dynamodb.BatchGetItemInput) error {
		for _, keys := range in.RequestItems {
			for _, k := range keys.Keys {
				note("read %t %s", *keys.ConsistentRead, plain(k))
			}
		}
		return nil
	}
	h.BeforeWrite = func(in *dynamodb.TransactWriteItemsInput) error {
		for _, i := range in.TransactItems {
			switch {
			case i.Put != nil:
				note("put %s if %s %v %s", plain(i.Put.Item), *i.Put.ConditionExpression, i.Put.ExpressionAttributeNames, plain(i.Put.ExpressionAttributeValues))
			case i.ConditionCheck != nil:
				note("check %s if %s %v %s", plain(i.ConditionCheck.Key), *i.ConditionCheck.ConditionExpression, i.ConditionCheck.ExpressionAttributeNames, plain(i.ConditionCheck.ExpressionAttributeValues))
			case i.Update != nil:
				note("update %s by %s if %s %v %s", plain(i.Update.Key), *i.Update.UpdateExpression, aws.ToString(i.Update.ConditionExpression), i.Update.ExpressionAttributeNames, plain(i.Update.ExpressionAttributeValues))
			default:
				note("something else: %+v", i)
			}
		}
		return h.look(in)
	}
	return func() []string {
		h.BeforeBatch, h.BeforeWrite = nil, h.look
		slices.Sort(lines)
		return lines
	}
}

// plain is an item as text of the very length of what is written.
func plain(v any) string {
	switch v := v.(type) {
	case map[string]types.AttributeValue:
		var parts []string
		for k, of := range v {
			parts = append(parts, k+"="+plain(of))
		}
		slices.Sort(parts)
		return "{" + strings.Join(parts, " ") + "}"
	case *types.AttributeValueMemberM:
		return plain(v.Value)
	case *types.AttributeValueMemberL:
		var parts []string
		for _, of := range v.Value {
			parts = append(parts, plain(of))
		}
		return "[" + strings.Join(parts, " ") + "]"
	case *types.AttributeValueMemberS:
		return fmt.Sprintf("%q", v.Value)
	case *types.AttributeValueMemberN:
		return v.Value
	case *types.AttributeValueMemberBOOL:
		return fmt.Sprint(v.Value)
	default:
		return fmt.Sprintf("?%T", v)
	}
}

var (
	anyID   = regexp.MustCompile(`(acct_|per_|evt_|EVENT#)[0-9a-z]{26}`)
	address = regexp.MustCompile(`[a-z0-9-]+@x\.test`)
	digits  = regexp.MustCompile(`[0-9]`)
)

// masked hides which ids, addresses, times and numbers a text holds, but not how
// long they are.
func masked(text string) string {
	text = anyID.ReplaceAllString(text, "${1}##########################")
	text = address.ReplaceAllStringFunc(text, func(s string) string { return strings.Repeat("@", len(s)) })
	return digits.ReplaceAllString(text, "0")
}

// Asked by email, everybody is the same: the answer, what is read and what is
// written, to the byte, but for ids, times and the digit that says whether the
// request is muted.
func TestByEmailNothingShows(t *testing.T) {
	ctx := t.Context()
	stages := []struct {
		name  string
		muted bool
		stage func(*world, agency.Actor)
	}{
		{"unknown", false, func(*world, agency.Actor) {}},
		{"owner of two accounts", false, func(w *world, a agency.Actor) { w.opened(a, 1, "One"); w.opened(a, 2, "Two") }},
		{"owner of an agency", false, func(w *world, a agency.Actor) {
			must[service.AccountView](t)(w.SwitchAgencyOn(ctx, a, w.opened(a, 1, "One")))
		}},
		{"member of the asking agency", false, func(w *world, a agency.Actor) { w.let(w.gil, w.agency, a, agency.Member) }},
		{"already connected", false, func(w *world, a agency.Actor) {
			w.client = w.opened(a, 1, "One")
			must[agency.Profile](t)(w.request())
			must[agency.Profile](t)(w.accept(a, 1))
		}},
		{"cooling", true, func(w *world, a agency.Actor) {
			w.client = w.opened(a, 1, "One")
			must[agency.Profile](t)(w.request())
			must[agency.Profile](t)(w.deny(a, false))
			w.advance(30*day - time.Second)
		}},
		{"no more cooling", false, func(w *world, a agency.Actor) {
			w.client = w.opened(a, 1, "One")
			must[agency.Profile](t)(w.request())
			must[agency.Profile](t)(w.deny(a, false))
			w.advance(30 * day)
		}},
		{"blocking", true, func(w *world, a agency.Actor) {
			w.client = w.opened(a, 1, "One")
			must[agency.Profile](t)(w.request())
			must[agency.Profile](t)(w.deny(a, true))
		}},
		{"blocking, after the cooldown", true, func(w *world, a agency.Actor) {
			w.client = w.opened(a, 1, "One")
			must[agency.Profile](t)(w.request())
			must[agency.Profile](t)(w.accept(a, 1))
			must[agency.Profile](t)(w.RemoveMember(ctx, as(a), w.client, agency.Party(w.agency), true))
			w.advance(31 * day)
		}},
		{"having had enough mail today", false, func(w *world, a agency.Actor) {
			for n := range 10 {
				mustClaim(w, n, a)
			}
		}},
		{"being erased", false, func(w *world, a agency.Actor) {
			w.let(w.ann, w.client, a, agency.Member)
			if err := w.EraseMe(ctx, a); err != nil {
				t.Fatal(err)
			}
		}},
	}
	var first []string
	for i, tt := range stages {
		w := newWorld(t)
		addressee := actor(fmt.Sprintf("person-%02d", i))
		tt.stage(w, addressee)
		before := testbed.Items(t, w.db, w.name)
		w.TakeCalls()
		sent := w.recording()
		p := must[agency.Profile](t)(w.ask(addressee))
		lines := sent()
		diff(t, tt.name+": calls", map[string]int{"BatchGetItem": 1, "TransactWriteItems": 1}, w.TakeCalls())
		diff(t, tt.name+": muted", tt.muted, p.Request.Muted)
		person := "PERSON#" + string(addressee.ID()) + " PERSON"
		if now := testbed.Items(t, w.db, w.name)[person]; plain(now) != plain(before[person]) {
			t.Errorf("%s: the addressee's own item was written", tt.name)
		}
		for _, line := range lines {
			if strings.Contains(line, `pk="PERSON#`+string(addressee.ID())+`" sk="PERSON"`) {
				t.Errorf("%s: the addressee is looked at: %s", tt.name, line)
			}
		}
		seen := must[agency.Profile](t)(w.GetConnection(ctx, w.gus, w.agency, w.byMail(addressee)))
		p.Request.Muted, seen.Request.Muted = false, false
		list, _, err := w.Clients(ctx, w.gus, w.agency, service.ClientFilter{Status: agency.Pending}, service.Page{Limit: 10})
		if err != nil || len(list.Items) != 1 {
			t.Errorf("%s: %d pending, %v", tt.name, len(list.Items), err)
		}
		list.Items[0].Request.Muted = false
		for _, v := range []any{p, seen, list, w.counts().Pending} {
			text, err := json.Marshal(v)
			if err != nil {
				t.Fatal(err)
			}
			lines = append(lines, "told "+string(text))
		}
		for i := range lines {
			lines[i] = masked(lines[i])
		}
		slices.Sort(lines)
		if first == nil {
			first = lines
		}
		diff(t, tt.name, first, lines)
		w.audit(t)
	}
}

// Who asks by email learns the account when it is accepted, and not before.
func TestByEmailStory(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	page := service.Page{Limit: 10}
	shop := w.opened(w.ann, 5, "Shop")
	asked := must[agency.Profile](t)(w.ask(w.ann))
	id := w.byMail(w.ann)
	if asked.Email != w.ann.Email || asked.AccountName != "" || asked.Account() != "" || asked.ID() != id || asked.Request.Number != 1 || !asked.Request.ExpiresAt.Equal(noon.Add(lifetime)) {
		t.Errorf("%+v", asked)
	}
	diff(t, "counts", service.Counts{Owned: 1, Pending: 1}, w.counts())
	mine := must[service.List[agency.Profile]](t)(w.MyRequests(ctx, w.ann, page))
	if len(mine.Items) != 1 || mine.Items[0].Name != "Agency" || mine.Items[0].Request.Message != "please" {
		t.Errorf("%+v", mine)
	}
	if hers := must[service.List[agency.Profile]](t)(w.MyRequests(ctx, w.bob, page)); len(hers.Items) != 0 {
		t.Errorf("bob sees %+v", hers)
	}
	diff(t, "team before", 3, len(must[service.List[agency.Profile]](t)(w.Team(ctx, as(w.ann), w.client, page)).Items))
	if got := w.access(as(w.gil, w.agency), shop); got.Reason != agency.NoProfile {
		t.Errorf("access before: %+v", got)
	}

	w.TakeCalls()
	until := noon.Add(20 * day)
	accepted, err := w.AcceptRequestInto(ctx, w.ann, id, shop, service.Grant{Request: 1, Areas: viewPages, Until: &until})
	if err != nil {
		t.Fatal(err)
	}
	diff(t, "calls", map[string]int{"BatchGetItem": 1, "TransactWriteItems": 1}, w.TakeCalls())
	there := agency.NewConnectionID(agency.Party(shop), w.agency)
	if accepted.Status != agency.Active || accepted.ID() != there || accepted.AccountName != "Shop" || accepted.Email != "" || accepted.Request.Number != 1 ||
		!accepted.Until.Equal(until) || !accepted.Areas.Equal(viewPages) || accepted.Request.By != w.gil.ID() || accepted.Ownership != agency.ClientOwned {
		t.Errorf("%+v", accepted)
	}
	diff(t, "counts", service.Counts{Owned: 1, Connected: 1}, w.counts())
	diff(t, "access", viewPages, w.access(as(w.gil, w.agency), shop).Areas)
	diff(t, "the events of the account", []string{"account.opened", "connection.accepted"}, w.events(shop))
	diff(t, "requests of mine", 0, len(must[service.List[agency.Profile]](t)(w.MyRequests(ctx, w.ann, page)).Items))

	// The mail's link, a bookmark and a repeat all lead to the connection.
	before := testbed.Items(t, w.db, w.name)
	for name, see := range map[string]func() (agency.Profile, error){
		"the agency, by the old id": func() (agency.Profile, error) { return w.GetConnection(ctx, w.gus, w.agency, id) },
		"the agency, by the new id": func() (agency.Profile, error) { return w.GetConnection(ctx, w.gus, w.agency, there) },
		"the owner, by the old id":  func() (agency.Profile, error) { return w.GetRequest(ctx, w.ann, id) },
		"the owner, by the new id":  func() (agency.Profile, error) { return w.GetRequest(ctx, w.ann, there) },
		"accepted again":            func() (agency.Profile, error) { return w.into(w.ann, shop, 1) },
		"accepted by the new id": func() (agency.Profile, error) {
			return w.AcceptRequestInto(ctx, w.ann, there, shop, service.Grant{Request: 1})
		},
	} {
		p, err := see()
		if err != nil || p.ID() != there || p.Status != agency.Active {
			t.Errorf("%s: %+v, %v", name, p, err)
		}
	}
	for name, do := range map[string]func() error{
		"into another": func() error { return second(w.into(w.ann, w.client, 1)) },
		"denied":       func() error { return second(w.DenyRequestByID(ctx, w.ann, id, true)) },
		"withdrawn":    func() error { return second(w.WithdrawRequest(ctx, w.gil, w.agency, id)) },
		"resent":       func() error { return second(w.ResendRequest(ctx, w.gil, w.agency, id)) },
	} {
		if err := do(); agency.CodeOf(err) != agency.NotPending {
			t.Errorf("%s: %v", name, err)
		}
	}
	testbed.SameItems(t, before, testbed.Items(t, w.db, w.name))
	for _, s := range append([]agency.Status{""}, agency.Statuses...) {
		list, _, err := w.Clients(ctx, w.gil, w.agency, service.ClientFilter{Status: s}, page)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range list.Items {
			if p.Addressee == agency.Party(w.ann.ID()) {
				t.Errorf("the list of %q has %+v", s, p)
			}
		}
	}
	w.audit(t)

	// Nor does it go into an account where the agency is besides.
	must[agency.Profile](t)(w.request())
	must[agency.Profile](t)(w.accept(w.ann, 1))
	if _, err := w.into(w.ann, w.client, 1); agency.CodeOf(err) != agency.NotPending {
		t.Errorf("into another where the agency is: %v", err)
	}
	must[agency.Profile](t)(w.LeaveAccount(ctx, w.gil, w.agency, w.con))

	// A new request by email replaces what was moved.
	w.advance(31 * day)
	again := must[agency.Profile](t)(w.ask(w.ann))
	if again.Request.Number != 2 || again.Status != agency.Pending || again.MovedTo != "" {
		t.Errorf("%+v", again)
	}
	if p := must[agency.Profile](t)(w.GetConnection(ctx, w.gil, w.agency, id)); p.Status != agency.Pending {
		t.Errorf("%+v", p)
	}
	must[agency.Profile](t)(w.into(w.ann, w.client, 2))
	w.audit(t)
}

// What is pending at the account too is bound by the request that is accepted.
func TestByEmailAndByIDAtOnce(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	must[agency.Profile](t)(w.RequestConnection(ctx, w.gus, w.agency, service.ConnectionRequest{Account: w.client, Areas: editAll, Message: "by id"}))
	w.advance(time.Hour)
	must[agency.Profile](t)(w.RequestConnection(ctx, w.gil, w.agency, service.ConnectionRequest{OwnerEmail: w.ann.Email, Areas: viewPages, Message: "by email"}))
	diff(t, "counts", service.Counts{Owned: 1, Pending: 2}, w.counts())
	if _, err := w.AcceptRequestInto(ctx, w.ann, w.byMail(w.ann), w.client, service.Grant{Request: 1, Areas: editPages}); agency.CodeOf(err) != agency.Invalid {
		t.Errorf("more than was asked by email: %v", err)
	}
	w.TakeCalls()
	p := must[agency.Profile](t)(w.into(w.ann, w.client, 1))
	diff(t, "calls", map[string]int{"BatchGetItem": 1, "TransactWriteItems": 1}, w.TakeCalls())
	if p.Request.Number != 1 || !p.Areas.Equal(viewPages) || p.Request.Message != "by email" || p.Request.By != w.gil.ID() || !p.Request.RequestedAt.Equal(noon.Add(time.Hour)) {
		t.Errorf("%+v", p)
	}
	diff(t, "counts", service.Counts{Owned: 1, Connected: 1}, w.counts())
	diff(t, "accepted", 1, countOf(w.events(w.client), "connection.accepted"))
	w.audit(t)

	// One that the clock ended there, unrecorded, is recorded as well.
	w = newWorld(t)
	must[agency.Profile](t)(w.request())
	w.advance(lifetime)
	must[agency.Profile](t)(w.ask(w.ann))
	p = must[agency.Profile](t)(w.into(w.ann, w.client, 1))
	if p.Request.Number != 2 {
		t.Errorf("%+v", p)
	}
	diff(t, "events", []string{"connection.requested", "connection.expired", "connection.accepted"}, w.events(w.client)[3:])
	diff(t, "counts", service.Counts{Owned: 1, Connected: 1}, w.counts())
	w.audit(t)
}

// A muted request at the account is bound by the one that is accepted, and is
// hidden no more.
func TestAcceptingByEmailUnmutes(t *testing.T) {
	w := newWorld(t).pending()
	ctx := t.Context()
	must[agency.Profile](t)(w.deny(w.bob, true))
	w.advance(30 * day)
	if p := must[agency.Profile](t)(w.request()); !p.Request.Muted {
		t.Errorf("%+v", p)
	}
	must[agency.Profile](t)(w.ask(w.ann))
	if p := must[agency.Profile](t)(w.into(w.ann, w.client, 1)); p.Request.Muted || p.Request.Number != 2 {
		t.Errorf("%+v", p)
	}
	diff(t, "team", 4, len(must[service.List[agency.Profile]](t)(w.Team(ctx, as(w.ann), w.client, service.Page{Limit: 10})).Items))
	diff(t, "accepted", 1, countOf(w.events(w.client), "connection.accepted"))
	must[agency.Profile](t)(w.revoke())
	w.audit(t)
}

func TestTwoAcceptsIntoTwoAccounts(t *testing.T) {
	h := newHub(t)
	for round := range raceRounds {
		w := h.world(fmt.Sprintf("-%d", round))
		shop := w.opened(w.ann, 5, "Shop")
		must[agency.Profile](t)(w.ask(w.ann))
		h.AfterBatch = nil
		if round%2 == 0 {
			h.AfterBatch = meet(2)
		}
		var wg sync.WaitGroup
		codes := make([]agency.Code, 2)
		for i, into := range []agency.AccountID{w.client, shop} {
			wg.Go(func() { codes[i] = agency.CodeOf(second(w.into(w.ann, into, 1))) })
		}
		wg.Wait()
		h.AfterBatch = nil
		slices.Sort(codes)
		diff(t, "codes", []agency.Code{"", agency.NotPending}, codes)
		diff(t, "counts", service.Counts{Owned: 1, Connected: 1}, w.counts())
	}
	h.audit(t)
}

func TestWhoMayTakeARequestUp(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	off := w.world("-off")
	for _, who := range []agency.Actor{w.ann, w.bob, w.mem, w.olga, w.gil, off.ann} {
		must[agency.Profile](t)(w.ask(who))
	}
	must[agency.Profile](t)(off.RequestConnection(ctx, off.gil, off.agency, service.ConnectionRequest{OwnerEmail: w.ann.Email, Areas: viewPages}))
	must[service.AccountView](t)(off.CloseAccount(ctx, as(off.ann), off.client))
	unknown := agency.NewAccountID("per_x", "unknown")
	before := testbed.Items(t, w.db, w.name)
	for _, tt := range []struct {
		name string
		code agency.Code
		err  func() error
	}{
		{"not mine", agency.NotFound, func() error {
			return second(w.AcceptRequestInto(ctx, w.bob, w.byMail(w.ann), w.client, service.Grant{Request: 1}))
		}},
		{"nobody's", agency.NotFound, func() error { return second(w.into(w.eve, w.client, 1)) }},
		{"of no form", agency.NotFound, func() error {
			return second(w.AcceptRequestInto(ctx, w.ann, "con_x", w.client, service.Grant{Request: 1}))
		}},
		{"not mine to deny", agency.NotFound, func() error { return second(w.DenyRequestByID(ctx, w.bob, w.byMail(w.ann), false)) }},
		{"not mine to see", agency.NotFound, func() error { return second(w.GetRequest(ctx, w.bob, w.byMail(w.ann))) }},
		{"not the agency's to see there", agency.NotFound, func() error { return second(w.GetRequest(ctx, w.gil, w.byMail(w.ann))) }},
		{"into an account that is not mine", agency.NotFound, func() error { return second(w.into(w.ann, off.client, 1)) }},
		{"into no account", agency.NotFound, func() error { return second(w.into(w.ann, unknown, 1)) }},
		{"into nonsense", agency.NotFound, func() error { return second(w.into(w.ann, "x", 1)) }},
		{"into a closed account", agency.NotFound, func() error { return second(w.into(off.ann, off.client, 1)) }},
		{"into where I am a member", agency.Forbidden, func() error { return second(w.into(w.mem, w.client, 1)) }},
		{"into an owned account", agency.PermanentlyOwned, func() error { return second(w.into(w.olga, w.owned, 1)) }},
		{"into the agency itself", agency.Invalid, func() error { return second(w.into(w.gil, w.agency, 1)) }},
		{"another number", agency.Conflict, func() error { return second(w.into(w.ann, w.client, 2)) }},
		{"another identity", agency.IdentityChanged, func() error { return second(w.into(impostor(w.ann), w.client, 1)) }},
		{"another account than the one asked", agency.Invalid, func() error {
			return second(w.AcceptRequestInto(ctx, w.ann, w.con, w.owned, service.Grant{Request: 1}))
		}},
		{"unknown areas", agency.Invalid, func() error {
			return second(w.AcceptRequestInto(ctx, w.ann, w.byMail(w.ann), w.client, service.Grant{Request: 1, Areas: agency.Areas{"x": agency.View}}))
		}},
		{"an end date that has passed", agency.Invalid, func() error {
			past := noon
			return second(w.AcceptRequestInto(ctx, w.ann, w.byMail(w.ann), w.client, service.Grant{Request: 1, Until: &past}))
		}},
	} {
		if err := tt.err(); agency.CodeOf(err) != tt.code {
			t.Errorf("%s: %v, want %s", tt.name, err, tt.code)
		}
	}
	testbed.SameItems(t, before, testbed.Items(t, w.db, w.name))

	// An admin may.
	must[agency.Profile](t)(w.into(w.bob, w.client, 1))
	// Where the agency is in already, another account is to be chosen.
	if _, err := w.into(w.ann, w.client, 1); agency.CodeOf(err) != agency.AlreadyConnected {
		t.Errorf("into where the agency is in: %v", err)
	}
	// Whoever asked, and is no agency any more.
	if _, err := off.SwitchAgencyOff(ctx, off.gil, off.agency); agency.CodeOf(err) != agency.HasClients {
		t.Errorf("%v", err)
	}
	w.advance(lifetime)
	if _, err := w.into(w.ann, w.opened(w.ann, 6, "Late"), 1); agency.CodeOf(err) != agency.RequestExpired {
		t.Errorf("late: %v", err)
	}
	if _, err := w.DenyRequestByID(ctx, w.ann, w.byMail(w.ann), false); err != nil {
		t.Errorf("dismissed: %v", err)
	}
	w.audit(t)
}

// Who is in an account no more learns nothing of it by the request that they
// once took up, nor does anybody of a muted one.
func TestAnOldRequestOpensNoDoor(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	w.let(w.ann, w.client, w.eve, agency.Admin)
	must[agency.Profile](t)(w.ask(w.eve))
	must[agency.Profile](t)(w.into(w.eve, w.client, 1))
	if p := must[agency.Profile](t)(w.GetRequest(ctx, w.eve, w.byMail(w.eve))); p.Status != agency.Active {
		t.Errorf("%+v", p)
	}
	// Muted: asked once more after a block.
	must[agency.Profile](t)(w.RemoveMember(ctx, as(w.bob), w.client, agency.Party(w.agency), true))
	w.advance(30 * day)
	if p := must[agency.Profile](t)(w.request()); !p.Request.Muted {
		t.Errorf("%+v", p)
	}
	for name, err := range map[string]error{
		"see":    second(w.GetRequest(ctx, w.eve, w.byMail(w.eve))),
		"accept": second(w.into(w.eve, w.client, 1)),
	} {
		if agency.CodeOf(err) != agency.NotFound {
			t.Errorf("%s what is muted: %v", name, err)
		}
	}
	if p := must[agency.Profile](t)(w.GetConnection(ctx, w.gil, w.agency, w.byMail(w.eve))); p.Status != agency.Pending {
		t.Errorf("the agency sees %+v", p)
	}
	must[bool](t)(w.Unblock(ctx, as(w.ann), w.client, w.agency))
	must[agency.Profile](t)(w.WithdrawRequest(ctx, w.gil, w.agency, w.con))
	must[agency.Profile](t)(w.request())
	must[agency.Profile](t)(w.accept(w.ann, 3))
	must[agency.Profile](t)(w.GetRequest(ctx, w.eve, w.byMail(w.eve)))
	must[agency.Profile](t)(w.RemoveMember(ctx, as(w.ann), w.client, agency.Party(w.eve.ID()), false))
	if _, err := w.GetRequest(ctx, w.eve, w.byMail(w.eve)); agency.CodeOf(err) != agency.NotFound {
		t.Errorf("removed, and sees the connection: %v", err)
	}
	w.audit(t)
}
