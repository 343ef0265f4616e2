package alarms

import (
	"bytes"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"agencyhub/infra/prove"
	"agencyhub/shared/agency"
)

// A row says how an alarm is brought about on one machine, or why it can't be.
type row struct{ brought, reason string }

// rows are by alarm. The walk below checks those that are brought about.
var rows = map[string]row{
	"EventsUnfinished": {brought: "SES has paused sending and the bus fails, for 40 minutes"},
	"EmailSlow":        {brought: "the emails of these 40 minutes, after the redrive"},
	"BusFailing":       {brought: "the bus fails each entry"},
	"BusRefused":       {brought: "the bus refuses an entry as malformed"},
	"Complaint":        {brought: "an invitation to complaint@…"},
	"CleanupFailing":   {brought: "a due profile with a status that only a later version knows"},
	"CleanupBehind":    {brought: "the same, eleven minutes later"},
	"CleanupStopped":   {brought: "a stack without its schedule"},
	"NotifyFailing":    {brought: "notify is killed whenever it reads an event"},
	"PublishFailing":   {brought: "publish is killed whenever it reads an event"},
	"NotifyFailed":     {brought: "the same, to the last try"},
	"PublishFailed":    {brought: "the same, to the last try"},
	"DeliveryFailing":  {brought: "delivery is killed whenever it writes a fate"},
	"DeliveryFailed":   {brought: "the same, to the last try; and news that can't be read"},
	"ApiFailing":       {brought: "the table fails every read"},
	"ApiErrors":        {brought: "the same"},
	"Throttled":        {reason: "Lambda counts throttles; one machine has no limit but ten instances of a function"},
	"NotifyLate":       {reason: "Lambda measures the age of the stream's records; the local stream has no such number"},
	"PublishLate":      {reason: "as NotifyLate"},
	"BounceRate":       {reason: "SES measures it, over all that the AWS account sends"},
	"ComplaintRate":    {reason: "as BounceRate"},
}

// walk is one walk through the alarms.
type walk struct {
	*stack
	template templateFile
	raised   map[string]bool
	// olga owns the account that things happen in.
	olga    *person
	account string
}

// TestRunbook brings about the cause of each alarm, and does what infra/README.md says.
func TestRunbook(t *testing.T) {
	prove.Size(t, 1, 1)
	template := readTemplate(t)
	begin := time.Now()
	w := &walk{stack: newStack(t), template: template, raised: map[string]bool{}}
	prove.Figure(t, "the stack is up after %.0f s", time.Since(begin).Seconds())
	step(t, t.Run("cleanup does not run", w.cleanupStops))
	step(t, t.Run("SES pauses and the bus fails", w.sinksFail))
	step(t, t.Run("the bus refuses an entry", w.busRefuses))
	step(t, t.Run("somebody reports an email, and somebody misses one", w.complaint))
	step(t, t.Run("functions crash at records", w.poisonedRecords))
	step(t, t.Run("delivery fails", w.deliveryFails))
	step(t, t.Run("cleanup fails at an item", w.cleanupFails))
	step(t, t.Run("requests wait and expire", w.requestsExpire))
	step(t, t.Run("the API fails", w.apiFails))
	step(t, t.Run("an erasing stops at a last owner, and an address changes", w.erasingStops))
	n := 0
	for name := range template.alarms {
		r := rows[name]
		if r.brought == "" {
			continue
		}
		if n++; !w.raised[name] {
			t.Errorf("%s was not brought about: %s", name, r.brought)
		}
	}
	written := w.values(0)
	shown := append(slices.Clone(template.dashboard), metricsOf(template.alarms)...)
	for _, m := range shown {
		// Of the fates, the test of the dashboard knows all.
		if _, ok := written[m]; !ok && m.namespace == own && (m.name != "Mails" || m.dimensions == "Fate=sent,Stack") {
			t.Errorf("an alarm or the dashboard reads %v, which nothing writes", m)
		}
	}
	for m := range written {
		if !slices.Contains(shown, m) {
			t.Errorf("%v is written, and no alarm and no widget reads it", m)
		}
	}
	prove.Figure(t, "%d of %d alarms brought about, %d of our metrics written, in %.0f s", n, len(template.alarms), len(written), time.Since(begin).Seconds())
}

