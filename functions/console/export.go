package main

import (
	"bytes"
	"encoding/csv"
	"strconv"
	"strings"
	"time"

	"agencyhub/shared/agency"
	"agencyhub/shared/service"
)

// The bounds of an export: Lambda answers at most 6 MB.
const (
	exportRows  = 10_000
	exportBytes = 4 << 20
	exportPage  = 1000
)

// clientsFile is all of an agency's clients as a table for a spreadsheet.
func (c *console) clientsFile(v *visit) (answer, error) {
	t, err := c.export(v, exportRows)
	if err != nil {
		return answer{}, err
	}
	return answer{file: &download{
		name: "clients-" + v.now().UTC().Format("2006-01-02") + ".csv", kind: "text/csv; charset=utf-8", content: t.Bytes(),
	}}, nil
}

// export writes that many clients at most, and says so where there are more.
func (c *console) export(v *visit, most int) (*sheet, error) {
	t := &sheet{}
	t.WriteString("\ufeff") // or a spreadsheet would not take it for UTF-8
	t.row(c.exportHeader()...)
	rows := 0
	for page := (service.Page{Limit: exportPage}); ; {
		list, _, err := c.svc.Clients(v.ctx, v.actor, v.agency(), service.ClientFilter{}, page)
		if err != nil {
			return nil, err
		}
		for _, p := range list.Items {
			if rows++; rows > most || t.Len() > exportBytes {
				t.row("The list goes on. This file holds the first " + strconv.Itoa(rows-1) + " clients, in the order of their status and name.")
				return t, nil
			}
			t.row(c.exportRow(p)...)
		}
		if page.Cursor = list.Next; page.Cursor == "" {
			return t, nil
		}
	}
}

func (c *console) exportHeader() []string {
	header := []string{"Client", "Email asked", "Status", "Owner", "Who pays", "Plan", "Price a month", "Currency"}
	for _, area := range c.svc.Rules.Areas {
		header = append(header, area.Name)
	}
	return append(header, "In this status since (UTC)", "Asked (UTC)", "Answer by (UTC)", "End date (UTC)", "Request email", "Account id", "Connection id")
}

func (c *console) exportRow(p agency.Profile) []string {
	f := c.facts(p)
	side, email := "Client", ""
	if f.Owned {
		side = "Agency"
	}
	if p.Addressee.Person() != "" {
		email = p.Email
	}
	row := []string{p.AccountName, email, statusWords(f.Status), side, side, c.planName(f.Plan), "", ""}
	if f.Cost() != "" {
		row[6], row[7], _ = strings.Cut(f.Price, " ")
		if f.Subscribed == agency.SubscriptionFrozen {
			row[6] = "0"
		}
	}
	areas := c.svc.GrantedAreas(p)
	for _, area := range c.svc.Rules.Areas {
		level := levelWords(areas[area.ID])
		switch {
		case f.Pending():
			level = "Asked for: " + level
		case f.Over():
			level = ""
		}
		row = append(row, level)
	}
	fate := ""
	if f.Pending() {
		fate = string(p.Request.Delivery)
	}
	return append(row, utc(f.Since), utc(p.Request.RequestedAt), utc(p.Request.ExpiresAt), utc(p.Until), fate, string(p.Account()), string(p.ID()))
}

// utc is an instant as spreadsheets read it; "" for none.
func utc(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02 15:04:05")
}

// sheet is a table in the form of RFC 4180.
type sheet struct{ bytes.Buffer }

// row adds a row.
func (s *sheet) row(cells ...string) {
	harmless := make([]string, len(cells))
	for i, cell := range cells {
		harmless[i] = harmlessCell(cell)
	}
	w := csv.NewWriter(&s.Buffer)
	w.UseCRLF = true
	// A buffer takes every byte.
	_ = w.Write(harmless)
	w.Flush()
}

// harmlessCell is a text that no spreadsheet takes for a formula: those begin
// with one of these, or with its wide form, and blanks before it do not stop them.
func harmlessCell(text string) string {
	begin := strings.TrimLeft(text, " \u00a0\u3000")
	if begin != "" && strings.ContainsAny(begin[:1], "=+-@\t\r\n") || strings.IndexAny(begin, "＝＋－＠") == 0 {
		return "'" + text
	}
	return text
}
