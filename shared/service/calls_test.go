package service_test

import (
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"agencyhub/shared/agency"
	"agencyhub/shared/service"
	"agencyhub/shared/testbed"
)

// ask requests a connection under an Idempotency-Key.
func (w *world) ask(key int, in service.ConnectionRequest) (agency.Profile, error) {
	in.Key = idempotencyKey(key)
	return w.RequestConnection(w.t.Context(), w.gil, w.agency, in)
}

// A request under a key can be repeated, whatever has become of it.
func TestARequestIsRepeatedUnderItsKey(t *testing.T) {
	w := newWorld(t)
	in := service.ConnectionRequest{Account: w.client, Areas: editAll, Message: "please"}
	w.TakeCalls()
	first := must[agency.Profile](t)(w.ask(1, in))
	diff(t, "calls", oneWrite, calls(w.TakeCalls()))
	for _, tt := range []struct {
		name   string
		do     func()
		status agency.Status
	}{
		{"pending", func() {}, agency.Pending},
		{"accepted", func() { must[agency.Profile](t)(w.accept(w.ann, 1)) }, agency.Active},
		{"revoked", func() { must[agency.Profile](t)(w.revoke()) }, agency.Revoked},
		{"closed", func() { noError(t, w.close(as(w.ann), w.client)) }, agency.Revoked},
	} {
		tt.do()
		before := w.items()
		w.TakeCalls()
		again := must[agency.Profile](t)(w.ask(1, in))
		diff(t, tt.name+": calls", twoReads, calls(w.TakeCalls()))
		testbed.SameItems(t, before, w.items())
		diff(t, tt.name, tt.status, again.Status)
		diff(t, tt.name, first.ID(), again.ID())
		diff(t, tt.name, 1, again.Request.Number)
	}
	w.audit(t)
}

func TestAKeyIsForOneCall(t *testing.T) {
	w := newWorld(t)
	v := w.world("-other")
	in := service.ConnectionRequest{Account: w.client, Areas: editAll, Message: "please"}
	must[agency.Profile](t)(w.ask(1, in))
	for name, change := range map[string]func(*service.ConnectionRequest){
		"another account": func(in *service.ConnectionRequest) { in.Account = v.client },
		"by email":        func(in *service.ConnectionRequest) { in.Account, in.OwnerEmail = "", w.ann.Email },
		"other areas":     func(in *service.ConnectionRequest) { in.Areas = viewPages },
		"another message": func(in *service.ConnectionRequest) { in.Message = "please!" },
	} {
		other := in
		change(&other)
		refused(t, name, agency.IdempotencyMismatch, second(w.ask(1, other)))
	}
	// What is decoded alike is the same call.
	alike := in
	alike.Message, alike.Areas = " please\n", maps.Clone(editAll)
	must[agency.Profile](t)(w.ask(1, alike))
	refused(t, "another key", agency.AlreadyRequested, second(w.ask(2, in)))
	refused(t, "no key", agency.AlreadyRequested, second(w.request()))
	// The key is the agency's own, for each of its owners and admins. Others don't learn of it.
	in.Key = idempotencyKey(1)
	must[agency.Profile](t)(w.RequestConnection(t.Context(), w.gus, w.agency, in))
	refused(t, "its staff", agency.Forbidden, second(w.RequestConnection(t.Context(), w.gem, w.agency, in)))
	refused(t, "a stranger", agency.NotFound, second(w.RequestConnection(t.Context(), w.eve, w.agency, in)))
	must[agency.Profile](t)(v.RequestConnection(t.Context(), v.gil, v.agency, in))
	// A refused call leaves the key free.
	declined := service.ConnectionRequest{Account: w.owned, Areas: editAll}
	refused(t, "refused", agency.PermanentlyOwned, second(w.ask(3, declined)))
	must[agency.Profile](t)(w.ask(3, service.ConnectionRequest{Account: v.client, Areas: editAll}))
	for k := range w.items() {
		if strings.Contains(k, idempotencyKey(1)) {
			t.Errorf("the key itself is kept: %s", k)
		}
	}
	w.audit(t)
}

