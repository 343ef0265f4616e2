package main

import (
	"bytes"
	"encoding/csv"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"agencyhub/shared/agency"
	"agencyhub/shared/service"
)

// The bounds of an export: Lambda returns at most 6 MB.
const (
	maxExportRows  = 10_000
	maxExportBytes = 4 << 20
	exportPageSize = 1000
)

// clientsFile returns all of an agency's clients, as a file for spreadsheets.
func (c *console) clientsFile(v *visit) (response, error) {
	t, err := c.export(v, maxExportRows)
	if err != nil {
		return response{}, err
	}
	return response{file: &download{
		name: "clients-" + v.now().UTC().Format("2006-01-02") + ".csv", kind: "text/csv; charset=utf-8", content: t.Bytes(),
	}}, nil
}

// export writes at most maxRows clients. If there are more, the last line says so.
func (c *console) export(v *visit, maxRows int) (*csvFile, error) {
	t := &csvFile{}
	t.WriteString("\ufeff") // without it, spreadsheets do not read UTF-8
	t.row(c.exportHeader()...)
	rows, page := 0, service.Page{Limit: exportPageSize}
	for {
		list, _, err := c.svc.Clients(v.ctx, v.actor, v.agencyID(), service.ClientFilter{}, page)
		if err != nil {
			return nil, err
		}
		for _, p := range list.Items {
			if rows == maxRows || t.Len() > maxExportBytes {
				t.row("The list goes on. This file holds the first " + strconv.Itoa(rows) + " clients, in the order of their status and name.")
				return t, nil
			}
			t.row(c.exportRow(p)...)
			rows++
		}
		if list.Next == "" {
			return t, nil
		}
		page.Cursor = list.Next
	}
}

func (c *console) exportHeader() []string {
	header := []string{"Client", "Email asked", "Status", "Owner", "Who pays", "Plan", "Price a month", "Currency"}
	for _, area := range c.svc.Rules.Areas {
		header = append(header, area.Name)
	}
	return append(header, "In this status since (UTC)", "Asked (UTC)", "Answer by (UTC)", "End date (UTC)",
		"Request email", "Account id", "Connection id")
}

func (c *console) exportRow(p agency.Profile) []string {
	f := c.clientFacts(p)
	side, email := "Client", ""
	if f.IsAgencyOwned {
		side = "Agency"
	}
	if p.Addressee.Person() != "" {
		email = agency.DisplayEmail(p.Email)
	}
	row := []string{p.AccountName, email, statusName(f.Status), side, side, c.planName(f.Plan), "", ""}
	if f.Cost() != "" {
		row[6], row[7], _ = strings.Cut(f.Price, " ")
		if f.SubscriptionState == agency.SubscriptionFrozen {
			row[6] = "0"
		}
	}
	areas := c.svc.GrantedAreas(p)
	for _, area := range c.svc.Rules.Areas {
		level := levelName(areas[area.ID])
		switch {
		case f.IsPending():
			level = "Asked for: " + level
		case f.IsEnded():
			level = ""
		}
		row = append(row, level)
	}
	delivery := ""
	if f.EmailFailed {
		delivery = "Failed"
	}
	return append(row, utc(f.Since), utc(p.Request.RequestedAt), utc(p.Request.ExpiresAt), utc(p.Until), delivery, string(p.Account()), string(p.ID()))
}

// utc returns an instant as spreadsheets read it; "" for zero.
func utc(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02 15:04:05")
}

// csvFile is a table in the format of RFC 4180.
type csvFile struct{ bytes.Buffer }

// row adds a row, in which no spreadsheet finds a formula: see safeCell.
func (s *csvFile) row(cells ...string) {
	safe := make([]string, len(cells))
	for i, cell := range cells {
		safe[i] = safeCell(cell)
	}
	w := csv.NewWriter(&s.Buffer)
	w.UseCRLF = true
	_ = w.Write(safe) // a buffer: it never fails
	w.Flush()
}

// formulaMark is written before a sign at which a cell would begin a formula. It is no
// blank and no quote, in any program: an apostrophe is a quote where the reader says so.
const formulaMark = '_'

// safeCell returns a text in which no spreadsheet finds a formula, whichever of comma,
// semicolon and tab separates its cells, and whether it minds quotes or not. A cell can
// begin at the start of the text and behind each of these characters and each line
// break in it. If a formula's sign is next, but for quotes and what is invisible, the
// mark is put before it. Everything else stays as it is.
func safeCell(text string) string {
	var safe strings.Builder
	begins := true
	for _, r := range text {
		switch {
		case isCellEnd(r):
			begins = true
		case begins && isFormulaSign(r):
			safe.WriteRune(formulaMark)
			begins = false
		case !isBeforeCell(r):
			begins = false
		}
		safe.WriteRune(r)
	}
	return safe.String()
}

// isFormulaSign reports whether a spreadsheet takes a cell that begins with a character
// for a formula: in plain, fullwidth, small, raised or lowered form, by the first
// character of its NFKC. A bar and a percent sign call other programs in some.
func isFormulaSign(r rune) bool {
	plain, _ := utf8.DecodeRuneInString(norm.NFKC.String(string(r)))
	return strings.ContainsRune("=+-−@|%", plain)
}

// isCellEnd reports whether a program can end a cell at a character.
func isCellEnd(r rune) bool {
	return strings.ContainsRune(",;\t\r\n\v\f\u0085\u2028\u2029", r)
}

// isBeforeCell reports whether a program, or a person, can overlook a character at the
// start of a cell: quotes, blanks, marks without a letter, and what is invisible.
func isBeforeCell(r rune) bool {
	return strings.ContainsRune("`\u2800", r) || unicode.In(r, unicode.Quotation_Mark, unicode.M, unicode.Other_Default_Ignorable_Code_Point) ||
		!unicode.IsGraphic(r) || unicode.IsSpace(r) || r == utf8.RuneError
}
