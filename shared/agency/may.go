package agency

// Operation is a row of README, "Who may do what".
type Operation string

// The operations.
const (
	ViewAccount     Operation = "see the account and own access"
	ViewTeam        Operation = "see the team"
	ViewActivity    Operation = "see the activity"
	Rename          Operation = "rename"
	ManagePersons   Operation = "invite, change, remove persons"
	OfferOwnership  Operation = "offer ownership"
	DecideRequests  Operation = "decide requests, restrict, revoke, block"
	SwitchAgencyOn  Operation = "switch the agency features on"
	SwitchAgencyOff Operation = "switch the agency features off"
	Close           Operation = "close the account"
	ManageBilling   Operation = "billing actions"
	ViewClients     Operation = "agency: see the clients"
	ManageClients   Operation = "agency: create, request, withdraw, resend, leave, assign staff"
	ViewBill        Operation = "agency: see its bill"
	ReportPayment   Operation = "report the payment state"
	Register        Operation = "register or update a client's account"
	CheckAnyone     Operation = "check anyone's access"
	ReadStatus      Operation = "read the hub's status"
)

// CallerRole is a column of that table: what a caller is to an account.
type CallerRole string

// The positions. The Owning and Connected ones are of persons of an agency who
// act for it on a client's account; Staff are its members below admin.
const (
	Stranger       CallerRole = "stranger"
	AsOwner        CallerRole = "owner"
	AsAdmin        CallerRole = "admin"
	AsMember       CallerRole = "member"
	OwningOwner    CallerRole = "owner of the owning agency"
	OwningAdmin    CallerRole = "admin of the owning agency"
	ConnectedOwner CallerRole = "owner of a connected agency"
	ConnectedAdmin CallerRole = "admin of a connected agency"
	Staff          CallerRole = "staff of an agency that works in the account"
	AsPlatform     CallerRole = "platform service"
)

// Permission is a cell of the table.
type Permission string

// The permissions. OwnLines allows what concerns the caller's agency alone, and
// NotOwners allows what neither changes nor makes an owner.
const (
	No             Permission = "no"
	Yes            Permission = "yes"
	OwnLines       Permission = "own lines"
	NotOwners      Permission = "not owners"
	PermanentOwner Permission = "permanently owned"
	OtherPayer     Permission = "not the payer"
)

// permissions is README, "Who may do what". What is not in it is No.
var permissions = map[Operation]map[CallerRole]Permission{
	ViewAccount: {
		AsOwner: Yes, AsAdmin: Yes, AsMember: Yes, OwningOwner: Yes, OwningAdmin: Yes,
		ConnectedOwner: Yes, ConnectedAdmin: Yes, Staff: Yes, AsPlatform: Yes,
	},
	ViewTeam: {
		AsOwner: Yes, AsAdmin: Yes, OwningOwner: Yes, OwningAdmin: Yes,
		ConnectedOwner: OwnLines, ConnectedAdmin: OwnLines,
	},
	ViewActivity: {
		AsOwner: Yes, AsAdmin: Yes, OwningOwner: Yes, OwningAdmin: Yes,
		ConnectedOwner: OwnLines, ConnectedAdmin: OwnLines,
	},
	Rename:          {AsOwner: Yes, AsAdmin: Yes, OwningOwner: Yes, OwningAdmin: Yes},
	ManagePersons:   {AsOwner: Yes, AsAdmin: NotOwners, OwningOwner: Yes, OwningAdmin: Yes},
	OfferOwnership:  {AsOwner: Yes},
	DecideRequests:  {AsOwner: Yes, AsAdmin: Yes, OwningOwner: PermanentOwner, OwningAdmin: PermanentOwner},
	SwitchAgencyOn:  {AsOwner: Yes},
	SwitchAgencyOff: {AsOwner: Yes},
	Close:           {AsOwner: Yes, OwningOwner: Yes},
	ManageBilling: {
		AsOwner: Yes, AsMember: No, OwningOwner: Yes,
		ConnectedOwner: OtherPayer, ConnectedAdmin: OtherPayer,
	},
	ViewClients:   {AsOwner: Yes, AsAdmin: Yes, AsMember: Yes},
	ManageClients: {AsOwner: Yes, AsAdmin: Yes},
	ViewBill:      {AsOwner: Yes},
	ReportPayment: {AsPlatform: Yes},
	Register:      {AsPlatform: Yes},
	CheckAnyone:   {AsPlatform: Yes},
	ReadStatus:    {AsPlatform: Yes},
}

// PermissionFor returns a cell of the table for an account of that ownership. The
// client of an agency-owned account and the staff of a connected agency get a
// reason in place of a plain No.
func PermissionFor(op Operation, as CallerRole, ownership Ownership) Permission {
	p, ok := permissions[op][as]
	if !ok {
		p = No
	}
	switch {
	case ownership == AgencyOwned && ((op == DecideRequests || op == SwitchAgencyOn) && as != Stranger && as != AsPlatform || op == Register && as == AsPlatform):
		return PermanentOwner
	case ownership == AgencyOwned && op == ManageBilling && as == AsMember, ownership == ClientOwned && op == ManageBilling && as == Staff:
		return OtherPayer
	}
	return p
}

// Refusal is the error of a permission; nil for those that allow.
func (p Permission) Refusal() error {
	switch p {
	case Yes, OwnLines, NotOwners:
		return nil
	case PermanentOwner:
		return Refuse(PermanentlyOwned, "An agency owns this account permanently. It takes no connection requests, and its agency can't be restricted or removed.")
	case OtherPayer:
		return Refuse(NotPayer, "Only whoever pays for this account can do that.")
	default:
		return Refuse(Forbidden, "Your role does not allow that. Ask an owner or an admin.")
	}
}

// CallerRoleOf returns what a caller is by the profiles that were read. own is
// their role in the account. Only for a caller who acts for an agency, through is
// the ownership by which that agency has access and staff their role in it.
func CallerRoleOf(own Role, through Ownership, staff Role) CallerRole {
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
