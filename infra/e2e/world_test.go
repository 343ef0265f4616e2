package e2e

import (
	"fmt"
	"maps"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// A world is what the console's pages are looked at with: an agency with
// clients of every kind, a client with requests in every state, people who have
// nothing yet, and names as they come, from the shortest to the longest and the
// strangest.
type world struct {
	*stack
	// ann owns the agency, ben is its admin, and cid a member who is assigned to
	// one client.
	ann, ben, cid *person
	agency        string
	// nora has nothing, and nick an agency without clients.
	nora, nick *person
	empty      string
	// carl has access to the café, which the agency owns.
	carl       *person
	cafe, long string // owned accounts; the second's name is as long as names may be
	// cleo owns the shop, al is its admin and mia a member.
	cleo, al, mia *person
	shop          string
	sam           *person           // he owns agencies
	agencies      map[string]string // what became of the shop's agencies: their ids
	// paul was asked by email and is in no account; petra was, and is in two.
	paul, petra *person
	ended       map[string]string // clients of the agency by how they ended: their connections' ids
	connected   string            // an account that is connected with the agency
	pending     string            // a connection of the agency's that waits
	byEmail     string            // one that waits and was asked by email
	owners      int
}

// wide is a name as long as names may be, of the widest letter.
var wide = strings.Repeat("W", 80)

// strange is a name that would be markup, in two directions of writing.
const strange = `<b>Luna & "Söhne"</b> לונה`

const longMessage = "Hello Cleo, we met at the fair in spring. We would set up your shop's pages and your welcome mail, and look at the numbers with you once a month.\n" +
	"Nothing goes live before you have seen it. Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft."

var seeded struct {
	once  sync.Once
	world *world
	err   error
}

// looked is the stack that has the world in it.
var looked sharing

// seededWorld is the world, which the first test that needs it makes.
func seededWorld(t *testing.T) *world {
	t.Helper()
	const limits = `"pairMails":100,"resendAfter":"1s","dailyMails":1000,"dailyRequests":1000`
	// What has run out was asked while requests lived for a moment only.
	s := looked.get(t, "looked", "-set", `SettingsOverride={"requestLifetime":"2s",`+limits+`}`)
	seeded.once.Do(func() {
		seeded.err = fmt.Errorf("the world was not finished by %s", t.Name())
		w := &world{stack: s, agencies: map[string]string{}, ended: map[string]string{}}
		w.people(t)
		w.runsOut(t)
		if err := s.stop(); err != nil {
			t.Fatal(err)
		}
		if err := s.again("-schedules=false", "-set", `SettingsOverride={`+limits+`}`); err != nil {
			t.Fatal(err)
		}
		w.clients(t)
		w.requests(t)
		w.ends(t)
		seeded.world, seeded.err = w, nil
	})
	if seeded.err != nil {
		t.Fatal(seeded.err)
	}
	return seeded.world
}

// people are those in the world, and what they own.
func (w *world) people(t *testing.T) {
	t.Helper()
	for who, p := range map[string]**person{
		ann: &w.ann, ben: &w.ben, cid: &w.cid, nora: &w.nora, nick: &w.nick, carl: &w.carl, cleo: &w.cleo, al: &w.al, mia: &w.mia,
		paul: &w.paul, petra: &w.petra,
	} {
		*p = w.person(t, who)
	}
	w.agency = w.ann.opensAgency(t, "Bright Agency")
	w.ann.invites(t, w.agency, w.ben, "admin", nil)
	w.empty = w.nick.opensAgency(t, "Nick & Co")
	w.shop = w.cleo.opens(t, "Cleo Shoes")
	w.cleo.invites(t, w.shop, w.al, "admin", nil)
	w.cleo.invites(t, w.shop, w.mia, "member", levels{"pages": "edit", "mail": "view"})
	w.petra.opens(t, "Petra's Pottery")
	w.petra.opens(t, wide)
	w.sam = w.person(t, "sam@agencies.test")
	for state, name := range map[string]string{
		"pending": wide, "active": "Studio Nine", "restricted": strange, "revoked": "Old Friends", "denied": "No Thanks Media", "blocked": "Pushy Partners", "expired": "Slow Starters",
	} {
		w.agencies[state] = w.sam.opensAgency(t, name)
	}
	w.sam.asks(t, w.agencies["expired"], w.shop, levels{"pages": "edit"})
}

// runsOut asks what nobody answers in time.
func (w *world) runsOut(t *testing.T) {
	t.Helper()
	owner := w.person(t, "olga@late.test")
	one := w.ann.asks(t, w.agency, owner.opens(t, "Late Riser Coffee"), levels{"pages": "view"})
	other := w.ann.asksByEmail(t, w.agency, w.paul.email, levels{"pages": "view"})
	w.ended["expired"], w.ended["expired by email"] = one.ID, other.ID
	for _, c := range []connection{one, other} {
		eventually(t, "the request runs out", func() bool { return time.Now().After(*c.ExpiresAt) })
	}
}

// creates opens an account that the agency owns.
func (w *world) creates(t *testing.T, name, plan string, client *person) string {
	t.Helper()
	body := map[string]any{"name": name, "plan": plan, "confirmPermanentOwnership": true}
	if client != nil {
		body["client"] = map[string]any{"email": client.email, "areas": levels{"pages": "edit", "analytics": "view"}}
	}
	return read[account](t, w.ann.make(t, "/v1/agencies/"+w.agency+"/accounts", body).is(t, http.StatusCreated)).ID
}

// asked is an account whose owner was asked by the agency, with the owner.
type asked struct {
	connection
	owner   *person
	account string
}

func (w *world) asks(t *testing.T, name string) asked {
	t.Helper()
	w.owners++
	owner := w.person(t, fmt.Sprintf("owner-%d@clients.test", w.owners))
	account := owner.opens(t, name)
	return asked{w.ben.asks(t, w.agency, account, levels{"pages": "edit", "funnels": "edit", "mail": "view"}), owner, account}
}

func (a asked) decides(t *testing.T, how string, body any) {
	t.Helper()
	a.owner.post(t, "/v1/requests/"+a.ID+"/"+how, body).is(t, http.StatusOK)
}

func (a asked) accepts(t *testing.T, rest map[string]any) {
	t.Helper()
	body := map[string]any{"account": a.account, "request": 1}
	maps.Copy(body, rest)
	a.decides(t, "accept", body)
}

// clients are the agency's, more than one page of them.
func (w *world) clients(t *testing.T) {
	t.Helper()
	w.cafe = w.creates(t, "Carl's Café", "growth", w.carl)
	w.long = w.creates(t, wide, "scale", nil)
	for _, name := range []string{"Io", "Acorn Dental", "Harbour Yoga", strange, "Sunrise Solar"} {
		w.creates(t, name, "starter", nil)
	}
	for i, name := range []string{
		"Luna Bakery", "Fern & Field Florists", "Brook Street Books", "Kite Surf School", "Mountain View Guest House", "Otto's Bikes", "Paper Plane Press",
		"Quill Copywriting", "Riverside Pilates", "Saffron Kitchen", "Tailor & Thread", "Umbra Lighting", "Velvet Vinyl", "Willow Workshops", strange + "!", wide[1:],
	} {
		a := w.asks(t, name)
		switch i {
		case 0:
			w.connected = a.account
			a.accepts(t, map[string]any{"until": time.Now().Add(40 * 24 * time.Hour).UTC().Format(time.RFC3339), "areas": levels{"pages": "edit"}})
		default:
			a.accepts(t, nil)
		}
	}
	w.ann.invites(t, w.agency, w.cid, "member", levels{"pages": "view", "mail": "edit"})
	w.ann.patch(t, "/v1/accounts/"+w.agency+"/team/"+w.cid.id(), map[string]any{"clients": []string{w.connected}}).is(t, http.StatusOK)
	for _, name := range []string{"Pending Pies", "Patient Pets"} {
		w.pending = w.asks(t, name).ID
	}
	for _, email := range []string{w.petra.email, "somebody@else.test", strings.Repeat("m", 60) + "@a-very-long-domain-for-an-address.test"} {
		w.byEmail = w.ann.asksByEmail(t, w.agency, email, levels{"pages": "edit", "contacts": "view"}).ID
	}
	w.byEmail = connectionID(w.petra.id(), w.agency)
}

// requests are those at the shop, by what became of them.
func (w *world) requests(t *testing.T) {
	t.Helper()
	w.ben.post(t, "/v1/agencies/"+w.agency+"/connections", map[string]any{
		"account": w.shop, "message": longMessage, "areas": levels{"pages": "edit", "mail": "edit", "contacts": "view"},
	}).is(t, http.StatusCreated)
	team := "/v1/accounts/" + w.shop + "/team/"
	for state, id := range w.agencies {
		if state == "expired" {
			continue
		}
		w.sam.asks(t, id, w.shop, levels{"pages": "edit", "mail": "view", "contacts": "view"})
		switch state {
		case "active", "restricted", "revoked":
			w.cleo.post(t, team+id+"/accept", map[string]any{"request": 1}).is(t, http.StatusOK)
		case "denied", "blocked":
			w.cleo.post(t, team+id+"/deny", map[string]any{"block": state == "blocked"}).is(t, http.StatusOK)
		}
	}
	change := map[string]any{"areas": levels{"pages": "view"}, "until": time.Now().Add(20 * 24 * time.Hour).UTC().Format(time.RFC3339)}
	w.cleo.patch(t, team+w.agencies["restricted"], change).is(t, http.StatusOK)
	w.cleo.delete(t, team+w.agencies["revoked"]).is(t, http.StatusOK)
}

// ends are the ways in which the agency's connections have ended.
func (w *world) ends(t *testing.T) {
	t.Helper()
	hub := "/v1/agencies/" + w.agency + "/connections/"
	for _, how := range []string{"denied", "withdrawn", "revoked", "left", "lapsed", "ended"} {
		a := w.asks(t, strings.ToUpper(how[:1])+how[1:]+" Traders")
		w.ended[how] = a.ID
		switch how {
		case "denied":
			a.decides(t, "deny", nil)
		case "withdrawn":
			w.ben.post(t, hub+a.ID+"/withdraw", nil).is(t, http.StatusOK)
		case "revoked":
			a.accepts(t, nil)
			a.owner.delete(t, "/v1/accounts/"+a.account+"/team/"+w.agency).is(t, http.StatusOK)
		case "left":
			a.accepts(t, nil)
			w.ben.post(t, hub+a.ID+"/leave", nil).is(t, http.StatusOK)
		case "lapsed":
			until := time.Now().Add(1500 * time.Millisecond)
			a.accepts(t, map[string]any{"until": until.UTC().Format(time.RFC3339Nano)})
			eventually(t, "the connection lapses", func() bool { return time.Now().After(until) })
		case "ended":
			a.accepts(t, nil)
			a.owner.delete(t, "/v1/accounts/"+a.account).is(t, http.StatusOK)
		}
	}
	eventually(t, "cleanup has recorded what has ended", func() bool { return w.cleanup(t).Backlog == 0 })
}
