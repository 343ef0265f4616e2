package service

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"agencyhub/shared/agency"
)

// Registration is what the platform says of an account of one of its clients.
type Registration struct {
	Name       string
	OwnerEmail string
	// Plan is "" to leave it; a new account then gets the default plan.
	Plan string
}

// RegisterAccount registers an account that a client has in the platform, under
// the platform's id, or updates its name and plan; created is false for one that
// was there. A repeat changes nothing, except that a sole owner's profile is bound
// to their next sign-in. An account whose owners are all being erased gets the
// owner named; any other keeps its own. Errors: Invalid, PermanentlyOwned, Forbidden, Conflict (it is closed, it
// has another owner, it is frozen and the plan another, or the owner's data is
// being erased).
func (s *Service) RegisterAccount(ctx context.Context, by agency.Platform, id agency.AccountID, in Registration) (account agency.Account, created bool, err error) {
	if err := by.Authorize(agency.Register, agency.ClientOwned); err != nil {
		return agency.Account{}, false, err
	}
	if in, err = s.readRegistration(id, in); err != nil {
		return agency.Account{}, false, err
	}
	for range registerAttempts {
		account, created, err = s.register(ctx, by, id, in)
		if !errors.Is(err, errOwnersChanged) {
			return account, created, err
		}
	}
	return agency.Account{}, false, unavailable(errOwnersChanged)
}

// registerAttempts bounds how often a registration reads an account's owners.
const registerAttempts = 4

// errOwnersChanged is returned if an account's owners have changed since they were
// listed.
var errOwnersChanged = errors.New("service: the owners have changed")

// register is RegisterAccount with the owners as they are listed now. Further
// errors: errOwnersChanged.
func (s *Service) register(ctx context.Context, by agency.Platform, id agency.AccountID, in Registration) (account agency.Account, created bool, err error) {
	person := agency.NewPersonID(in.OwnerEmail)
	owners, err := s.otherOwners(ctx, id, person)
	if err != nil {
		return agency.Account{}, false, err
	}
	want := Want{Accounts: []agency.AccountID{id}, Profiles: []agency.ProfileKey{agency.PersonAt(id, person)}, People: []agency.PersonID{person}}
	for _, owner := range owners {
		want = want.plus(Want{Profiles: []agency.ProfileKey{agency.PersonAt(id, owner)}, People: []agency.PersonID{owner}})
	}
	account, err = run(ctx, s, nil, want, func(d *decision) (account agency.Account, err error) {
		account = d.read.Account(id)
		created = !account.Exists()
		switch {
		case created:
			account, err = d.registerNew(id, in)
		case by.Authorize(agency.Register, account.Ownership) != nil:
			err = agency.Refuse(agency.PermanentlyOwned, "An agency owns this account permanently. The platform registers accounts that clients own.")
		case !account.IsOpen():
			err = agency.Refuse(agency.Conflict, "This account was closed.")
		default:
			account, err = d.registerAgain(account, in, owners)
		}
		account.Subscription = account.Subscription.At(d.now)
		return account, err
	})
	return account, created, err
}

func (s *Service) readRegistration(id agency.AccountID, in Registration) (Registration, error) {
	if !id.IsValid() {
		return in, agency.InvalidField("account", "This is no account id: it is acct_ and 26 characters of 0-9 and a-z without i, l, o and u.")
	}
	var err error
	if in.Name, err = s.Rules.ParseName("name", in.Name); err != nil {
		return in, err
	}
	if in.OwnerEmail, err = agency.ParseEmail("ownerEmail", in.OwnerEmail); err != nil {
		return in, err
	}
	if in.Plan != "" && !s.Rules.HasPlan(in.Plan) {
		return in, agency.InvalidField("plan", "There is no such plan. The plans are: %s.", s.Rules.PlanList())
	}
	return in, nil
}

// otherOwners finds the owners of an account that a person does not own: one who is
// not being erased or, if there is none, all. It returns nobody if that person is
// an owner.
func (s *Service) otherOwners(ctx context.Context, id agency.AccountID, person agency.PersonID) ([]agency.PersonID, error) {
	var owners Want
	err := eachPage(func(page Page) (string, error) {
		team, err := s.Store.Team(ctx, agency.Party(id), page)
		for _, p := range team.Items {
			if p.Role == agency.Owner && p.Status == agency.Active {
				owners.People = append(owners.People, p.Member.Person())
			}
		}
		return team.Next, err
	})
	if err != nil || len(owners.People) == 0 || slices.Contains(owners.People, person) {
		return nil, err
	}
	read, err := s.Store.Load(ctx, owners)
	if err != nil {
		return nil, err
	}
	for _, owner := range owners.People {
		if read.Person(owner).Erasing.IsZero() {
			return []agency.PersonID{owner}, nil
		}
	}
	return owners.People, nil
}

func (d *decision) registerNew(id agency.AccountID, in Registration) (agency.Account, error) {
	owner := agency.NewPersonID(in.OwnerEmail)
	if !d.read.Person(owner).Erasing.IsZero() {
		return agency.Account{}, errBeingErased()
	}
	plan := in.Plan
	if plan == "" {
		plan = d.rules.DefaultPlan()
	}
	account, _, err := d.openAccount(id, in.Name, plan, "", agency.Actor{Email: in.OwnerEmail}, true)
	return account, err
}

