package agency

import "context"

// BillLine is one account that an agency pays for.
type BillLine struct {
	Account AccountID
	Name    string
	State   SubscriptionState
	// Plan is the present one, by its present price.
	Plan Plan
}

// AgencyBill is what an agency pays a month.
type AgencyBill struct {
	// Lines are a page of it, ordered by name.
	Lines List[BillLine]
	// Accounts is how many lines there are, and Total their sum, in minor units of
	// Currency: of the whole bill, whatever the page.
	Accounts, Total int
	Currency        string
}

// Bill answers what an agency pays a month: each account that it owns and that
// is not frozen, at its present plan. Errors: Invalid (cursor), IdentityChanged,
// NotFound, Forbidden, Conflict (the hub is off).
func (h *Hub) Bill(ctx context.Context, actor Actor, agency AccountID, page Page) (AgencyBill, error) {
	caller := Caller{Actor: actor}
	err := h.command(ctx, &caller, wantStanding(caller, agency), func(d *decision) error {
		_, err := d.standInAgency(SeeBill, agency)
		return err
	})
	if err != nil {
		return AgencyBill{}, err
	}
	bill := AgencyBill{Currency: h.Rules.Plans[0].Currency}
	if bill.Lines, err = h.billLines(ctx, agency, page); err != nil {
		return AgencyBill{}, err
	}
	if page.Cursor == "" && bill.Lines.Next == "" {
		bill.add(bill.Lines.Items)
		return bill, nil
	}
	err = eachPage(func(page Page) (string, error) {
		page.Limit = billPage
		lines, err := h.billLines(ctx, agency, page)
		bill.add(lines.Items)
		return lines.Next, err
	})
	return bill, err
}

// billPage is how many connections are read at once to sum a bill up: as many
// accounts as one batch reads.
const billPage = 100

func (b *AgencyBill) add(lines []BillLine) {
	b.Accounts += len(lines)
	for _, line := range lines {
		b.Total += line.Plan.MonthlyPrice
	}
}

// billLines reads a page of the accounts that an agency works in, and of these
// what it owns and what is not frozen, as that is now.
func (h *Hub) billLines(ctx context.Context, agency AccountID, page Page) (List[BillLine], error) {
	rows, err := h.Store.Clients(ctx, agency, ClientFilter{Status: Active}, page)
	if err != nil {
		return List[BillLine]{}, err
	}
	var want Want
	for _, p := range rows.Items {
		if p.Ownership == AgencyOwned {
			want.Accounts = append(want.Accounts, p.Account())
		}
	}
	lines := List[BillLine]{Next: rows.Next}
	if len(want.Accounts) == 0 {
		return lines, nil
	}
	read, err := h.Store.Load(ctx, want)
	if err != nil {
		return List[BillLine]{}, err
	}
	now := h.Now()
	for _, id := range want.Accounts {
		a := read.Account(id)
		if state := a.Subscription.StateAt(now); a.Open() && state != SubscriptionFrozen {
			lines.Items = append(lines.Items, BillLine{Account: id, Name: a.Name, State: state, Plan: h.Rules.Plan(a.Subscription.Plan)})
		}
	}
	return lines, nil
}
