package e2e

// The texts of emails (README, Emails).

func created(to *person, agency, account string) wantEmail {
	return wantEmail{to, account + " is ready, and " + agency + " owns it", []string{
		"created the account " + account,
		"It owns the account permanently. The connection can never be ended to give the account another owner.",
		"It pays for the account: the plan Starter, 29 USD a month.",
		"It decides whether the client has access, and how much. You can change or remove it at any time.",
	}}
}

func createdFor(to *person, agency, account, areas string) wantEmail {
	return wantEmail{to, agency + " created " + account + " for you", []string{
		agency + " created the account " + account, "invites you to it", areas,
		"You don’t pay for anything.", agency + " owns this account and pays for it. It can change or remove your access at any time.",
		"Sign in with your address " + to.email + " to accept or decline. The link alone gives nobody access.",
	}}
}

// invitedClient is the email about an invitation to an account that an agency owns.
func invitedClient(to, by *person, agency, account, areas string) wantEmail {
	return wantEmail{to, agency + " invites you to " + account, []string{
		by.email + " of " + agency + " invites you to the account " + account, areas,
		"You don’t pay for anything.", agency + " owns this account and pays for it.",
		"Sign in with your address " + to.email + " to accept or decline. The link alone gives nobody access.",
	}}
}

// joinedClient are the emails about a client's acceptance: to the client and to the person who
// invited them.
func joinedClient(who, by *person, agency, account, areas string) []wantEmail {
	return []wantEmail{joinedNews(by, who, account), {who, "You joined " + account, []string{
		"you accepted the invitation of " + agency + " to the account " + account, areas, "Sign in with your address " + who.email, agency + " owns this account and pays for it",
	}}}
}

func accessChanged(to *person, agency, account, areas string) wantEmail {
	return wantEmail{to, "Your access to " + account + " has changed", []string{
		agency + " changed your access to the account " + account + ", which it owns.", areas,
	}}
}

func accessEnded(to *person, agency, account string) wantEmail {
	return wantEmail{to, "Your access to " + account + " has ended", []string{
		agency + ", which owns the account " + account + ", took your access to it away. It took effect at once",
	}}
}

// A request is what the email about it must also say.
type request struct {
	by, agency, account, areas, message, until, link string
}

func requested(to *person, r request) wantEmail {
	return wantEmail{to, r.agency + " asks to work in " + r.account, []string{
		r.by + " of " + r.agency + " would like to work in your account " + r.account + ". Nobody gets in unless you say yes.",
		r.areas, r.message,
		"The account stays yours. You remain its owner, and you go on paying for it and managing its bill.",
		"You may grant less than is asked for. Later you can restrict the access or revoke it whenever you like",
		"You can answer until " + r.until + ".",
		r.link,
		"To accept, sign in as an owner or admin of " + r.account + ". The link alone lets nobody in.",
	}}
}

func resent(l wantEmail) wantEmail {
	l.subject = "Sent again: " + l.subject
	return l
}

// changed is the email about an invitation with other terms. role is the new one.
func changed(l wantEmail, role string) wantEmail {
	l.subject = "Changed: " + l.subject
	l.contains = append(l.contains, "The invitation has changed: you are now invited as "+role+".")
	return l
}

func accepted(to *person, agency, account, areas string) wantEmail {
	return wantEmail{to, account + " has accepted your request", []string{
		"your client accepted the request of " + agency + " to work in " + account, areas,
		"The client remains the owner of the account, pays for it, and can restrict or revoke your access at any time.",
	}}
}

func acceptedBy(to, by *person, agency, account, areas string) wantEmail {
	return wantEmail{to, agency + " was let into " + account, []string{
		"the request of " + agency + " to work in " + account + " was accepted by " + by.email, areas,
		"You remain the owner of " + account + ", pay for it and manage its bill.",
		"open it in Team Members and change its levels",
		"To end it, revoke the access in the same place. You need nobody's consent, and it takes effect at once.",
	}}
}

func declined(to *person, agency, account string) wantEmail {
	return wantEmail{to, "Your request to " + account + " was declined", []string{
		"the client declined the request of " + agency + " to work in " + account,
	}}
}

