package main

import (
	"cmp"
	"crypto/rand"
	"strings"

	"agencyhub/shared/agency"
	"agencyhub/shared/service"
)

// addPage shows the two ways to a client side by side.
type addPage struct {
	frame
	Agency agency.AccountID
}

func (c *console) add(v *visit) (answer, error) {
	tabs, instead, err := c.toWorkIn(v)
	if err != nil || instead != nil {
		return orElse(instead), err
	}
	return show("add", &addPage{frame: frame{Tabs: tabs}, Agency: v.agency()}), nil
}

// orElse is what is shown in place of a page.
func orElse(instead *answer) answer {
	if instead == nil {
		return answer{}
	}
	return *instead
}

// createPage creates an account that the agency owns.
type createPage struct {
	frame
	Agency agency.AccountID
	// Key names this form, so that sending it twice makes one account.
	Key    string
	Plans  []planChoice
	Levels levelsTable
	// ForClient tells whether the part for the client stands open.
	ForClient bool
}

// planChoice is a plan as a card to choose.
type planChoice struct {
	ID, Name, Price string
	On              bool
}

func (c *console) createClient(v *visit) (answer, error) {
	tabs, instead, err := c.toWorkIn(v)
	if err != nil || instead != nil {
		return orElse(instead), err
	}
	p := &createPage{frame: frame{Tabs: tabs}, Agency: v.agency(), Key: formKey(v)}
	p.Levels = v.levelsTable("What the client may do in the account", nil, nil)
	p.ForClient = v.form.value("email") != "" || v.areas().IsAny()
	chosen := v.form.value("plan")
	for i, plan := range c.svc.Rules.Plans {
		p.Plans = append(p.Plans, planChoice{
			ID: plan.ID, Name: plan.Name, Price: c.planPrice(plan.ID), On: plan.ID == chosen || chosen == "" && i == 0,
		})
	}
	if !v.post() {
		return show("create", p), nil
	}
	in := service.NewClientAccount{
		Name: v.form.value("name"), Plan: chosen, ConfirmPermanentOwnership: agency.SameName(v.form.value("confirm"), v.form.value("name")),
	}
	if p.ForClient {
		in.Client = &service.NewClient{Email: v.form.value("email"), Areas: v.areas()}
	}
	view, err := c.svc.CreateAccount(v.ctx, v.actor, p.Agency, p.Key, in)
	if err == nil {
		return v.done(clientLink(p.Agency, agency.NewConnectionID(agency.Party(view.ID), p.Agency)), "created"), nil
	}
	code := agency.CodeOf(err)
	if p.Faults, err = v.refuse(err); err != nil {
		return answer{}, err
	}
	if p.Faults.At("confirmPermanentOwnership") != "" {
		p.Faults.Message = "Confirm that your agency will own this account for good."
		p.Faults.Fields["confirmPermanentOwnership"] = "Type the account’s name exactly as you gave it above."
	}
	if code == agency.IdempotencyMismatch {
		// Somebody went back, typed something else, and sent the form again.
		p.Key = rand.Text()
		p.Faults.Message = "This form has already created an account, with other details: you find it among your clients. To create one more, send the form again."
	}
	p.Levels.Fault = p.Faults.levels("client.areas")
	return refused("create", p, p.Faults), nil
}

// connectPage asks to work in an account that its client owns.
type connectPage struct {
	frame
	Agency agency.AccountID
	// Whom and Message are what stands in the form before anything is typed.
	Whom, Message string
	Levels        levelsTable
	// Again tells that somebody is asked once more, and Was is the page of the
	// request before.
	Again bool
	Was   string
	// Existing is the connection that stands against a new request; "" for none.
	Existing string
}

// WhomFault is what is wrong with whom the request is addressed to.
func (p *connectPage) WhomFault() string {
	return cmp.Or(p.Faults.At("account"), p.Faults.At("ownerEmail"))
}

func (c *console) connectClient(v *visit) (answer, error) {
	p := &connectPage{Agency: v.agency()}
	tabs, instead, err := c.toWorkIn(v)
	if err != nil || instead != nil {
		return orElse(instead), err
	}
	p.Tabs = tabs
	var before agency.Areas
	if again := agency.ConnectionID(v.r.URL.Query().Get("again")); again != "" {
		was, err := c.svc.GetConnection(v.ctx, v.actor, p.Agency, again)
		if err != nil {
			return answer{}, err
		}
		p.Again, p.Was, p.Message, before = true, clientLink(p.Agency, again), was.Request.Message, c.svc.GrantedAreas(was)
		if p.Whom = string(was.Addressee); was.Addressee.Person() != "" {
			p.Whom = was.Email
		}
	}
	p.Levels = v.levelsTable("What you ask for", before, nil)
	p.Levels.Hint = "Ask for what you need. Whoever accepts may grant less, and can change it at any time."
	if !v.post() {
		return show("connect", p), nil
	}
	in, err := askOf(v)
	if err == nil {
		var asked agency.Profile
		if asked, err = c.svc.RequestConnection(v.ctx, v.actor, p.Agency, in); err == nil {
			return v.done(clientLink(p.Agency, asked.ID()), "asked"), nil
		}
	}
	switch agency.CodeOf(err) {
	case agency.NotFound:
		// The agency is there, so it is the account that is not.
		err = noWhom("There is no account with this id. Ask your client to copy it from their account’s Settings.")
	case agency.AlreadyRequested, agency.AlreadyConnected:
		addressee := agency.Party(in.Account)
		if in.OwnerEmail != "" {
			addressee = agency.Party(agency.NewPersonID(in.OwnerEmail))
		}
		p.Existing = clientLink(p.Agency, agency.NewConnectionID(addressee, p.Agency))
	default:
	}
	if p.Faults, err = v.refuse(err); err != nil {
		return answer{}, err
	}
	p.Levels.Fault = p.Faults.levels("areas")
	return refused("connect", p, p.Faults), nil
}

// askOf reads the form of a request. Whom it is addressed to is one field: with
// an @ it is an address, else an account's id.
func askOf(v *visit) (service.ConnectionRequest, error) {
	in := service.ConnectionRequest{Message: v.form.value("message"), Areas: v.areas()}
	switch whom := v.form.value("whom"); {
	case strings.Contains(whom, "@"):
		in.OwnerEmail = whom
	case agency.AccountID(whom).IsValid():
		in.Account = agency.AccountID(whom)
	default:
		return in, noWhom("Give the owner’s email address, or the account’s id: it begins with acct_.")
	}
	return in, nil
}

func noWhom(message string) error {
	return &agency.Error{Code: agency.Invalid, Message: message, Fields: []agency.FieldError{{Field: "account", Message: message}}}
}
