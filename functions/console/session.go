package main

import (
	"cmp"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"time"

	"agencyhub/shared/agency"
	"agencyhub/shared/table"
)

const (
	// sessionTime is how long a session lasts from its sign-in. The issuer may end it
	// earlier.
	sessionTime = 30 * 24 * time.Hour
	// maxEarly bounds how long before the end of an id token it is renewed.
	maxEarly = time.Minute
	// leaseWriteTime bounds the write of a lease, renewalTime the issuer's part of a
	// renewal, and saveTime what the store and the issuer do after that.
	leaseWriteTime = time.Second
	renewalTime    = 5 * time.Second
	saveTime       = 3 * time.Second
	// leaseTime is how long a renewal may take, from before its lease is written, until
	// another request tries it. A second is spare.
	leaseTime = leaseWriteTime + renewalTime + saveTime + time.Second
	// pageTime is what a request needs for its page after a renewal.
	pageTime = 1500 * time.Millisecond
	// maxWait bounds how long a request waits for the renewal of another. It is longer
	// than a lease. The end of the request's own time comes first where there is one.
	maxWait = leaseTime + time.Second
	// minPause and maxPause bound a pause between two looks at a session.
	minPause = 50 * time.Millisecond
	maxPause = 500 * time.Millisecond
)

// session is the content of a session: who signed in, and what renews that. The table
// holds it encrypted.
type session struct {
	Email   string `json:"email"`
	Issuer  string `json:"issuer"`
	Subject string `json:"subject"`
	// Refresh is the issuer's refresh token; "" for none.
	Refresh string `json:"refresh,omitempty"`
	// RenewAt is from when on the id token is renewed, and Expires when it ends.
	RenewAt time.Time `json:"renewAt"`
	Expires time.Time `json:"expires"`
	// RetryAt is from when on the issuer is asked again after a failure; zero for none.
	RetryAt time.Time `json:"retryAt,omitzero"`
	// Ends is when the person has to sign in again in any case.
	Ends time.Time `json:"ends"`
}

// actor returns the person of the session.
func (s *session) actor() agency.Actor { return agency.NewActor(s.Email, s.Issuer, s.Subject) }

// isValid reports whether the id token is valid.
func (s *session) isValid(now time.Time) bool { return now.Before(s.Expires) && now.Before(s.Ends) }

// with returns the session with the issuer's new tokens. They are renewed before the
// last fifth of their time, so that requests meanwhile need not wait.
func (s *session) with(given tokens, now time.Time) *session {
	next := *s
	next.Email, next.Issuer, next.Subject = given.actor.Email, given.actor.Issuer, given.actor.Subject
	next.Refresh, next.Expires, next.RetryAt = given.refresh, given.expires, time.Time{}
	next.RenewAt = given.expires.Add(-min(given.expires.Sub(now)/5, maxEarly))
	return &next
}

// secretLength is the length of a session's secret, a text of rand.Text with at least
// 128 random bits.
const secretLength = 26

// isSecret reports whether the value of a session's cookie has the form of a secret.
func isSecret(value string) bool {
	return len(value) == secretLength && strings.Trim(value, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567") == ""
}

// newCipher returns the encryption of a session's content: AES-256-GCM with a random
// nonce, under a key that HKDF-SHA-256 (RFC 5869) derives from the secret. The secret is
// in the person's cookie only, so nobody who reads the table can read the content.
func newCipher(secret string) cipher.AEAD {
	key, err := hkdf.Key(sha256.New, []byte(secret), nil, "agency hub session", 32)
	if err != nil {
		panic(err) // of a key that is too long
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		panic(err) // of a key of another length
	}
	sealer, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		panic(err) // of another block size
	}
	return sealer
}

// seal encrypts a session. It is bound to its id, the key of its item.
func (s *session) seal(secret string) []byte {
	text, err := json.Marshal(s)
	if err != nil {
		panic(err) // texts and times of four-digit years always marshal
	}
	return newCipher(secret).Seal(nil, nil, text, []byte(table.NewSessionID(secret))) //nolint:gosec // the cipher makes the nonce
}

// openSession decrypts a session. It reports whether the content is whole, and was
// sealed with this secret for this item.
func openSession(secret string, stored table.Session) (*session, bool) {
	text, err := newCipher(secret).Open(nil, nil, stored.Sealed, []byte(stored.ID))
	var s session
	return &s, err == nil && json.Unmarshal(text, &s) == nil
}

