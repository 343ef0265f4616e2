package main

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"

	"agencyhub/shared/agency"
	"agencyhub/shared/outbox"
	"agencyhub/shared/service"
	"agencyhub/shared/stream"
	"agencyhub/shared/table"
	"agencyhub/shared/trace"
)

const (
	// maxLines is how many lines of held emails a digest has. Equal ones are one line.
	maxLines = 10
	// maxChecked is how many emails that still wait a digest looks for, the newest
	// first. It counts the others of its spelling without looking at them.
	maxChecked = 100
	// heldBatch is how many held emails are looked at, or ended, before the time is
	// looked at again. Unhold takes no more than 100.
	heldBatch = 25
	// maxPeople is how many persons one batch read takes.
	maxPeople = 100
)

// digest is the work on the digest of a mailbox.
type digest struct {
	*invocation
	event agency.Event
	box   agency.MailboxID
}

// spelling is one address of a mailbox, and what is held for it, the newest first.
type spelling struct {
	recipient agency.PersonID
	isTagged  bool
	// hasSignedIn reports whether its person has ever signed in.
	hasSignedIn bool
	// digest is the mailbox's digest to it, as far as that has come.
	digest outbox.Mail
	held   []outbox.HeldMail
}

// isTold reports whether the digest was sent to the spelling, or may have been and is
// given up.
func (s spelling) isTold() bool {
	return s.digest.MessageID != "" || s.digest.Fate == outbox.Unconfirmed
}

// isRefused reports whether SES has refused the digest to the spelling.
func (s spelling) isRefused() bool {
	return s.digest.MessageID == "" && s.digest.Fate == outbox.Failed
}

// heldMail is a held email as it would be sent now.
type heldMail struct {
	outbox.HeldMail
	context eventContext
	mail    mail
	// fate is its end if it is not sent any more; "" while it waits.
	fate outbox.Fate
}

// endedMail is a held email with its end. messageID is the digest's, of one that it has
// told.
type endedMail struct {
	outbox.HeldMail
	fate      outbox.Fate
	messageID string
}

// processDigest sends the digest of a mailbox to one of its spellings, and ends the
// emails that were held for it. Those that are not sent any more end before it is sent.
// So all that are left once it was sent are those that it stands for, whatever happened
// between. It ends without a digest only if no email waits any more.
func (n *invocation) processDigest(ctx context.Context, e agency.Event) error {
	d := digest{invocation: n, event: e, box: agency.MailboxID(e.Addressee)}
	all, err := d.spellings(ctx)
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(all, spelling.isTold) {
		if err := d.sendToFirst(ctx, all); err != nil {
			return err
		}
		if all, err = d.spellings(ctx); err != nil {
			return err
		}
	}
	return d.finishHeld(ctx, all)
}

// spellings reads the spellings of the mailbox, in the order in which the digest goes to
// them: the one that it is claimed for, those whose person has signed in, those without
// a tag, the newest.
func (d *digest) spellings(ctx context.Context) ([]spelling, error) {
	held, err := d.store.HeldMails(ctx, d.box, d.event.Version)
	if err != nil {
		return nil, err
	}
	mails, err := d.store.Mails(ctx, d.event.ID)
	if err != nil {
		return nil, err
	}
	var all []spelling
	index := map[agency.PersonID]int{}
	of := func(id agency.PersonID) *spelling {
		i, ok := index[id]
		if !ok {
			i = len(all)
			index[id], all = i, append(all, spelling{recipient: id})
		}
		return &all[i]
	}
	for _, h := range held {
		s := of(h.Recipient)
		s.held, s.isTagged = append(s.held, h), h.IsTagged
	}
	for _, m := range mails {
		of(m.Recipient).digest = m
	}
	for part := range slices.Chunk(all, maxPeople) {
		var want service.Want
		for _, s := range part {
			want.People = append(want.People, s.recipient)
		}
		read, err := d.store.Load(ctx, want)
		if err != nil {
			return nil, err
		}
		for i := range part {
			part[i].hasSignedIn = !hasNeverSignedIn(read.Person(part[i].recipient))
		}
	}
	slices.SortStableFunc(all, func(a, b spelling) int { return cmp.Compare(a.rank(), b.rank()) })
	return all, nil
}

