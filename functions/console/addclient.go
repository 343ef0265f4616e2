package main

import (
	"cmp"
	"crypto/rand"
	"strings"

	"agencyhub/shared/agency"
	"agencyhub/shared/service"
)

// addClientPage offers the two ways to add a client.
type addClientPage struct {
	frame
	Agency agency.AccountID
}

func (*console) addClient(_ *visit, a *visitedAccount) (response, error) {
	return show("add-client", &addClientPage{frame: frame{Account: a}, Agency: a.ID}), nil
}

// createClientPage creates an agency-owned account.
type createClientPage struct {
	frame
	Agency agency.AccountID
	// Key is the idempotency key: sending the form twice creates one account.
	Key    string
	Plans  []planChoice
	Levels levelsTable
	// HasClient reports whether access for the client was filled in.
	HasClient bool
}

// planChoice is a plan to choose in a form.
type planChoice struct {
	ID, Name, Price string
	IsChosen        bool
}

func (c *console) createClient(v *visit, a *visitedAccount) (response, error) {
	p := &createClientPage{frame: frame{Account: a}, Agency: a.ID, Key: formKey(v)}
	p.Levels = v.newLevelsTable("The client’s access levels", nil, nil)
	p.HasClient = v.form.value("email") != "" || v.areas().IsAny()
	chosen := v.form.value("plan")
	for i, plan := range c.svc.Rules.Plans {
		p.Plans = append(p.Plans, planChoice{
			ID: plan.ID, Name: plan.Name, Price: c.planPrice(plan.ID), IsChosen: plan.ID == chosen || chosen == "" && i == 0,
		})
	}
	if !v.isPost() {
		return show("create-client", p), nil
	}
	in := service.NewClientAccount{
		Name: v.form.value("name"), Plan: chosen,
		ConfirmPermanentOwnership: agency.SameName(v.form.value("confirm"), v.form.value("name")),
	}
	if p.HasClient {
		in.Client = &service.NewClient{Email: v.form.value("email"), Areas: v.areas()}
	}
	view, err := c.svc.CreateAccount(v.ctx, v.actor, p.Agency, p.Key, in)
	if err == nil {
		notice := "created"
		if !view.IsOpen() {
			notice = "unsent-created"
		}
		return v.done(clientURL(p.Agency, agency.NewConnectionID(agency.Party(view.ID), p.Agency)), notice), nil
	}
	code := agency.CodeOf(err)
	if p.Faults, err = v.refuse(err); err != nil {
		return response{}, err
	}
	if p.Faults.At("confirmPermanentOwnership") != "" {
		p.Faults.Message = "Confirm that your agency will own this account permanently."
		p.Faults.Fields["confirmPermanentOwnership"] = "Type the account’s name exactly as above."
	}
	if code == agency.IdempotencyMismatch {
		// The person went back, typed something else, and sent the form again.
		p.Key = rand.Text()
		p.Faults.Message = "This form has already created an account, with other details. You find it among your clients. " +
			"To create one more, send the form again."
	}
	p.Levels.Fault = p.Faults.levels("client.areas")
	return show("create-client", p), nil
}

// connectClientPage requests access to a client-owned account.
type connectClientPage struct {
	frame
	Agency agency.AccountID
	// Key is the idempotency key: sending the form twice makes one request.
	Key string
	// Addressee and Message are what the form shows at first.
	Addressee, Message string
	Levels             levelsTable
	// IsRepeat reports whether an ended request is repeated. PreviousURL is its page.
	IsRepeat    bool
	PreviousURL string
	// ExistingURL is the page of the connection that rules a new request out; "" for
	// none.
	ExistingURL string
}

// AddresseeFault returns what is wrong with the addressee.
func (p *connectClientPage) AddresseeFault() string {
	return cmp.Or(p.Faults.At("account"), p.Faults.At("ownerEmail"))
}

func (c *console) connectClient(v *visit, a *visitedAccount) (response, error) {
	p := &connectClientPage{frame: frame{Account: a}, Agency: a.ID, Key: formKey(v)}
	var before agency.Areas
	if again := agency.ConnectionID(v.r.URL.Query().Get("again")); again != "" {
		was, err := c.svc.GetConnection(v.ctx, v.actor, p.Agency, again)
		if err != nil {
			return response{}, err
		}
		p.IsRepeat, p.PreviousURL, p.Message, before = true, clientURL(p.Agency, again), was.Request.Message, c.svc.GrantedAreas(was)
		p.Addressee = string(was.Addressee)
		if was.Addressee.Person() != "" {
			p.Addressee = agency.DisplayEmail(was.Email)
		}
	}
	p.Levels = v.newLevelsTable("Access levels to request", before, nil)
	p.Levels.Hint = "Request what you need. They can grant less, and change it later."
	if !v.isPost() {
		return show("connect-client", p), nil
	}
	in, err := readConnectionRequest(v)
	if err == nil {
		in.Key = p.Key
		var made agency.Profile
		if made, err = c.svc.RequestConnection(v.ctx, v.actor, p.Agency, in); err == nil {
			return v.done(clientURL(p.Agency, made.ID()), requestNotice(made.StatusAt(v.now()))), nil
		}
	}
	switch agency.CodeOf(err) {
	case agency.NotFound:
		// The agency was found, so it is the account that does not exist.
		err = invalidAddressee("There is no account with this id. Ask your client to copy it from their account’s Settings.")
	case agency.AlreadyRequested, agency.AlreadyConnected:
		addressee := agency.Party(in.Account)
		if in.OwnerEmail != "" {
			addressee = agency.Party(agency.NewPersonID(in.OwnerEmail))
		}
		p.ExistingURL = clientURL(p.Agency, agency.NewConnectionID(addressee, p.Agency))
	case agency.IdempotencyMismatch:
		// The person went back and sent the form again, with something else, or after
		// another request.
		p.Key = rand.Text()
		err = agency.Refuse(agency.IdempotencyMismatch, "This form has already sent a request. To send one more, send the form again.")
	default:
	}
	if p.Faults, err = v.refuse(err); err != nil {
		return response{}, err
	}
	p.Levels.Fault = p.Faults.levels("areas")
	return show("connect-client", p), nil
}

// requestNotice returns the notice after a request's form, by the connection's status.
// The form is sent again, and no request with it, if that is not pending any more.
func requestNotice(status agency.Status) string {
	if status == agency.Pending {
		return "asked"
	}
	return "unsent-" + string(status)
}

// readConnectionRequest reads the form of a request. The addressee is one field: an
// email address, if it has an @, or else an account's id. Errors: Invalid.
func readConnectionRequest(v *visit) (service.ConnectionRequest, error) {
	in := service.ConnectionRequest{Message: v.form.value("message"), Areas: v.areas()}
	switch to := v.form.value("addressee"); {
	case strings.Contains(to, "@"):
		in.OwnerEmail = to
	case agency.AccountID(to).IsValid():
		in.Account = agency.AccountID(to)
	default:
		return in, invalidAddressee("Give the owner’s email address, or the account’s id: it begins with acct_.")
	}
	return in, nil
}

func invalidAddressee(message string) error {
	return &agency.Error{Code: agency.Invalid, Message: message, Fields: []agency.FieldError{{Field: "account", Message: message}}}
}
