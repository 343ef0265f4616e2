package agency

import "testing"

func TestPosition(t *testing.T) {
	for _, tt := range []struct {
		own     Role
		through Ownership
		staff   Role
		want    CallerRole
	}{
		{"", "", "", Stranger},
		{Owner, "", "", AsOwner},
		{Admin, "", "", AsAdmin},
		{Member, "", "", AsMember},
		{"", AgencyOwned, Owner, OwningOwner},
		{"", AgencyOwned, Admin, OwningAdmin},
		{"", AgencyOwned, Member, Staff},
		{"", ClientOwned, Owner, ConnectedOwner},
		{"", ClientOwned, Admin, ConnectedAdmin},
		{"", ClientOwned, Member, Staff},
		{"", ClientOwned, "", Stranger},
		{"", "", Owner, Stranger},
	} {
		if got := CallerRoleOf(tt.own, tt.through, tt.staff); got != tt.want {
			t.Errorf("CallerRoleOf(%q, %q, %q) = %s, want %s", tt.own, tt.through, tt.staff, got, tt.want)
		}
	}
}