// sessions are the sessions of all browsers, in the table.
type sessions struct {
	store  *table.Table
	issuer *issuer
	now    func() time.Time
	// sleep pauses. It returns false if the context has ended.
	sleep func(context.Context, time.Duration) bool
}

// sleep pauses for a duration. It returns false if the context has ended.
func sleep(ctx context.Context, d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-ctx.Done():
		return false
	}
}

// hasTime reports whether the time of a request leaves so much.
func hasTime(ctx context.Context, d time.Duration) bool {
	deadline, ok := ctx.Deadline()
	return !ok || time.Until(deadline) >= d //nolint:forbidigo // the deadline is of the machine's clock
}

// begin stores a new session, and returns its secret. Errors: Unavailable.
func (s *sessions) begin(ctx context.Context, given tokens) (secret string, err error) {
	secret, now := rand.Text(), s.now()
	id := table.NewSessionID(secret)
	content := (&session{Ends: now.Add(sessionTime)}).with(given, now)
	return secret, s.store.CreateSession(ctx, id, content.seal(secret), content.Ends)
}

// replaceTime bounds the store's part of a sign-in, and cleanupTime the revocation of
// refresh tokens that are left over, and the end of a session whose time is over.
const (
	replaceTime = 4 * time.Second
	cleanupTime = 2 * time.Second
)

// replace ends the session with the former secret, if there is one, and begins another,
// whose secret it returns. Without a new session it revokes the new refresh token. It
// revokes the former one unless the same person signs in: many issuers would end the
// new one with it, as a part of the same grant. Errors: Unavailable.
func (s *sessions) replace(ctx context.Context, former string, given tokens) (secret string, err error) {
	bounded, cancel := context.WithTimeout(ctx, replaceTime)
	defer cancel()
	var left []string
	if isSecret(former) {
		var held *session
		held, err = s.remove(bounded, former)
		if held != nil && (held.Issuer != given.actor.Issuer || held.Subject != given.actor.Subject) {
			left = append(left, held.Refresh)
		}
	}
	if err == nil {
		secret, err = s.begin(bounded, given)
	}
	if err != nil {
		left = append(left, given.refresh)
	}
	cleanup, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupTime)
	defer cancel()
	for _, refresh := range left {
		s.revoke(cleanup, refresh)
	}
	return secret, err
}

// current returns the session with a secret, with a valid id token; nil if there is none
// or it is over. One request renews the id token, under a lease. Others go on with the
// old one while that is valid, and wait then. Errors: Unavailable, with errNotRenewed
// where the issuer does not renew it.
func (s *sessions) current(ctx context.Context, secret string) (*session, error) {
	id := table.NewSessionID(secret)
	for pause, waited := minPause, time.Duration(0); waited < maxWait; pause = min(2*pause, maxPause) {
		stored, held, err := s.read(ctx, id, secret)
		if err != nil || held == nil {
			return nil, err
		}
		now := s.now()
		isValid := held.isValid(now)
		switch {
		case !now.Before(held.Ends):
			s.finishOver(ctx, secret)
			return nil, nil
		case now.Before(held.RenewAt), isValid && held.Refresh == "", isValid && now.Before(held.RetryAt):
			return held, nil
		case held.Refresh == "":
			return nil, nil
		case now.Before(held.RetryAt):
			return nil, errIssuerFails(errors.New("the issuer failed a moment ago"))
		}
		if !now.Before(stored.LeasedUntil) {
			r := renewal{sessions: s, secret: secret, id: id, version: stored.Version, owner: rand.Text(), held: held}
			leased, err := r.lease(ctx, now)
			if leased {
				return r.run(ctx)
			}
			if err != nil && !isValid {
				return nil, err
			}
		}
		if isValid {
			return held, nil
		}
		if !hasTime(ctx, pause+pageTime) || !s.sleep(ctx, pause) {
			break
		}
		waited += pause
	}
	return nil, errIssuerFails(errors.New("the renewal of another request takes too long"))
}

// finishOver ends a session whose time is over, within cleanupTime.
func (s *sessions) finishOver(ctx context.Context, secret string) {
	bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupTime)
	defer cancel()
	if _, err := s.finish(bounded, secret); err != nil {
		logSession(ctx, slog.LevelWarn, "A session that is over could not be deleted.", err)
	}
}