func declinedBy(to, by *person, agency, account string) wantEmail {
	return wantEmail{to, "The request of " + agency + " was declined", []string{
		"the request of " + agency + " to work in your account " + account + " was declined by " + by.email, agency + " gets no access",
	}}
}

func expired(to *person, agency, account, until string) wantEmail {
	return wantEmail{to, "Your request to " + account + " has expired", []string{
		agency + " had asked to work in " + account + ". Nobody answered by " + until, "You can request access again.",
	}}
}

func expiredClient(to *person, agency, account, until string) wantEmail {
	return wantEmail{to, "The request of " + agency + " has expired", []string{
		agency + " had asked to work in your account " + account + ". Nobody answered by " + until, agency + " was not let in",
	}}
}

func withdrawn(to *person, agency, account string) wantEmail {
	return wantEmail{to, agency + " has withdrawn its request", []string{
		agency + " had asked to work in your account " + account, "Nobody was let in",
	}}
}

func restricted(to *person, agency, account, areas string) wantEmail {
	return wantEmail{to, "What you may do in " + account + " has changed", []string{
		"the client changed what " + agency + " may do in " + account + ". It took effect at once.", areas,
	}}
}

func revoked(to *person, agency, account string) wantEmail {
	return wantEmail{to, account + " has revoked your access", []string{
		"the client revoked the access of " + agency + " to " + account + ". It took effect at once",
	}}
}

func revokedBy(to, by *person, agency, account string) wantEmail {
	return wantEmail{to, "The access of " + agency + " to " + account + " was revoked", []string{
		"was revoked by " + by.email + ". It took effect at once",
	}}
}

func left(to, by *person, agency, account string) wantEmail {
	return wantEmail{to, agency + " has left " + account, []string{
		by.email + " of " + agency + " ended your agency's work in " + account,
	}}
}

func leftClient(to *person, agency, account string) wantEmail {
	return wantEmail{to, agency + " has left " + account, []string{
		agency + " ended its work in your account " + account + ". It took effect at once",
	}}
}

// invited is the email about an invitation. role is "an owner", "an admin" or "a
// member".
func invited(to, by *person, account, role string) wantEmail {
	cost := "You don’t pay for anything."
	if role == "an owner" {
		cost = "You pay for this account: the plan Starter, 29 USD a month."
	}
	return wantEmail{to, "You’re invited to " + account, []string{
		by.email + " invites you to the account " + account + " on Agency Hub, as " + role + ".", cost,
		"Sign in with your address " + to.email + " to accept or decline. The link alone gives nobody access.",
		"decline and block " + account + " on the same page",
	}}
}

// joinedNews goes to the person who invited.
func joinedNews(to, who *person, account string) wantEmail {
	return wantEmail{to, who.email + " joined " + account, []string{who.email + " accepted your invitation to the account " + account}}
}

// added is the receipt of the person who accepted.
func added(to *person, account, role string) wantEmail {
	return wantEmail{to, "You joined " + account, []string{
		"you accepted the invitation to the account " + account, "You are " + role, "Sign in with your address " + to.email,
	}}
}

// joins are the emails about an acceptance.
func joins(who, by *person, account, role string) []wantEmail {
	return []wantEmail{joinedNews(by, who, account), added(who, account, role)}
}

// joined are the emails about an invitation and its acceptance.
func joined(who, by *person, account, role string) []wantEmail {
	return append(joins(who, by, account, role), invited(who, by, account, role))
}

func invitationDeclined(to, who *person, account string) wantEmail {
	return wantEmail{to, who.email + " declined your invitation", []string{
		who.email + " declined the invitation to the account " + account, "They have no access.", "You can invite them again after ",
	}}
}

func invitationWithdrawn(to *person, account string) wantEmail {
	return wantEmail{to, "Your invitation to " + account + " was withdrawn", []string{"Your invitation to the account " + account + " was withdrawn on", "It can’t be accepted any more."}}
}

