package service

import (
	"context"

	"agencyhub/shared/agency"
)

// RefreshCopies copies an account's present name and subscription into the
// profiles of its active members and, for an agency, its name into its own
// profiles. It can be repeated at any time.
func (s *Service) RefreshCopies(ctx context.Context, id agency.AccountID) error {
	err := eachPage(func(page Page) (string, error) {
		team, err := s.Store.Team(ctx, agency.Party(id), page)
		if err != nil {
			return "", err
		}
		return team.Next, s.refreshPage(ctx, id, true, team.Items, func(p *agency.Profile, account agency.Account) bool {
			if p.Status != agency.Active || p.AccountName == account.Name && p.Subscription == account.Subscription.Summary() {
				return false
			}
			p.AccountName, p.Subscription = account.Name, account.Subscription.Summary()
			return true
		})
	})
	if err != nil {
		return err
	}
	return eachPage(func(page Page) (string, error) {
		clients, err := s.Store.Clients(ctx, id, ClientFilter{}, page)
		if err != nil {
			return "", err
		}
		return clients.Next, s.refreshPage(ctx, id, false, clients.Items, func(p *agency.Profile, account agency.Account) bool {
			if p.Name == account.Name {
				return false
			}
			p.Name = account.Name
			return true
		})
	})
}

// refreshPage writes the profiles that change, in one transaction. Of profiles that were
// read consistently, those that are right already cost no further read; an index may be
// as old as the copy.
func (s *Service) refreshPage(ctx context.Context, id agency.AccountID, consistent bool, profiles []agency.Profile, change func(*agency.Profile, agency.Account) bool) error {
	want := Want{Accounts: []agency.AccountID{id}}
	read, err := s.Store.Load(ctx, want)
	if err != nil {
		return err
	}
	account := read.Account(id)
	for _, p := range profiles {
		if account.Exists() && (!consistent || change(&p, account)) {
			want = want.plus(Want{Profiles: []agency.ProfileKey{p.ProfileKey}})
		}
	}
	if len(want.Profiles) == 0 {
		return nil
	}
	return s.command(ctx, nil, want, func(d *decision) error {
		account := d.read.Account(id)
		for _, key := range want.Profiles {
			if p := d.read.Profile(key); p.Version > 0 && account.Exists() && change(&p, account) {
				p.Version++
				d.put(p)
			}
		}
		return nil
	})
}