// read reads and opens a session; nil if there is none that opens. Errors: Unavailable.
func (s *sessions) read(ctx context.Context, id table.SessionID, secret string) (table.Session, *session, error) {
	stored, found, err := s.store.Session(ctx, id)
	switch {
	case errors.Is(err, table.ErrUnreadable):
		logSession(ctx, slog.LevelWarn, "A session can't be read.", err)
		return stored, nil, nil
	case err != nil || !found:
		return stored, nil, err
	}
	held, ok := openSession(secret, stored)
	if !ok || held.Issuer != s.issuer.url {
		logSession(ctx, slog.LevelWarn, "A session can't be opened.", nil)
		return stored, nil, nil
	}
	return stored, held, nil
}

// renewal is the renewal of a session by the request that holds its lease.
type renewal struct {
	*sessions
	secret  string
	id      table.SessionID
	version int
	owner   string
	held    *session
}

// lease takes the lease, within leaseWriteTime, if the request's time leaves enough for
// the renewal and the page. now is when the lease begins. A lease that comes late is
// given back, since it might end before the renewal. So is one whose answer is lost.
// Errors: Unavailable, also where there is no time.
func (r *renewal) lease(ctx context.Context, now time.Time) (bool, error) {
	if !hasTime(ctx, leaseWriteTime+renewalTime+saveTime+pageTime) {
		return false, errIssuerFails(errors.New("the request has no time left for a renewal"))
	}
	bounded, cancel := context.WithTimeout(ctx, leaseWriteTime)
	defer cancel()
	leased, err := r.store.LeaseSession(bounded, r.id, r.version, r.owner, now, now.Add(leaseTime))
	if err == nil && leased && r.now().Sub(now) > leaseWriteTime {
		err = errIssuerFails(errors.New("the lease of a renewal came late"))
	}
	if err != nil {
		r.release(ctx)
	}
	return leased && err == nil, err
}

// releaseTime bounds the release of a lease. It fits into the time that the renewal would
// have taken.
const releaseTime = time.Second

// release ends the lease, within releaseTime. One that can't be released runs out.
func (r *renewal) release(ctx context.Context) {
	bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), releaseTime)
	defer cancel()
	if err := r.store.ReleaseSession(bounded, r.id, r.owner); err != nil {
		logSession(ctx, slog.LevelWarn, "A lease could not be released.", err)
	}
}

// run renews the session, and returns it; nil if it is over. While the issuer fails, the
// session stays as it is. It takes renewalTime and saveTime at most. Errors: Unavailable.
func (r *renewal) run(ctx context.Context) (*session, error) {
	// The issuer gives a new refresh token once: the end of the request must not lose it.
	background := context.WithoutCancel(ctx)
	given, err := r.issuer.refresh(background, r.held.Refresh)
	background, cancel := context.WithTimeout(background, saveTime)
	defer cancel()
	if err == nil && given.actor.Subject != r.held.Subject {
		err = &refusedError{reason: "the issuer renews the session of another person"}
	}
	if isRefusal(err) {
		logSession(ctx, slog.LevelInfo, "A session is over.", err)
		r.end(background, given.refresh)
		return nil, nil
	}
	if err != nil {
		return r.fail(background, given.refresh, err)
	}
	next := r.held.with(given, r.now())
	if saved, err := r.save(background, next); err != nil {
		// Whether it was saved is not known. This request has its answer all the same.
		logSession(ctx, slog.LevelError, "A renewed session could not be saved.", err)
		return next, nil
	} else if saved {
		return next, nil
	}
	if isOver, err := r.isOver(background, given.refresh); err != nil || isOver {
		return nil, err
	}
	return next, nil // another request has renewed it, after the lease
}

// isOver reports whether the person has signed out meanwhile. It revokes the new refresh
// token then. Errors: Unavailable.
func (r *renewal) isOver(ctx context.Context, refresh string) (bool, error) {
	_, found, err := r.store.Session(ctx, r.id)
	if err != nil || found {
		return false, err
	}
	r.revoke(ctx, refresh)
	return true, nil
}

// end deletes the session, which the issuer has ended. refresh is a refresh token that it
// has given all the same; "" for none.
func (r *renewal) end(ctx context.Context, refresh string) {
	if _, _, err := r.store.DeleteSession(ctx, r.id, r.owner); err != nil {
		// The issuer refuses it the next time too.
		logSession(ctx, slog.LevelWarn, "A session that is over could not be deleted.", err)
	}
	r.revoke(ctx, refresh)
}

