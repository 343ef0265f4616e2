package main

import (
	"errors"

	"agencyhub/shared/agency"
)

// mePage is what the hub holds of the person who is signed in.
type mePage struct {
	frame
	// Blocks are the agencies that the person holds off themselves.
	Blocks []blockRow
	Next   string
	// LastOwnerOf are the accounts that stand in the way of erasing.
	LastOwnerOf []accountRow
}

// erasedPage says that a person's data is being erased.
type erasedPage struct {
	frame
	// Leave is where they end their session at the issuer; "" where they can't.
	Leave string
}

func (c *console) me(v *visit) (answer, error) {
	p := &mePage{}
	if v.post() {
		done, err := c.changeMe(v)
		if err == nil {
			return done, nil
		}
		if err := c.addLastOwned(v, p, err); err != nil {
			return answer{}, err
		}
		if p.Faults, err = v.refuse(err); err != nil {
			return answer{}, err
		}
	}
	blocks, err := c.svc.MyBlocks(v.ctx, v.actor, v.page(pageSize))
	if err != nil {
		return answer{}, err
	}
	p.Blocks, p.Next = blockRows(blocks.Items), blocks.Next
	return refused("me", p, p.Faults), nil
}

func (c *console) changeMe(v *visit) (answer, error) {
	switch v.do() {
	case "allow":
		con := agency.NewConnectionID(agency.Party(v.actor.ID()), agency.AccountID(v.form.value("agency")))
		held, err := c.svc.UnblockForMe(v.ctx, v.actor, con)
		return v.doneUnless(err, "/me", allowedNotice(held))
	case "erase":
		if agency.NormaliseEmail(v.form.value("confirm")) != v.actor.Email {
			return answer{}, unconfirmed("Type the address that you are signed in with, exactly.")
		}
		if err := c.svc.EraseMe(v.ctx, v.actor); err != nil {
			return answer{}, err
		}
		return show("erased", &erasedPage{Leave: v.endSession()}), nil
	default:
		return answer{}, unknownAction()
	}
}

// mostNamed bounds how many accounts a refusal names.
const mostNamed = 10

// addLastOwned names the accounts of which the person is the last owner, where
// that has stood in the way.
func (c *console) addLastOwned(v *visit, p *mePage, err error) error {
	refusal, ok := errors.AsType[*agency.Error](err)
	if !ok || refusal.Code != agency.LastOwner {
		return nil
	}
	for _, field := range refusal.Fields[:min(len(refusal.Fields), mostNamed)] {
		a, err := c.svc.GetAccount(v.ctx, agency.Caller{Actor: v.actor}, agency.AccountID(field.Field))
		if err != nil {
			return err
		}
		p.LastOwnerOf = append(p.LastOwnerOf, accountRow{Name: a.Name, Hub: a.IsAgency(), Link: "/accounts/" + string(a.ID)})
	}
	return nil
}
