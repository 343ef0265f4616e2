package main

import (
	"errors"
	"log/slog"

	"agencyhub/shared/agency"
)

// mePage is about the signed-in person: their own blocks, unsolicited mail to them, and
// erasing their data.
type mePage struct {
	frame
	// Blocks are of requests to the person's own address.
	Blocks []blockRow
	Next   string
	// MailStopped: the person's mailbox gets no unsolicited mail.
	MailStopped bool
	// LastOwnerOf are the accounts that rule erasing out.
	LastOwnerOf []accountRow
}

// erasedPage confirms that the person's data is being erased.
type erasedPage struct {
	frame
	issuerSignOut
}

func (c *console) me(v *visit) (response, error) {
	p := &mePage{}
	if v.isPost() {
		done, err := c.changeMe(v)
		if err == nil {
			return done, nil
		}
		if err := c.addLastOwned(v, p, err); err != nil {
			return response{}, err
		}
		if p.Faults, err = v.refuse(err); err != nil {
			return response{}, err
		}
	}
	blocks, err := c.svc.MyBlocks(v.ctx, v.actor, v.listPage(pageSize))
	if err != nil {
		return response{}, err
	}
	p.Blocks, p.Next = blockRows(blocks.Items), blocks.Next
	if p.MailStopped, err = c.svc.MyMailStopped(v.ctx, v.actor); err != nil {
		return response{}, err
	}
	return show("me", p), nil
}

// changeMe does what the pressed button says.
func (c *console) changeMe(v *visit) (response, error) {
	switch v.action() {
	case "allow":
		con := agency.NewConnectionID(agency.Party(v.actor.ID()), agency.AccountID(v.form.value("agency")))
		wasBlocked, err := c.svc.UnblockForMe(v.ctx, v.actor, con)
		return v.doneUnless(err, "/me", unblockedNotice(wasBlocked))
	case "stop-mail":
		return v.doneUnless(c.svc.StopMyMail(v.ctx, v.actor), "/me", "mail-stopped")
	case "allow-mail":
		return v.doneUnless(c.svc.AllowMyMail(v.ctx, v.actor), "/me", "mail-allowed")
	case "erase":
		if agency.NormaliseEmail(v.form.value("confirm")) != v.actor.Email {
			return response{}, confirmationFailed("Type the address that you are signed in with, exactly.")
		}
		if err := c.svc.EraseMe(v.ctx, v.actor); err != nil {
			return response{}, err
		}
		at, _, err := v.endSession()
		if err != nil {
			// They have no access: the session opens no account.
			logSession(v.ctx, slog.LevelWarn, "The session of an erased person could not be ended.", err)
			v.dropSession()
			at = v.issuerSignOut()
		}
		return show("erased", &erasedPage{issuerSignOut: at}), nil
	default:
		return response{}, unknownAction()
	}
}

// maxNamed bounds the accounts that the page names.
const maxNamed = 10

// addLastOwned fills in the accounts of which the person is the last owner, where err
// refuses erasing because of them.
func (c *console) addLastOwned(v *visit, p *mePage, err error) error {
	refusal, ok := errors.AsType[*agency.Error](err)
	if !ok || refusal.Code != agency.LastOwner {
		return nil
	}
	for _, field := range refusal.Fields[:min(len(refusal.Fields), maxNamed)] {
		a, err := c.svc.GetAccount(v.ctx, agency.Caller{Actor: v.actor}, agency.AccountID(field.Field))
		if err != nil {
			return err
		}
		p.LastOwnerOf = append(p.LastOwnerOf, accountRow{Name: a.Name, IsAgency: a.IsAgency(), URL: "/accounts/" + string(a.ID)})
	}
	return nil
}