// fail returns the session as it is, if it is still valid; the error Unavailable
// otherwise. refresh is the refresh token that the issuer has given; "" for none. Until
// RetryAt, or the end of the lease, no other request asks the issuer.
func (r *renewal) fail(ctx context.Context, refresh string, cause error) (*session, error) {
	logSession(ctx, slog.LevelError, "The issuer does not renew a session.", cause)
	now := r.now()
	isValid := r.held.isValid(now)
	if isNew := refresh != "" && refresh != r.held.Refresh; isNew || !isValid {
		next := *r.held
		next.Refresh, next.RetryAt = cmp.Or(refresh, r.held.Refresh), now.Add(issuerPause)
		saved, err := r.save(ctx, &next)
		if err == nil && !saved && isNew {
			_, err = r.isOver(ctx, refresh)
		}
		if err != nil {
			logSession(ctx, slog.LevelError, "The failure of a renewal could not be saved.", err)
		}
	}
	if isValid {
		return r.held, nil
	}
	return nil, errIssuerFails(cause)
}

// save stores renewed content. It tries for saveTime, since the issuer may take the old
// refresh token no more. It returns false if the session was ended, or the lease has
// passed to another request.
func (r *renewal) save(ctx context.Context, next *session) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, saveTime)
	defer cancel()
	sealed := next.seal(r.secret)
	for pause, waited := minPause, time.Duration(0); ; pause = min(2*pause, maxPause) {
		saved, err := r.store.RenewSession(ctx, r.id, r.version, r.owner, sealed)
		if waited += pause; err == nil || waited > saveTime || !r.sleep(ctx, pause) {
			return saved, err
		}
	}
}

// finish ends the session with a secret: it deletes it and revokes its refresh token. It
// reports whether the issuer answered. No such session is no error. Errors: Unavailable.
func (s *sessions) finish(ctx context.Context, secret string) (answered bool, err error) {
	held, err := s.remove(ctx, secret)
	if err != nil || held == nil {
		return true, err
	}
	return s.revoke(ctx, held.Refresh), nil
}

// remove deletes the session with a secret, and returns it; nil for none that opens.
// Errors: Unavailable.
func (s *sessions) remove(ctx context.Context, secret string) (*session, error) {
	id := table.NewSessionID(secret)
	// Read before: a deletion that is repeated, after an answer that was lost, finds
	// nothing.
	_, held, err := s.read(ctx, id, secret)
	if err != nil {
		return nil, err
	}
	was, deleted, err := s.store.DeleteSession(ctx, id, "")
	if err != nil && !errors.Is(err, table.ErrUnreadable) { // read has logged that
		return nil, err
	}
	if latest, ok := openSession(secret, was); deleted && ok && latest.Issuer == s.issuer.url {
		held = latest
	}
	return held, nil
}

// revoke revokes a refresh token, and reports whether the issuer answered. "" is no
// token. Without its session nobody has the token.
func (s *sessions) revoke(ctx context.Context, refresh string) bool {
	if refresh == "" {
		return true
	}
	err := s.issuer.revoke(ctx, refresh)
	if err != nil {
		logSession(ctx, slog.LevelWarn, "A refresh token could not be revoked.", err)
	}
	return err == nil || isRefusal(err)
}

// errNotRenewed is the cause of the refusal of a request whose session can't be renewed
// now. To sign in again makes another session.
var errNotRenewed = errors.New("the issuer does not renew the session")

// errIssuerFails is the refusal of a request whose session can't be renewed now.
func errIssuerFails(cause error) error {
	return &agency.Error{
		Code: agency.Unavailable, RetryAfter: issuerPause, Cause: errors.Join(errNotRenewed, cause),
		Message: "We can’t confirm your sign-in right now. Nothing was changed; try again in a moment.",
	}
}

// issuerPause is when to try again after a failure of the issuer.
const issuerPause = 5 * time.Second

// logSession logs what happens to a session. It names the request only.
func logSession(ctx context.Context, level slog.Level, message string, err error) {
	var attributes []slog.Attr
	if err != nil {
		attributes = append(attributes, slog.String("error", err.Error()))
	}
	slog.LogAttrs(ctx, level, message, attributes...)
}