func errBeingErased() error {
	return agency.Refuse(agency.Conflict, "The data of this person is being erased, as they asked. Try again once that is done.")
}

// registerAgain updates an open account. owners are those of otherOwners.
func (d *decision) registerAgain(account agency.Account, in Registration, owners []agency.PersonID) (agency.Account, error) {
	if in.Plan != "" && in.Plan != account.Subscription.Plan {
		if account.Subscription.StateAt(d.now) == agency.SubscriptionFrozen {
			return account, agency.Refuse(agency.Conflict, "The subscription is frozen, so its plan can't change. Leave the plan out, or have its payer resume it first.")
		}
		now := account.Subscription
		now.Plan = in.Plan
		d.setSubscription(&account, now, agency.PlanChanged)
	}
	if account.Name != in.Name {
		was := account.Name
		account.Name = in.Name
		d.putAccount(&account)
		d.accountEvent(agency.AccountRenamed, account, agency.State{Name: was}, agency.State{Name: in.Name})
	}
	own := d.profile(agency.PersonAt(account.ID, agency.NewPersonID(in.OwnerEmail)))
	if d.isActiveOwner(own) {
		if account.Owners == 1 && own.Subject != "" {
			was := own
			own.Issuer, own.Subject, own.Registered = "", "", true
			own.Version++
			d.put(own)
			d.Events = append(d.Events, agency.NewProfileEvent(agency.PersonReleased, was, own, d.now))
		}
		return account, nil
	}
	if own.Status == agency.Active && own.Role == agency.Owner {
		return account, errBeingErased()
	}
	still := 0
	for _, id := range owners {
		p := d.profile(agency.PersonAt(account.ID, id))
		if d.isActiveOwner(p) {
			return account, agency.Refuse(agency.Conflict, "This account has another owner, who can change its team.")
		}
		if p.Status == agency.Active && p.Role == agency.Owner {
			still++
		}
	}
	if still != account.Owners {
		return account, errOwnersChanged
	}
	p, err := d.appoint(account, in.OwnerEmail)
	if err != nil {
		return account, err
	}
	err = d.countOwners(account, own, p)
	return d.account(account), err
}

// appoint makes an owner of a person that the platform names. The count of owners is left
// to the caller. Errors: Conflict (the person is being erased).
func (d *decision) appoint(account agency.Account, email string) (agency.Profile, error) {
	person := agency.NewPersonID(email)
	if !d.read.Person(person).Erasing.IsZero() {
		return agency.Profile{}, errBeingErased()
	}
	p := d.profile(agency.PersonAt(account.ID, person))
	p.Email, p.AccountName, p.Ownership, p.Subscription = email, account.Name, account.Ownership, account.Subscription.Summary()
	return d.apply(p, agency.Step{Do: agency.Appoint, By: agency.PlatformSide, Role: agency.Owner, Areas: d.rules.AllAreas(agency.Edit)})
}

// ReplaceOwner puts the address to in place of from as the sole owner of an account, and
// tells both. It is for a person whose address has changed at the issuer. A repeat
// changes nothing. Errors: Invalid, NotFound, PermanentlyOwned, Forbidden, Conflict (it
// is closed, from is not its sole owner, or to is being erased).
func (s *Service) ReplaceOwner(ctx context.Context, by agency.Platform, id agency.AccountID, from, to string) (agency.Account, error) {
	if err := by.Authorize(agency.Register, agency.ClientOwned); err != nil {
		return agency.Account{}, err
	}
	from, err1 := agency.ParseEmail("from", from)
	to, err2 := agency.ParseEmail("to", to)
	old, next := agency.NewPersonID(from), agency.NewPersonID(to)
	switch {
	case err1 != nil:
		return agency.Account{}, err1
	case err2 != nil:
		return agency.Account{}, err2
	case !id.IsValid():
		return agency.Account{}, agency.InvalidField("account", "This is no account id.")
	case old == next:
		return agency.Account{}, agency.InvalidField("to", "This is the same address. Name the new one.")
	}
	want := Want{
		Accounts: []agency.AccountID{id}, Profiles: []agency.ProfileKey{agency.PersonAt(id, old), agency.PersonAt(id, next)},
		People: []agency.PersonID{next},
	}
	return run(ctx, s, nil, want, func(d *decision) (agency.Account, error) {
		account := d.read.Account(id)
		was, now := d.profile(want.Profiles[0]), d.profile(want.Profiles[1])
		owns := func(p agency.Profile) bool { return p.Status == agency.Active && p.Role == agency.Owner }
		switch {
		case !account.Exists():
			return account, agency.Refuse(agency.NotFound, "There is no account with this id.")
		case account.Ownership == agency.AgencyOwned:
			return account, agency.PermanentOwner.Refusal()
		case !account.IsOpen():
			return account, agency.Refuse(agency.Conflict, "This account was closed.")
		case account.Owners == 1 && owns(now) && was.Status == agency.Revoked && was.Role == agency.Owner:
			account.Subscription = account.Subscription.At(d.now)
			return account, nil
		case account.Owners != 1 || !owns(was):
			return account, agency.Refuse(agency.Conflict, "The address in from is not the account's only owner. An owner can change its team.")
		}
		// One owner comes and one goes: the account keeps its count.
		if _, err := d.appoint(account, to); err != nil {
			return account, err
		}
		_, err := d.apply(was, agency.Step{Do: agency.Remove, By: agency.AccountSide})
		account.Subscription = account.Subscription.At(d.now)
		return account, err
	})
}

