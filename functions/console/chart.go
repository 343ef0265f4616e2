package main

import (
	"slices"
	"strconv"
	"strings"

	"agencyhub/shared/service"
)

// chart is an agency's last twelve months, as two drawings and two tables.
type chart struct {
	// Clients are how many there were at the end of each month.
	Clients []bar
	// Ends counts how requests ended.
	Ends []bar
	// ClientsText and EndsText say what the drawings show, for screen readers.
	ClientsText, EndsText string
}

// bar is one value, and where it is drawn, in the drawing's units.
type bar struct {
	// Label is its full name, and Short what fits beside it.
	Label, Short string
	Value        int
	X, Y, W, H   int
	// Class is its CSS class, for the colour.
	Class string
}

// Middle is where an upright bar's texts are centred.
func (b bar) Middle() int { return b.X + b.W/2 }

// Above is the line of an upright bar's number.
func (b bar) Above() int { return b.Y - 4 }

// End is where a lying bar's number begins.
func (b bar) End() int { return b.X + b.W + 6 }

// Beside is the line of a lying bar's texts.
func (b bar) Beside() int { return b.Y + b.H/2 + 4 }

// The drawings are 360 by 132 units. Upright bars rise from a line at 112, at most 88
// high. Lying ones begin at 84, at most 230 long.
const (
	chartFoot, chartHeight = 112, 88
	slot, barWidth         = 30, 18
	chartLeft, chartLength = 84, 230
	lane, barHeight        = 32, 18
)

// newChart returns the chart of a trend; nil where all is zero.
func newChart(trend service.Trend) *chart {
	c := &chart{}
	highest := 0
	var ends [4]int
	for _, m := range trend {
		highest = max(highest, m.Clients)
		for i, n := range []int{m.Accepted, m.Declined, m.Withdrawn, m.Expired} {
			ends[i] += n
		}
	}
	ended := ends[0] + ends[1] + ends[2] + ends[3]
	if highest+ended == 0 {
		return nil
	}
	for i, m := range trend {
		b := bar{
			Label: m.Begin.Format("January 2006"), Short: m.Begin.Format("Jan"), Value: m.Clients,
			X: i*slot + (slot-barWidth)/2, W: barWidth, H: scaled(m.Clients, highest, chartHeight),
		}
		b.Y = chartFoot - b.H
		c.Clients = append(c.Clients, b)
	}
	for i, label := range []string{"Accepted", "Declined", "Withdrawn", "Expired"} {
		c.Ends = append(c.Ends, bar{
			Label: label, Short: label, Value: ends[i], Class: []string{"a", "c", "b", "d"}[i],
			X: chartLeft, Y: i*lane + (lane-barHeight)/2, W: scaled(ends[i], slices.Max(ends[:]), chartLength), H: barHeight,
		})
	}
	if len(trend) > 0 {
		c.ClientsText = "Clients at the end of each month: " + strconv.Itoa(trend[0].Clients) + " in " + c.Clients[0].Label + ", " +
			strconv.Itoa(trend[len(trend)-1].Clients) + " now."
	}
	c.EndsText = "How requests ended in the last 12 months: "
	for i, b := range c.Ends {
		if i > 0 {
			c.EndsText += ", "
		}
		c.EndsText += strconv.Itoa(b.Value) + " " + strings.ToLower(b.Label)
	}
	c.EndsText += "."
	return c
}

// scaled returns a value on a scale from 0 to highest; at least 2 units for what is not
// 0, so that it is seen.
func scaled(value, highest, length int) int {
	if value == 0 || highest == 0 {
		return 0
	}
	return max(2, value*length/highest)
}
