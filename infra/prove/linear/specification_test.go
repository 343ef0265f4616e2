package linear

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/anishathalye/porcupine"

	"agencyhub/infra/prove/law"
	"agencyhub/shared/agency"
)

// state is a state of the law, and what access checks that are not over have read.
type state struct {
	*law.Law
	held map[int]*held
	// key is a text for what is held, and another one for anything else.
	key string
}

// held is what an access check has read so far.
type held struct {
	law  *law.Law // with nothing but that
	seen uint64   // its parts
	list map[agency.AccountID]bool
}

// A specification is the law as porcupine asks it, for one history. Two of its states have
// the same Law exactly if that is equal, and each operation is tried once in each.
type specification struct {
	laws  map[string]*law.Law
	tried map[attempt]result
}

type attempt struct {
	*law.Law
	*record
}

type result struct {
	ok   bool
	next *law.Law
}

func newSpecification() *specification {
	return &specification{map[string]*law.Law{}, map[attempt]result{}}
}

// one returns the law that stands for all that are equal.
func (p *specification) one(l *law.Law) *law.Law {
	k := l.Key()
	if known := p.laws[k]; known != nil {
		return known
	}
	p.laws[k] = l
	return l
}

func (p *specification) first() state { return state{Law: p.one(law.New(rules))} }

func (p *specification) model() porcupine.Model {
	return porcupine.Model{
		Init: func() any { return p.first() },
		Step: func(s, input, _ any) (bool, any) {
			ok, next := p.step(s.(state), input)
			return ok, next
		},
		Equal: func(a, b any) bool {
			x, y := a.(state), b.(state)
			return x.Law == y.Law && x.key == y.key
		},
		DescribeOperation: func(input, _ any) string { return describe(input) },
		DescribeState:     func(s any) string { return s.(state).Key() },
	}
}

func describe(input any) string {
	if p, ok := input.(part); ok {
		return fmt.Sprintf("part %d of %s", p.n, p.record)
	}
	return fmt.Sprint(input)
}

// step reports whether an operation can come next, and what it leaves.
func (p *specification) step(s state, input any) (bool, state) {
	if in, ok := input.(part); ok {
		return s.read(in)
	}
	this := attempt{s.Law, input.(*record)}
	r, known := p.tried[this]
	if !known {
		if r.ok, r.next = s.do(this.record); r.ok && r.next != s.Law {
			r.next = p.one(r.next)
		}
		p.tried[this] = r
	}
	s.Law = r.next
	return r.ok, s
}

// do returns what an operation leaves of the law, if it can come next.
func (s state) do(r *record) (bool, *law.Law) {
	switch r.Command.Do {
	case readMember:
		m := s.Members[r.Command.Profile]
		return r.Answer.equals(answerOf(law.Outcome{Profile: &m})), s.Law
	case readAccount:
		a := s.Accounts[r.Command.Account]
		return r.Answer.equals(answerOf(law.Outcome{Account: &a})), s.Law
	}
	for _, at := range r.Times {
		next := s.Clone()
		out := next.Do(r.Command, at)
		if !r.Answer.Unknown && !r.Answer.equals(answerOf(out)) && !s.refusesLater(r, at) {
			continue
		}
		if out.Code != "" {
			return true, s.Law
		}
		return true, next
	}
	return false, s.Law
}

// refusesLater reports whether an operation is refused for anything but its end date, which
// was ahead when the call came and is not at the decision: the form of a call is checked
// when it comes.
func (s state) refusesLater(r *record, at time.Time) bool {
	c := r.Command
	if c.Until == nil || at.Before(*c.Until) || !r.first.Before(*c.Until) {
		return false
	}
	later := at.Add(time.Second)
	c.Until = &later
	out := s.Clone().Do(c, at)
	return out.Code != "" && r.Answer.equals(answerOf(out))
}

// read takes a part of an access check. The last one checks the answer.
func (s state) read(p part) (bool, state) {
	was, h := s.held[p.id], &held{law: law.New(s.Rules), list: map[agency.AccountID]bool{}}
	if was != nil {
		h.law, h.seen, h.list = was.law.Clone(), was.seen, was.list
	}
	h.seen |= 1 << p.n
	for _, i := range p.parts[p.n] {
		h.take(s.Law, i)
	}
	all := maps.Clone(s.held)
	if all == nil {
		all = map[int]*held{}
	}
	if h.seen != 1<<len(p.parts)-1 {
		all[p.id] = h
		return true, s.holding(all)
	}
	delete(all, p.id)
	if p.Command.As == "" {
		// What became active after the list was read is not looked at.
		for key := range h.law.Members {
			if of := key.Member.Account(); of != "" && !h.list[of] {
				delete(h.law.Members, key)
			}
		}
	}
	for _, at := range p.Times {
		if p.Answer.equals(answerOf(h.law.Clone().Do(p.Command, at))) {
			return true, s.holding(all)
		}
	}
	return false, s
}

func (s state) holding(all map[int]*held) state {
	s.held, s.key = all, ""
	for _, id := range slices.Sorted(maps.Keys(all)) {
		h := all[id]
		s.key += fmt.Sprint(id, h.seen, h.list, h.law.Key())
	}
	return s
}

// take copies an item.
func (h *held) take(from *law.Law, i item) {
	switch {
	case i.account != "":
		if a, ok := from.Accounts[i.account]; ok {
			h.law.Accounts[i.account] = a
		}
	case i.person != "":
		if p, ok := from.People[i.person]; ok {
			h.law.People[i.person] = p
		}
	case i.agencies != "":
		list := maps.Clone(h.list)
		for key, m := range from.Members {
			if of := key.Member.Account(); key.Addressee == agency.Party(i.agencies) && of != "" && m.Status == agency.Active {
				list[of] = true
			}
		}
		h.list = list
	default:
		if m, ok := from.Members[i.member]; ok {
			h.law.Members[i.member] = m
		}
	}
}
