package service_test

import (
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"agencyhub/shared/agency"
	"agencyhub/shared/service"
	"agencyhub/shared/testbed"
)

// A caller who can't list the team can't find out by refusals who is in it, nor which agencies sent
// requests.
func TestRefusalsDoNotTellWhoIsInAnAccount(t *testing.T) {
	w := newWorld(t).connected()
	ctx := t.Context()
	other := w.world("-other")
	must[agency.Profile](t)(w.RequestConnection(ctx, other.gil, other.agency, service.ConnectionRequest{Account: w.client, Areas: editAll}))
	there, away := party(w.bob), agency.Party(agency.NewPersonID("nobody@x.test"))
	asked, stranger := other.agency, agency.NewAccountID("x", "stranger")
	for name, c := range map[string]agency.Caller{
		"owner of a connected agency": as(w.gil, w.agency), "its staff": as(w.gem, w.agency), "a plain member": as(w.mem),
	} {
		for what, pair := range map[string][2]error{
			"remove": {second(w.RemoveMember(ctx, c, w.client, there, false)), second(w.RemoveMember(ctx, c, w.client, away, false))},
			"change": {
				second(w.ChangeMember(ctx, c, w.client, there, service.MemberChange{Areas: viewPages})),
				second(w.ChangeMember(ctx, c, w.client, away, service.MemberChange{Areas: viewPages})),
			},
			"decline": {second(w.declineAt(c, w.client, asked, false)), second(w.declineAt(c, w.client, stranger, false))},
			"revoke":  {second(w.RemoveMember(ctx, c, w.client, agency.Party(asked), false)), second(w.RemoveMember(ctx, c, w.client, agency.Party(stranger), false))},
		} {
			if agency.CodeOf(pair[0]) != agency.Forbidden || pair[0].Error() != pair[1].Error() {
				t.Errorf("%s, %s: %v for who is there, %v for who is not", name, what, pair[0], pair[1])
			}
		}
	}
	// A caller who can list it gets not_found.
	refused(t, "an admin", agency.NotFound, second(w.RemoveMember(ctx, as(w.bob), w.client, away, false)))
}

// A member who is limited to some clients learns of no other.
func TestStaffMeetNoOtherClientInRefusals(t *testing.T) {
	w := newWorld(t).connected()
	ctx := t.Context()
	asked := must[agency.Profile](t)(w.RequestConnection(ctx, w.gil, w.agency, service.ConnectionRequest{OwnerEmail: w.eve.Email, Areas: editAll}))
	must[agency.Profile](t)(w.ChangeMember(ctx, as(w.gil), w.agency, party(w.gem), service.MemberChange{Clients: &[]agency.AccountID{}}))
	none := agency.NewConnectionID(agency.Party(agency.NewAccountID("x", "none")), w.agency)
	for _, id := range []agency.ConnectionID{w.con, w.ownCon, asked.ID(), none} {
		for name, err := range map[string]error{
			"see":      second(w.GetConnection(ctx, w.gem, w.agency, id)),
			"withdraw": second(w.WithdrawRequest(ctx, w.gem, w.agency, id)),
			"resend":   second(w.ResendRequest(ctx, w.gem, w.agency, id)),
			"leave":    second(w.LeaveAccount(ctx, w.gem, w.agency, id)),
		} {
			refused(t, name+" "+string(id), agency.NotFound, err)
		}
	}
}

// An accepted end date can be stored, and means the same when it is given again.
func TestEndDatesThatCannotBeKeptAreRefused(t *testing.T) {
	w := newWorld(t).pending()
	ctx := t.Context()
	tenThousand := time.Date(9999, 12, 31, 23, 59, 59, 0, time.FixedZone("", -3600))
	for _, until := range []time.Time{tenThousand, {}, noon, w.now.AddDate(100, 0, 1)} {
		err := second(w.AcceptRequest(ctx, as(w.ann), w.client, w.agency, service.Grant{Request: 1, Until: &until}))
		refused(t, "accepted until "+until.String(), agency.Invalid, err)
	}
	must[agency.Profile](t)(w.accept(w.ann, 1))
	err := second(w.ChangeMember(ctx, as(w.ann), w.client, agency.Party(w.agency), service.MemberChange{Until: &tenThousand}))
	refused(t, "restricted until "+tenThousand.String(), agency.Invalid, err)
	exact := w.now.Add(day + 123456789*time.Nanosecond).In(time.FixedZone("", 7200))
	first := must[agency.Profile](t)(w.ChangeMember(ctx, as(w.ann), w.client, agency.Party(w.agency), service.MemberChange{Until: &exact}))
	again := must[agency.Profile](t)(w.ChangeMember(ctx, as(w.ann), w.client, agency.Party(w.agency), service.MemberChange{Until: &exact}))
	// The last event is set as a profile is written.
	first.LastEvent, again.LastEvent = "", ""
	diff(t, "the same end date again", first, again)
	diff(t, "as it is kept", first.Until, w.profile(agency.AgencyAt(w.client, w.agency)).Until)
}

// A setting that moves due marks moves the earlier ones too, so none is read every minute for
// nothing.
func TestADueMarkFollowsItsSetting(t *testing.T) {
	w := newWorld(t).pending()
	must[agency.Profile](t)(w.withdraw())
	key := agency.AgencyAt(w.client, w.agency)
	old := w.profile(key).DueAt
	w.Rules.Retention = 365 * day
	w.advance(old.Sub(w.now))
	diff(t, "done", service.OutcomeNone, must[service.Outcome](t)(w.SweepProfile(t.Context(), key)))
	diff(t, "due", old.Add(275*day), w.profile(key).DueAt)
	w.advance(275 * day)
	diff(t, "done in its time", service.OutcomeCollected, must[service.Outcome](t)(w.SweepProfile(t.Context(), key)))
}

// A store that is briefly short of capacity is retried.
func TestABusyStoreIsWaitedFor(t *testing.T) {
	w := newWorld(t)
	look, times := w.BeforeWrite, 0
	w.BeforeWrite = func(in *dynamodb.TransactWriteItemsInput) error {
		if times++; times < 4 {
			return testbed.Cancelled("None", "ThrottlingError")
		}
		return look(in)
	}
	must[agency.Profile](t)(w.request())
	diff(t, "tries", 4, times)
}