func invitationExpired(to *person, account, until string) wantEmail {
	return wantEmail{to, "Your invitation to " + account + " has expired", []string{
		"You didn’t accept the invitation to the account " + account + " by " + until, "Nothing has changed",
	}}
}

func invitationExpiredMaker(to, who *person, account, until string) wantEmail {
	return wantEmail{to, "Your invitation to " + who.email + " has expired", []string{
		who.email + " didn’t accept the invitation to the account " + account + " by " + until, "You can invite them again in Team Members.",
	}}
}

// invitationEndedByClosing is the email about an invitation to an account that was closed.
func invitationEndedByClosing(to *person, account string) wantEmail {
	return wantEmail{to, "Your invitation to " + account + " has expired", []string{"The account " + account + " was closed, so your invitation ended"}}
}

// offered is the email about an offer of ownership. price is the account's plan and its price.
func offered(to, by *person, account, price string) wantEmail {
	return wantEmail{to, "Become an owner of " + account, []string{
		by.email + " offers to make you an owner of the account " + account + ". You keep your present role until you accept.",
		"You pay for this account: " + price + " a month.",
		"Sign in with your address " + to.email + " to accept or decline. The link alone changes nothing.",
	}}
}

// newOwner goes to every other owner.
func newOwner(to, who *person, account string) wantEmail {
	return wantEmail{to, who.email + " is now an owner of " + account, []string{who.email + " accepted ownership of the account " + account}}
}

// ownsNow is the receipt of the person who accepted an offer of ownership. price is the
// account's plan and its price.
func ownsNow(to *person, account, price string) wantEmail {
	return wantEmail{to, "You are now an owner of " + account, []string{
		"you accepted ownership of the account " + account, "You pay for this account: " + price + " a month.",
	}}
}

func offerDeclined(to, who *person, account string) wantEmail {
	return wantEmail{to, who.email + " declined your offer of ownership", []string{who.email + " declined ownership of the account " + account}}
}

func offerWithdrawn(to *person, account string) wantEmail {
	return wantEmail{to, "The offer of ownership of " + account + " was withdrawn", []string{"You keep your present role."}}
}

// newSignIn is the email that asks a person to accept again.
func newSignIn(to, by *person, account string) wantEmail {
	return wantEmail{to, "Accept your access to " + account + " again", []string{
		by.email + " asks you to accept your access to the account " + account + " again, with the sign-in that you use now. You have no access until you accept.",
	}}
}

func changedRole(to, by *person, account, role string) wantEmail {
	return wantEmail{to, "Your role in " + account + " has changed", []string{
		by.email + " changed your role or access in the account " + account + ".", "You are now " + role,
	}}
}

func removed(to, by *person, account string) wantEmail {
	return wantEmail{to, "Your access to " + account + " has ended", []string{
		by.email + " removed you from the team of " + account + ". It took effect at once",
	}}
}

func personLeft(to, who *person, account string) wantEmail {
	return wantEmail{to, who.email + " has left " + account, []string{
		who.email + " left the team of " + account + ". They have no access any more.",
	}}
}

// requestedByEmail is the email about a request to an address. A person who manages
// an account can choose it in the answer.
func requestedByEmail(to *person, r request, manages bool) wantEmail {
	how := "sign in with your address " + to.email + " and choose the account. It can be any in which you are an owner or admin."
	if !manages {
		how = "Sign in with your address " + to.email + " and open one"
	}
	return wantEmail{to, r.agency + " asks to work for you", []string{
		r.by + " of " + r.agency + " would like to work in an account of yours on Agency Hub, and has asked you at this address. Nobody gets in unless you say yes.",
		r.areas, r.message, how,
		"The account stays yours. You remain in charge of it, and its bill stays as it is.",
		"You can answer until " + r.until + ".",
		r.link, "The link alone lets nobody in.", "There you can decline the request and block " + r.agency,
	}}
}

func reminded(l wantEmail, left string) wantEmail {
	l.subject = "Reminder: " + l.subject
	l.contains = append(l.contains, "This request still waits for your answer, for "+left+" more.")
	return l
}

// endingOn adds the sentence about the end date.
func (l wantEmail) endingOn(moment string) wantEmail {
	l.contains = append(l.contains, "The access ends by itself on "+moment+".")
	return l
}

