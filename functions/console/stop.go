package main

import (
	"net/http"
	"strings"

	"agencyhub/shared/agency"
)

// stopPage stops unsolicited mail to a mailbox. Before it is pressed it is the same for
// every link, and for none: only a POST looks at what the link says.
type stopPage struct{ frame }

// stoppedPage confirms it.
type stoppedPage struct{ frame }

// addStopPage adds the page of the link in unsolicited emails. It needs no sign-in. A
// mail program's POST, of RFC 8058, can have a form of either type, so none is read.
func (c *console) addStopPage(path string) {
	c.mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
		v := &visit{console: c, r: r, ctx: r.Context(), w: w}
		c.respond(v, v.recovered(func() (response, error) {
			if err := v.checkMethod(); err != nil {
				return response{}, err
			}
			return c.stop(v)
		}))
	})
}

func (c *console) stop(v *visit) (response, error) {
	box, value, ok := strings.Cut(v.pathValue("link"), ".")
	if !ok || !agency.MailboxID(box).IsValid() || value == "" {
		return notFound(v)
	}
	if !v.isPost() {
		return show("stop", &stopPage{}), nil
	}
	if err := c.svc.StopMail(v.ctx, agency.MailboxID(box), value); err != nil {
		return response{}, err
	}
	return show("stopped", &stoppedPage{}), nil
}
