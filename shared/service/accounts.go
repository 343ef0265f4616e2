package service

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"

	"agencyhub/shared/agency"
)

// OpenAccount makes a client-owned account with the actor as its owner. The same
// key and name return the same account, as it is now. Errors: Invalid, Conflict (the
// actor's data is being erased), IdempotencyMismatch, RateLimited; and IdentityChanged or
// NotFound for a repeat by somebody who can't see the account any more.
func (s *Service) OpenAccount(ctx context.Context, actor agency.Actor, key, name string) (AccountView, error) {
	name, err := s.Rules.ParseName("name", name)
	if err != nil {
		return AccountView{}, err
	}
	id := agency.NewAccountID(agency.Party(actor.ID()), key)
	own := agency.PersonAt(id, actor.ID())
	hash := bodyHash("open", name)
	caller := agency.Caller{Actor: actor}
	want := Want{Accounts: []agency.AccountID{id}, Profiles: []agency.ProfileKey{own}, People: []agency.PersonID{actor.ID()}}
	return run(ctx, s, &caller, want, func(d *decision) (view AccountView, err error) {
		account := d.read.Account(id)
		if account.Exists() {
			// The address and the key can belong to somebody else by now.
			auth, err := d.locate(id)
			if err != nil {
				return view, err
			}
			return d.view(auth, account), checkSameCall(account.BodyHash, hash)
		}
		if !d.read.Person(actor.ID()).Erasing.IsZero() {
			return view, agency.Refuse(agency.Conflict, "Your data is being erased, as you asked. Open an account once that is done.")
		}
		d.countActor(agency.AccountsOpened, nil)
		account, first, err := d.openAccount(id, name, d.rules.DefaultPlan(), hash, actor, false)
		return d.view(authority{CallerRole: agency.AsOwner, profile: first}, account), err
	})
}

// openAccount makes a client-owned account with its first owner, whose profile is
// bound to the actor's identity if there is one. registered marks an account that
// the platform registers.
func (d *decision) openAccount(
	id agency.AccountID, name, plan, hash string, owner agency.Actor, registered bool,
) (agency.Account, agency.Profile, error) {
	account := d.newAccount(id, name, agency.ClientOwned, plan, hash)
	account.Owners = 1
	d.Accounts = append(d.Accounts, account)
	step := agency.Step{
		Do: agency.Open, By: agency.SelfSide, Role: agency.Owner, Areas: d.rules.AllAreas(agency.Edit), AccountName: name, Registered: registered,
		Issuer: owner.Issuer, Subject: owner.Subject,
	}
	if registered {
		step.Plan = plan
	}
	first := d.read.Profile(agency.PersonAt(id, owner.ID()))
	first.Email, first.AccountName, first.Ownership, first.Subscription = owner.Email, name, account.Ownership, account.Subscription.Summary()
	first, err := d.apply(first, step)
	if err != nil {
		return account, first, err
	}
	return account, first, nil
}

// NewClientAccount is the input of CreateAccount.
type NewClientAccount struct {
	Name string
	Plan string
	// ConfirmPermanentOwnership must be true: the caller knows that the agency
	// will always own the account and pay for it.
	ConfirmPermanentOwnership bool
	// Client is invited; nil for nobody.
	Client *NewClient
}

// NewClient is the person that an agency-owned account is for.
type NewClient struct {
	Email string
	Areas agency.Areas
}

// CreateAccount makes an account that the agency owns and pays for. The same key
// and input return the same account, as it is now. Errors: Invalid,
// IdentityChanged, NotFound, Forbidden, Conflict (the agency features are off),
// IdempotencyMismatch, RateLimited.
func (s *Service) CreateAccount(ctx context.Context, actor agency.Actor, agencyID agency.AccountID, key string, in NewClientAccount) (AccountView, error) {
	name, client, err := s.readNewAccount(in)
	if err != nil {
		return AccountView{}, err
	}
	caller := agency.Caller{Actor: actor}
	id := agency.NewAccountID(agency.Party(agencyID), key)
	hash := bodyHash("create", name, in.Plan, client)
	want := wantAuthority(caller, agencyID).plus(Want{Accounts: []agency.AccountID{id}, Profiles: []agency.ProfileKey{agency.AgencyAt(id, agencyID)}})
	if client != nil {
		want = want.plus(wantInvitation(id, agencyID, client.Email))
	}
	return run(ctx, s, &caller, want, func(d *decision) (view AccountView, err error) {
		auth, err := d.authorizeInAgency(agency.ManageClients, agencyID)
		if err != nil {
			return view, err
		}
		account, role := d.read.Account(id), agency.CallerRoleOf("", agency.AgencyOwned, auth.profile.Role)
		if account.Exists() {
			return d.viewAs(agencyID, role, account), checkSameCall(account.BodyHash, hash)
		}
		account = d.newAccount(id, name, agency.AgencyOwned, in.Plan, hash)
		account.Owner = agencyID
		d.countActor(agency.AccountsCreated, auth.account.Limits)
		d.Accounts = append(d.Accounts, account)

		owning := d.read.Profile(agency.AgencyAt(id, agencyID))
		owning.Name, owning.AccountName, owning.Ownership, owning.Subscription = auth.account.Name, name, agency.AgencyOwned, account.Subscription.Summary()
		step := agency.Step{Do: agency.Create, By: agency.AgencySide, Areas: d.rules.AllAreas(agency.Edit), AccountName: name}
		if client != nil {
			step.Client = agency.NewPersonID(client.Email)
		}
		if _, err := d.apply(owning, step); err != nil {
			return view, err
		}
		if client != nil {
			// The event of the account is the client's too: this one's is not written.
			var invited agency.Profile
			invited, _, err = d.invite(account, agencyID, Invitation{Email: client.Email, Role: agency.Member, Areas: client.Areas})
			d.Events[len(d.Events)-1].Request = invited.Request.Number
		}
		return d.viewAs(agencyID, role, account), err
	})
}