// step ends the walk at a step that fails: what follows rests on it.
func step(t *testing.T, ok bool) {
	t.Helper()
	if !ok {
		t.FailNow()
	}
}

func metricsOf(alarms map[string]alarm) (all []metric) {
	for _, a := range alarms {
		if a.of != nil {
			all = append(all, *a.of)
		}
	}
	return all
}

// expectUp waits until values since a mark raise an alarm.
func (w *walk) expectUp(t *testing.T, name string, since int) {
	t.Helper()
	a, ok := w.template.alarms[name]
	if !ok || a.of == nil {
		t.Fatalf("there is no alarm %s of our own metrics", name)
	}
	w.eventually(t, "the alarm "+name, func() bool { up, _ := w.isUp(a, since); return up })
	w.raised[name] = true
}

// expectDown fails if values since a mark raise an alarm.
func (w *walk) expectDown(t *testing.T, name string, since int) {
	t.Helper()
	if up, n := w.isUp(w.template.alarms[name], since); up {
		t.Errorf("%s is still up, at %g", name, n)
	}
}

// sees notes an alarm of AWS's own metrics whose cause was seen.
func (w *walk) sees(t *testing.T, what string, is bool, names ...string) {
	t.Helper()
	if !is {
		t.Errorf("not seen: %s", what)
		return
	}
	for _, name := range names {
		w.raised[name] = true
	}
}

// drained reports whether every event is finished. Each look is a run, which wakes what is
// due.
func (w *walk) drained(t *testing.T) bool {
	t.Helper()
	w.local(t, nil, "redrive")
	r := w.cleanup(t)
	w.advance(2 * time.Minute) // the leases of claims end
	return r.number("unfinished") == 0
}

// cleanupStops: the schedule is off. By the stack's data a run is overdue, which a stack with a
// schedule makes as it starts.
func (w *walk) cleanupStops(t *testing.T) {
	w.olga = w.person(t, "olga@walk.test")
	w.account, _ = w.olga.does(t, http.MethodPost, "/v1/accounts", map[string]any{"name": "Walk"})["id"].(string)
	w.sees(t, "no run of cleanup", !strings.Contains(w.log.String(), `"message":"Cleaned up."`), "CleanupStopped")
	w.cleanup(t)
	w.eventually(t, "cleanup's report in its log", func() bool { return w.logs(0, "cleanup", "Cleaned up.") })
}

// refuse returns a fault that refuses as SES does.
func refuse(code string) fault {
	return func(rw http.ResponseWriter, _ *http.Request, _ []byte) bool {
		rw.Header().Set("X-Amzn-ErrorType", code)
		rw.WriteHeader(http.StatusBadRequest)
		_, _ = io.WriteString(rw, `{"message":"on purpose"}`)
		return true
	}
}

// failEntries returns a fault that fails the entries of a type as the bus does.
func failEntries(code, kind string) fault {
	return func(rw http.ResponseWriter, _ *http.Request, body []byte) bool {
		if !bytes.Contains(body, []byte(kind)) {
			return false
		}
		_, _ = fmt.Fprintf(rw, `{"FailedEntryCount":1,"Entries":[{"ErrorCode":%q,"ErrorMessage":"on purpose"}]}`, code)
		return true
	}
}