// rank orders spellings for the digest.
func (s spelling) rank() int {
	rank := 0
	if s.digest.Fate != outbox.Waiting {
		rank += 4
	}
	if !s.hasSignedIn {
		rank += 2
	}
	if s.isTagged {
		rank++
	}
	return rank
}

// sendToFirst sends the digest to the first spelling for which an email waits and that
// SES does not refuse. It returns once one is sent, or nothing waits.
func (d *digest) sendToFirst(ctx context.Context, all []spelling) error {
	value, isStopped, err := d.store.StopLink(ctx, d.box)
	if err != nil {
		return err
	}
	var attempts []delivery
	for i := range all {
		s := &all[i]
		if isStopped {
			if err := d.endAll(ctx, s, outbox.Stopped); err != nil {
				return err
			}
			continue
		}
		if !s.isRefused() {
			a, err := d.sendTo(ctx, s, all, value)
			if err != nil {
				return err
			}
			if a != nil {
				attempts = append(attempts, *a)
				if a.sent {
					break
				}
			}
		}
		// Nothing waits for it any more, or SES refuses it.
		if err := d.endAll(ctx, s, outbox.Failed); err != nil {
			return err
		}
	}
	// An earlier attempt may have claimed it for another spelling.
	waiting, err := d.drop(ctx, d.event, attempts)
	return cmp.Or(err, waiting)
}

// sendTo sends the digest to a spelling, and returns what came of it; nil if no email
// waits for it. A digest that may have been sent counts as having reached its recipient,
// also while it is tried again.
func (d *digest) sendTo(ctx context.Context, s *spelling, all []spelling, stop string) (*delivery, error) {
	waiting, err := d.check(ctx, s)
	if err != nil || len(waiting) == 0 {
		return nil, err
	}
	data, listed, err := d.data(s, waiting, stop)
	if err != nil {
		return nil, err
	}
	for _, other := range all {
		if other.recipient != s.recipient {
			data.Elsewhere += len(other.held)
		}
	}
	to := waiting[0].mail
	deliveries := []delivery{{
		context: eventContext{event: d.event, now: d.now()}, digest: &data,
		mail: mail{kind: outbox.DigestKind, to: to.to, lifted: to.lifted},
	}}
	d.deliverAll(ctx, deliveries)
	a := &deliveries[0]
	if a.sent && a.err != nil {
		if err := d.sideBySide(len(listed), func(i int) error {
			return d.addReached(ctx, listed[i].HeldMail, listed[i].context.event)
		}); err != nil {
			return a, err
		}
	}
	return a, a.err
}

// check returns the emails that still wait for a spelling, the newest first: enough for
// as many askers as the digest has lines. It ends those that don't wait any more.
func (d *digest) check(ctx context.Context, s *spelling) (waiting []heldMail, err error) {
	askers := map[agency.PersonID]bool{}
	held := s.held
	s.held = nil
	for batch := range slices.Chunk(held, heldBatch) {
		if len(askers) >= maxLines || len(waiting) >= maxChecked {
			s.held = append(s.held, batch...)
			continue
		}
		if !stream.HasTime(ctx, emailTime) {
			return nil, errNoTime
		}
		checked := make([]heldMail, len(batch))
		if err := d.sideBySide(len(batch), func(i int) (err error) {
			checked[i], err = d.checkOne(ctx, batch[i])
			return err
		}); err != nil {
			return nil, err
		}
		var ended []endedMail
		for _, h := range checked {
			if h.fate != "" {
				ended = append(ended, s.ended(h.HeldMail, h.fate))
				continue
			}
			askers[h.asker()] = true
			waiting, s.held = append(waiting, h), append(s.held, h.HeldMail)
		}
		if err := d.end(ctx, ended); err != nil {
			return nil, err
		}
	}
	return waiting, nil
}