// After two days a key is free again, by the clock: DynamoDB deletes the call later.
func TestAKeyIsKeptForTwoDays(t *testing.T) {
	w := newWorld(t)
	in := service.ConnectionRequest{Account: w.client, Areas: editAll}
	must[agency.Profile](t)(w.ask(1, in))
	must[agency.Profile](t)(w.withdraw())
	w.advance(48*time.Hour - time.Millisecond)
	diff(t, "just before", agency.Withdrawn, must[agency.Profile](t)(w.ask(1, in)).Status)
	for k, i := range w.items() {
		if strings.HasPrefix(k, "CALL#") && testbed.Num(i["ttl"]) != "1795608000" {
			t.Errorf("ttl %s, want %d", testbed.Num(i["ttl"]), noon.Add(48*time.Hour).Unix())
		}
	}
	w.advance(time.Millisecond)
	p := must[agency.Profile](t)(w.ask(1, in))
	if p.Status != agency.Pending || p.Request.Number != 2 {
		t.Errorf("after two days: %s, request %d", p.Status, p.Request.Number)
	}
	diff(t, "again", 2, must[agency.Profile](t)(w.ask(1, in)).Request.Number)
	w.audit(t)
}

// A request by email that an account has taken over is repeated as the connection there.
func TestARequestByEmailIsRepeated(t *testing.T) {
	w := newWorld(t)
	in := service.ConnectionRequest{OwnerEmail: w.ann.Email, Areas: editAll}
	first := must[agency.Profile](t)(w.ask(1, in))
	in.OwnerEmail = " ANN@x.test "
	diff(t, "pending", first.ID(), must[agency.Profile](t)(w.ask(1, in)).ID())
	must[agency.Profile](t)(w.acceptInto(w.ann, w.client, 1))
	again := must[agency.Profile](t)(w.ask(1, in))
	diff(t, "accepted", agency.Active, again.Status)
	diff(t, "where", w.con, again.ID())
	w.audit(t)
}

var anyHash = regexp.MustCompile(`[0-9a-f]{64}`)

// With a key, too, a request by email and its repeat show nothing of their addressee.
func TestByEmailUnderAKeyNothingShows(t *testing.T) {
	var first []string
	for i, tt := range addresseeStages {
		w := newWorld(t)
		addressee := actor("person-" + string(rune('a'+i)))
		tt.stage(w, addressee)
		in := service.ConnectionRequest{OwnerEmail: addressee.Email, Areas: editAll, Message: "please"}
		sent := w.recordCalls()
		p := must[agency.Profile](t)(w.ask(77, in))
		again := must[agency.Profile](t)(w.ask(77, in))
		lines := sent()
		diff(t, tt.name+": muted", tt.muted, p.Request.Muted)
		for _, p := range []agency.Profile{p, again} {
			p.Request.Muted = false
			lines = append(lines, asText(t, p))
		}
		for i := range lines {
			lines[i] = masked(anyHash.ReplaceAllString(lines[i], "HASH"))
		}
		slices.Sort(lines)
		if first == nil {
			first = lines
		}
		diff(t, tt.name, first, lines)
		w.audit(t)
	}
}

// A key answers the request that was made under it, and no later one.
func TestAKeyIsOfItsOwnRequest(t *testing.T) {
	w := newWorld(t)
	ask := func(key string, level agency.Level) (agency.Profile, error) {
		return w.RequestConnection(t.Context(), w.gil, w.agency, service.ConnectionRequest{Account: w.client, Areas: agency.Areas{"pages": level}, Key: key})
	}
	first := must[agency.Profile](t)(ask("key-one-0123456789", agency.View))
	must[agency.Profile](t)(w.WithdrawRequest(t.Context(), w.gil, w.agency, first.ID()))
	if again := must[agency.Profile](t)(ask("key-one-0123456789", agency.View)); again.Status != agency.Withdrawn || again.Request.Number != 1 {
		t.Errorf("%+v", again)
	}
	must[agency.Profile](t)(ask("key-two-0123456789", agency.Edit))
	_, err := ask("key-one-0123456789", agency.View)
	refused(t, "a key whose request was followed by another", agency.IdempotencyMismatch, err)
	if again := must[agency.Profile](t)(ask("key-two-0123456789", agency.Edit)); again.Request.Number != 2 {
		t.Errorf("%+v", again)
	}
}
