package agency

import (
	"strings"
	"testing"
)

// whoMayDoWhat stands beside PRODUCT.md, "Who may do what", with RULES.md's
// words on staff, on owned accounts and on who pays. Columns as there; "staff"
// are an agency's members below admin, who there have no column.
//
//	yes   may          own   own lines          keep  not owners
//	–     forbidden    good  permanently_owned  pays  not_payer
const whoMayDoWhat = `
client-owned account                    owner admin member conn-owner conn-admin staff service stranger
see the account and own access          yes   yes   yes    yes        yes        yes   yes     –
see the team                            yes   yes   –      own        own        –     –       –
see the activity                        yes   yes   –      own        own        –     –       –
rename                                  yes   yes   –      –          –          –     –       –
invite, change, remove persons          yes   keep  –      –          –          –     –       –
decide requests, restrict, revoke, block yes  yes   –      –          –          –     –       –
switch the hub on or off                yes   –     –      –          –          –     –       –
close the account                       yes   –     –      –          –          –     –       –
billing actions                         yes   –     –      pays       pays       pays  –       –
hub: see the clients                    yes   yes   yes    –          –          –     –       –
hub: create, request, withdraw, resend, leave, assign staff yes yes – –   –          –     –       –
the agency's bill                       yes   –     –      –          –          –     –       –
report the payment state                –     –     –      –          –          –     yes     –
register or update a client's account   –     –     –      –          –          –     yes     –
check anyone's access                   –     –     –      –          –          –     yes     –

agency-owned account                    member own-owner own-admin staff service stranger
see the account and own access          yes    yes       yes       yes   yes     –
see the team                            –      yes       yes       –     –       –
see the activity                        –      yes       yes       –     –       –
rename                                  –      yes       yes       –     –       –
invite, change, remove persons          –      yes       yes       –     –       –
decide requests, restrict, revoke, block good  good      good      good  –       –
switch the hub on or off                –      –         –         –     –       –
close the account                       –      yes       –         –     –       –
billing actions                         pays   yes       –         –     –       –
report the payment state                –      –         –         –     yes     –
register or update a client's account   –      –         –         –     good    –
check anyone's access                   –      –         –         –     yes     –
`

var (
	columns = map[string]CallerRole{
		"owner": AsOwner, "admin": AsAdmin, "member": AsMember, "conn-owner": ConnectedOwner, "conn-admin": ConnectedAdmin,
		"own-owner": OwningOwner, "own-admin": OwningAdmin, "staff": Staff, "service": Service, "stranger": Stranger,
	}
	cells   = map[string]Permission{"yes": Yes, "own": OwnLines, "keep": NotOwners, "–": No, "good": OwnedForGood, "pays": SomebodyElsePays}
	refused = map[Permission]Code{Yes: "", OwnLines: "", NotOwners: "", No: Forbidden, OwnedForGood: PermanentlyOwned, SomebodyElsePays: NotPayer}
)

func TestWhoMayDoWhat(t *testing.T) {
	asked := map[Ownership]map[Operation]bool{ClientOwned: {}, AgencyOwned: {}}
	for block := range strings.SplitSeq(strings.TrimSpace(whoMayDoWhat), "\n\n") {
		lines := strings.Split(block, "\n")
		head := strings.Fields(lines[0])[2:]
		ownership := ClientOwned
		if strings.HasPrefix(lines[0], "agency-owned") {
			ownership = AgencyOwned
		}
		for _, line := range lines[1:] {
			words := strings.Fields(line)
			at := len(words) - len(head)
			op := Operation(strings.Join(words[:at], " "))
			if _, known := permissions[op]; !known || asked[ownership][op] {
				t.Fatalf("%q is no operation, or is there twice", op)
			}
			asked[ownership][op] = true
			for i, column := range head {
				position, known := columns[column]
				want, legible := cells[words[at+i]]
				if !known || !legible {
					t.Fatalf("%s, %s: %q", op, column, words[at+i])
				}
				got := PermissionFor(op, position, ownership)
				if got != want {
					t.Errorf("%s account, %s, %s: %s, want %s", ownership, op, column, got, want)
				}
				if code := CodeOf(got.Refusal()); code != refused[want] {
					t.Errorf("%s account, %s, %s: refused by %q, want %q", ownership, op, column, code, refused[want])
				}
			}
		}
	}
	for op := range permissions {
		if !asked[ClientOwned][op] {
			t.Errorf("%q stands in no row", op)
		}
	}
}

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
			t.Errorf("position(%q, %q, %q) = %s, want %s", tt.own, tt.through, tt.staff, got, tt.want)
		}
	}
}