func declinedByEmail(to *person, agency, address string) wantEmail {
	return wantEmail{to, "Your request to " + address + " was declined", []string{
		"the client declined the request that " + agency + " had sent to " + address,
	}}
}

func declinedByMe(to *person, agency string) wantEmail {
	return wantEmail{to, "You declined the request of " + agency, []string{
		"you declined the request that " + agency + " had sent to your address " + to.email, agency + " gets no access",
		"For 30 days it can’t request access again. If you blocked it, it can’t until you unblock it.", "You can open the request and choose Unblock",
	}}
}

func withdrawnByEmail(to *person, agency string) wantEmail {
	return wantEmail{to, agency + " has withdrawn its request", []string{
		agency + " had asked, at your address " + to.email, "Nobody was let in",
	}}
}

func expiredByEmail(to *person, agency, address, until string) wantEmail {
	return wantEmail{to, "Your request to " + address + " has expired", []string{
		agency + " had asked " + address + " for access to an account. Nobody answered by " + until, "You can request access again.",
	}}
}

func restrictedUntil(to *person, agency, account, until string) wantEmail {
	return wantEmail{to, "Until when you may work in " + account + " has changed", []string{
		"the client changed until when " + agency + " may work in " + account, until,
	}}
}

func endsSoon(to *person, agency, account, left, until string) wantEmail {
	return wantEmail{to, "Your access to " + account + " ends in " + left, []string{
		"The client let " + agency + " work in " + account + " for a limited time. It is over in " + left + ".",
		"The access ends by itself on " + until + ".", "ask your client to move the end date before it comes",
	}}
}

func endsSoonClient(to *person, agency, account, left, until string) wantEmail {
	return wantEmail{to, "The access of " + agency + " to " + account + " ends in " + left, []string{
		"The access ends by itself on " + until + ".", "move the end date or remove it before it comes",
	}}
}

func endedOnDate(to *person, agency, account, until string) wantEmail {
	return wantEmail{to, "Your access to " + account + " has ended", []string{
		"The client had let " + agency + " work in " + account + " until " + until, "nobody of your team can get in any more",
	}}
}

func endedOnDateClient(to *person, agency, account, until string) wantEmail {
	return wantEmail{to, "The access of " + agency + " to " + account + " has ended", []string{
		agency + " was allowed to work in your account " + account + " until " + until,
	}}
}

func changedClients(to, by *person, account, clients string) wantEmail {
	return wantEmail{to, "Your clients in " + account + " have changed", []string{
		by.email + " changed your clients in " + account + ".",
		"You work for " + clients + " of " + account + ".",
	}}
}

// closed goes to a connected agency, closedRequested to one with a request.
func closed(to *person, agency, account string) wantEmail {
	return wantEmail{to, account + " was closed", []string{
		"the client closed the account " + account + ", in which " + agency + " worked", "deleted 90 days after its closing",
	}}
}

func closedRequested(to *person, agency, account string) wantEmail {
	return wantEmail{to, account + " was closed", []string{
		agency + " had asked to work in the account " + account, "So the request can't be answered any more.",
	}}
}

func closedOwn(to, by *person, account string) wantEmail {
	return wantEmail{to, account + " was closed", []string{
		by.email + " closed your account " + account + ". It took effect at once, and it is for good.",
		"Nobody can get in any more: not you, not the others of its team, and no agency.",
	}}
}

func closedOwned(to, by *person, agency, account string) wantEmail {
	return wantEmail{to, account + " was closed", []string{
		by.email + " of " + agency + " closed the account " + account + ", which " + agency + " owned",
	}}
}

func closedClient(to *person, agency, account string) wantEmail {
	return wantEmail{to, account + " was closed", []string{
		agency + " closed the account " + account + ", which it owned and paid for", "you can't get in any more",
	}}
}

func remindedOfInvitation(l wantEmail, left string) wantEmail {
	l.subject = "Reminder: " + l.subject
	l.contains = append(l.contains, "This invitation expires in "+left+".")
	return l
}
