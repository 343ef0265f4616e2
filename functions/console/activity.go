package main

import (
	"net/url"
	"time"

	"agencyhub/shared/agency"
)

// activityPage is what happened in an account, newest first.
type activityPage struct {
	frame
	Days []activityDay
	Next string
	// IsFirst reports whether nothing is newer. IsPartial reports whether only what
	// concerns the visitor's agency is listed.
	IsFirst, IsPartial bool
}

// activityDay is one UTC day.
type activityDay struct {
	Day     time.Time
	Entries []activityEntry
}

func (c *console) activity(v *visit) (response, error) {
	a, err := v.visitedAccount("activity")
	if err != nil {
		return response{}, err
	}
	if v.isPost() {
		return response{}, unknownAction()
	}
	p := &activityPage{
		frame: frame{Account: a}, IsFirst: v.r.URL.Query().Get("cursor") == "",
		IsPartial: a.Permission(agency.ViewActivity) == agency.OwnLines,
	}
	events, err := c.svc.AccountActivity(v.ctx, v.caller(), a.ID, v.listPage(pageSize))
	if err != nil {
		return response{}, err
	}
	p.Next = events.Next
	p.Days, err = c.activityDays(v, v.caller(), events.Items, accountScope)
	if err != nil {
		return response{}, err
	}
	return show("activity", p), nil
}

// activityDays returns events as entries, grouped by day, in the order given.
func (c *console) activityDays(v *visit, caller agency.Caller, events []agency.Event, scope activityScope) ([]activityDay, error) {
	entries, err := c.svc.ActivityEntries(v.ctx, caller, events...)
	if err != nil {
		return nil, err
	}
	var days []activityDay
	for _, e := range entries {
		day := e.At.UTC().Truncate(24 * time.Hour)
		if n := len(days); n == 0 || !days[n-1].Day.Equal(day) {
			days = append(days, activityDay{Day: day})
		}
		last := &days[len(days)-1]
		last.Entries = append(last.Entries, c.newActivityEntry(e, scope))
	}
	return days, nil
}

// agencyActivityPage is what concerns an agency over all its clients.
type agencyActivityPage struct {
	frame
	Days []activityDay
	// MoreURL is the next page; "" for none. IsFirst reports whether nothing is newer.
	MoreURL string
	IsFirst bool
}

func (c *console) agencyActivity(v *visit) (response, error) {
	a, err := v.visitedAgency("agency-activity")
	if err != nil {
		return response{}, err
	}
	if !a.IsAgency() {
		return agencyOff(a), nil
	}
	list, err := c.svc.AgencyActivity(v.ctx, v.actor, a.ID, v.listPage(pageSize))
	if err != nil {
		return response{}, err
	}
	p := &agencyActivityPage{frame: frame{Account: a}, IsFirst: v.r.URL.Query().Get("cursor") == ""}
	if list.Next != "" {
		p.MoreURL = agencyURL(a.ID, "/activity?cursor="+url.QueryEscape(list.Next))
	}
	events := make([]agency.Event, len(list.Items))
	for i, e := range list.Items {
		events[i] = e.Event
	}
	// As the agency, the caller sees the names of the team in an account that it owns.
	p.Days, err = c.activityDays(v, agency.Caller{Actor: v.actor, As: a.ID}, events, agencyScope)
	return show("agency-activity", p), err
}
