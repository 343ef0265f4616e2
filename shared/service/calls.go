package service

import (
	"crypto/sha256"
	"encoding/hex"
	"time"

	"agencyhub/shared/agency"
)

// CallKey names a call of an agency under an Idempotency-Key.
type CallKey struct {
	Agency agency.AccountID
	// Hash is the hash of the Idempotency-Key, in 64 hexadecimal digits. The key
	// itself is not kept.
	Hash string
}

// newCallKey returns the name of a call of an agency.
func newCallKey(agencyID agency.AccountID, idempotencyKey string) CallKey {
	sum := sha256.Sum256([]byte(idempotencyKey))
	return CallKey{Agency: agencyID, Hash: hex.EncodeToString(sum[:])}
}

// IsValid reports whether the key has its form.
func (k CallKey) IsValid() bool {
	sum, err := hex.DecodeString(k.Hash)
	return k.Agency.IsValid() && err == nil && len(sum) == sha256.Size && hex.EncodeToString(sum) == k.Hash
}

// Call is a connection request that was made under an Idempotency-Key.
type Call struct {
	CallKey
	// BodyHash is the hash of the call's input.
	BodyHash   string
	Connection agency.ConnectionID
	// Request is the number of the request.
	Request int
	At      time.Time
	Version int
}

// CallRetention is how long a repeat of a call is recognised.
const CallRetention = 48 * time.Hour

// recentCall returns the call under a key, unless there is none or it was made too
// long ago.
func (d *decision) recentCall(key CallKey) (Call, bool) {
	c := d.read.Call(key)
	return c, c.Version > 0 && d.now.Sub(c.At) < CallRetention
}

// putCall adds the call that makes a request to what is written.
func (d *decision) putCall(key CallKey, hash string, p agency.Profile) {
	d.Calls = append(d.Calls, Call{
		CallKey: key, BodyHash: hash, Connection: p.ID(), Request: p.Request.Number, At: d.now, Version: d.read.Call(key).Version + 1,
	})
}
