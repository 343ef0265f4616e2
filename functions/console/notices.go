package main

import (
	"strings"
	"time"

	"agencyhub/shared/agency"
)

// notices are what a page says about what the previous one did. A cookie passes the
// name on, not the text, so that nobody can put text on a page.
var notices = map[string]string{
	"kept": "You had to sign in again. What you typed is still here. Send it again.",
	"lost": "You had to sign in again. What you typed was too long to keep. Type it again.",

	// Why a person was not mailed.
	string(agency.AddressBounced):    "An email to you came back, so we stopped sending. You get emails again from now on.",
	string(agency.AddressComplained): "An email to you was reported as spam, so we stopped sending. You get emails again from now on.",

	"opened":  "Account opened.",
	"renamed": "Name changed.",

	"mail-stopped": "Unsolicited emails stopped.",
	"mail-allowed": "Unsolicited emails allowed.",

	// The agency's side.
	"created":   "Account created. Your agency owns it.",
	"asked":     "Request sent.",
	"resent":    "Request sent again.",
	"withdrawn": "Request withdrawn.",
	"departed":  "Your agency left the account.",

	// A form was sent again, and nothing was done.
	"unsent-created":                     "Nothing was created. This form has already created this account, and it is closed.",
	"unsent-invited":                     "Already invited.",
	"unsent-offered":                     "Already offered.",
	"unsent-" + string(agency.Active):    "Nothing was sent. Your earlier request was accepted.",
	"unsent-" + string(agency.Declined):  "Nothing was sent. Your earlier request was declined.",
	"unsent-" + string(agency.Withdrawn): "Nothing was sent. Your earlier request was withdrawn.",
	"unsent-" + string(agency.Expired):   "Nothing was sent. Your earlier request has expired.",
	"unsent-" + string(agency.Revoked):   "Nothing was sent. Your earlier request was accepted; your access was revoked later.",
	"unsent-" + string(agency.Left):      "Nothing was sent. Your agency has left the account since.",
	"unsent-" + string(agency.Lapsed):    "Nothing was sent. Your access has ended on its end date.",
	"unsent-" + string(agency.Ended):     "Nothing was sent. The account is closed.",

	"plan-changed": "Plan changed. The new price applies now.",
	"cancelled":    "Subscription cancelled. It ends with the current period.",
	"frozen":       "Subscription cancelled. The account can be viewed, and not changed.",
	"resumed":      "Subscription resumed.",

	// The account's side.
	"accepted":   "Request accepted. The agency has access now.",
	"declined":   "Request declined.",
	"blocked":    "Request declined and agency blocked. It’s told only that you declined.",
	"allowed":    "Unblocked. It can request again.",
	"not-held":   "No changes. It wasn’t blocked.",
	"restricted": "Saved. Takes effect immediately.",
	"revoked":    "Access revoked.",

	"invited":              "Invitation sent.",
	"has-access":           "They already have access. Their role and access are as you chose.",
	"invitation-resent":    "Invitation sent again.",
	"invitation-withdrawn": "Invitation withdrawn.",
	"offered":              "Ownership offered. They keep their role until they accept.",
	"offer-resent":         "Offer sent again.",
	"offer-withdrawn":      "Offer withdrawn.",
	"sign-in-asked":        "Access removed and invitation sent.",
	"changed":              "Saved. Takes effect immediately.",
	"removed":              "Access removed.",

	// The invited person's side.
	"joined":              "You joined the account.",
	"owner-now":           "You’re an owner of this account now.",
	"invitation-declined": "Declined.",
	"invitation-blocked":  "Declined and blocked. They’re told only that you declined.",

	"left":    "You left the account.",
	"closed":  "Account closed.",
	"hub-on":  "This account is an agency now. Add your first client.",
	"hub-off": "Agency features are off.",
}

// isWarning reports whether a notice says that nothing was done.
func isWarning(notice string) bool { return strings.HasPrefix(notice, "unsent-") }

// isAboutForm reports whether a notice is about a form that was kept.
func isAboutForm(notice string) bool { return notice == "kept" || notice == "lost" }

// passNotice leaves the notice of the previous page for the next one, but for one about
// a form, which is not on that page.
func (v *visit) passNotice() {
	if v.notice != "" && !isAboutForm(v.notice) {
		v.setNotice(v.notice)
	}
}

// noticeTime is how long a notice waits for the next page.
const noticeTime = 2 * time.Minute

// setNotice leaves a notice for the person's next page.
func (v *visit) setNotice(notice string) { v.setNoticeFor(notice, v.actor) }

// setNoticeFor leaves a notice for a person's next page in this browser.
func (v *visit) setNoticeFor(notice string, a agency.Actor) {
	v.setCookie(noticeCookie, notice+"."+string(identityOf(a)), noticeTime)
}

// takeNotice returns the notice that the previous page left for this person; "" for
// none. A page that is shown consumes it, also one for another person.
func (v *visit) takeNotice() string {
	value := v.cookie(noticeCookie)
	if value == "" {
		return ""
	}
	if v.isShown() {
		v.dropCookie(noticeCookie)
	}
	notice, person, _ := strings.Cut(value, ".")
	if person != string(identityOf(v.actor)) {
		return ""
	}
	return notice
}
