package main

import "agencyhub/shared/agency"

// aboutPage is an account's settings; for a member, what the account is and what
// they may do in it.
type aboutPage struct {
	frame
	In  inside
	May []grant
	// Frozen tells that nobody may edit: the subscription is not paid.
	Frozen bool
	// LastOwner tells that the person can't leave.
	LastOwner bool
	// Kept is for how long the data of a closed account stays.
	Kept string
}

func (c *console) about(v *visit) (answer, error) {
	in, err := c.inAccount(v, "settings")
	if err != nil {
		return answer{}, err
	}
	p := &aboutPage{In: in, May: c.grants(in.Access.Areas), Kept: lasting(c.svc.Rules.Retention)}
	p.Tabs = in.Tabs
	p.Frozen = in.Access.Reason == agency.Frozen
	p.LastOwner = in.As == "" && in.Role == agency.Owner && in.Owners < 2
	if !v.post() {
		return show("about", p), nil
	}
	done, err := c.changeAccount(v, in)
	if err == nil {
		return done, nil
	}
	if p.Faults, err = v.refuse(err); err != nil {
		return answer{}, err
	}
	return refused("about", p, p.Faults), nil
}

// changeAccount does what a form of the settings says.
func (c *console) changeAccount(v *visit, in inside) (answer, error) {
	here := in.Address("/settings")
	switch v.do() {
	case "rename":
		_, err := c.svc.RenameAccount(v.ctx, v.caller(), in.ID, v.form.value("name"))
		return v.doneUnless(err, here, "renamed")
	case "hub-on":
		_, err := c.svc.SwitchAgencyOn(v.ctx, v.actor, in.ID)
		return v.doneUnless(err, "/agencies/"+string(in.ID), "hub-on")
	case "hub-off":
		_, err := c.svc.SwitchAgencyOff(v.ctx, v.actor, in.ID)
		return v.doneUnless(err, here, "hub-off")
	case "leave":
		_, err := c.svc.RemoveMember(v.ctx, agency.Caller{Actor: v.actor}, in.ID, agency.Party(v.actor.ID()), false)
		return v.doneUnless(err, "/", "left")
	case "close":
		if !agency.SameName(v.form.value("confirm"), in.Name) {
			return answer{}, unconfirmed("Type the account's name as it stands above.")
		}
		_, err := c.svc.CloseAccount(v.ctx, v.caller(), in.ID)
		after := "/"
		if in.As != "" {
			after = "/agencies/" + string(in.As)
		}
		return v.doneUnless(err, after, "closed")
	default:
		return answer{}, unknownAction()
	}
}
