package table

import (
	"cmp"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/feature/dynamodb/attributevalue"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"agencyhub/shared/agency"
	"agencyhub/shared/service"
)

// The items of the table. Empty attributes are left out, so that the indexes are
// sparse; times are stamps of one width.

// eventRetention is how long an event is kept. DynamoDB deletes it days after that,
// or never; nothing relies on it.
const eventRetention = 2 * 365 * 24 * time.Hour

// mailRetention is how long a mail's claim and fate are kept.
const mailRetention = 90 * 24 * time.Hour

type keys struct {
	PK       string `dynamodbav:"pk"`
	SK       string `dynamodbav:"sk"`
	MemberPK string `dynamodbav:"memberPk,omitempty"`
	MemberSK string `dynamodbav:"memberSk,omitempty"`
	DuePK    string `dynamodbav:"duePk,omitempty"`
	DueSK    string `dynamodbav:"dueSk,omitempty"`
	TTL      int64  `dynamodbav:"ttl,omitempty"`
}

func (k key) keys() keys { return keys{PK: k.pk, SK: k.sk} }

// due sets the item's due mark; a zero time leaves it out.
func (k *keys) due(at time.Time) {
	if !at.IsZero() {
		k.DuePK, k.DueSK = dueShard(key{k.PK, k.SK}), stamp(at)
	}
}

type accountItem struct {
	keys
	Name              string                   `dynamodbav:"name"`
	Ownership         agency.Ownership         `dynamodbav:"ownership"`
	Owner             agency.AccountID         `dynamodbav:"owner,omitempty"`
	AgencyOn          bool                     `dynamodbav:"hub"`
	Owners            int                      `dynamodbav:"owners"`
	Agencies          []agency.AccountID       `dynamodbav:"agencies,omitempty"`
	Limits            agency.Limits            `dynamodbav:"limits,omitempty"`
	Plan              string                   `dynamodbav:"plan"`
	SubscriptionState agency.SubscriptionState `dynamodbav:"subscriptionState"`
	FreezesAt         string                   `dynamodbav:"freezesAt,omitempty"`
	Unpaid            bool                     `dynamodbav:"unpaid,omitempty"`
	ReportedAt        string                   `dynamodbav:"reportedAt,omitempty"`
	Closed            string                   `dynamodbav:"closed,omitempty"`
	CreatedAt         string                   `dynamodbav:"createdAt"`
	BodyHash          string                   `dynamodbav:"bodyHash,omitempty"`
	LastEvent         agency.EventID           `dynamodbav:"lastEvent,omitempty"`
	Version           int                      `dynamodbav:"version"`
}

func fromAccount(a agency.Account) accountItem {
	i := accountItem{
		keys: accountKey(a.ID).keys(), Name: a.Name, Ownership: a.Ownership, Owner: a.Owner, AgencyOn: a.AgencyOn, Owners: a.Owners, Agencies: a.Agencies, Limits: a.Limits,
		Plan: a.Subscription.Plan, SubscriptionState: a.Subscription.State, FreezesAt: stamp(a.Subscription.FreezesAt),
		Unpaid: a.Subscription.Unpaid, ReportedAt: stamp(a.Subscription.ReportedAt),
		Closed: stamp(a.Closed), CreatedAt: stamp(a.CreatedAt), BodyHash: a.BodyHash, LastEvent: a.LastEvent, Version: a.Version,
	}
	i.due(a.DueAt)
	return i
}

// ErrUnreadable is an item that this version can't read, such as one that a newer
// version wrote. Trying again does not help.
var ErrUnreadable = errors.New("table: an item can't be read")

// errNewer is returned for an item whose state this version does not know: a newer
// one wrote it, before it was rolled back or while it is rolled out.
func errNewer(k *keys, state string) error {
	return &agency.Error{
		Code: agency.Unavailable, RetryAfter: newerRetry, Cause: fmt.Errorf("%w: %s %s is %q", ErrUnreadable, k.PK, k.SK, state),
		Message: "This was written by a newer version of the hub, which is being installed. Try again in a few minutes.",
	}
}

// newerRetry is about how long a deployment takes.
const newerRetry = 2 * time.Minute

// checkSubscription refuses an unknown state; "" is a profile without a copy.
func (k *keys) checkSubscription(s agency.SubscriptionState) error {
	switch s {
	case "", agency.SubscriptionActive, agency.SubscriptionPastDue, agency.SubscriptionCancelling, agency.SubscriptionFrozen:
		return nil
	}
	return errNewer(k, string(s))
}

