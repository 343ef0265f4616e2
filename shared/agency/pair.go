package agency

import "time"

// PairKey names what stands between an addressee, an account or a person, and
// an agency.
type PairKey struct {
	Addressee Party
	Agency    AccountID
}

// between is the key of a pair.
func between[P AccountID | PersonID | Party](addressee P, agency AccountID) PairKey {
	return PairKey{Addressee: Party(addressee), Agency: agency}
}

// Pair is what an addressee holds of an agency beyond any one request: a denial
// that is to hold, and how often the agency has written. An account keeps one,
// and each person who decided keeps their own, so that asking the other way
// does not evade it.
type Pair struct {
	PairKey
	// CoolingUntil is until when a denial or revocation holds the agency off;
	// zero for not.
	CoolingUntil time.Time
	// Blocked holds it off beyond that. The agency is never told.
	Blocked bool
	// Mailed are the request emails of the last days, oldest first, whether or
	// not they were mailed in the end.
	Mailed []time.Time
	// Requests and Versions are how far the agency's profile had come when it was
	// collected, long after its end: the next goes on from there, so that numbers
	// and versions never come twice.
	Requests, Versions int
	Version            int
}

// Cooling tells whether a denial holds at the instant.
func (p Pair) Cooling(now time.Time) bool { return now.Before(p.CoolingUntil) }

// HoldsOff tells whether the addressee is not to be mailed for the agency.
func (p Pair) HoldsOff(now time.Time) bool { return p.Blocked || p.Cooling(now) }

// begun is an agency's profile as a request finds it: one that was collected
// counts on from where it had come.
func (d *decision) begun(key ProfileKey) Profile {
	p := d.profile(key)
	if p.Version == 0 {
		pair := d.pair(between(key.Addressee, key.Member.Account()))
		p.Request, p.Version = pair.Requests, pair.Versions
	}
	return p
}

// remember notes in the pair how far a profile that is being collected has come.
func (d *decision) remember(p Profile) {
	pair := d.pair(between(p.Addressee, p.Member.Account()))
	pair.Requests, pair.Versions = p.Request, p.Version
	d.putPair(pair)
}

// pair is a pair as the decision has it so far.
func (d *decision) pair(key PairKey) Pair {
	for _, p := range d.Pairs {
		if p.PairKey == key {
			return p
		}
	}
	return d.read.Pair(key)
}

func (d *decision) putPair(p Pair) {
	p.Version = d.read.Pair(p.PairKey).Version + 1
	for i := range d.Pairs {
		if d.Pairs[i].PairKey == p.PairKey {
			d.Pairs[i] = p
			return
		}
	}
	d.Pairs = append(d.Pairs, p)
}

// holdOff makes a denial hold in each of the pairs.
func (d *decision) holdOff(keys ...PairKey) {
	for _, key := range keys {
		p := d.pair(key)
		if until := d.now.Add(d.rules.Cooldown); until.After(p.CoolingUntil) {
			p.CoolingUntil = until
		}
		d.putPair(p)
	}
}

// block holds the agency off for good, and tells nobody. One event tells of all
// the pairs, at the first that it changes.
func (d *decision) block(keys ...PairKey) {
	var changed []PairKey
	for _, key := range keys {
		if p := d.pair(key); !p.Blocked {
			p.Blocked = true
			d.putPair(p)
			changed = append(changed, key)
		}
	}
	if len(changed) > 0 {
		d.pairEvent(AgencyBlocked, changed[0])
	}
}

// allow ends what holds the agency off. It answers in which of the pairs
// anything did.
func (d *decision) allow(keys ...PairKey) (held []PairKey) {
	for _, key := range keys {
		p := d.pair(key)
		if p.HoldsOff(d.now) {
			held = append(held, key)
		}
		if p.Blocked || !p.CoolingUntil.IsZero() {
			p.Blocked, p.CoolingUntil = false, time.Time{}
			d.putPair(p)
		}
	}
	return held
}

// unblock is allow by somebody who asked for just that: one event tells of it.
// It answers whether anything held the agency off.
func (d *decision) unblock(keys ...PairKey) bool {
	held := d.allow(keys...)
	if len(held) > 0 {
		d.pairEvent(AgencyUnblocked, held[0])
	}
	return len(held) > 0
}

// pairEvent tells of a pair. It names the agency as the member alone, so it
// stands in no list of the agency's.
func (d *decision) pairEvent(as EventType, key PairKey) {
	d.Events = append(d.Events, Event{
		Type: as, At: d.now, Addressee: key.Addressee, Member: Party(key.Agency), Ownership: ClientOwned,
		Version: d.pair(key).Version,
	})
}

// countMail counts one request email of the pair. Errors: RateLimited.
func (d *decision) countMail(key PairKey) error {
	p := d.pair(key)
	var recent []time.Time
	for _, at := range p.Mailed {
		if d.now.Sub(at) < d.rules.PairWindow {
			recent = append(recent, at)
		}
	}
	if len(recent) >= d.rules.PairMails {
		return &Error{
			Code: RateLimited, RetryAfter: recent[len(recent)-d.rules.PairMails].Add(d.rules.PairWindow).Sub(d.now),
			Message: "Your agency has written to them often enough for now.",
		}
	}
	p.Mailed = append(recent, d.now)
	d.putPair(p)
	return nil
}
