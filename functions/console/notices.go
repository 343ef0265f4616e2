package main

import "time"

// notices are what a page says of what was done on the page before. They travel
// by their names, in a cookie, so that nobody can put words on a page.
var notices = map[string]string{
	"kept":    "You had to sign in again. What you typed is still here; send it once more.",
	"lost":    "You had to sign in again, and what you typed was too long to keep. Please type it again.",
	"opened":  "Your account is open.",
	"renamed": "The account has its new name.",

	// The agency's side.
	"created":   "The account is made. Your agency owns it, and you can open it at once.",
	"asked":     "Your request is on its way. You see here what becomes of it.",
	"resent":    "The email is on its way once more, and there is the whole time again to answer it.",
	"withdrawn": "The request is withdrawn. Nobody can accept it any more.",
	"departed":  "Your agency has left the account. Nobody of yours gets in any more.",
}

// noticeTime is how long the next page may take to come.
const noticeTime = 2 * time.Minute

// leave leaves a notice for the next page.
func (v *visit) leave(notice string) { v.setCookie(noticeCookie, notice, noticeTime) }

func (v *visit) takeNotice() string {
	notice := v.cookie(noticeCookie)
	if notice != "" && !v.post() {
		v.dropCookie(noticeCookie)
	}
	return notice
}