func (s *Service) readNewAccount(in NewClientAccount) (name string, client *NewClient, err error) {
	if !in.ConfirmPermanentOwnership {
		return "", nil, agency.InvalidField("confirmPermanentOwnership", "Confirm that your agency owns this account permanently and pays for it. This can't be undone. Send true.")
	}
	if name, err = s.Rules.ParseName("name", in.Name); err != nil {
		return "", nil, err
	}
	if !s.Rules.HasPlan(in.Plan) {
		return "", nil, agency.InvalidField("plan", "There is no such plan. The plans are: %s.", s.Rules.PlanList())
	}
	if in.Client == nil {
		return name, nil, nil
	}
	client = &NewClient{}
	if client.Email, err = agency.ParseEmail("client.email", in.Client.Email); err != nil {
		return "", nil, err
	}
	client.Areas, err = s.Rules.ParseAreas("client.areas", in.Client.Areas)
	return name, client, err
}

func (d *decision) newAccount(id agency.AccountID, name string, ownership agency.Ownership, plan, hash string) agency.Account {
	return agency.Account{
		ID: id, Name: name, Ownership: ownership, CreatedAt: d.now, BodyHash: hash, Version: 1,
		Subscription: agency.Subscription{Plan: plan, State: agency.SubscriptionActive},
	}
}

// checkSameCall refuses a repeat with other input under an Idempotency-Key that was
// already used, by the hashes of the inputs.
func checkSameCall(first, hash string) error {
	if first != hash {
		return agency.Refuse(agency.IdempotencyMismatch, "This Idempotency-Key was used for another call. Use a new key for a new call.")
	}
	return nil
}

