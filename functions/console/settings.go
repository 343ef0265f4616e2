package main

import "agencyhub/shared/agency"

// settingsPage is an account's settings. A member reads what the account is, and
// their own access.
type settingsPage struct {
	frame
	Access []areaLevel
	// IsFrozen reports whether nobody may edit, since the subscription is frozen.
	IsFrozen bool
	// Retention is for how long the data of a closed account stays.
	Retention string
}

func (c *console) settings(v *visit) (response, error) {
	a, err := v.visitedAccount("settings")
	if err != nil {
		return response{}, err
	}
	p := &settingsPage{
		frame: frame{Account: a}, Access: c.areaLevels(a.Access.Areas), IsFrozen: a.Access.Reason == agency.Frozen,
		Retention: inWords(c.svc.Rules.Retention),
	}
	if res, done, err := v.act(&p.frame, func() (response, error) { return c.changeAccount(v, a) }); done {
		return res, err
	}
	return show("settings", p), nil
}

// changeAccount does what the pressed button of the settings says.
func (c *console) changeAccount(v *visit, a *visitedAccount) (response, error) {
	here := a.URL("/settings")
	switch v.action() {
	case "rename":
		_, err := c.svc.RenameAccount(v.ctx, v.caller(), a.ID, v.form.value("name"))
		return v.doneUnless(err, here, "renamed")
	case "hub-on":
		_, err := c.svc.SwitchAgencyOn(v.ctx, v.actor, a.ID)
		return v.doneUnless(err, "/agencies/"+string(a.ID), "hub-on")
	case "hub-off":
		_, err := c.svc.SwitchAgencyOff(v.ctx, v.actor, a.ID)
		return v.doneUnless(err, here, "hub-off")
	case "leave":
		_, err := c.svc.RemoveMember(v.ctx, agency.Caller{Actor: v.actor}, a.ID, agency.Party(v.actor.ID()), false)
		return v.doneUnless(err, "/", "left")
	case "close":
		if !agency.SameName(v.form.value("confirm"), a.Name) {
			return response{}, confirmationFailed("Type the account’s name exactly as shown.")
		}
		_, err := c.svc.CloseAccount(v.ctx, v.caller(), a.ID)
		after := "/"
		if a.As != "" {
			after = "/agencies/" + string(a.As)
		}
		return v.doneUnless(err, after, "closed")
	default:
		return response{}, unknownAction()
	}
}