// sideBySide does n things side by side, and returns one of their errors.
func (d *digest) sideBySide(n int, do func(i int) error) error {
	var wg sync.WaitGroup
	slots := make(chan struct{}, max(1, d.workers))
	errs := make([]error, n)
	for i := range n {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			defer stream.Recover(&errs[i])
			errs[i] = do(i)
		})
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// checkOne looks at what a held email would be now.
func (d *digest) checkOne(ctx context.Context, held outbox.HeldMail) (heldMail, error) {
	h := heldMail{HeldMail: held, fate: outbox.Dropped}
	e, found, err := d.store.Event(ctx, table.EventKey{Addressee: h.Addressee, ID: h.Event})
	if err != nil || !found {
		return h, err
	}
	all, err := loadContext(ctx, d.store, e.Event, d.now())
	if err != nil {
		return h, err
	}
	for _, c := range all {
		for _, m := range emailsFor(c) {
			if m.kind != h.Kind || m.to.ID != h.Recipient {
				continue
			}
			now, err := checkRecipients(ctx, d.store, []mail{m})
			if err != nil {
				return h, err
			}
			h.context, h.mail, h.fate = c, now[0], now[0].withheld
		}
	}
	return h, nil
}

// line returns how the digest lists a held email: by its subject.
func (d *digest) line(h heldMail) (string, error) {
	line, err := d.templates.subject(h.Kind, d.deployment.emailData(h.Kind, h.Recipient, h.context))
	if err != nil {
		return "", fmt.Errorf("%w: %w", stream.ErrLater, err)
	}
	return line, nil
}

// data returns what the digest says to a spelling, and the emails that it lists. Only
// what waits for that very spelling is listed: another one may be another person's.
func (d *digest) data(s *spelling, waiting []heldMail, stop string) (data emailData, listed []heldMail, err error) {
	data = emailData{
		Product: d.deployment.product, To: agency.DisplayEmail(waiting[0].mail.to.Address), HomeURL: d.deployment.publicURL,
		WaitingURL: d.deployment.publicURL + "/waiting", StopURL: d.deployment.stopURL(d.box, stop),
	}
	for _, h := range inTurns(waiting) {
		text, err := d.line(h)
		if err != nil {
			return data, nil, err
		}
		lines := &data.News
		if h.asksForAnswer() {
			lines = &data.Asks
		}
		i := slices.IndexFunc(*lines, func(l heldLine) bool { return l.Text == text })
		switch {
		case i >= 0:
			(*lines)[i].Times++
		case len(data.Asks)+len(data.News) == maxLines:
			continue
		default:
			*lines = append(*lines, heldLine{Text: text, Times: 1})
		}
		listed = append(listed, h)
	}
	data.More = len(s.held) - len(listed)
	return data, listed, nil
}

// asksForAnswer reports whether the email asks its recipient to accept.
func (h heldMail) asksForAnswer() bool {
	of := h.context.event.Type
	return (asksForDecision[of] || asksPerson[of]) && !isForAgency(h.Kind)
}

// asker is the person who caused the email.
func (h heldMail) asker() agency.PersonID {
	by, _ := askedBy(h.context)
	return by
}

// inTurns orders emails for the lines of a digest: what asks for an answer before news,
// and of each the newest of every asker before anybody's second, so that nobody pushes
// others out by asking more.
func inTurns(waiting []heldMail) []heldMail {
	// news is 1 for news, and 0 for what asks for an answer.
	type group struct {
		news  int
		asker agency.PersonID
	}
	type place struct{ news, turn int }
	turns := map[group]int{}
	places := map[outbox.MailKey]place{}
	for _, h := range waiting {
		g := group{asker: h.asker()}
		if !h.asksForAnswer() {
			g.news = 1
		}
		places[h.MailKey] = place{g.news, turns[g]}
		turns[g]++
	}
	ordered := slices.Clone(waiting)
	slices.SortStableFunc(ordered, func(a, b heldMail) int {
		x, y := places[a.MailKey], places[b.MailKey]
		return cmp.Or(cmp.Compare(x.news, y.news), cmp.Compare(x.turn, y.turn))
	})
	return ordered
}

