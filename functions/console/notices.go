package main

import "time"

// notices are what a page says of what was done on the page before. They travel
// by their names, in a cookie, so that nobody can put words on a page.
var notices = map[string]string{
	"kept":    "You had to sign in again. What you typed is still here; send it once more.",
	"lost":    "You had to sign in again, and what you typed was too long to keep. Please type it again.",
	"opened":  "Your account is open.",
	"renamed": "The account has its new name.",
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
