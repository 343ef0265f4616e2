package main

import (
	"strings"
	"time"

	"agencyhub/shared/agency"
)

// notices are what a page says about what the previous one did. A cookie passes the
// name on, not the text, so that nobody can put text on a page.
var notices = map[string]string{
	"kept": "You had to sign in again. What you typed is still here; send it once more.",
	"lost": "You had to sign in again, and what you typed was too long to keep. Please type it again.",

	// Why a person was not mailed.
	string(agency.AddressBounced):    "An email to you came back, so we sent you none after it. From now on you are mailed again.",
	string(agency.AddressComplained): "An email to you was reported as unwanted, so we sent you none after it. From now on you are mailed again.",

	"opened":  "Your account is open.",
	"renamed": "The account has its new name.",

	// The agency's side.
	"created":   "The account is made. Your agency owns it, and you can open it at once.",
	"asked":     "Your request is on its way. You see here what becomes of it.",
	"resent":    "The email is on its way once more, and there is the whole time again to answer it.",
	"withdrawn": "The request is withdrawn. Nobody can accept it any more.",
	"departed":  "Your agency has left the account. Nobody of yours gets in any more.",

	// A form was sent again, and what it did the first time is over.
	"unsent-created":                     "Nothing was created. This form has already created this account, and it is closed.",
	"unsent-" + string(agency.Active):    "Nothing was sent. Your earlier request was accepted.",
	"unsent-" + string(agency.Declined):  "Nothing was sent. Your earlier request was declined.",
	"unsent-" + string(agency.Withdrawn): "Nothing was sent. Your earlier request was withdrawn.",
	"unsent-" + string(agency.Expired):   "Nothing was sent. Your earlier request has expired.",
	"unsent-" + string(agency.Revoked):   "Nothing was sent. Your earlier request was accepted; your access was revoked later.",
	"unsent-" + string(agency.Left):      "Nothing was sent. Your agency has left the account since.",
	"unsent-" + string(agency.Lapsed):    "Nothing was sent. Your access has ended on its end date.",
	"unsent-" + string(agency.Ended):     "Nothing was sent. The account is closed.",

	"plan-changed": "The plan is changed, and its price holds from now on.",
	"cancelled":    "The subscription is cancelled. Until the end of the period everything goes on.",
	"frozen":       "The subscription is over. Everybody who gets in can look, and nobody can change anything.",
	"resumed":      "The subscription goes on.",

	// The account's side.
	"accepted":      "The agency is let in, as you decided. You can change or end its access here at any time.",
	"declined":      "The agency was told that its request is declined. Nobody was let in.",
	"blocked":       "Declined and blocked. The agency is told that its request is declined, and nothing more.",
	"allowed":       "The agency may ask again. Nobody gets in unless you accept what it asks then.",
	"not-held":      "Nothing held that agency off any more: it may ask.",
	"restricted":    "Saved. It holds from now on, and the agency is told.",
	"revoked":       "The access is revoked: nobody of the agency gets in any more. The agency is told.",
	"invited":       "They are in, and told by email how to get here.",
	"invited-again": "They were in already. What you chose holds from now on, and they may sign in anew.",
	"changed":       "Saved. It holds from now on, and they are told by email.",
	"removed":       "They have no access any more, and are told by email.",
	"left":          "You have left the account.",
	"closed":        "The account is closed. Everybody concerned is told by email.",
	"hub-on":        "The account is an agency now. Add your first client.",
	"hub-off":       "The agency hub is off. The account is one like any other.",
}

// isWarning reports whether a notice says that nothing was done.
func isWarning(notice string) bool { return strings.HasPrefix(notice, "unsent-") }

// noticeTime is how long a notice waits for the next page.
const noticeTime = 2 * time.Minute

// setNotice leaves a notice for the next page.
func (v *visit) setNotice(notice string) { v.setCookie(noticeCookie, notice, noticeTime) }

// takeNotice returns the notice that the previous page left. A GET consumes it.
func (v *visit) takeNotice() string {
	notice := v.cookie(noticeCookie)
	if notice != "" && !v.isPost() {
		v.dropCookie(noticeCookie)
	}
	return notice
}
