package main

import (
	"time"

	"agencyhub/shared/agency"
)

// activityPage is what happened in an account, newest first.
type activityPage struct {
	frame
	In   inside
	Days []activityDay
	Next string
	// First tells that nothing comes before these, and Agency that they are only
	// what concerns the agency for which the person is here.
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
	events, err := c.hub.AccountActivity(v.ctx, v.caller(), in.ID, v.page(pageSize))
	if err != nil {
		return answer{}, err
	}
	p.Next = events.Next
	p.Days, err = c.activityDays(v, events.Items, tellInAccount)
	if err != nil {
		return answer{}, err
	}
	return show("activity", p), nil
}

// activityDays are events as they are told, in groups of a day.
func (c *console) activityDays(v *visit, events []agency.Event, where telling) ([]activityDay, error) {
	lines, err := c.hub.Lines(v.ctx, v.caller(), events...)
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
