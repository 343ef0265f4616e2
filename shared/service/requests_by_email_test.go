package service_test

import (
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

// requestByEmail requests a connection with a person.
func (w *world) requestByEmail(who agency.Actor) (agency.Profile, error) {
	return w.RequestConnection(w.t.Context(), w.gil, w.agency, service.ConnectionRequest{OwnerEmail: who.Email, Areas: editAll, Message: "please"})
}

// emailConnection returns the id of the agency's connection with a person.
func (w *world) emailConnection(who agency.Actor) agency.ConnectionID {
	return agency.NewConnectionID(party(who), w.agency)
}

func (w *world) acceptInto(who agency.Actor, id agency.AccountID, number int) (agency.Profile, error) {
	return w.AcceptRequestInto(w.t.Context(), who, w.emailConnection(who), id, service.Grant{Request: number})
}

func (w *world) mustOpen(who agency.Actor, n int, name string) agency.AccountID {
	w.t.Helper()
	return must[service.AccountView](w.t)(w.OpenAccount(w.t.Context(), who, idempotencyKey(n), name)).ID
}

func (w *world) decline(by agency.Actor, block bool) (agency.Profile, error) {
	return w.declineAt(as(by), w.client, w.agency, block)
}

func (w *world) counts() service.Counts {
	w.t.Helper()
	return must[service.Counts](w.t)(w.store.Counts(w.t.Context(), w.agency))
}

func (f *fixture) profile(key agency.ProfileKey) agency.Profile {
	f.t.Helper()
	return must[service.Snapshot](f.t)(f.store.Load(f.t.Context(), service.Want{Profiles: []agency.ProfileKey{key}})).Profile(key)
}

func (f *fixture) pairBetween(addressee agency.Party, of agency.AccountID) agency.Pair {
	f.t.Helper()
	key := agency.PairKey{Addressee: addressee, Asker: of}
	return must[service.Snapshot](f.t)(f.store.Load(f.t.Context(), service.Want{Pairs: []agency.PairKey{key}})).Pair(key)
}

// recordCalls notes everything that is sent to DynamoDB, item by item, in sorted order.
func (f *fixture) recordCalls() (sent func() []string) {
	var mu sync.Mutex
	var lines []string
	note := func(format string, args ...any) {
		mu.Lock()
		defer mu.Unlock()
		lines = append(lines, fmt.Sprintf(format, args...))
	}
	f.BeforeBatch = func(in *dynamodb.BatchGetItemInput) error {
		for _, keys := range in.RequestItems {
			for _, k := range keys.Keys {
				note("read %t %s", *keys.ConsistentRead, plain(k))
			}
		}
		return nil
	}
	f.BeforeWrite = func(in *dynamodb.TransactWriteItemsInput) error {
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
		return f.checkWrite(in)
	}
	return func() []string {
		f.BeforeBatch, f.BeforeWrite = nil, f.checkWrite
		slices.Sort(lines)
		return lines
	}
}

// plain returns an item as text of the length of what is written.
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
		return fmt.Sprintf("%+v", v)
	}
}

var (
	anyID        = regexp.MustCompile(`(acct_|per_|evt_|EVENT#)[0-9a-z]{26}`)
	emailAddress = regexp.MustCompile(`[a-z0-9-]+@x\.test`)
	digits       = regexp.MustCompile(`[0-9]`)
)

// masked hides the ids, addresses, times and numbers of a text, but not their length.
func masked(text string) string {
	text = anyID.ReplaceAllString(text, "${1}##########################")
	text = emailAddress.ReplaceAllStringFunc(text, func(s string) string { return strings.Repeat("@", len(s)) })
	return digits.ReplaceAllString(text, "0")
}

type addresseeStage struct {
	name  string
	muted bool
	stage func(*world, agency.Actor)
}