func (k *keys) checkStatus(s agency.Status) error {
	if s == "" || s.IsValid() {
		return nil
	}
	return errNewer(k, string(s))
}

func (i accountItem) account(id agency.AccountID) (agency.Account, error) {
	a := agency.Account{
		ID: id, Name: i.Name, Ownership: i.Ownership, Owner: i.Owner, AgencyOn: i.AgencyOn, Owners: i.Owners, Agencies: i.Agencies, Limits: i.Limits,
		Subscription: agency.Subscription{Plan: i.Plan, State: i.SubscriptionState, Unpaid: i.Unpaid},
		BodyHash:     i.BodyHash, LastEvent: i.LastEvent, Version: i.Version,
	}
	return a, errors.Join(
		i.checkSubscription(i.SubscriptionState), read(&a.Closed, i.Closed), read(&a.CreatedAt, i.CreatedAt), read(&a.DueAt, i.DueSK),
		read(&a.Subscription.FreezesAt, i.FreezesAt), read(&a.Subscription.ReportedAt, i.ReportedAt))
}

type profileItem struct {
	keys
	Status agency.Status `dynamodbav:"status"`
	Role   agency.Role   `dynamodbav:"role,omitempty"`
	// Role and Areas are those that the profile shows. AskedRole and Asked are those
	// of an accepted request, or of an offer; until then they are Role and Areas.
	Areas       agency.Areas     `dynamodbav:"areas,omitempty"`
	Asked       agency.Areas     `dynamodbav:"asked,omitempty"`
	AskedRole   agency.Role      `dynamodbav:"askedRole,omitempty"`
	Name        string           `dynamodbav:"name,omitempty"`
	Email       string           `dynamodbav:"email,omitempty"`
	AccountName string           `dynamodbav:"accountName,omitempty"`
	Ownership   agency.Ownership `dynamodbav:"ownership"`
	Plan        string           `dynamodbav:"plan,omitempty"`
	// SubscriptionState and FreezesAt are copies, as the plan is.
	SubscriptionState agency.SubscriptionState `dynamodbav:"subscriptionState,omitempty"`
	FreezesAt         string                   `dynamodbav:"freezesAt,omitempty"`

	Request      int                 `dynamodbav:"request,omitempty"`
	RequestKind  agency.RequestKind  `dynamodbav:"requestKind,omitempty"`
	RequestState agency.RequestState `dynamodbav:"requestState,omitempty"`
	RequestFrom  agency.AccountID    `dynamodbav:"requestFrom,omitempty"`
	Message      string              `dynamodbav:"message,omitempty"`
	RequestedBy  agency.PersonID     `dynamodbav:"requestedBy,omitempty"`
	RequestedAt  string              `dynamodbav:"requestedAt,omitempty"`
	AnsweredAt   string              `dynamodbav:"answeredAt,omitempty"`
	ExpiresAt    string              `dynamodbav:"expiresAt,omitempty"`
	Until        string              `dynamodbav:"until,omitempty"`
	Since        string              `dynamodbav:"since"`
	Delivery     agency.Delivery     `dynamodbav:"delivery,omitempty"`
	MovedTo      agency.AccountID    `dynamodbav:"movedTo,omitempty"`
	Resends      int                 `dynamodbav:"resends,omitempty"`
	MailedAt     string              `dynamodbav:"mailedAt,omitempty"`
	Reached      []agency.PersonID   `dynamodbav:"reached,omitempty"`
	RemindAt     string              `dynamodbav:"remindAt,omitempty"`
	// Muted is a digit and always there, so that a muted request is written in as
	// many bytes as any other.
	Muted int `dynamodbav:"muted"`
	// Assigned is true for a member who is limited to clients, even to none.
	Assigned bool               `dynamodbav:"assigned,omitempty"`
	Clients  []agency.AccountID `dynamodbav:"clients,omitempty"`
	Issuer   string             `dynamodbav:"iss,omitempty"`
	Subject  string             `dynamodbav:"sub,omitempty"`
	// Registered is true for an owner that the platform has named.
	Registered bool `dynamodbav:"registered,omitempty"`
	// CloseAt and CloseCursor are of the invitations that the person made.
	CloseAt     string `dynamodbav:"closeAt,omitempty"`
	CloseCursor string `dynamodbav:"closeCursor,omitempty"`
	// LastEvent is the newest event of the profile.
	LastEvent agency.EventID `dynamodbav:"lastEvent,omitempty"`
	Version   int            `dynamodbav:"version"`
}