// bodyHash is a hash over the decoded values of a call.
func bodyHash(values ...any) string {
	// Strings, levels and maps of them always marshal, and with sorted keys.
	text, err := json.Marshal(values)
	if err != nil {
		panic(err)
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

// RenameAccount gives an account another name. Errors: Invalid, IdentityChanged,
// NotFound, Forbidden.
func (s *Service) RenameAccount(ctx context.Context, caller agency.Caller, id agency.AccountID, name string) (AccountView, error) {
	name, err := s.Rules.ParseName("name", name)
	if err != nil {
		return AccountView{}, err
	}
	return s.changeAccount(ctx, caller, id, allowing(agency.Rename), func(_ *decision, a *agency.Account) (agency.EventType, error) {
		if a.Name == name {
			return "", nil
		}
		a.Name = name
		return agency.AccountRenamed, nil
	})
}

// CloseAccount closes an account permanently. From then on nobody has access and
// nothing can be done in it. The sweep ends its members, and deletes its data after
// the retention. Errors: IdentityChanged, NotFound, NotPayer, Forbidden, HasClients
// (its agency features are on).
func (s *Service) CloseAccount(ctx context.Context, caller agency.Caller, id agency.AccountID) (AccountView, error) {
	return s.changeAccount(ctx, caller, id, allowing(agency.Close), func(d *decision, a *agency.Account) (agency.EventType, error) {
		if a.AgencyOn {
			return "", agency.Refuse(agency.HasClients, "This account is an agency. Switch its agency features off first.")
		}
		a.Closed, a.DueAt = d.now, d.now
		return agency.AccountClosed, nil
	})
}

// changeAccount changes an account itself for a caller who passes check. change
// returns the event of the change; "" where nothing changes.
func (s *Service) changeAccount(
	ctx context.Context, caller agency.Caller, id agency.AccountID, check func(authority) error,
	change func(*decision, *agency.Account) (agency.EventType, error),
) (AccountView, error) {
	return run(ctx, s, &caller, wantAuthority(caller, id), func(d *decision) (view AccountView, err error) {
		auth, err := d.locate(id)
		if err != nil {
			return view, err
		}
		if err := check(auth); err != nil {
			return view, err
		}
		account := auth.account
		as, err := change(d, &account)
		if err != nil {
			return view, err
		}
		if as != "" {
			d.putAccount(&account)
			d.accountEvent(as, account, agency.State{Name: auth.account.Name}, agency.State{Name: account.Name})
		}
		return d.view(auth, account), nil
	})
}

// AccountView is an account as one caller sees it. Its subscription is by the
// clock, and without the plan for callers who are not on the paying side.
type AccountView struct {
	agency.Account
	// Role is the caller's own in the account; "" for a caller who acts for an
	// agency.
	Role   agency.Role
	Access agency.Access
	// CallerRole is the caller's column in the table of permissions.
	CallerRole agency.CallerRole
}

// Permission returns what the caller may do of an operation in the account. Pages
// offer what it grants, and the use case of the operation decides again.
func (v AccountView) Permission(op agency.Operation) agency.Permission {
	return agency.PermissionFor(op, v.CallerRole, v.Ownership)
}

// view is the account as the caller sees it, for themselves or for an agency.
func (d *decision) view(auth authority, a agency.Account) AccountView {
	if d.caller.As != "" {
		return d.viewAs(d.caller.As, auth.CallerRole, a)
	}
	return AccountView{
		Account: a.SeenBy("", d.now), Role: auth.profile.Role, CallerRole: auth.CallerRole,
		Access: d.rules.DecideAccess(d.caller.Actor, a, auth.profile, nil, d.now),
	}
}

// viewAs is the account as the caller sees it for an agency.
func (d *decision) viewAs(agencyID agency.AccountID, role agency.CallerRole, a agency.Account) AccountView {
	ways := []agency.Path{d.accessPath(a.ID, agencyID)}
	return AccountView{
		Account: a.SeenBy(agencyID, d.now), CallerRole: role,
		Access: d.rules.DecideAccess(d.caller.Actor, a, agency.Profile{}, ways, d.now),
	}
}

// GetAccount returns an account to a caller who can see it, and binds the profile
// by which they do. Errors: IdentityChanged, NotFound.
func (s *Service) GetAccount(ctx context.Context, caller agency.Caller, id agency.AccountID) (AccountView, error) {
	return runQuery(ctx, s, &caller, wantAuthority(caller, id), func(d *decision) (view AccountView, err error) {
		auth, err := d.authorize(agency.ViewAccount, id)
		if err == nil {
			view = d.view(auth, auth.account)
		}
		return view, err
	})
}

// MyAccounts lists the accounts to which the actor has access by a profile of
// their own, ordered by name. Errors: Invalid (cursor).
func (s *Service) MyAccounts(ctx context.Context, actor agency.Actor, page Page) (List[AccountView], error) {
	mine, err := s.Store.Memberships(ctx, actor.ID(), page)
	if err != nil {
		return List[AccountView]{}, err
	}
	want := Want{People: []agency.PersonID{actor.ID()}}
	for _, p := range mine.Items {
		want = want.plus(Want{Accounts: []agency.AccountID{p.Account()}, Profiles: []agency.ProfileKey{p.ProfileKey}})
	}
	list := List[AccountView]{Next: mine.Next}
	if len(mine.Items) == 0 {
		return list, nil
	}
	read, err := s.Store.Load(ctx, want)
	if err != nil {
		return List[AccountView]{}, err
	}
	if !read.Person(actor.ID()).Erasing.IsZero() {
		return List[AccountView]{}, nil
	}
	now := s.Now()
	for _, p := range mine.Items {
		account, own := read.Account(p.Account()), read.Profile(p.ProfileKey)
		if account.IsOpen() && own.StatusAt(now) == agency.Active && !own.IsBoundToAnother(actor) {
			list.Items = append(list.Items, AccountView{
				Account: account.SeenBy("", now), Role: own.Role, CallerRole: agency.CallerRoleOf(own.Role, "", ""),
				Access: s.Rules.DecideAccess(actor, account, own, nil, now),
			})
		}
	}
	return list, nil
}

// Me returns what is stored of the actor, and stores when they first called it. A
// suppression of their address ends. It costs the same however many accounts and
// invitations they have. Errors: none.
func (s *Service) Me(ctx context.Context, actor agency.Actor) (agency.Person, error) {
	caller := agency.Caller{Actor: actor}
	var me agency.Person
	err := s.query(ctx, &caller, Want{People: []agency.PersonID{actor.ID()}}, func(d *decision) error {
		me = d.read.Person(actor.ID())
		if !me.Suppression.IsActive() && !me.FirstAt.IsZero() {
			return nil
		}
		if me.Suppression.IsActive() {
			me.Suppression.Lifted = d.now
		}
		if me.FirstAt.IsZero() {
			me.FirstAt = d.now
		}
		me.Version++
		d.People = append(d.People, me)
		return nil
	})
	me.Email = actor.Email
	return me, err
}