// addresseeStages are persons by what they have to do with the agency before it requests access to
// their account by email. A request to some of them is muted.
var addresseeStages = []addresseeStage{
	{"unknown", false, func(*world, agency.Actor) {}},
	{"owner of two accounts", false, func(w *world, a agency.Actor) { w.mustOpen(a, 1, "One"); w.mustOpen(a, 2, "Two") }},
	{"owner of an agency", false, func(w *world, a agency.Actor) {
		must[service.AccountView](w.t)(w.SwitchAgencyOn(w.t.Context(), a, w.mustOpen(a, 1, "One")))
	}},
	{"member of another account", false, func(w *world, a agency.Actor) { w.mustInvite(w.ann, w.mustOpen(w.ann, 9, "Other"), a, agency.Member) }},
	{"invited elsewhere", false, func(w *world, a agency.Actor) {
		must[agency.Profile](w.t)(w.invite(w.ann, w.client, a, agency.Member))
	}},
	{"already connected", false, func(w *world, a agency.Actor) {
		w.connectTo(a)
	}},
	{"cooling", true, func(w *world, a agency.Actor) {
		w.declineBy(a, false)
		w.advance(30*day - time.Second)
	}},
	{"no more cooling", false, func(w *world, a agency.Actor) {
		w.declineBy(a, false)
		w.advance(30 * day)
	}},
	{"blocking", true, func(w *world, a agency.Actor) {
		w.declineBy(a, true)
	}},
	{"blocking, after the cooldown", true, func(w *world, a agency.Actor) {
		w.connectTo(a)
		must[agency.Profile](w.t)(w.RemoveMember(w.t.Context(), as(a), w.client, agency.Party(w.agency), true))
		w.advance(31 * day)
	}},
	{"having had enough mail today", false, func(w *world, a agency.Actor) {
		for n := range 10 {
			mustClaimMail(w, n, a)
		}
	}},
	{"being erased", false, func(w *world, a agency.Actor) {
		w.mustInvite(w.ann, w.client, a, agency.Member)
		noError(w.t, w.EraseMe(w.t.Context(), a))
	}},
}

// connectTo connects the agency to a new account of an owner.
func (w *world) connectTo(owner agency.Actor) {
	w.t.Helper()
	w.client = w.mustOpen(owner, 1, "One")
	must[agency.Profile](w.t)(w.request())
	must[agency.Profile](w.t)(w.accept(owner, 1))
}

// declineBy requests access to a new account, whose owner declines it.
func (w *world) declineBy(owner agency.Actor, block bool) {
	w.t.Helper()
	w.client = w.mustOpen(owner, 1, "One")
	must[agency.Profile](w.t)(w.request())
	must[agency.Profile](w.t)(w.decline(owner, block))
}