func fromProfile(p agency.Profile) profileItem {
	i := profileItem{
		keys: profileKey(p.ProfileKey).keys(), Status: p.Status, Role: p.ShownRole(), Areas: p.ShownAreas(), Name: p.Name, Email: p.Email,
		AccountName: p.AccountName, Ownership: p.Ownership,
		Plan: p.Subscription.Plan, SubscriptionState: p.Subscription.State, FreezesAt: stamp(p.Subscription.FreezesAt),
		Request: p.Request.Number, RequestKind: p.Request.Kind, RequestState: p.Request.State, RequestFrom: p.Request.From, Message: p.Request.Message, RequestedBy: p.Request.By,
		RequestedAt: stamp(p.Request.RequestedAt), AnsweredAt: stamp(p.Request.AnsweredAt), ExpiresAt: stamp(p.Request.ExpiresAt), Until: stamp(p.Until), Since: stamp(p.Since),
		Delivery: p.Request.Delivery, MovedTo: p.MovedTo, Issuer: p.Issuer, Subject: p.Subject, Version: p.Version,
		Resends: p.Request.Resends, MailedAt: stamp(p.Request.MailedAt), Reached: p.Request.Reached, RemindAt: stamp(p.RemindAt), Muted: digit(p.Request.Muted),
		Assigned: p.Clients != nil, Clients: p.Clients, LastEvent: p.LastEvent,
		Registered: p.Registered, CloseAt: stamp(p.CloseAt), CloseCursor: p.CloseCursor,
	}
	if !p.ShowsRequest() {
		i.Asked, i.AskedRole = p.Request.Areas, p.Request.Role
	}
	switch {
	case p.Kind() == agency.AgencyKind && p.Status != agency.Moved, p.Status == agency.Active:
		// An agency sees its ended connections, but not those that an account has
		// taken over; a person lists the accounts to which they have access.
		i.MemberPK, i.MemberSK = string(p.Member), memberSort(p)
	case p.Status == agency.Invited:
		i.MemberPK, i.MemberSK = invitedPrefix+string(p.Member), memberSort(p)
	case p.Kind() == agency.PersonKind && p.Email != "":
		// An ended profile is found for one purpose: to delete the address from
		// it.
		i.MemberPK, i.MemberSK = formerPrefix+string(p.Member), memberSort(p)
	}
	i.due(p.DueAt)
	if p.Status.IsEnded() && !p.DueAt.IsZero() && p.CloseAt.IsZero() {
		// DynamoDB deletes what cleanup does not.
		i.TTL = p.DueAt.Unix()
	}
	return i
}

func (i profileItem) profile() (agency.Profile, error) {
	k, err := parseProfileKey(i.PK, i.SK)
	p := agency.Profile{
		ProfileKey: k, Status: i.Status, Name: i.Name, Email: i.Email,
		AccountName: i.AccountName, Ownership: i.Ownership, Subscription: agency.Subscription{Plan: i.Plan, State: i.SubscriptionState},
		Request: agency.Request{
			Number: i.Request, Kind: i.RequestKind, State: i.RequestState, From: i.RequestFrom, Message: i.Message, By: i.RequestedBy, Delivery: i.Delivery, Resends: i.Resends, Reached: i.Reached, Muted: i.Muted != 0,
		},
		Registered: i.Registered, CloseCursor: i.CloseCursor, MovedTo: i.MovedTo, Issuer: i.Issuer, Subject: i.Subject, Version: i.Version,
		Clients: i.Clients, LastEvent: i.LastEvent,
	}
	if p.ShowsRequest() {
		p.Request.Areas, p.Request.Role = i.Areas, i.Role
	} else {
		p.Areas, p.Role, p.Request.Areas, p.Request.Role = i.Areas, i.Role, i.Asked, i.AskedRole
	}
	if i.Assigned && p.Clients == nil {
		p.Clients = []agency.AccountID{}
	}
	err = errors.Join(err, i.checkStatus(i.Status), i.checkSubscription(i.SubscriptionState),
		read(&p.Request.RequestedAt, i.RequestedAt), read(&p.Request.AnsweredAt, i.AnsweredAt), read(&p.Request.ExpiresAt, i.ExpiresAt), read(&p.Until, i.Until), read(&p.Since, i.Since),
		read(&p.Request.MailedAt, i.MailedAt), read(&p.RemindAt, i.RemindAt), read(&p.DueAt, i.DueSK), read(&p.CloseAt, i.CloseAt),
		read(&p.Subscription.FreezesAt, i.FreezesAt))
	return p, err
}

func digit(b bool) int {
	if b {
		return 1
	}
	return 0
}

