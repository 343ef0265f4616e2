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

// A fixture is the data for the console's pages: an agency with clients of every
// kind, and a client with requests in every state. Some people have nothing yet.
// Names are from the shortest to the longest and the strangest.
type fixture struct {
	*stack
	// ann owns the agency, ben is its admin, and cid a member who is limited to one
	// client.
	ann, ben, cid *person
	agency        string
	// nora has nothing, and nick an agency without clients.
	nora, nick *person
	empty      string
	// carl has access to the café, which the agency owns.
	carl       *person
	cafe, long string // agency-owned accounts; the second's name is as long as names may be
	// cleo owns the shop, al is its admin and mia a member.
	cleo, al, mia *person
	shop          string
	sam           *person           // owns the agencies below
	agencies      map[string]string // ids by the state of their connection with the shop
	// paul has a request by email and no account; petra has one, and two accounts.
	paul, petra *person
	// ivy is invited to the shop, otto as its owner, dan has declined, and dora is
	// invited to the café. al is offered ownership of the shop.
	ivy, otto, dan, dora *person
	ended                map[string]string // ids of the agency's ended connections, by their state
	connected            string            // an account that is connected with the agency
	pending              string            // id of a connection request
	byEmail              string            // id of a request by email
	stop                 string            // path of the link that stops emails to dora
	owners               int
}

// wide is the widest name of the maximum length.
var wide = strings.Repeat("W", 80)

// strange is a name with markup and two directions of writing.
const strange = `<b>Luna & "Söhne"</b> לונה`

const longMessage = "Hello Cleo, we met at the fair in spring. We would set up your shop's pages and your welcome mail, and look at the numbers with you once a month.\n" +
	"Nothing goes live before you have seen it. Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft."

var seeded struct {
	once    sync.Once
	fixture *fixture
	err     error
}

// pagesStack is the stack that holds the fixture.
var pagesStack sharedStack

// seededFixture returns the fixture, which the first test that needs it makes.
func seededFixture(t *testing.T) *fixture {
	t.Helper()
	const limits = `"pairMails":100,"resendAfter":"1s","dailyRequests":1000,` + personLimits
	// Requests expire at once here, and not after the restart below.
	s := pagesStack.get(t, "looked", "-set", `SettingsOverride={"requestLifetime":"2s",`+limits+`}`)
	seeded.once.Do(func() {
		seeded.err = fmt.Errorf("the fixture was not finished by %s", t.Name())
		w := &fixture{stack: s, agencies: map[string]string{}, ended: map[string]string{}}
		w.people(t)
		w.expireRequests(t)
		must(t, s.stop())
		must(t, s.restart("-schedules=false", "-set", `SettingsOverride={`+limits+`}`))
		w.clients(t)
		w.requests(t)
		w.endConnections(t)
		w.invitations(t)
		seeded.fixture, seeded.err = w, nil
	})
	if seeded.err != nil {
		t.Fatal(seeded.err)
	}
	return seeded.fixture
}

// people makes the people and what they own.
func (w *fixture) people(t *testing.T) {
	t.Helper()
	for who, p := range map[string]**person{
		ann: &w.ann, ben: &w.ben, cid: &w.cid, nora: &w.nora, nick: &w.nick, carl: &w.carl, cleo: &w.cleo, al: &w.al, mia: &w.mia,
		paul: &w.paul, petra: &w.petra, ivy: &w.ivy, otto: &w.otto, dan: &w.dan, dora: &w.dora,
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
		"pending": wide, "active": "Studio Nine", "restricted": strange, "revoked": "Old Friends", "declined": "No Thanks Media", "blocked": "Pushy Partners", "expired": "Slow Starters",
	} {
		w.agencies[state] = w.sam.opensAgency(t, name)
	}
	w.sam.requests(t, w.agencies["expired"], w.shop, levels{"pages": "edit"})
}

// expireRequests sends requests and waits until they expire.
func (w *fixture) expireRequests(t *testing.T) {
	t.Helper()
	owner := w.person(t, "olga@late.test")
	byID := w.ann.requests(t, w.agency, owner.opens(t, "Late Riser Coffee"), levels{"pages": "view"})
	byEmail := w.ann.requestsByEmail(t, w.agency, w.paul.email, levels{"pages": "view"})
	w.ended["expired"], w.ended["expired by email"] = byID.ID, byEmail.ID
	for _, c := range []connection{byID, byEmail} {
		eventually(t, "the request runs out", func() bool { return time.Now().After(*c.ExpiresAt) })
	}
}

// A requestedAccount is an account that the agency has asked for access, and its
// owner.
type requestedAccount struct {
	connection
	owner   *person
	account string
}

func (w *fixture) requestAccess(t *testing.T, name string) requestedAccount {
	t.Helper()
	w.owners++
	owner := w.person(t, fmt.Sprintf("owner-%d@clients.test", w.owners))
	account := owner.opens(t, name)
	return requestedAccount{w.ben.requests(t, w.agency, account, levels{"pages": "edit", "funnels": "edit", "mail": "view"}), owner, account}
}

func (a requestedAccount) decides(t *testing.T, how string, body any) {
	t.Helper()
	a.owner.post(t, "/v1/requests/"+a.ID+"/"+how, body).is(t, http.StatusOK)
}

