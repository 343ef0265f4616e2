package main

import (
	"net/url"
	"time"

	"agencyhub/shared/agency"
)

// activityPage is what happened in an account, newest first.
type activityPage struct {
	frame
	In   inside
	Days []activityDay
	Next string
	// First tells that nothing is newer, and Lines that these are only what concerns
	// the agency for which the person is here.
	First, Lines bool
}

// activityDay is one UTC day.
type activityDay struct {
	Day   time.Time
	Lines []activityLine
}

func (c *console) activity(v *visit) (answer, error) {
	in, err := c.inAccount(v, "activity")
	if err != nil {
		return answer{}, err
	}
	if v.post() {
		return answer{}, unknownAction()
	}
	p := &activityPage{In: in, First: v.r.URL.Query().Get("cursor") == "", Lines: !in.Own()}
	p.Tabs = in.Tabs
	events, err := c.svc.AccountActivity(v.ctx, v.caller(), in.ID, v.page(pageSize))
	if err != nil {
		return answer{}, err
	}
	p.Next = events.Next
	p.Days, err = c.activityDays(v, v.caller(), events.Items, tellInAccount)
	if err != nil {
		return answer{}, err
	}
	return show("activity", p), nil
}

// activityDays are events as they are told, in groups of a day.
func (c *console) activityDays(v *visit, caller agency.Caller, events []agency.Event, where telling) ([]activityDay, error) {
	lines, err := c.svc.ActivityEntries(v.ctx, caller, events...)
	if err != nil {
		return nil, err
	}
	var days []activityDay
	for _, l := range lines {
		day := l.At.UTC().Truncate(24 * time.Hour)
		if n := len(days); n == 0 || !days[n-1].Day.Equal(day) {
			days = append(days, activityDay{Day: day})
		}
		last := &days[len(days)-1]
		last.Lines = append(last.Lines, c.tell(l, where))
	}
	return days, nil
}

// agencyActivityPage is what concerns an agency over all its clients.
type agencyActivityPage struct {
	frame
	Days []activityDay
	// More is the address of what is older, and First tells that nothing is newer.
	More  string
	First bool
}

func (c *console) agencyActivity(v *visit) (answer, error) {
	view, tabs, err := c.inAgency(v, "agency-activity")
	if err != nil {
		return answer{}, err
	}
	if !view.IsAgency() {
		return hubOff(view, tabs), nil
	}
	list, err := c.svc.AgencyActivity(v.ctx, v.actor, view.ID, v.page(pageSize))
	if err != nil {
		return answer{}, err
	}
	p := &agencyActivityPage{First: v.r.URL.Query().Get("cursor") == ""}
	p.Tabs = tabs
	if list.Next != "" {
		p.More = agencyLink(view.ID, "/activity?cursor="+url.QueryEscape(list.Next))
	}
	events := make([]agency.Event, len(list.Items))
	for i, e := range list.Items {
		events[i] = e.Event
	}
	// In an account that it owns, an agency sees the team.
	p.Days, err = c.activityDays(v, agency.Caller{Actor: v.actor, As: view.ID}, events, tellInAgency)
	return show("agency-activity", p), err
}
