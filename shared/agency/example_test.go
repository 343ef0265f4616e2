package agency_test

import (
	"fmt"
	"time"

	"agencyhub/shared/agency"
)

// An owner accepts an agency's request, with less than was requested.
func ExampleApply() {
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	account, bright := agency.NewAccountID("per_x", "shop"), agency.NewAccountID("per_y", "agency")
	profile := agency.Profile{ProfileKey: agency.AgencyAt(account, bright), Ownership: agency.ClientOwned}

	for _, step := range []agency.Step{
		{Do: agency.OpenRequest, By: agency.AgencySide, Areas: agency.Areas{"pages": agency.Edit}, ExpiresAt: now.AddDate(0, 0, 14)},
		{Do: agency.Accept, By: agency.AccountSide, Number: 1, Areas: agency.Areas{"pages": agency.View}},
		{Do: agency.Withdraw, By: agency.AgencySide},
	} {
		step.At = now
		next, events, err := agency.Apply(profile, step)
		if err != nil {
			fmt.Println(err)
			continue
		}
		profile = next
		fmt.Println(events[0].Type, profile.Status, profile.Areas)
	}
	// Output:
	// connection.requested pending map[]
	// connection.accepted active map[pages:view]
	// not_pending: There is no request that waits for an answer: it is active.
}

func ExampleConnectionID_Split() {
	id := agency.NewConnectionID(agency.Party(agency.NewPersonID("owner@example.com")), agency.NewAccountID("per_y", "agency"))
	addressee, bright, ok := id.Split()
	fmt.Println(addressee.Person() != "", bright.IsValid(), ok)
	// Output: true true true
}
