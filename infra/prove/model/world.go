// Package model drives random commands, with a moving clock, against the law (package
// law) and the use cases on a real engine, and compares what both answer and hold. A
// caller can have the emails compared too.
package model

import (
	"fmt"
	"time"

	"pgregory.net/rapid"

	"agencyhub/infra/prove/law"
	"agencyhub/shared/agency"
)

// world is one sequence: its law, what the product holds, and who is in it.
type world struct {
	*Bench
	law  *law.Law
	held *held
	// people are those who act, and accounts those that were made, the oldest first.
	people   []agency.Actor
	accounts []agency.AccountID
	keys     int
	steps    int
	// unsent are events whose emails have not been sent yet, as the law and as the product
	// have them.
	unsent []unsent
}

var pages, everything = agency.Areas{"pages": agency.View}, agency.Areas{"pages": agency.Edit, "mail": agency.Edit}

// sequence plays one sequence of commands.
func (b *Bench) sequence(rt *rapid.T) {
	b.runs++
	b.now = time.Date(2026, time.Month(between(rt, 1, 12, "month")), between(rt, 1, 28, "day"), between(rt, 0, 23, "hour"), 30, 0, 0, time.UTC)
	b.recorder.Take()
	w := &world{Bench: b, law: law.New(Rules), held: newHeld()}
	for _, name := range []string{"ann", "bob", "mem", "gil", "gus", "gem", "olga", "eve", "ann+tag"} {
		w.people = append(w.people, agency.NewActor(fmt.Sprintf("%s-%s-%d@x.test", name, b.name, b.runs), "https://issuer.test", name))
	}
	w.people[8] = agency.NewActor(fmt.Sprintf("ann-%s-%d+tag@x.test", b.name, b.runs), "https://issuer.test", "tag")
	w.setting(rt)
	rt.Repeat(map[string]func(*rapid.T){"command": w.step})
	w.sendMails(rt)
	w.compareAll(rt)
	b.seen.mu.Lock()
	b.seen.sequences++
	b.seen.mu.Unlock()
}

// setting makes a client's account and an agency, and some of what can be in them.
func (w *world) setting(rt *rapid.T) {
	ann, gil := w.people[0], w.people[3]
	client := w.must(rt, law.Command{Do: law.OpenAccount, By: ann, Key: w.key(), Name: "Client"}).Account.ID
	of := w.must(rt, law.Command{Do: law.OpenAccount, By: gil, Key: w.key(), Name: "Agency"}).Account.ID
	w.accounts = append(w.accounts, client, of)
	w.must(rt, law.Command{Do: law.SwitchAgencyOn, By: gil, Account: of})
	for i, role := range []agency.Role{agency.Admin, agency.Member, "", agency.Admin, agency.Member} {
		if role == "" || between(rt, 0, 1, "is there") == 0 {
			continue
		}
		by, account := ann, client
		if i > 2 {
			by, account = gil, of
		}
		w.join(rt, by, account, w.people[i+1], role)
	}
	if between(rt, 0, 2, "owned") > 0 {
		c := law.Command{Do: law.CreateAccount, By: gil, Agency: of, Key: w.key(), Name: "Owned", Plan: "growth", Confirm: true}
		if coin(rt, "client") {
			c.Email, c.Areas = w.people[6].Email, pages
		}
		owned := w.must(rt, c).Account.ID
		w.accounts = append(w.accounts, owned)
		if c.Email != "" && coin(rt, "joined") {
			w.must(rt, law.Command{Do: law.AcceptInvitation, By: w.people[6], Account: owned, Number: 1})
		}
	}
	switch n := between(rt, 0, 79, "more"); {
	case n == 0:
		w.crowd(rt, client)
	case n < 10 && w.mailer == nil:
		w.limits(rt, client, of)
	case n < 10:
		w.burst(rt, client, of)
	case n < 17:
		w.rare(rt, client, of)
	case n < 27 && w.mailer != nil:
		w.blocked(rt, of)
	case n < 47:
		w.must(rt, law.Command{Do: law.RequestConnection, By: gil, Agency: of, Account: client, Areas: everything})
		w.must(rt, law.Command{Do: law.AcceptRequest, By: ann, Account: client, Agency: of, Number: 1})
	default:
	}
}