// finishHeld ends the emails that are left once the digest was sent: those of its spelling
// as far as it has come, and those of other spellings as counted.
func (d *digest) finishHeld(ctx context.Context, all []spelling) error {
	isTold := slices.ContainsFunc(all, spelling.isTold)
	for i := range all {
		s := &all[i]
		var err error
		switch {
		case len(s.held) == 0:
		case !isTold:
			err = fmt.Errorf("%w: held emails are not told yet", stream.ErrLater)
		case s.digest.MessageID != "":
			err = d.endAll(ctx, s, outbox.Sent)
		case s.isTold():
			err = d.endAll(ctx, s, outbox.Unconfirmed)
		case s.isRefused():
			err = d.endAll(ctx, s, outbox.Failed)
		default:
			err = d.endAll(ctx, s, outbox.Counted)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// ended returns a held email of the spelling with its end. One that is not sent may have
// been told by an attempt whose outcome is unknown.
func (s spelling) ended(h outbox.HeldMail, fate outbox.Fate) endedMail {
	switch {
	case fate == outbox.Sent:
		return endedMail{HeldMail: h, fate: fate, messageID: s.digest.MessageID}
	case s.digest.MayBeSent:
		return endedMail{HeldMail: h, fate: outbox.Unconfirmed}
	default:
		return endedMail{HeldMail: h, fate: fate}
	}
}

// endAll ends all emails of a spelling.
func (d *digest) endAll(ctx context.Context, s *spelling, fate outbox.Fate) error {
	var ended []endedMail
	for _, h := range s.held {
		ended = append(ended, s.ended(h, fate))
	}
	s.held = nil
	return d.end(ctx, ended)
}

// end stores the ends of held emails, a batch after the other while there is time.
func (d *digest) end(ctx context.Context, all []endedMail) error {
	for batch := range slices.Chunk(all, heldBatch) {
		if !stream.HasTime(ctx, emailTime) {
			return errNoTime
		}
		if err := d.sideBySide(len(batch), func(i int) error { return d.endOne(ctx, batch[i]) }); err != nil {
			return err
		}
		var keys []outbox.MailKey
		for _, m := range batch {
			keys = append(keys, m.MailKey)
		}
		if err := d.store.Unhold(ctx, d.box, keys...); err != nil {
			return err
		}
	}
	return nil
}

// endOne stores the end of a held email, and logs it by the email's own event. One that
// the digest has told, or may have told, has reached its recipient.
func (d *digest) endOne(ctx context.Context, m endedMail) error {
	e, found, err := d.store.Event(ctx, table.EventKey{Addressee: m.Addressee, ID: m.Event})
	if err != nil {
		return err
	}
	if found && (m.fate == outbox.Sent || m.fate == outbox.Unconfirmed) {
		if err := d.addReached(ctx, m.HeldMail, e.Event); err != nil {
			return err
		}
	}
	ctx = trace.With(ctx, slog.String("event", string(m.Event)), slog.String("account", string(m.Addressee)))
	ctx = ofMail(trace.WithRequest(ctx, e.RequestID), m.MailKey)
	if err := d.finish(ctx, m.MailKey, m.fate, m.messageID); err != nil {
		return err
	}
	if m.fate == outbox.Sent {
		slog.InfoContext(ctx, "A held email is told by a digest.", "fate", string(m.fate), "messageId", m.messageID)
	}
	return nil
}

// addReached stores that the request that a held email asks to answer has reached its
// recipient.
func (d *digest) addReached(ctx context.Context, h outbox.HeldMail, e agency.Event) error {
	if !e.MailsRequest() || isForAgency(h.Kind) {
		return nil
	}
	key := e.RequestKey()
	read, err := d.store.Load(ctx, service.Want{Profiles: []agency.ProfileKey{key}})
	if err != nil {
		return err
	}
	more := outbox.NotReached(read.Profile(key), h.Recipient)
	if len(more) == 0 {
		return nil
	}
	return d.store.AddReached(ctx, key, e.Request, more...)
}