// isActiveOwner reports whether a profile is of an owner who is not being erased.
func (d *decision) isActiveOwner(p agency.Profile) bool {
	return p.Status == agency.Active && p.Role == agency.Owner && d.read.Person(p.Member.Person()).Erasing.IsZero()
}

// RaiseLimits changes the limits that the platform has raised for an account and for
// those who act in its name: a value raises a limit, nil removes what was raised.
// One below the limit of the settings changes nothing. Errors: Invalid, NotFound,
// PermanentlyOwned (the limits are those of the owning agency), Forbidden, Conflict
// (it is closed).
func (s *Service) RaiseLimits(ctx context.Context, by agency.Platform, id agency.AccountID, change map[agency.Limit]*int) (agency.Account, error) {
	if err := by.Authorize(agency.Register, agency.ClientOwned); err != nil {
		return agency.Account{}, err
	}
	if !id.IsValid() {
		return agency.Account{}, agency.InvalidField("account", "This is no account id.")
	}
	if len(change) == 0 {
		return agency.Account{}, agency.InvalidField("limits", "Name a limit to change.")
	}
	if _, err := (agency.Limits{}).Raise(change); err != nil {
		return agency.Account{}, err
	}
	return run(ctx, s, nil, Want{Accounts: []agency.AccountID{id}}, func(d *decision) (account agency.Account, err error) {
		account = d.read.Account(id)
		switch {
		case !account.Exists():
			return account, agency.Refuse(agency.NotFound, "There is no account with this id.")
		case by.Authorize(agency.Register, account.Ownership) != nil:
			return account, agency.Refuse(agency.PermanentlyOwned, "An agency owns this account, so the agency's limits hold in it. Raise those.")
		case !account.IsOpen():
			return account, agency.Refuse(agency.Conflict, "This account was closed.")
		}
		limits, err := account.Limits.Raise(change)
		if err != nil {
			return account, err
		}
		if !maps.Equal(limits, account.Limits) {
			account.Limits = limits
			d.putAccount(&account)
		}
		account.Subscription = account.Subscription.At(d.now)
		return account, nil
	})
}

// Payment is the platform's report of a payment.
type Payment struct {
	// Failed is true if the payment failed.
	Failed bool
	// At is when it succeeded or failed. Reports may come in any order: one that
	// is not newer than the newest known changes nothing.
	At time.Time
}

// reportSkew is how far the platform's clock may be ahead.
const reportSkew = 5 * time.Minute

// ReportPayment records whether an account's last payment succeeded. A failed one
// makes an active subscription past due, and a cancelling or frozen one once it
// is resumed; the next success ends that. Errors: Invalid (a time that is ahead),
// NotFound, Forbidden, Conflict (it is closed).
func (s *Service) ReportPayment(ctx context.Context, by agency.Platform, id agency.AccountID, in Payment) (agency.Account, error) {
	if err := by.Authorize(agency.ReportPayment, agency.ClientOwned); err != nil {
		return agency.Account{}, err
	}
	if !id.IsValid() {
		return agency.Account{}, agency.InvalidField("account", "This is no account id.")
	}
	at := in.At.UTC().Truncate(time.Millisecond)
	if at.After(s.Now().Add(reportSkew)) || at.Year() < 1970 {
		return agency.Account{}, agency.InvalidField("at", "Say when the payment succeeded or failed: a time that does not lie ahead.")
	}
	return run(ctx, s, nil, Want{Accounts: []agency.AccountID{id}}, func(d *decision) (account agency.Account, err error) {
		account = d.read.Account(id)
		switch {
		case !account.Exists():
			return account, agency.Refuse(agency.NotFound, "There is no account with this id.")
		case !account.IsOpen():
			return account, agency.Refuse(agency.Conflict, "This account was closed.")
		}
		if at.After(account.Subscription.ReportedAt) {
			d.freezeOverdue(&account)
			now, as := account.Subscription, agency.EventType("")
			switch {
			case in.Failed && !now.Unpaid:
				as = agency.PaymentFailed
			case !in.Failed && now.Unpaid:
				as = agency.PaymentRecovered
			}
			now.Unpaid, now.ReportedAt = in.Failed, at
			if now.State == agency.SubscriptionActive || now.State == agency.SubscriptionPastDue {
				now.State = now.ActiveState()
			}
			d.setSubscription(&account, now, as)
		}
		account.Subscription = account.Subscription.At(d.now)
		return account, nil
	})
}
