package main

import (
	"strconv"
	"strings"

	"agencyhub/shared/service"
)

// chart is an agency's last months as two small drawings, and as the tables that
// say the same.
type chart struct {
	// Clients are how many there were at the end of each month.
	Clients []bar
	// Ends are how requests have ended.
	Ends []bar
	// Say are what the drawings show, for who does not see them.
	SayClients, SayEnds string
}

// bar is one value, and where it is drawn, in the drawing's own units.
type bar struct {
	// Label is its whole name, Short what fits beside it.
	Label, Short string
	Value        int
	X, Y, W, H   int
	// Class is how it is coloured.
	Class string
}

// Middle and End are where what belongs to a bar is written.
func (b bar) Middle() int { return b.X + b.W/2 }

// Above is where an upright bar's number stands.
func (b bar) Above() int { return b.Y - 4 }

// End is where a lying bar's number stands.
func (b bar) End() int { return b.X + b.W + 6 }

// Beside is the line on which a lying bar's words stand.
func (b bar) Beside() int { return b.Y + b.H/2 + 4 }

// The drawings are 360 by 132 units: upright bars stand on a line at 112 and are
// 88 high at most, lying ones begin at 84 and are 230 long at most.
const (
	chartFoot, chartHeight = 112, 88
	slot, barWidth         = 30, 18
	chartLeft, chartLength = 84, 230
	lane, barHeight        = 32, 18
)

// newChart draws a trend; nil where there is nothing to draw.
func newChart(trend service.Trend) *chart {
	c := &chart{}
	most := 0
	var ends [4]int
	for _, m := range trend {
		most = max(most, m.Clients)
		for i, n := range []int{m.Accepted, m.Denied, m.Withdrawn, m.Expired} {
			ends[i] += n
		}
	}
	ended := ends[0] + ends[1] + ends[2] + ends[3]
	if most+ended == 0 {
		return nil
	}
	for i, m := range trend {
		b := bar{
			Label: m.Begin.Format("January 2006"), Short: m.Begin.Format("Jan"), Value: m.Clients,
			X: i*slot + (slot-barWidth)/2, W: barWidth, H: scaled(m.Clients, most, chartHeight),
		}
		b.Y = chartFoot - b.H
		c.Clients = append(c.Clients, b)
	}
	for i, words := range []string{"Accepted", "Declined", "Withdrawn", "Expired"} {
		c.Ends = append(c.Ends, bar{
			Label: words, Short: words, Value: ends[i], Class: []string{"a", "c", "b", "d"}[i],
			X: chartLeft, Y: i*lane + (lane-barHeight)/2, W: scaled(ends[i], max(ends[0], ends[1], ends[2], ends[3]), chartLength), H: barHeight,
		})
	}
	if len(trend) > 0 {
		c.SayClients = "Clients at the end of each month: " + strconv.Itoa(trend[0].Clients) + " in " + c.Clients[0].Label + ", " +
			strconv.Itoa(trend[len(trend)-1].Clients) + " now."
	}
	c.SayEnds = "How requests ended in the last 12 months: "
	for i, b := range c.Ends {
		if i > 0 {
			c.SayEnds += ", "
		}
		c.SayEnds += strconv.Itoa(b.Value) + " " + strings.ToLower(b.Label)
	}
	c.SayEnds += "."
	return c
}

// scaled is a value on a scale of that length; what is there is always seen.
func scaled(value, most, length int) int {
	if value == 0 || most == 0 {
		return 0
	}
	return max(2, value*length/most)
}
