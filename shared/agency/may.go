package agency

// Operation is a row of PRODUCT.md's "Who may do what".
type Operation string

// The operations.
const (
	SeeAccount    Operation = "see the account and own access"
	SeeTeam       Operation = "see the team"
	SeeActivity   Operation = "see the activity"
	Rename        Operation = "rename"
	ManagePersons Operation = "invite, change, remove persons"
	Decide        Operation = "decide requests, restrict, revoke, block"
	SwitchHub     Operation = "switch the hub on or off"
	Close         Operation = "close the account"
	Bill          Operation = "billing actions"
	SeeClients    Operation = "hub: see the clients"
	WorkHub       Operation = "hub: create, request, withdraw, resend, leave, assign staff"
	SeeBill       Operation = "the agency's bill"
	ReportPayment Operation = "report the payment state"
	Register      Operation = "register or update a client's account"
	CheckAnyone   Operation = "check anyone's access"
)

// Position is a column of that table: how somebody stands to an account.
type Position string

// The positions. The Owning and Connected ones are of persons of an agency who
// act for it on a client's account; Staff are its members below admin.
const (
	Stranger       Position = "stranger"
	AsOwner        Position = "owner"
	AsAdmin        Position = "admin"
	AsMember       Position = "member"
	OwningOwner    Position = "owner of the owning agency"
	OwningAdmin    Position = "admin of the owning agency"
	ConnectedOwner Position = "owner of a connected agency"
	ConnectedAdmin Position = "admin of a connected agency"
	Staff          Position = "staff of an agency that works in the account"
	Service        Position = "platform service"
)

// Answer is a cell of the table.
type Answer string

// The answers. OwnLines is a yes to what concerns the asker's agency alone, and
// NotOwners a yes where no owner is touched or made.
const (
	No               Answer = "no"
	Yes              Answer = "yes"
	OwnLines         Answer = "own lines"
	NotOwners        Answer = "not owners"
	OwnedForGood     Answer = "permanently owned"
	SomebodyElsePays Answer = "not the payer"
)

// mayTable is PRODUCT.md's "Who may do what" with RULES.md's words on staff and
// on who pays. What is not in it is No.
var mayTable = map[Operation]map[Position]Answer{
	SeeAccount: {
		AsOwner: Yes, AsAdmin: Yes, AsMember: Yes, OwningOwner: Yes, OwningAdmin: Yes,
		ConnectedOwner: Yes, ConnectedAdmin: Yes, Staff: Yes, Service: Yes,
	},
	SeeTeam: {
		AsOwner: Yes, AsAdmin: Yes, OwningOwner: Yes, OwningAdmin: Yes,
		ConnectedOwner: OwnLines, ConnectedAdmin: OwnLines,
	},
	SeeActivity: {
		AsOwner: Yes, AsAdmin: Yes, OwningOwner: Yes, OwningAdmin: Yes,
		ConnectedOwner: OwnLines, ConnectedAdmin: OwnLines,
	},
	Rename:        {AsOwner: Yes, AsAdmin: Yes, OwningOwner: Yes, OwningAdmin: Yes},
	ManagePersons: {AsOwner: Yes, AsAdmin: NotOwners, OwningOwner: Yes, OwningAdmin: Yes},
	Decide:        {AsOwner: Yes, AsAdmin: Yes, OwningOwner: OwnedForGood, OwningAdmin: OwnedForGood},
	SwitchHub:     {AsOwner: Yes},
	Close:         {AsOwner: Yes, OwningOwner: Yes},
	Bill: {
		AsOwner: Yes, AsMember: No, OwningOwner: Yes,
		ConnectedOwner: SomebodyElsePays, ConnectedAdmin: SomebodyElsePays,
	},
	SeeClients:    {AsOwner: Yes, AsAdmin: Yes, AsMember: Yes},
	WorkHub:       {AsOwner: Yes, AsAdmin: Yes},
	SeeBill:       {AsOwner: Yes},
	ReportPayment: {Service: Yes},
	Register:      {Service: Yes},
	CheckAnyone:   {Service: Yes},
}

// may looks a cell up. ownership is the account's: the client of an owned
// account, and the staff of a connected agency, are told who owns it and who
// pays instead of a plain no.
func may(op Operation, as Position, ownership Ownership) Answer {
	answer, ok := mayTable[op][as]
	if !ok {
		answer = No
	}
	switch {
	case ownership == AgencyOwned && (op == Decide && as != Stranger && as != Service || op == Register && as == Service):
		return OwnedForGood
	case ownership == AgencyOwned && op == Bill && as == AsMember, ownership == ClientOwned && op == Bill && as == Staff:
		return SomebodyElsePays
	}
	return answer
}

// refusal is the error of an answer that is none of the yeses: nil for those.
func (a Answer) refusal() error {
	switch a {
	case Yes, OwnLines, NotOwners:
		return nil
	case OwnedForGood:
		return refuse(PermanentlyOwned, "An agency owns this account for good, so it takes no connection requests and its agency can't be limited or removed.")
	case SomebodyElsePays:
		return refuse(NotPayer, "Only whoever pays for this account can do that.")
	default:
		return refuse(Forbidden, "Your role does not allow that. Ask an owner or an admin.")
	}
}

// position is where a caller stands by the profiles that were read. own is
// theirs in the account; through is the agency's in the account and staff is
// theirs in that agency, both only for a caller with the agency's hat on.
func position(own Role, through Ownership, staff Role) Position {
	switch {
	case through == AgencyOwned && staff == Owner:
		return OwningOwner
	case through == AgencyOwned && staff == Admin:
		return OwningAdmin
	case through == ClientOwned && staff == Owner:
		return ConnectedOwner
	case through == ClientOwned && staff == Admin:
		return ConnectedAdmin
	case through != "" && staff == Member:
		return Staff
	case own == Owner:
		return AsOwner
	case own == Admin:
		return AsAdmin
	case own == Member:
		return AsMember
	default:
		return Stranger
	}
}