// join invites a person, who accepts.
func (w *world) join(rt *rapid.T, by agency.Actor, account agency.AccountID, who agency.Actor, role agency.Role) {
	c := law.Command{Do: law.InvitePerson, By: by, Account: account, Email: who.Email, Role: role}
	if role == agency.Member {
		c.Areas = pages
	}
	w.must(rt, c)
	w.must(rt, law.Command{Do: law.AcceptInvitation, By: who, Account: account, Number: 1})
}

// crowd connects as many agencies to an account as it can have.
func (w *world) crowd(rt *rapid.T, client agency.AccountID) {
	for n := range 20 {
		by := agency.NewActor(fmt.Sprintf("x%d-%s-%d@x.test", n, w.name, w.runs), "https://issuer.test", "x")
		of := w.must(rt, law.Command{Do: law.OpenAccount, By: by, Key: w.key(), Name: "Agency"}).Account.ID
		w.must(rt, law.Command{Do: law.SwitchAgencyOn, By: by, Account: of})
		w.must(rt, law.Command{Do: law.RequestConnection, By: by, Agency: of, Account: client, Areas: pages})
		w.must(rt, law.Command{Do: law.AcceptRequest, By: w.people[0], Account: client, Agency: of, Number: 1})
	}
	w.perform(rt, law.Command{Do: law.RequestConnection, By: w.people[3], Agency: w.accounts[1], Account: client, Areas: pages})
	w.now = w.now.Add(time.Second)
	w.perform(rt, law.Command{Do: law.AcceptRequest, By: w.people[0], Account: client, Agency: w.accounts[1], Number: 1})
}

// burst asks one person for so much on a day that an email of it is held.
func (w *world) burst(rt *rapid.T, client, of agency.AccountID) {
	eve := w.people[7].Email
	w.perform(rt, law.Command{Do: law.InvitePerson, By: w.people[0], Account: client, Email: eve, Role: agency.Member, Areas: pages})
	w.perform(rt, law.Command{Do: law.InvitePerson, By: w.people[3], Account: of, Email: eve, Role: agency.Member, Areas: pages})
	w.perform(rt, law.Command{Do: law.RequestConnection, By: w.people[3], Agency: of, Email: eve, Areas: pages})
	w.perform(rt, law.Command{
		Do: law.CreateAccount, By: w.people[3], Agency: of, Key: w.key(), Name: "Eve's", Plan: "starter", Confirm: true, Email: eve, Areas: pages,
	})
	w.sendMails(rt)
}

// blocked has a person block an agency, which then invites them: that is muted.
func (w *world) blocked(rt *rapid.T, of agency.AccountID) {
	eve := w.people[7]
	made := w.perform(rt, law.Command{
		Do: law.CreateAccount, By: w.people[3], Agency: of, Key: w.key(), Name: "Eve's", Plan: "starter", Confirm: true, Email: eve.Email, Areas: pages,
	})
	if made.Account != nil {
		w.perform(rt, law.Command{Do: law.DeclineInvitation, By: eve, Account: made.Account.ID, Number: 1, Block: true})
	}
	w.perform(rt, law.Command{Do: law.InvitePerson, By: w.people[3], Account: of, Email: eve.Email, Role: agency.Member, Areas: pages})
	w.sendMails(rt)
}

// must performs a command of the setting.
func (w *world) must(rt *rapid.T, c law.Command) law.Outcome {
	out := w.perform(rt, c)
	if out.Code != "" {
		rt.Fatalf("the setting's %s is refused: %s", c.Do, out.Code)
	}
	w.now = w.now.Add(time.Second)
	return out
}

// key is an Idempotency-Key that no other call has.
func (w *world) key() string {
	w.keys++
	return fmt.Sprintf("key-%s-%d-%06d", w.name, w.runs, w.keys)
}

