package main

import (
	"fmt"
	"strings"
	"time"
)

// A progressBar shows the progress of an import on a terminal, if there is one.
type progressBar struct {
	*config
	began, shown time.Time
	before       int // rows of earlier runs
}

func newBar(c *config) *progressBar { return &progressBar{config: c, began: c.now(), before: -1} }

// barWidth is the number of characters of a full bar.
const barWidth = 30

func (b *progressBar) show(p *tally, read int64) {
	if b.terminal == nil {
		return
	}
	if b.before < 0 {
		b.before = p.Rows - 1
	}
	now := b.now()
	if now.Sub(b.shown) < 100*time.Millisecond {
		return
	}
	b.shown = now
	part := 0.0
	if b.size > 0 {
		part = min(1, float64(read)/float64(b.size))
	}
	filled := int(part * barWidth)
	line := fmt.Sprintf("\r[%s%s] %3.0f%%  %d rows", strings.Repeat("#", filled), strings.Repeat(".", barWidth-filled), 100*part, p.Rows)
	if p.Refused > 0 {
		line += fmt.Sprintf(", %d refused", p.Refused)
	}
	if took := now.Sub(b.began).Seconds(); took > 1 {
		line += fmt.Sprintf(", %.0f/s", float64(p.Rows-b.before)/took)
	}
	fmt.Fprint(b.terminal, line+"   ")
}

func (b *progressBar) done() {
	if b.terminal != nil && !b.shown.IsZero() {
		fmt.Fprintln(b.terminal)
	}
}