// pairItem has every attribute always, each in one width, so that the size of a
// write does not show whether an agency is blocked.
type pairItem struct {
	keys
	CoolingUntil string   `dynamodbav:"coolingUntil"`
	Blocked      int      `dynamodbav:"blocked"`
	Mailed       []string `dynamodbav:"mailed"`
	Requests     int      `dynamodbav:"requests"`
	Versions     int      `dynamodbav:"versions"`
	Version      int      `dynamodbav:"version"`
}

// never is the stamp of the zero time.
var never = time.Time{}.UTC().Format(stampLayout)

func fromPair(p agency.Pair) pairItem {
	i := pairItem{
		keys: pairKey(p.PairKey).keys(), CoolingUntil: cmp.Or(stamp(p.CoolingUntil), never), Blocked: digit(p.Blocked),
		Mailed: []string{}, Requests: p.Requests, Versions: p.Versions, Version: p.Version,
	}
	for _, at := range p.Mailed {
		i.Mailed = append(i.Mailed, stamp(at))
	}
	return i
}

func (i pairItem) pair() (agency.Pair, error) {
	k, err := parsePairKey(i.PK, i.SK)
	p := agency.Pair{PairKey: k, Blocked: i.Blocked != 0, Requests: i.Requests, Versions: i.Versions, Version: i.Version}
	if i.CoolingUntil != never {
		err = errors.Join(err, read(&p.CoolingUntil, i.CoolingUntil))
	}
	for _, text := range i.Mailed {
		at, err1 := unstamp(text)
		p.Mailed, err = append(p.Mailed, at), errors.Join(err, err1)
	}
	return p, err
}

type callItem struct {
	keys
	BodyHash   string              `dynamodbav:"bodyHash"`
	Connection agency.ConnectionID `dynamodbav:"connection"`
	Request    int                 `dynamodbav:"request"`
	At         string              `dynamodbav:"at"`
	Version    int                 `dynamodbav:"version"`
}

func fromCall(c service.Call) callItem {
	i := callItem{
		keys: callKey(c.CallKey).keys(), BodyHash: c.BodyHash, Connection: c.Connection, Request: c.Request, At: stamp(c.At), Version: c.Version,
	}
	i.TTL = c.At.Add(service.CallRetention).Unix()
	return i
}

func (i callItem) call() (service.Call, error) {
	k, err := parseCallKey(i.PK, i.SK)
	c := service.Call{CallKey: k, BodyHash: i.BodyHash, Connection: i.Connection, Request: i.Request, Version: i.Version}
	return c, errors.Join(err, read(&c.At, i.At))
}

func read(to *time.Time, from string) (err error) {
	*to, err = unstamp(from)
	return err
}

type personItem struct {
	keys
	FirstAt string `dynamodbav:"firstAt,omitempty"`
	Erasing string `dynamodbav:"erasing,omitempty"`
	// Suppression is the reason; SuppressedAt and LiftedAt are times.
	Suppression  agency.SuppressionReason `dynamodbav:"suppression,omitempty"`
	SuppressedAt string                   `dynamodbav:"suppressedAt,omitempty"`
	LiftedAt     string                   `dynamodbav:"liftedAt,omitempty"`
	Version      int                      `dynamodbav:"version"`
}

func (i personItem) person(id agency.PersonID) (agency.Person, error) {
	p := agency.Person{ID: id, Suppression: agency.Suppression{Reason: i.Suppression}, Version: i.Version}
	return p, errors.Join(read(&p.FirstAt, i.FirstAt), read(&p.Erasing, i.Erasing), read(&p.DueAt, i.DueSK),
		read(&p.Suppression.At, i.SuppressedAt), read(&p.Suppression.Lifted, i.LiftedAt))
}

func fromPerson(p agency.Person) personItem {
	i := personItem{
		keys: personKey(p.ID).keys(), FirstAt: stamp(p.FirstAt), Erasing: stamp(p.Erasing),
		Suppression: p.Suppression.Reason, SuppressedAt: stamp(p.Suppression.At), LiftedAt: stamp(p.Suppression.Lifted), Version: p.Version,
	}
	i.due(p.DueAt)
	return i
}

type stateItem struct {
	Name    string        `dynamodbav:"name,omitempty"`
	Status  agency.Status `dynamodbav:"status,omitempty"`
	Role    agency.Role   `dynamodbav:"role,omitempty"`
	Areas   agency.Areas  `dynamodbav:"areas,omitempty"`
	Until   string        `dynamodbav:"until,omitempty"`
	Expires string        `dynamodbav:"expires,omitempty"`
	Message string        `dynamodbav:"message,omitempty"`
	// Assigned is true where there is a limit, even to no client.
	Assigned bool               `dynamodbav:"assigned,omitempty"`
	Clients  []agency.AccountID `dynamodbav:"clients,omitempty"`

	Plan         string                   `dynamodbav:"plan,omitempty"`
	Subscription agency.SubscriptionState `dynamodbav:"subscription,omitempty"`
}