func (a requestedAccount) accepts(t *testing.T, rest map[string]any) {
	t.Helper()
	body := map[string]any{"account": a.account, "request": 1}
	maps.Copy(body, rest)
	a.decides(t, "accept", body)
}

// clients makes the agency's clients, more than one page of them.
func (w *fixture) clients(t *testing.T) {
	t.Helper()
	w.cafe = w.ann.opensOwned(t, w.agency, "Carl's Café", "growth", w.carl, levels{"pages": "edit", "analytics": "view"})
	w.long = w.ann.opensOwned(t, w.agency, wide, "scale", nil, nil)
	for _, name := range []string{"Io", "Acorn Dental", "Harbour Yoga", strange, "Sunrise Solar"} {
		w.ann.opensOwned(t, w.agency, name, "starter", nil, nil)
	}
	for i, name := range []string{
		"Luna Bakery", "Fern & Field Florists", "Brook Street Books", "Kite Surf School", "Mountain View Guest House", "Otto's Bikes", "Paper Plane Press",
		"Quill Copywriting", "Riverside Pilates", "Saffron Kitchen", "Tailor & Thread", "Umbra Lighting", "Velvet Vinyl", "Willow Workshops", strange + "!", wide[1:],
	} {
		a := w.requestAccess(t, name)
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
		w.pending = w.requestAccess(t, name).ID
	}
	for _, email := range []string{w.petra.email, "somebody@else.test", strings.Repeat("m", 60) + "@a-very-long-domain-for-an-address.test"} {
		w.byEmail = w.ann.requestsByEmail(t, w.agency, email, levels{"pages": "edit", "contacts": "view"}).ID
	}
	w.byEmail = connectionID(w.petra.id(), w.agency)
}

// requests makes the shop's requests in every state.
func (w *fixture) requests(t *testing.T) {
	t.Helper()
	w.ben.post(t, "/v1/agencies/"+w.agency+"/connections", map[string]any{
		"account": w.shop, "message": longMessage, "areas": levels{"pages": "edit", "mail": "edit", "contacts": "view"},
	}).is(t, http.StatusCreated)
	team := "/v1/accounts/" + w.shop + "/team/"
	for state, id := range w.agencies {
		if state == "expired" {
			continue
		}
		w.sam.requests(t, id, w.shop, levels{"pages": "edit", "mail": "view", "contacts": "view"})
		switch state {
		case "active", "restricted", "revoked":
			w.cleo.post(t, team+id+"/accept", map[string]any{"request": 1}).is(t, http.StatusOK)
		case "declined", "blocked":
			w.cleo.post(t, team+id+"/decline", map[string]any{"request": 1, "block": state == "blocked"}).is(t, http.StatusOK)
		}
	}
	change := map[string]any{"areas": levels{"pages": "view"}, "until": time.Now().Add(20 * 24 * time.Hour).UTC().Format(time.RFC3339)}
	w.cleo.patch(t, team+w.agencies["restricted"], change).is(t, http.StatusOK)
	w.cleo.delete(t, team+w.agencies["revoked"]).is(t, http.StatusOK)
}

// invitations makes the shop's invitations and offers in several states.
func (w *fixture) invitations(t *testing.T) {
	t.Helper()
	team := "/v1/accounts/" + w.shop + "/team"
	w.cleo.sendsInvitation(t, w.shop, w.ivy, "member", levels{"pages": "edit", "contacts": "view"})
	w.cleo.sendsInvitation(t, w.shop, w.otto, "owner", nil)
	w.cleo.sendsInvitation(t, w.shop, w.dan, "admin", nil)
	w.dan.post(t, "/v1/me/invitations/"+w.shop+"/decline", map[string]any{"request": 1}).is(t, http.StatusOK)
	toCafe := map[string]any{"email": w.dora.email, "role": "member", "areas": levels{"pages": "view"}}
	w.ann.post(t, "/v1/accounts/"+w.cafe+"/team?as="+w.agency, toCafe).is(t, http.StatusCreated)
	w.cleo.patch(t, team+"/"+w.al.id(), map[string]any{"role": "owner"}).is(t, http.StatusOK)
	eventually(t, "dora's email", func() bool {
		emails, err := w.Emails(t.Context(), time.Time{})
		must(t, err)
		for _, m := range emails {
			if m.To == dora {
				w.stop = stopLink.FindString(m.Text)
			}
		}
		return w.stop != ""
	})
}

// endConnections makes a connection of the agency for each way to end.
func (w *fixture) endConnections(t *testing.T) {
	t.Helper()
	connectionsPath := "/v1/agencies/" + w.agency + "/connections/"
	for _, how := range []string{"declined", "withdrawn", "revoked", "left", "lapsed", "ended"} {
		a := w.requestAccess(t, strings.ToUpper(how[:1])+how[1:]+" Traders")
		w.ended[how] = a.ID
		switch how {
		case "declined":
			a.decides(t, "decline", map[string]any{"request": 1})
		case "withdrawn":
			w.ben.post(t, connectionsPath+a.ID+"/withdraw", nil).is(t, http.StatusOK)
		case "revoked":
			a.accepts(t, nil)
			a.owner.delete(t, "/v1/accounts/"+a.account+"/team/"+w.agency).is(t, http.StatusOK)
		case "left":
			a.accepts(t, nil)
			w.ben.post(t, connectionsPath+a.ID+"/leave", nil).is(t, http.StatusOK)
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