// sinksFail: SES pauses sending, and the bus fails. Events wait, and a redrive brings all.
func (w *walk) sinksFail(t *testing.T) {
	w.eventually(t, "the first events are done", func() bool { return w.cleanup(t).number("unfinished") == 0 })
	w.ses.set(refuse("SendingPausedException"))
	w.bus.set(failEntries("InternalFailure", "person.invited"))
	start := w.mark()
	w.olga.invites(t, w.account, "ann@walk.test")
	w.expectUp(t, "BusFailing", start)
	w.eventually(t, "SES's code in notify's log", func() bool { return w.logs(start, "notify", "SendingPausedException") })
	w.sees(t, "the bus's code in publish's log", w.logs(start, "publish", "InternalFailure"))
	w.advance(40 * time.Minute)
	if r := w.cleanup(t); r.number("unfinished") != 1 || r["oldestUnfinished"] == nil {
		t.Errorf("%v, want one unfinished event", r)
	}
	w.expectUp(t, "EventsUnfinished", start)
	if n := w.emails(t, "ann@walk.test"); n != 0 {
		t.Errorf("%d emails while SES has paused", n)
	}

	w.ses.set(nil)
	w.bus.set(nil)
	w.advance(3 * time.Minute) // claims of the last attempts end
	mended := w.mark()
	if out := w.local(t, nil, "redrive"); !strings.Contains(string(out), `"redriveFailed":0`) {
		t.Errorf("%s", out)
	}
	w.eventually(t, "the email", func() bool { w.cleanup(t); return w.emails(t, "ann@walk.test") == 1 })
	w.eventually(t, "the entry on the bus", func() bool { return strings.Contains(w.onBus(t, "person.invited"), w.account) })
	w.expectUp(t, "EmailSlow", mended) // as the table of alarms says
	w.eventually(t, "nothing unfinished", func() bool { return w.cleanup(t).number("unfinished") == 0 })

	calm := w.mark()
	w.cleanup(t)
	w.olga.invites(t, w.account, "bea@walk.test")
	w.eventually(t, "an email at its time", func() bool { return w.emails(t, "bea@walk.test") == 1 })
	w.eventually(t, "its time in the log", func() bool {
		return len(w.values(calm)[newMetric(own, "TimeToEmail", map[string]string{"Stack": "x"})]) > 0
	})
	for _, name := range []string{"EventsUnfinished", "EmailSlow", "BusFailing"} {
		w.expectDown(t, name, calm)
	}
}

// busRefuses: an entry is refused permanently. The event's item says what the platform misses.
func (w *walk) busRefuses(t *testing.T) {
	w.bus.set(failEntries("MalformedDetail", "account.renamed"))
	start := w.mark()
	w.olga.does(t, http.MethodPatch, "/v1/accounts/"+w.account, map[string]any{"name": "Walk on"})
	w.expectUp(t, "BusRefused", start)
	w.eventually(t, "the event and the code in publish's log", func() bool { return w.logs(start, "publish", "MalformedDetail", w.account, `"event":"evt_`) })
	_, after, _ := strings.Cut(w.log.String()[start:], "The bus refuses an event permanently.")
	_, after, _ = strings.Cut(after, `"event":"evt_`)
	id, _, _ := strings.Cut(after, `"`)
	out, err := w.db().GetItem(t.Context(), &dynamodb.GetItemInput{TableName: &w.Table, Key: map[string]types.AttributeValue{"pk": text("ACCT#" + w.account), "sk": text("EVENT#" + id)}})
	must(t, err)
	kind, _ := out.Item["type"].(*types.AttributeValueMemberS)
	if kind == nil || kind.Value != "account.renamed" {
		t.Errorf("the item of the event is %v", out.Item)
	}
	w.bus.set(nil)
	calm := w.mark()
	w.cleanup(t)
	w.expectDown(t, "BusRefused", calm)
	w.expectDown(t, "BusFailing", calm)
}

// complaint: somebody reports an email. They are not mailed until they sign in, but find
// on their page what waits for them.
func (w *walk) complaint(t *testing.T) {
	const address = "complaint@walk.test"
	start := w.mark()
	w.olga.invites(t, w.account, address)
	w.expectUp(t, "Complaint", start)
	w.eventually(t, "the event in delivery's log", func() bool { return w.logs(start, "delivery", `"fate":"complained"`, `"event":"evt_`) })

	w.olga.invites(t, w.account, "bounce@walk.test")
	w.eventually(t, "what bounced, in delivery's log", func() bool { return w.logs(start, "delivery", `"fate":"bounced"`) })

	other := w.person(t, "otto@walk.test")
	shop, _ := other.does(t, http.MethodPost, "/v1/accounts", map[string]any{"name": "Shop"})["id"].(string)
	other.invites(t, shop, address)
	w.eventually(t, "the fate of an email that is not sent", func() bool { return slices.Contains(w.fates(t, address), "suppressed") })
	if n := w.emails(t, address); n != 1 {
		t.Errorf("%d emails to somebody who has complained", n)
	}
	them := w.person(t, address)
	waiting, err := json.Marshal(them.does(t, http.MethodGet, "/v1/me/waiting", nil))
	must(t, err)
	if !strings.Contains(string(waiting), shop) {
		t.Errorf("it is not on their page: %s", waiting)
	}
	them.does(t, http.MethodGet, "/v1/me", nil)
	third := w.person(t, "tess@walk.test")
	garden, _ := third.does(t, http.MethodPost, "/v1/accounts", map[string]any{"name": "Garden"})["id"].(string)
	third.invites(t, garden, address)
	w.eventually(t, "an email after they have signed in", func() bool { return w.emails(t, address) == 2 })
}

