package e2e

import (
	"slices"
	"testing"
)

// An agencyStaff is an agency with an owner, an admin and a member, on its stack.
type agencyStaff struct {
	*stack
	agencyID, agencyName, agencyPath string
	ann, ben, cid                    *person // owner, admin, member
}

// An agencyOwner is somebody with an agency of their own.
type agencyOwner struct {
	*person
	agencyID, agencyName string
}

// newAgency creates an agency, whose people sign in at a domain of their own. The
// emails of their invitations are read.
func newAgency(t *testing.T, s *stack, name, domain string) agencyStaff {
	t.Helper()
	a := agencyStaff{stack: s, agencyName: name, ann: s.person(t, "ann@"+domain), ben: s.person(t, "ben@"+domain), cid: s.person(t, "cid@"+domain)}
	a.agencyID = a.ann.opensAgency(t, name)
	a.agencyPath = "/v1/agencies/" + a.agencyID
	a.ann.invites(t, a.agencyID, a.ben, "admin", nil)
	a.ann.invites(t, a.agencyID, a.cid, "member", levels{"pages": "view", "mail": "edit"})
	s.expectEmails(t, slices.Concat(joined(a.ben, a.ann, name, "an admin"), joined(a.cid, a.ann, name, "a member"))...)
	return a
}
