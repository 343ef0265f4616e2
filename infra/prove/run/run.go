// Package run performs the commands of package law on the product's use cases, and
// returns what they answer in the same form.
package run

import (
	"context"
	"time"

	"agencyhub/infra/prove/law"
	"agencyhub/shared/agency"
	"agencyhub/shared/service"
)

// Platform is the caller of the platform's commands.
var Platform = agency.Platform{Client: "platform"}

// Do performs a command on the use cases. The outcome has no events: they are in the
// changes that the Store saves, which a Recorder keeps. A failure that is no refusal has
// the code Internal.
func Do(ctx context.Context, s *service.Service, c law.Command) law.Outcome {
	out, _ := Try(ctx, s, c)
	return out
}

// Try is Do that returns the error as well.
func Try(ctx context.Context, s *service.Service, c law.Command) (law.Outcome, error) {
	out, err := do(ctx, s, c)
	if err == nil {
		return out, nil
	}
	refused := law.Outcome{Code: agency.CodeOf(err)}
	if e := refusalOf(err); e != nil {
		refused.State = e.State
		if e.RetryAfter > 0 {
			refused.Wait = []time.Duration{e.RetryAfter}
		}
	}
	return refused, err
}

func refusalOf(err error) *agency.Error {
	for {
		switch e := err.(type) { //nolint:errorlint // the first refusal of a chain
		case *agency.Error:
			return e
		case interface{ Unwrap() error }:
			err = e.Unwrap()
		default:
			return nil
		}
	}
}

func do(ctx context.Context, s *service.Service, c law.Command) (law.Outcome, error) {
	switch c.Do {
	case law.OpenAccount, law.CreateAccount, law.RenameAccount, law.CloseAccount, law.SwitchAgencyOn, law.SwitchAgencyOff, law.AcceptInvitation:
		view, err := account(ctx, s, c)
		return viewed(view), err
	case law.ChangePlan, law.CancelSubscription, law.ResumeSubscription:
		return billing(ctx, s, c)
	case law.RegisterAccount, law.ReplaceOwner, law.RaiseLimits, law.ReportPayment:
		return platform(ctx, s, c)
	case law.Unblock, law.UnblockForMe:
		return unblock(ctx, s, c)
	case law.InvitePerson:
		p, invited, err := s.InvitePerson(ctx, caller(c), c.Account, service.Invitation{Email: c.Email, Role: c.Role, Areas: c.Areas})
		if m := Member(p); invited {
			return law.Outcome{Profile: &m, Done: "invited"}, err
		} else { //nolint:revive // both answers stand side by side
			return law.Outcome{Profile: &m, Done: "changed"}, err
		}
	case law.Me:
		_, err := s.Me(ctx, c.By)
		return law.Outcome{}, err
	case law.EraseMe:
		return law.Outcome{}, s.EraseMe(ctx, c.By)
	case law.StopMail:
		return law.Outcome{}, s.StopMyMail(ctx, c.By)
	case law.AllowMail:
		return law.Outcome{}, s.AllowMyMail(ctx, c.By)
	case law.SweepProfile:
		done, err := s.SweepProfile(ctx, c.Profile)
		return law.Outcome{Done: string(done)}, err
	case law.SweepAccount:
		done, err := s.SweepAccount(ctx, c.Account)
		return law.Outcome{Done: string(done)}, err
	case law.SweepPerson:
		done, err := s.SweepPerson(ctx, c.Person)
		return law.Outcome{Done: string(done)}, err
	case law.CheckAccess:
		a, err := s.CheckAccess(ctx, caller(c), c.Account)
		return law.Outcome{Access: accessOf(a)}, err
	case law.CheckAccessOf:
		a, err := s.CheckAccessOf(ctx, Platform, c.Email, c.As, c.Account)
		return law.Outcome{Access: accessOf(a)}, err
	default:
		p, err := profile(ctx, s, c)
		m := Member(p)
		return law.Outcome{Profile: &m}, err
	}
}

func caller(c law.Command) agency.Caller { return agency.Caller{Actor: c.By, As: c.As} }

// account performs a command that answers with an account.
func account(ctx context.Context, s *service.Service, c law.Command) (service.AccountView, error) {
	switch c.Do {
	case law.OpenAccount:
		return s.OpenAccount(ctx, c.By, c.Key, c.Name)
	case law.CreateAccount:
		in := service.NewClientAccount{Name: c.Name, Plan: c.Plan, ConfirmPermanentOwnership: c.Confirm}
		if c.Email != "" {
			in.Client = &service.NewClient{Email: c.Email, Areas: c.Areas}
		}
		return s.CreateAccount(ctx, c.By, c.Agency, c.Key, in)
	case law.RenameAccount:
		return s.RenameAccount(ctx, caller(c), c.Account, c.Name)
	case law.CloseAccount:
		return s.CloseAccount(ctx, caller(c), c.Account)
	case law.SwitchAgencyOn:
		return s.SwitchAgencyOn(ctx, c.By, c.Account)
	case law.SwitchAgencyOff:
		return s.SwitchAgencyOff(ctx, c.By, c.Account)
	default:
		return s.AcceptInvitation(ctx, c.By, c.Account, service.Answer{Request: c.Number, Plan: c.Plan})
	}
}