// step is one random command, or a run of the sweep, and some checks.
func (w *world) step(rt *rapid.T) {
	w.move(rt)
	if between(rt, 0, 7, "sweep") == 0 {
		for _, c := range w.law.Due(w.now) {
			w.perform(rt, c)
		}
	} else if w.mailer != nil && seldom(rt, "mail") {
		w.mailCommand(rt)
	} else {
		c := w.draw(rt)
		out := w.perform(rt, c)
		if out.Account != nil && out.Code == "" {
			w.learn(out.Account.ID)
		}
	}
	w.check(rt)
	if between(rt, 0, 2, "send") < 2 {
		w.sendMails(rt)
	}
	if w.steps++; w.steps%wholeEvery == 0 {
		w.compareAll(rt)
	}
}

// learn adds an account to those that commands are about.
func (w *world) learn(id agency.AccountID) {
	for _, known := range w.accounts {
		if known == id {
			return
		}
	}
	w.accounts = append(w.accounts, id)
}

// compareAll reads everything again and compares it with the law.
func (w *world) compareAll(rt *rapid.T) {
	if d := w.load(rt).difference(w.law); d != "" {
		rt.Fatalf("in the table: %s", d)
	}
}

// isClient matches an agency's profile in an account.
func isClient(k agency.ProfileKey, _ law.Member) bool {
	return k.Member.Account() != "" && k.Addressee.Account() != ""
}

// check compares the access of a random person.
func (w *world) check(rt *rapid.T) {
	c := law.Command{Do: law.CheckAccess, By: w.person(rt), Account: w.account(rt)}
	switch between(rt, 0, 3, "as") {
	case 0:
		c.As = w.agency(rt)
	case 1:
		if key, found := w.profileThat(rt, isClient); found {
			c.Account, c.As = key.Addressee.Account(), key.Member.Account()
			c.By = w.among(rt, c.As, isThere)
		}
	case 2:
		if coin(rt, "for an agency") {
			if key, found := w.profileThat(rt, isClient); found {
				c.Account, c.As = key.Addressee.Account(), key.Member.Account()
				c.By = w.among(rt, c.As, isThere)
			}
		}
		c.Do, c.Email, c.By = law.CheckAccessOf, c.By.Email, agency.Actor{}
	default:
	}
	w.perform(rt, c)
}

// move moves the clock: a little, by days, or to just where it changes something.
func (w *world) move(rt *rapid.T) {
	switch n := between(rt, 0, 19, "move"); {
	case n < 15:
		w.now = w.now.Add(time.Duration(between(rt, 1, 5400, "seconds")) * time.Second)
	case n < 17:
		w.now = w.now.Add(pick(rt, []time.Duration{days, days, 2 * days, 4 * days, 14 * days, 31 * days}, "days"))
	default:
		moments := w.law.Moments(w.now.Add(time.Second))
		if len(moments) == 0 {
			w.now = w.now.Add(time.Minute)
			return
		}
		if often(rt, "soon") {
			moments = moments[:min(4, len(moments))]
		}
		at := pick(rt, moments, "moment")
		w.now = at.Add(pick(rt, []time.Duration{0, 0, -time.Millisecond, time.Millisecond, time.Minute}, "beside"))
	}
}

// between draws a number, all with the same probability: rapid's own prefers low ones.
func between(rt *rapid.T, low, high int, label string) int {
	bits := 3
	for n := high - low; n > 0; n /= 2 {
		bits++
	}
	return low + rapid.Custom(func(rt *rapid.T) int {
		n := 0
		for range bits {
			if n *= 2; rapid.Bool().Draw(rt, "bit") {
				n++
			}
		}
		return n % (high - low + 1)
	}).Draw(rt, label)
}

func coin(rt *rapid.T, label string) bool { return rapid.Bool().Draw(rt, label) }

func pick[T any](rt *rapid.T, from []T, label string) T {
	return from[between(rt, 0, len(from)-1, label)]
}

// often is true in most draws.
func often(rt *rapid.T, label string) bool { return between(rt, 0, 7, label) < 7 }

// seldom is true in few draws.
func seldom(rt *rapid.T, label string) bool { return between(rt, 0, 11, label) == 11 }