func fromState(s agency.State) stateItem {
	return stateItem{
		Name: s.Name, Status: s.Status, Role: s.Role, Areas: s.Areas,
		Until: stamp(s.Until), Expires: stamp(s.Expires), Message: s.Message,
		Assigned: s.Clients != nil, Clients: s.Clients, Plan: s.Plan, Subscription: s.Subscription,
	}
}

func (i stateItem) state() (agency.State, error) {
	s := agency.State{Name: i.Name, Status: i.Status, Role: i.Role, Areas: i.Areas, Message: i.Message, Clients: i.Clients, Plan: i.Plan, Subscription: i.Subscription}
	if i.Assigned && s.Clients == nil {
		s.Clients = []agency.AccountID{}
	}
	return s, errors.Join(read(&s.Until, i.Until), read(&s.Expires, i.Expires))
}

type eventItem struct {
	keys
	// Addressee repeats the partition, for an index's query to filter by: a filter
	// may not name a key.
	Addressee agency.Party     `dynamodbav:"addressee"`
	Type      agency.EventType `dynamodbav:"type"`
	At        string           `dynamodbav:"at"`
	Agency    agency.AccountID `dynamodbav:"agency,omitempty"`
	Member    agency.Party     `dynamodbav:"member,omitempty"`
	Actor     agency.PersonID  `dynamodbav:"actor,omitempty"`
	As        agency.AccountID `dynamodbav:"as,omitempty"`
	Ownership agency.Ownership `dynamodbav:"ownership"`
	Request   int              `dynamodbav:"request,omitempty"`
	// Kind is the request's, in an event of an invitation.
	Kind    agency.RequestKind `dynamodbav:"kind,omitempty"`
	Version int                `dynamodbav:"version"`
	Was     stateItem          `dynamodbav:"was"`
	Now     stateItem          `dynamodbav:"now"`
	Client  agency.PersonID    `dynamodbav:"client,omitempty"`
	Muted   int                `dynamodbav:"muted"`
	// After is the event before it of the same profile or account.
	After     agency.EventID `dynamodbav:"after,omitempty"`
	RequestID string         `dynamodbav:"requestId,omitempty"`
}

func fromEvent(e agency.Event) eventItem {
	i := eventItem{
		keys: eventKey(EventKey{e.Addressee, e.ID}).keys(), Addressee: e.Addressee, Type: e.Type, At: stamp(e.At), Agency: e.Agency, Member: e.Member,
		Actor: e.Actor, As: e.As, Ownership: e.Ownership, Request: e.Request, Kind: e.Kind, Version: e.Version,
		Was: fromState(e.Was), Now: fromState(e.Now), Client: e.Client, Muted: digit(e.Muted), After: e.After,
		RequestID: e.RequestID,
	}
	if e.Agency != "" {
		i.MemberPK, i.MemberSK = string(e.Agency), i.SK
	}
	i.TTL = e.At.Add(eventRetention).Unix()
	i.due(e.WakeAt)
	return i
}

func (i eventItem) event() (agency.Event, error) {
	k, err := ParseEventKey(i.PK, i.SK)
	e := agency.Event{
		ID: k.ID, Addressee: k.Addressee, Type: i.Type, Agency: i.Agency, Member: i.Member, Actor: i.Actor, As: i.As,
		Ownership: i.Ownership, Request: i.Request, Kind: i.Kind, Version: i.Version, Client: i.Client, Muted: i.Muted != 0, After: i.After,
		RequestID: i.RequestID,
	}
	var err1, err2 error
	e.Was, err1 = i.Was.state()
	e.Now, err2 = i.Now.state()
	return e, errors.Join(err, err1, err2, read(&e.At, i.At), read(&e.WakeAt, i.DueSK))
}

// decode reads an item as one of the structs above.
func decode[T any](item map[string]types.AttributeValue) (T, error) {
	var out T
	if err := attributevalue.UnmarshalMap(item, &out); err != nil {
		return out, fmt.Errorf("%w: %w", ErrUnreadable, err)
	}
	return out, nil
}

func encode(item any) (map[string]types.AttributeValue, error) {
	out, err := attributevalue.MarshalMap(item)
	if err != nil {
		return nil, fmt.Errorf("table: an item can't be written: %w", err)
	}
	return out, nil
}
