package service

import (
	"context"

	"agencyhub/shared/agency"
)

// StopMail stops unsolicited mail to a mailbox, for a person who has the value of the link
// in such an email. It needs no sign-in and gives no other right. A repeat changes nothing.
// Errors: NotFound for a link that is not, or no longer, the mailbox's.
func (s *Service) StopMail(ctx context.Context, box agency.MailboxID, value string) error {
	stopped := false
	if box.IsValid() && value != "" {
		var err error
		if stopped, err = s.Store.StopMail(ctx, box, value, s.Now()); err != nil {
			return err
		}
	}
	if !stopped {
		return agency.Refuse(agency.NotFound, "This link doesn't stop anything any more. Use the link in a newer email, or sign in and stop the emails on your page.")
	}
	return nil
}

// MyMailStopped reports whether the actor's mailbox gets no unsolicited mail. Errors: none.
func (s *Service) MyMailStopped(ctx context.Context, actor agency.Actor) (bool, error) {
	return s.Store.MailStopped(ctx, agency.Mailbox(actor.Email))
}

// StopMyMail stops unsolicited mail to the actor's mailbox. Errors: none.
func (s *Service) StopMyMail(ctx context.Context, actor agency.Actor) error {
	return s.Store.StopOwnMail(ctx, agency.Mailbox(actor.Email), s.Now())
}

// AllowMyMail allows unsolicited mail to the actor's mailbox again. Errors: none.
func (s *Service) AllowMyMail(ctx context.Context, actor agency.Actor) error {
	return s.Store.AllowMail(ctx, agency.Mailbox(actor.Email))
}

// SweepMailbox starts the digest of a mailbox whose time has come: it writes the event
// that notify sends it by. A repeat changes nothing.
func (s *Service) SweepMailbox(ctx context.Context, box agency.MailboxID) (Outcome, error) {
	now := s.Now().UTC()
	e := agency.Event{
		ID: s.NewEventID(now), Type: agency.DigestDue, At: now, Addressee: agency.Party(box), WakeAt: now.Add(s.Rules.WakeAfter),
		RequestID: s.requestID(ctx),
	}
	opened, err := s.Store.OpenDigest(ctx, e)
	if opened {
		s.saved(ctx, e)
		return OutcomeDigest, err
	}
	return OutcomeNone, err
}