// profile performs a command that answers with a profile.
func profile(ctx context.Context, s *service.Service, c law.Command) (agency.Profile, error) {
	decline := service.Decline{Request: c.Number, Block: c.Block}
	grant := service.Grant{Request: c.Number, Areas: c.Areas, Until: c.Until}
	switch c.Do {
	case law.ResendInvitation:
		return s.ResendInvitation(ctx, caller(c), c.Account, c.Member)
	case law.WithdrawInvitation:
		return s.WithdrawInvitation(ctx, caller(c), c.Account, c.Member)
	case law.AskNewSignIn:
		return s.AskNewSignIn(ctx, caller(c), c.Account, c.Member)
	case law.DeclineInvitation:
		detail, err := s.DeclineInvitation(ctx, c.By, c.Account, decline)
		return detail.Profile, err
	case law.ChangeMember:
		return s.ChangeMember(ctx, caller(c), c.Account, c.Member, service.MemberChange{Role: c.Role, Areas: c.Areas, Until: c.Until, Clients: c.Clients})
	case law.RemoveMember:
		return s.RemoveMember(ctx, caller(c), c.Account, c.Member, c.Block)
	case law.RequestConnection:
		return s.RequestConnection(ctx, c.By, c.Agency, service.ConnectionRequest{
			Account: c.Account, OwnerEmail: c.Email, Message: c.Message, Areas: c.Areas, Key: c.Key,
		})
	case law.ResendRequest:
		return s.ResendRequest(ctx, c.By, c.Agency, c.Connection)
	case law.WithdrawRequest:
		return s.WithdrawRequest(ctx, c.By, c.Agency, c.Connection)
	case law.LeaveAccount:
		return s.LeaveAccount(ctx, c.By, c.Agency, c.Connection)
	case law.AcceptRequest:
		return s.AcceptRequest(ctx, caller(c), c.Account, c.Agency, grant)
	case law.AcceptInto:
		return s.AcceptRequestInto(ctx, c.By, c.Connection, c.Account, grant)
	case law.DeclineRequest:
		return s.DeclineRequest(ctx, caller(c), c.Account, c.Agency, decline)
	case law.DeclineByID:
		return s.DeclineRequestByID(ctx, c.By, c.Connection, decline)
	default:
		panic("run: there is no command " + string(c.Do))
	}
}

func unblock(ctx context.Context, s *service.Service, c law.Command) (law.Outcome, error) {
	var had bool
	var err error
	if c.Do == law.Unblock {
		had, err = s.Unblock(ctx, caller(c), c.Account, c.Agency)
	} else {
		had, err = s.UnblockForMe(ctx, c.By, c.Connection)
	}
	if had {
		return law.Outcome{Done: "unblocked"}, err
	}
	return law.Outcome{Done: "nothing"}, err
}

func billing(ctx context.Context, s *service.Service, c law.Command) (law.Outcome, error) {
	var view service.SubscriptionView
	var err error
	switch c.Do {
	case law.ChangePlan:
		view, err = s.ChangePlan(ctx, caller(c), c.Account, c.Plan)
	case law.CancelSubscription:
		view, err = s.CancelSubscription(ctx, caller(c), c.Account, c.Immediately)
	default:
		view, err = s.ResumeSubscription(ctx, caller(c), c.Account)
	}
	a := subscribed(law.Account{ID: c.Account}, view.Subscription)
	return law.Outcome{Account: &a}, err
}

func platform(ctx context.Context, s *service.Service, c law.Command) (law.Outcome, error) {
	var a agency.Account
	var err error
	done := ""
	switch c.Do {
	case law.RegisterAccount:
		var created bool
		a, created, err = s.RegisterAccount(ctx, Platform, c.Account, service.Registration{Name: c.Name, OwnerEmail: c.Email, Plan: c.Plan})
		if done = "updated"; created {
			done = "created"
		}
	case law.ReplaceOwner:
		a, err = s.ReplaceOwner(ctx, Platform, c.Account, c.Email, c.To)
	case law.RaiseLimits:
		a, err = s.RaiseLimits(ctx, Platform, c.Account, c.Limits)
	default:
		a, err = s.ReportPayment(ctx, Platform, c.Account, service.Payment{Failed: c.Failed, At: c.At})
	}
	answer := Account(a)
	answer.EndedAll, answer.Raised = false, nil
	return law.Outcome{Account: &answer, Done: done}, err
}

// viewed is the answer with an account as its caller sees it.
func viewed(v service.AccountView) law.Outcome {
	a := Account(v.Account)
	a.EndedAll, a.Unpaid, a.ReportedAt, a.Raised = false, false, time.Time{}, nil
	return law.Outcome{Account: &a, Access: accessOf(v.Access)}
}
