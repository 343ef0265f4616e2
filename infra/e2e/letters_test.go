package e2e

// What each email says, by the lines of PRODUCT.md's "What everyone is told".

func created(to *person, agency, account string) letter {
	return letter{to, account + " is ready, and " + agency + " owns it", []string{
		"created the account " + account,
		"It owns the account for good. The connection can never be ended to give the account another owner.",
		"It pays for the account: the plan Starter, 29 USD a month.",
		"You can give access, change it and take it away at any time.",
	}}
}

func createdFor(to *person, agency, account, areas string) letter {
	return letter{to, agency + " has set up " + account + " for you", []string{
		areas, "Open the account and sign in with your address " + to.email,
		agency + " owns this account and pays for it, and decides what you may see and change in it.",
	}}
}

func given(to *person, agency, account, areas string) letter {
	return letter{to, agency + " has given you access to " + account, []string{
		areas, "sign in with your address " + to.email, agency + " owns this account and pays for it",
	}}
}

func changed(to *person, agency, account, areas string) letter {
	return letter{to, "Your access to " + account + " has changed", []string{
		agency + ", which owns the account " + account + ", changed what you may do there. It took effect at once.", areas,
	}}
}

func taken(to *person, agency, account string) letter {
	return letter{to, "Your access to " + account + " has ended", []string{
		agency + ", which owns the account " + account + ", took your access to it away. It took effect at once",
	}}
}

// request is what the request's email must say besides.
type request struct {
	by, agency, account, areas, message, until, link string
}

func requested(to *person, r request) letter {
	return letter{to, r.agency + " asks to work in " + r.account, []string{
		r.by + " of " + r.agency + " would like to work in your account " + r.account + ". Nobody gets in unless you say yes.",
		r.areas, r.message,
		"The account stays yours. You remain its owner, and you go on paying for it and managing its bill.",
		"You may grant less than is asked for. Later you can restrict the access or revoke it whenever you like",
		"You can answer until " + r.until + ".",
		r.link,
		"To accept, sign in as an owner or admin of " + r.account + ". The link alone lets nobody in.",
	}}
}

func resent(to *person, r request) letter {
	l := requested(to, r)
	l.subject = "Sent again: " + l.subject
	return l
}

func accepted(to *person, agency, account, areas string) letter {
	return letter{to, account + " has accepted your request", []string{
		"your client accepted the request of " + agency + " to work in " + account, areas,
		"The client remains the owner of the account, pays for it, and can restrict or revoke your access at any time.",
	}}
}

func acceptedBy(to, by *person, agency, account, areas string) letter {
	return letter{to, agency + " was let into " + account, []string{
		"the request of " + agency + " to work in " + account + " was accepted by " + by.email, areas,
		"You remain the owner of " + account + ", pay for it and manage its bill.",
		"open it in Team Members and change its levels",
		"To end it, revoke the access in the same place. You need nobody's consent, and it takes effect at once.",
	}}
}

func denied(to *person, agency, account string) letter {
	return letter{to, "Your request to " + account + " was declined", []string{
		"the client declined the request of " + agency + " to work in " + account,
	}}
}

func deniedBy(to, by *person, agency, account string) letter {
	return letter{to, "The request of " + agency + " was denied", []string{
		"the request of " + agency + " to work in your account " + account + " was denied by " + by.email, agency + " gets no access",
	}}
}

func expired(to *person, agency, account, until string) letter {
	return letter{to, "Your request to " + account + " has expired", []string{
		agency + " had asked to work in " + account + ". Nobody answered by " + until, "You can ask again",
	}}
}

func expiredAt(to *person, agency, account, until string) letter {
	return letter{to, "The request of " + agency + " has expired", []string{
		agency + " had asked to work in your account " + account + ". Nobody answered by " + until, agency + " was not let in",
	}}
}

func withdrawn(to *person, agency, account string) letter {
	return letter{to, agency + " has withdrawn its request", []string{
		agency + " had asked to work in your account " + account, "Nobody was let in",
	}}
}

func restricted(to *person, agency, account, areas string) letter {
	return letter{to, "What you may do in " + account + " has changed", []string{
		"the client changed what " + agency + " may do in " + account + ". It took effect at once.", areas,
	}}
}

func revoked(to *person, agency, account string) letter {
	return letter{to, account + " has revoked your access", []string{
		"the client revoked the access of " + agency + " to " + account + ". It took effect at once",
	}}
}

func revokedBy(to, by *person, agency, account string) letter {
	return letter{to, "The access of " + agency + " to " + account + " was revoked", []string{
		"was revoked by " + by.email + ". It took effect at once",
	}}
}

func left(to, by *person, agency, account string) letter {
	return letter{to, agency + " has left " + account, []string{
		by.email + " of " + agency + " ended your agency's work in " + account,
	}}
}

func leftYours(to *person, agency, account string) letter {
	return letter{to, agency + " has left " + account, []string{
		agency + " ended its work in your account " + account + ". It took effect at once",
	}}
}

func added(to, by *person, account, role string) letter {
	return letter{to, "You are now in the team of " + account, []string{
		by.email + " let you into the account " + account + " as " + role, "sign in with your address " + to.email,
	}}
}

func changedRole(to, by *person, account, role string) letter {
	return letter{to, "Your role in " + account + " has changed", []string{
		by.email + " changed what you may do in the account " + account + ". It took effect at once.", "From now on you are " + role,
	}}
}

func invitedAgain(to, by *person, account string) letter {
	return letter{to, "You were invited to " + account + " once more", []string{
		by.email + " invited you to the account " + account + " once more",
	}}
}

func removed(to, by *person, account string) letter {
	return letter{to, "Your access to " + account + " has ended", []string{
		by.email + " removed you from the team of " + account + ". It took effect at once",
	}}
}

func personLeft(to, who *person, account string) letter {
	return letter{to, who.email + " has left " + account, []string{
		who.email + " left the team of " + account + ". It took effect at once",
	}}
}
