package e2e

// The emails of the whole life of a connection: by email, in time, and at the
// end.

// askedPerson is the request's email to somebody of whom the agency knows the
// address alone; manages tells whether they have an account to choose.
func askedPerson(to *person, r request, manages bool) letter {
	how := "sign in with your address " + to.email + " and choose the account. It can be any in which you are an owner or admin."
	if !manages {
		how = "Sign in with your address " + to.email + " and open one"
	}
	return letter{to, r.agency + " asks to work for you", []string{
		r.by + " of " + r.agency + " would like to work in an account of yours on Agency Hub, and has asked you at this address. Nobody gets in unless you say yes.",
		r.areas, r.message, how,
		"The account stays yours. You remain in charge of it, and its bill stays as it is.",
		"You can answer until " + r.until + ".",
		r.link, "The link alone lets nobody in.", "There you can deny the request and block " + r.agency,
	}}
}

func reminded(l letter, left string) letter {
	l.subject = "Reminder: " + l.subject
	l.says = append(l.says, "This request still waits for your answer, for "+left+" more.")
	return l
}

func resentAsked(l letter) letter {
	l.subject = "Sent again: " + l.subject
	return l
}

// until adds to a letter that the access ends by itself.
func (l letter) until(moment string) letter {
	l.says = append(l.says, "The access ends by itself on "+moment+".")
	return l
}

func deniedEmail(to *person, agency, address string) letter {
	return letter{to, "Your request to " + address + " was declined", []string{
		"the client declined the request that " + agency + " had sent to " + address,
	}}
}

func deniedByMe(to *person, agency string) letter {
	return letter{to, "You denied the request of " + agency, []string{
		"you denied the request that " + agency + " had sent to your address " + to.email, agency + " gets no access",
		"For 30 days it can't ask you again, or for good if you blocked it.", "You can allow " + agency + " again at any time",
	}}
}

func withdrawnPerson(to *person, agency string) letter {
	return letter{to, agency + " has withdrawn its request", []string{
		agency + " had asked, at your address " + to.email, "Nobody was let in",
	}}
}

func expiredEmail(to *person, agency, address, until string) letter {
	return letter{to, "Your request to " + address + " has expired", []string{
		agency + " had asked " + address + " for access to an account. Nobody answered by " + until, "You can ask again",
	}}
}

func restrictedUntil(to *person, agency, account, until string) letter {
	return letter{to, "Until when you may work in " + account + " has changed", []string{
		"the client changed until when " + agency + " may work in " + account, until,
	}}
}

func lapseAhead(to *person, agency, account, left, until string) letter {
	return letter{to, "Your access to " + account + " ends in " + left, []string{
		"The client let " + agency + " work in " + account + " for a limited time. It is over in " + left + ".",
		"The access ends by itself on " + until + ".", "ask your client to move the end date before it comes",
	}}
}

func lapseAheadYours(to *person, agency, account, left, until string) letter {
	return letter{to, "The access of " + agency + " to " + account + " ends in " + left, []string{
		"The access ends by itself on " + until + ".", "move the end date or remove it before it comes",
	}}
}

func lapsed(to *person, agency, account, until string) letter {
	return letter{to, "Your access to " + account + " has ended", []string{
		"The client had let " + agency + " work in " + account + " until " + until, "nobody of your team can get in any more",
	}}
}

func lapsedYours(to *person, agency, account, until string) letter {
	return letter{to, "The access of " + agency + " to " + account + " has ended", []string{
		agency + " was allowed to work in your account " + account + " until " + until,
	}}
}

func changedClients(to, by *person, account, clients string) letter {
	return letter{to, "Your clients in " + account + " have changed", []string{
		by.email + " changed for which clients of " + account + " you may work. It took effect at once.",
		"You may work for " + clients + " of " + account + ".",
	}}
}

// closed is to an agency that worked in the account; closedAsked to one that had
// asked to.
func closed(to *person, agency, account string) letter {
	return letter{to, account + " was closed", []string{
		"the client closed the account " + account + ", in which " + agency + " worked", "deleted 90 days after its closing",
	}}
}

func closedAsked(to *person, agency, account string) letter {
	return letter{to, account + " was closed", []string{
		agency + " had asked to work in the account " + account, "So the request can't be answered any more.",
	}}
}

func closedYours(to, by *person, account string) letter {
	return letter{to, account + " was closed", []string{
		by.email + " closed your account " + account + ". It took effect at once, and it is for good.",
		"Nobody can get in any more: not you, not the others of its team, and no agency.",
	}}
}

func closedOwned(to, by *person, agency, account string) letter {
	return letter{to, account + " was closed", []string{
		by.email + " of " + agency + " closed the account " + account + ", which " + agency + " owned",
	}}
}

func closedClient(to *person, agency, account string) letter {
	return letter{to, account + " was closed", []string{
		agency + " closed the account " + account + ", which it owned and paid for", "you can't get in any more",
	}}
}