// fates returns the fates of a person's emails in the table.
func (w *walk) fates(t *testing.T, address string) (all []string) {
	t.Helper()
	out, err := w.db().Scan(t.Context(), &dynamodb.ScanInput{TableName: &w.Table, FilterExpression: aws.String("begins_with(pk, :mail) AND contains(sk, :who)"),
		ExpressionAttributeValues: map[string]types.AttributeValue{":mail": text("MAIL#"), ":who": text(string(agency.NewPersonID(address)))}})
	must(t, err)
	for _, item := range out.Items {
		if fate, ok := item["fate"].(*types.AttributeValueMemberS); ok {
			all = append(all, fate.Value)
		}
	}
	return all
}

func text(s string) types.AttributeValue { return &types.AttributeValueMemberS{Value: s} }

// poisonedRecords: both consumers crash at each event, to the last try. The records go to
// the queues; the events keep their marks, and cleanup wakes them.
func (w *walk) poisonedRecords(t *testing.T) {
	w.eventually(t, "nothing unfinished", func() bool { return w.drained(t) })
	start := w.mark()
	w.dynamo.set(func(rw http.ResponseWriter, r *http.Request, body []byte) bool {
		if !strings.HasSuffix(r.Header.Get("X-Amz-Target"), ".GetItem") || !bytes.Contains(body, []byte("EVENT#")) {
			return false
		}
		w.kill("notify", "publish")
		rw.WriteHeader(http.StatusInternalServerError)
		return true
	})
	w.olga.invites(t, w.account, "cas@walk.test")
	for _, name := range []string{"NotifyFailures", "PublishFailures"} {
		w.eventually(t, "a message in "+name, func() bool { return len(w.queue(t, name)) > 0 })
	}
	w.dynamo.set(nil)
	w.sees(t, "crashes of notify", w.logs(start, "local", "an instance of notify ended"), "NotifyFailing", "NotifyFailed")
	w.sees(t, "crashes of publish", w.logs(start, "local", "an instance of publish ended"), "PublishFailing", "PublishFailed")
	if n := w.emails(t, "cas@walk.test"); n != 0 {
		t.Errorf("%d emails", n)
	}

	w.purge(t, "NotifyFailures")
	w.purge(t, "PublishFailures")
	w.advance(2 * time.Minute)
	w.eventually(t, "the email, woken", func() bool { w.cleanup(t); return w.emails(t, "cas@walk.test") == 1 })
	w.eventually(t, "nothing unfinished", func() bool { return w.drained(t) })
	if len(w.queue(t, "NotifyFailures"))+len(w.queue(t, "PublishFailures")) > 0 {
		t.Error("the queues have messages again")
	}
}