// A request by email shows nothing of its addressee: the answer, the reads and the writes are the
// same to the byte, except ids, times and the digit of muted.
func TestByEmailNothingShows(t *testing.T) {
	ctx := t.Context()
	var first []string
	for i, tt := range addresseeStages {
		w := newWorld(t)
		addressee := actor(fmt.Sprintf("person-%02d", i))
		tt.stage(w, addressee)
		before := w.items()
		w.TakeCalls()
		sent := w.recordCalls()
		p := must[agency.Profile](t)(w.requestByEmail(addressee))
		lines := sent()
		diff(t, tt.name+": calls", map[string]int{"BatchGetItem": 1, "TransactWriteItems": 1}, w.TakeCalls())
		diff(t, tt.name+": muted", tt.muted, p.Request.Muted)
		person := "PERSON#" + string(addressee.ID()) + " PERSON"
		if now := w.items()[person]; plain(now) != plain(before[person]) {
			t.Errorf("%s: the addressee's own item was written", tt.name)
		}
		for _, line := range lines {
			if strings.Contains(line, `pk="PERSON#`+string(addressee.ID())+`" sk="PERSON"`) {
				t.Errorf("%s: the addressee is looked at: %s", tt.name, line)
			}
		}
		seen := must[agency.Profile](t)(w.GetConnection(ctx, w.gus, w.agency, w.emailConnection(addressee)))
		p.Request.Muted, seen.Request.Muted = false, false
		list, _, err := w.Clients(ctx, w.gus, w.agency, service.ClientFilter{Status: agency.Pending}, service.Page{Limit: 10})
		if err != nil || len(list.Items) != 1 {
			t.Fatalf("%s: %d pending, %v", tt.name, len(list.Items), err)
		}
		list.Items[0].Request.Muted = false
		for _, v := range []any{p, seen, list, w.counts().Pending} {
			lines = append(lines, "answer "+asText(t, v))
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

// An agency that requests access by email learns the account only when the request is accepted.
func TestByEmailStory(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	page := service.Page{Limit: 10}
	shop := w.mustOpen(w.ann, 5, "Shop")
	asked := must[agency.Profile](t)(w.requestByEmail(w.ann))
	id := w.emailConnection(w.ann)
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
	noError(t, err)
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

	checkMoved(t, w, id, shop)
	w.audit(t)

	// It is not accepted into a second account where the agency is connected.
	must[agency.Profile](t)(w.request())
	must[agency.Profile](t)(w.accept(w.ann, 1))
	refused(t, "into another where the agency is", agency.NotPending, second(w.acceptInto(w.ann, w.client, 1)))
	must[agency.Profile](t)(w.leave())

	// A new request by email replaces the moved one.
	w.advance(31 * day)
	again := must[agency.Profile](t)(w.requestByEmail(w.ann))
	if again.Request.Number != 2 || again.Status != agency.Pending || again.MovedTo != "" {
		t.Errorf("%+v", again)
	}
	if p := must[agency.Profile](t)(w.GetConnection(ctx, w.gil, w.agency, id)); p.Status != agency.Pending {
		t.Errorf("%+v", p)
	}
	must[agency.Profile](t)(w.acceptInto(w.ann, w.client, 2))
	w.audit(t)
}

// checkMoved checks that the email's link, a bookmark and a repeat all lead to the connection into
// which a request by email was accepted.
func checkMoved(t *testing.T, w *world, id agency.ConnectionID, shop agency.AccountID) {
	t.Helper()
	ctx := t.Context()
	there := agency.NewConnectionID(agency.Party(shop), w.agency)
	before := w.items()
	for name, see := range map[string]func() (agency.Profile, error){
		"the agency, by the old id": func() (agency.Profile, error) { return w.GetConnection(ctx, w.gus, w.agency, id) },
		"the agency, by the new id": func() (agency.Profile, error) { return w.GetConnection(ctx, w.gus, w.agency, there) },
		"the owner, by the old id":  func() (agency.Profile, error) { return w.GetRequest(ctx, w.ann, id) },
		"the owner, by the new id":  func() (agency.Profile, error) { return w.GetRequest(ctx, w.ann, there) },
		"accepted again":            func() (agency.Profile, error) { return w.acceptInto(w.ann, shop, 1) },
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
		"into another": func() error { return second(w.acceptInto(w.ann, w.client, 1)) },
		"declined":     func() error { return second(w.declineByID(w.ann, id, true)) },
		"withdrawn":    func() error { return second(w.WithdrawRequest(ctx, w.gil, w.agency, id)) },
		"resent":       func() error { return second(w.ResendRequest(ctx, w.gil, w.agency, id)) },
	} {
		refused(t, name, agency.NotPending, do())
	}
	testbed.SameItems(t, before, w.items())
	for _, s := range append([]agency.Status{""}, agency.Statuses...) {
		for _, p := range w.clients(w.gil, service.ClientFilter{Status: s}) {
			if p.Addressee == party(w.ann) {
				t.Errorf("the list of %q has %+v", s, p)
			}
		}
	}
}

// Accepting a request by email also ends the account's own pending request; the accepted one sets
// the limits.
func TestByEmailAndByIDAtOnce(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	must[agency.Profile](t)(w.RequestConnection(ctx, w.gus, w.agency, service.ConnectionRequest{Account: w.client, Areas: editAll, Message: "by id"}))
	w.advance(time.Hour)
	must[agency.Profile](t)(w.RequestConnection(ctx, w.gil, w.agency, service.ConnectionRequest{OwnerEmail: w.ann.Email, Areas: viewPages, Message: "by email"}))
	diff(t, "counts", service.Counts{Owned: 1, Pending: 2}, w.counts())
	refused(t, "more than was asked by email", agency.Invalid,
		second(w.AcceptRequestInto(ctx, w.ann, w.emailConnection(w.ann), w.client, service.Grant{Request: 1, Areas: editPages})))
	w.TakeCalls()
	p := must[agency.Profile](t)(w.acceptInto(w.ann, w.client, 1))
	diff(t, "calls", map[string]int{"BatchGetItem": 1, "TransactWriteItems": 1}, w.TakeCalls())
	if p.Request.Number != 1 || !p.Areas.Equal(viewPages) || p.Request.Message != "by email" || p.Request.By != w.gil.ID() || !p.Request.RequestedAt.Equal(noon.Add(time.Hour)) {
		t.Errorf("%+v", p)
	}
	diff(t, "counts", service.Counts{Owned: 1, Connected: 1}, w.counts())
	diff(t, "accepted", 1, countOf(w.events(w.client), "connection.accepted"))
	w.audit(t)

	// An overdue request at the account is recorded as expired too.
	w = newWorld(t)
	must[agency.Profile](t)(w.request())
	w.advance(lifetime)
	must[agency.Profile](t)(w.requestByEmail(w.ann))
	p = must[agency.Profile](t)(w.acceptInto(w.ann, w.client, 1))
	if p.Request.Number != 2 {
		t.Errorf("%+v", p)
	}
	diff(t, "events", []string{"connection.requested", "connection.expired", "connection.accepted"}, w.events(w.client)[5:])
	diff(t, "counts", service.Counts{Owned: 1, Connected: 1}, w.counts())
	w.audit(t)
}

// Accepting a request by email unmutes the account's own request.
func TestAcceptingByEmailUnmutes(t *testing.T) {
	w := newWorld(t).pending()
	ctx := t.Context()
	must[agency.Profile](t)(w.decline(w.bob, true))
	w.advance(30 * day)
	if p := must[agency.Profile](t)(w.request()); !p.Request.Muted {
		t.Errorf("%+v", p)
	}
	must[agency.Profile](t)(w.requestByEmail(w.ann))
	if p := must[agency.Profile](t)(w.acceptInto(w.ann, w.client, 1)); p.Request.Muted || p.Request.Number != 2 {
		t.Errorf("%+v", p)
	}
	diff(t, "team", 4, len(must[service.List[agency.Profile]](t)(w.Team(ctx, as(w.ann), w.client, service.Page{Limit: 10})).Items))
	diff(t, "accepted", 1, countOf(w.events(w.client), "connection.accepted"))
	must[agency.Profile](t)(w.revoke())
	w.audit(t)
}

func TestTwoAcceptsIntoTwoAccounts(t *testing.T) {
	race(t, func(w *world) *world {
		w.mustOpen(w.ann, 5, "Shop")
		return w.pendingByEmail()
	}, []func(*world) error{
		func(w *world) error { return second(w.acceptInto(w.ann, w.client, 1)) },
		func(w *world) error {
			return second(w.acceptInto(w.ann, agency.NewAccountID(party(w.ann), idempotencyKey(5)), 1))
		},
	}, func(t *testing.T, w *world, codes []agency.Code, _ []string) {
		t.Helper()
		slices.Sort(codes)
		diff(t, "codes", []agency.Code{"", agency.NotPending}, codes)
		diff(t, "counts", service.Counts{Owned: 1, Connected: 1}, w.counts())
	})
}

func TestWhoMayTakeARequestUp(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	off := w.world("-off")
	for _, who := range []agency.Actor{w.ann, w.bob, w.mem, w.olga, w.gil, off.ann} {
		must[agency.Profile](t)(w.requestByEmail(who))
	}
	must[agency.Profile](t)(off.RequestConnection(ctx, off.gil, off.agency, service.ConnectionRequest{OwnerEmail: w.ann.Email, Areas: viewPages}))
	must[service.AccountView](t)(off.CloseAccount(ctx, as(off.ann), off.client))
	unknown := agency.NewAccountID("per_x", "unknown")
	before := w.items()
	for _, tt := range []struct {
		name string
		code agency.Code
		err  func() error
	}{
		{"not mine", agency.NotFound, func() error {
			return second(w.AcceptRequestInto(ctx, w.bob, w.emailConnection(w.ann), w.client, service.Grant{Request: 1}))
		}},
		{"nobody's", agency.NotFound, func() error { return second(w.acceptInto(w.eve, w.client, 1)) }},
		{"of no form", agency.NotFound, func() error {
			return second(w.AcceptRequestInto(ctx, w.ann, "con_x", w.client, service.Grant{Request: 1}))
		}},
		{"not mine to decline", agency.NotFound, func() error { return second(w.declineByID(w.bob, w.emailConnection(w.ann), false)) }},
		{"not mine to see", agency.NotFound, func() error { return second(w.GetRequest(ctx, w.bob, w.emailConnection(w.ann))) }},
		{"not the agency's to see there", agency.NotFound, func() error { return second(w.GetRequest(ctx, w.gil, w.emailConnection(w.ann))) }},
		{"into an account that is not mine", agency.NotFound, func() error { return second(w.acceptInto(w.ann, off.client, 1)) }},
		{"into no account", agency.NotFound, func() error { return second(w.acceptInto(w.ann, unknown, 1)) }},
		{"into nonsense", agency.NotFound, func() error { return second(w.acceptInto(w.ann, "x", 1)) }},
		{"into a closed account", agency.NotFound, func() error { return second(w.acceptInto(off.ann, off.client, 1)) }},
		{"into where I am a member", agency.Forbidden, func() error { return second(w.acceptInto(w.mem, w.client, 1)) }},
		{"into an owned account", agency.PermanentlyOwned, func() error { return second(w.acceptInto(w.olga, w.owned, 1)) }},
		{"into the agency itself", agency.Invalid, func() error { return second(w.acceptInto(w.gil, w.agency, 1)) }},
		{"another number", agency.Conflict, func() error { return second(w.acceptInto(w.ann, w.client, 2)) }},
		{"another identity", agency.IdentityChanged, func() error { return second(w.acceptInto(impostor(w.ann), w.client, 1)) }},
		{"another account than the one asked", agency.Invalid, func() error {
			return second(w.AcceptRequestInto(ctx, w.ann, w.con, w.owned, service.Grant{Request: 1}))
		}},
		{"unknown areas", agency.Invalid, func() error {
			return second(w.AcceptRequestInto(ctx, w.ann, w.emailConnection(w.ann), w.client, service.Grant{Request: 1, Areas: agency.Areas{"x": agency.View}}))
		}},
		{"an end date that has passed", agency.Invalid, func() error {
			past := noon
			return second(w.AcceptRequestInto(ctx, w.ann, w.emailConnection(w.ann), w.client, service.Grant{Request: 1, Until: &past}))
		}},
	} {
		refused(t, tt.name, tt.code, tt.err())
	}
	testbed.SameItems(t, before, w.items())

	// An admin may accept.
	must[agency.Profile](t)(w.acceptInto(w.bob, w.client, 1))
	// Where the agency is connected already, another account must be chosen.
	refused(t, "into where the agency is in", agency.AlreadyConnected, second(w.acceptInto(w.ann, w.client, 1)))
	// An agency with a pending request can't be switched off.
	refused(t, "switched off with a request that waits", agency.HasClients, second(off.SwitchAgencyOff(ctx, off.gil, off.agency)))
	w.advance(lifetime)
	refused(t, "late", agency.RequestExpired, second(w.acceptInto(w.ann, w.mustOpen(w.ann, 6, "Late"), 1)))
	if _, err := w.declineByID(w.ann, w.emailConnection(w.ann), false); err != nil {
		t.Errorf("dismissed: %v", err)
	}
	w.audit(t)
}

// A person who has left an account learns nothing of it by an old request, and nobody learns of a
// muted one.
func TestAnOldRequestOpensNoDoor(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	w.mustInvite(w.ann, w.client, w.eve, agency.Admin)
	must[agency.Profile](t)(w.requestByEmail(w.eve))
	must[agency.Profile](t)(w.acceptInto(w.eve, w.client, 1))
	if p := must[agency.Profile](t)(w.GetRequest(ctx, w.eve, w.emailConnection(w.eve))); p.Status != agency.Active {
		t.Errorf("%+v", p)
	}
	// Muted, since it follows a block.
	must[agency.Profile](t)(w.RemoveMember(ctx, as(w.bob), w.client, agency.Party(w.agency), true))
	w.advance(30 * day)
	if p := must[agency.Profile](t)(w.request()); !p.Request.Muted {
		t.Errorf("%+v", p)
	}
	refused(t, "see what is muted", agency.NotFound, second(w.GetRequest(ctx, w.eve, w.emailConnection(w.eve))))
	refused(t, "accept what is muted", agency.NotFound, second(w.acceptInto(w.eve, w.client, 1)))
	if p := must[agency.Profile](t)(w.GetConnection(ctx, w.gil, w.agency, w.emailConnection(w.eve))); p.Status != agency.Pending {
		t.Errorf("the agency sees %+v", p)
	}
	must[bool](t)(w.Unblock(ctx, as(w.ann), w.client, w.agency))
	must[agency.Profile](t)(w.withdraw())
	must[agency.Profile](t)(w.request())
	must[agency.Profile](t)(w.accept(w.ann, 3))
	must[agency.Profile](t)(w.GetRequest(ctx, w.eve, w.emailConnection(w.eve)))
	must[agency.Profile](t)(w.RemoveMember(ctx, as(w.ann), w.client, party(w.eve), false))
	refused(t, "removed, and sees the connection", agency.NotFound, second(w.GetRequest(ctx, w.eve, w.emailConnection(w.eve))))
	w.audit(t)
}
