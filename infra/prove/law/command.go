package law

import (
	"fmt"
	"time"

	"agencyhub/shared/agency"
)

// Do names a command.
type Do string

// The commands, and the access check.
const (
	OpenAccount     Do = "open account"
	CreateAccount   Do = "create account"
	RenameAccount   Do = "rename account"
	CloseAccount    Do = "close account"
	SwitchAgencyOn  Do = "switch agency on"
	SwitchAgencyOff Do = "switch agency off"

	InvitePerson       Do = "invite person"
	ResendInvitation   Do = "resend invitation"
	WithdrawInvitation Do = "withdraw invitation"
	AskNewSignIn       Do = "ask new sign-in"
	AcceptInvitation   Do = "accept invitation"
	DeclineInvitation  Do = "decline invitation"
	ChangeMember       Do = "change member"
	RemoveMember       Do = "remove member"

	RequestConnection Do = "request connection"
	ResendRequest     Do = "resend request"
	WithdrawRequest   Do = "withdraw request"
	LeaveAccount      Do = "leave account"
	AcceptRequest     Do = "accept request"
	AcceptInto        Do = "accept request into"
	DeclineRequest    Do = "decline request"
	DeclineByID       Do = "decline request by id"
	Unblock           Do = "unblock"
	UnblockForMe      Do = "unblock for me"

	ChangePlan         Do = "change plan"
	CancelSubscription Do = "cancel subscription"
	ResumeSubscription Do = "resume subscription"

	RegisterAccount Do = "register account"
	ReplaceOwner    Do = "replace owner"
	RaiseLimits     Do = "raise limits"
	ReportPayment   Do = "report payment"

	Me      Do = "me"
	EraseMe Do = "erase me"

	// StopMail and AllowMail are about unsolicited mail to the caller's mailbox.
	StopMail  Do = "stop mail"
	AllowMail Do = "allow mail"

	SweepProfile Do = "sweep profile"
	SweepAccount Do = "sweep account"
	SweepPerson  Do = "sweep person"

	CheckAccess   Do = "check access"
	CheckAccessOf Do = "check access of"
)

// Command is a command and its input. Each uses the fields that its use case has.
type Command struct {
	Do Do
	// By acts, for the agency As if that is not "". The platform and the sweep have none.
	By agency.Actor
	As agency.AccountID
	// Account is the account that the command is about, and Agency the agency.
	Account agency.AccountID
	Agency  agency.AccountID
	// Member is a member of the account.
	Member agency.Party
	// Connection is a connection by its id.
	Connection agency.ConnectionID
	// Profile is what SweepProfile is about, and Person what SweepPerson is about.
	Profile agency.ProfileKey
	Person  agency.PersonID
	// Email is the address of who is invited, asked, registered or checked, or of the
	// client of a new account ("" for none). To is the new one of ReplaceOwner.
	Email, To string
	Name      string
	Plan      string
	// Key is an Idempotency-Key.
	Key     string
	Message string
	Role    agency.Role
	Areas   agency.Areas
	// Until is an end date; the zero time removes it, nil leaves it.
	Until *time.Time
	// Clients are those to assign; nil leaves them, a pointer to nil is all.
	Clients *[]agency.AccountID
	// Number is that of the request that is answered.
	Number int
	Block  bool
	// Confirm is confirmPermanentOwnership; Immediately is of a cancellation; Failed and
	// At are of a payment.
	Confirm, Immediately, Failed bool
	At                           time.Time
	Limits                       map[agency.Limit]*int
}

// Outcome is what a command answers, and the events that it writes.
type Outcome struct {
	// Code and State are those of a refusal; "" for none.
	Code  agency.Code
	State agency.Status
	// Wait are the times that Retry-After may say; nil for any.
	Wait []time.Duration
	// Limits are all that are reached where RateLimited refuses.
	Limits []Limit
	// Profile, Account and Access are the answer, as far as the command has them.
	Profile *Member
	Account *Account
	Access  *agency.Access
	// Done is what Unblock, an invitation and the sweep report.
	Done   string
	Events []Event
}

// Limit names a limit that refuses: of what a person does on a day, or one of the others.
type Limit string

// The limits that are not of what a person does on a day.
const (
	DailyRequests   Limit = "requests of an agency on a day"
	PairMails       Limit = "emails of a pair"
	Resends         Limit = "times that a request is sent again"
	ResendAfter     Limit = "time before it is sent again"
	OpenRequests    Limit = "open requests"
	OpenInvitations Limit = "open invitations"
)

// ByPerson is the limit of what a person, or a new one, does on a day.
func ByPerson(what agency.Counted, isNew bool) Limit {
	if isNew {
		return Limit(fmt.Sprint(what, " on a day by a new person"))
	}
	return Limit(fmt.Sprint(what, " on a day by a person"))
}

// Event is what the law says of an event.
type Event struct {
	Type      agency.EventType
	At        time.Time
	Addressee agency.Party
	Agency    agency.AccountID
	Member    agency.Party
	Actor     agency.PersonID
	As        agency.AccountID
	Ownership agency.Ownership
	Request   int
	Kind      agency.RequestKind
	Muted     bool
	Client    agency.PersonID
	// Reported is what it led to, and Was what was there before.
	Reported
	Was Reported
	// byClock marks what time has decided: nobody is its actor.
	byClock bool
}

// Reported is what an event reports of a profile or an account.
type Reported struct {
	Name    string
	Status  agency.Status
	Role    agency.Role
	Areas   agency.Areas
	Until   time.Time
	Expires time.Time
	Message string
	Clients []agency.AccountID
	Limited bool
	// Plan and Subscription are of an account; Until is then when it freezes.
	Plan         string
	Subscription agency.SubscriptionState
}