// deliveryFails: an event of SES is not recorded. It is in the queue, from which it is given to
// delivery again.
func (w *walk) deliveryFails(t *testing.T) {
	start := w.mark()
	w.dynamo.set(func(rw http.ResponseWriter, r *http.Request, body []byte) bool {
		if !strings.HasSuffix(r.Header.Get("X-Amz-Target"), ".UpdateItem") || !bytes.Contains(body, []byte(`"delivered"`)) || !bytes.Contains(body, []byte("MAIL#")) {
			return false
		}
		w.kill("delivery")
		rw.WriteHeader(http.StatusInternalServerError)
		return true
	})
	w.olga.invites(t, w.account, "dan@walk.test")
	w.eventually(t, "a message in DeliveryFailures", func() bool { return len(w.queue(t, "DeliveryFailures")) > 0 })
	w.dynamo.set(nil)
	w.sees(t, "crashes of delivery", w.logs(start, "local", "an instance of delivery ended"), "DeliveryFailing", "DeliveryFailed")
	if fates := w.fates(t, "dan@walk.test"); !slices.Equal(fates, []string{"sent"}) {
		t.Errorf("the fates are %q", fates)
	}

	// As the runbook: .requestPayload // .
	var message struct {
		RequestPayload json.RawMessage `json:"requestPayload"`
	}
	must(t, json.Unmarshal(w.queue(t, "DeliveryFailures")[0], &message))
	w.purge(t, "DeliveryFailures")
	for range 2 { // twice does no harm
		w.local(t, message.RequestPayload, "invoke", "delivery")
	}
	if fates := w.fates(t, "dan@walk.test"); !slices.Equal(fates, []string{"delivered"}) {
		t.Errorf("the fates are %q", fates)
	}
	// News that can't be read comes back, with its reason in the log.
	unreadable := bytes.ReplaceAll(message.RequestPayload, []byte(`"eventType":"Delivery"`), []byte(`"eventType":"Telepathy"`))
	again := w.mark()
	if out, err := w.tryInvoke(t, "delivery", unreadable); err == nil {
		t.Errorf("news of an unknown type is taken: %s", out)
	}
	w.eventually(t, "the reason in delivery's log", func() bool { return w.logs(again, "delivery", "An event of SES can't be read.", "unknown type") })
}

// cleanupFails: a due item is of a later version. It fails each run and falls behind, and
// nothing else does.
func (w *walk) cleanupFails(t *testing.T) {
	start := w.mark()
	k := map[string]types.AttributeValue{"pk": text("ACCT#" + w.account), "sk": text("TEAM#" + string(agency.NewPersonID("later@walk.test")))}
	item := map[string]types.AttributeValue{"status": text("delegated"), "duePk": text("DUE#0"), "dueSk": text(stamp(w.now()))}
	for name, value := range k {
		item[name] = value
	}
	_, err := w.db().PutItem(t.Context(), &dynamodb.PutItemInput{TableName: &w.Table, Item: item})
	must(t, err)
	w.advance(11 * time.Minute)
	if r := w.cleanup(t); r.number("failed") != 1 || r.number("backlog") != 1 {
		t.Errorf("%v, want one failure, and one in the backlog", r)
	}
	w.expectUp(t, "CleanupFailing", start)
	w.eventually(t, "the reason in cleanup's log", func() bool { return w.logs(start, "cleanup", "delegated") })
	behind := w.mark()
	w.cleanup(t)
	w.expectUp(t, "CleanupBehind", behind)

	_, err = w.db().DeleteItem(t.Context(), &dynamodb.DeleteItemInput{TableName: &w.Table, Key: k}) // as the later version would
	must(t, err)
	calm := w.mark()
	if r := w.cleanup(t); r.number("failed") != 0 || r.number("backlog") != 0 {
		t.Errorf("%v", r)
	}
	w.expectDown(t, "CleanupFailing", calm)
	w.expectDown(t, "CleanupBehind", calm)
}

// requestsExpire: requests are counted in each quarter of an hour, and expire.
func (w *walk) requestsExpire(t *testing.T) {
	w.olga.does(t, http.MethodPost, "/v1/accounts/"+w.account+"/agency", nil)
	other := w.person(t, "vera@walk.test")
	shop, _ := other.does(t, http.MethodPost, "/v1/accounts", map[string]any{"name": "Vera"})["id"].(string)
	w.olga.does(t, http.MethodPost, "/v1/agencies/"+w.account+"/connections", map[string]any{"account": shop, "areas": map[string]string{"pages": "view"}})
	w.advance(w.now().Truncate(15 * time.Minute).Add(15*time.Minute + 10*time.Second).Sub(w.now()))
	start := w.mark()
	w.cleanup(t)
	waiting := w.values(start)[newMetric(own, "RequestsWaiting", map[string]string{"Stack": "x"})]
	if len(waiting) == 0 || slices.Max(waiting) < 1 {
		t.Errorf("requests that wait: %v", waiting)
	}
	w.advance(2 * time.Hour)
	if r := w.cleanup(t); r.number("expired") < 1 {
		t.Errorf("%v, want an expired request", r)
	}
}

