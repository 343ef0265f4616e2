package e2e

// The texts of emails (README, Emails).

func created(to *person, agency, account string) wantEmail {
	return wantEmail{to, account + " is ready, and " + agency + " owns it", []string{
		"created the account " + account,
		"It owns the account for good. The connection can never be ended to give the account another owner.",
		"It pays for the account: the plan Starter, 29 USD a month.",
		"You can give access, change it and take it away at any time.",
	}}
}

func createdFor(to *person, agency, account, areas string) wantEmail {
	return wantEmail{to, agency + " has set up " + account + " for you", []string{
		areas, "Open the account and sign in with your address " + to.email,
		agency + " owns this account and pays for it, and decides what you may see and change in it.",
	}}
}

func accessGiven(to *person, agency, account, areas string) wantEmail {
	return wantEmail{to, agency + " has given you access to " + account, []string{
		areas, "sign in with your address " + to.email, agency + " owns this account and pays for it",
	}}
}

func accessChanged(to *person, agency, account, areas string) wantEmail {
	return wantEmail{to, "Your access to " + account + " has changed", []string{
		agency + ", which owns the account " + account + ", changed what you may do there. It took effect at once.", areas,
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
		agency + " had asked to work in " + account + ". Nobody answered by " + until, "You can ask again",
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

func added(to, by *person, account, role string) wantEmail {
	return wantEmail{to, "You are now in the team of " + account, []string{
		by.email + " let you into the account " + account + " as " + role, "sign in with your address " + to.email,
	}}
}

func changedRole(to, by *person, account, role string) wantEmail {
	return wantEmail{to, "Your role in " + account + " has changed", []string{
		by.email + " changed what you may do in the account " + account + ". It took effect at once.", "From now on you are " + role,
	}}
}

func invitedAgain(to, by *person, account string) wantEmail {
	return wantEmail{to, "You were invited to " + account + " once more", []string{
		by.email + " invited you to the account " + account + " once more",
	}}
}

func removed(to, by *person, account string) wantEmail {
	return wantEmail{to, "Your access to " + account + " has ended", []string{
		by.email + " removed you from the team of " + account + ". It took effect at once",
	}}
}

func personLeft(to, who *person, account string) wantEmail {
	return wantEmail{to, who.email + " has left " + account, []string{
		who.email + " left the team of " + account + ". It took effect at once",
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
		"For 30 days it can't ask you again, or for good if you blocked it.", "You can allow " + agency + " again at any time",
	}}
}

func withdrawnByEmail(to *person, agency string) wantEmail {
	return wantEmail{to, agency + " has withdrawn its request", []string{
		agency + " had asked, at your address " + to.email, "Nobody was let in",
	}}
}

func expiredByEmail(to *person, agency, address, until string) wantEmail {
	return wantEmail{to, "Your request to " + address + " has expired", []string{
		agency + " had asked " + address + " for access to an account. Nobody answered by " + until, "You can ask again",
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
		by.email + " changed for which clients of " + account + " you may work. It took effect at once.",
		"You may work for " + clients + " of " + account + ".",
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