// apiFails: the table fails. The API answers 5xx, and says when to try again.
func (w *walk) apiFails(t *testing.T) {
	w.dynamo.set(func(rw http.ResponseWriter, r *http.Request, _ []byte) bool {
		if !strings.HasSuffix(r.Header.Get("X-Amz-Target"), ".BatchGetItem") {
			return false
		}
		rw.Header().Set("Content-Type", "application/x-amz-json-1.0")
		rw.WriteHeader(http.StatusInternalServerError)
		_, _ = io.WriteString(rw, `{"__type":"com.amazonaws.dynamodb.v20120810#InternalServerError"}`)
		return true
	})
	var failed atomic.Int32
	var calls sync.WaitGroup
	for range 5 {
		calls.Go(func() {
			answer, err := w.Call(t.Context(), http.MethodGet, "/v1/accounts/"+w.account, nil, "Authorization", "Bearer "+w.olga.token)
			if err == nil && answer.Status >= http.StatusInternalServerError && answer.Header.Get("Retry-After") != "" {
				failed.Add(1)
			}
		})
	}
	calls.Wait()
	w.dynamo.set(nil)
	w.sees(t, "five 5xx", failed.Load() == 5, "ApiFailing", "ApiErrors")
	w.olga.does(t, http.MethodGet, "/v1/accounts/"+w.account, nil)
}

// erasingStops: a person who is being erased has become a last owner. The platform puts
// another owner in their place, as it does for an address that has changed.
func (w *walk) erasingStops(t *testing.T) {
	w.eventually(t, "nothing unfinished", func() bool { return w.drained(t) })
	id := string(agency.NewPersonID(w.olga.email))
	_, err := w.db().UpdateItem(t.Context(), &dynamodb.UpdateItemInput{TableName: &w.Table, Key: map[string]types.AttributeValue{"pk": text("PERSON#" + id), "sk": text("PERSON")},
		UpdateExpression: aws.String("SET erasing = :now, duePk = :due, dueSk = :now ADD version :one"),
		ExpressionAttributeValues: map[string]types.AttributeValue{
			":now": text(stamp(w.now())), ":due": text(duePartition("PERSON#" + id + "PERSON")), ":one": &types.AttributeValueMemberN{Value: "1"},
		}})
	must(t, err)
	w.advance(time.Minute)
	start := w.mark()
	if r := w.cleanup(t); r.number("stopped") != 1 || r.number("failed") != 0 {
		t.Errorf("%v, want one erasing that has stopped", r)
	}
	w.eventually(t, "the account in cleanup's log", func() bool { return w.logs(start, "cleanup", "An erasing has stopped at a last owner.", w.account) })

	token, err := w.PlatformToken(t.Context())
	must(t, err)
	platform := &person{w.stack, "", token}
	path := "/v1/platform/accounts/" + w.account + "/owner"
	if status, out := platform.call(t, http.MethodPost, path, map[string]string{"from": "olga2@walk.test", "to": "new@walk.test"}); out["code"] != "conflict" {
		t.Errorf("a mistyped address: %d %v", status, out)
	}
	platform.does(t, http.MethodPost, path, map[string]string{"from": w.olga.email, "to": "new@walk.test"})
	w.advance(61 * time.Minute)
	if r := w.cleanup(t); r.number("stopped") != 0 {
		t.Errorf("%v", r)
	}
	next := w.person(t, "new@walk.test")
	next.does(t, http.MethodGet, "/v1/accounts/"+w.account, nil)
	if status, _ := w.olga.call(t, http.MethodGet, "/v1/accounts/"+w.account, nil); status != http.StatusNotFound {
		t.Errorf("the former owner reads the account: %d", status)
	}
	w.eventually(t, "the new owner is told", func() bool { w.cleanup(t); return w.emails(t, "new@walk.test") > 0 })
}

// now is the stack's time.
func (w *walk) now() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return time.Now().Add(w.ahead).UTC()
}

// stamp and duePartition are the forms of the table.
func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

func duePartition(key string) string {
	h := fnv.New32a()
	_, _ = h.Write([]byte(key)) // a hash never fails
	return fmt.Sprintf("DUE#%d", h.Sum32()%4)
}
