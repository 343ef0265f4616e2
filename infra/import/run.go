package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"hash/fnv"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/oauth2"
)

// maxWorkers bounds how many rows are sent at once, and so the memory: four rows for
// each.
const maxWorkers = 64

// A config is one import.
type config struct {
	url      string
	token    oauth2.TokenSource
	http     *http.Client
	workers  int
	name     string
	size     int64 // of the file, in bytes; 0 for unknown
	terminal io.Writer
	out      io.Writer
	now      func() time.Time
	sleep    func(context.Context, time.Duration) error
	// progressFile is the file of the progress, refusedFile the report of refusals.
	progressFile, refusedFile string
}

// A progress is how far an import has come: everything up to Line is registered, was
// there already, or is refused.
type progress struct {
	// Line is the line of the last row, and Rows the number of rows: the sum of
	// Registered, Existing and Refused.
	Line int `json:"line"`
	Rows int `json:"rows"`
	// Registered is the number of new accounts, and Existing of rows whose account was
	// there.
	Registered int `json:"registered"`
	Existing   int `json:"existing"`
	// Refused is the number of refused rows, RefusedBytes the size of their report, and
	// RefusedHash the hash of as much of it.
	Refused      int    `json:"refused"`
	RefusedBytes int64  `json:"refusedBytes"`
	RefusedHash  string `json:"refusedHash"`
	// Hash is the hash of the file's lines up to Line, or to the columns' names if there is
	// no row yet. It differs for another file.
	Hash string `json:"hash"`
	// Stopped is set by a run that has ended by itself: the report has no more than
	// RefusedBytes then. After a crash it can have.
	Stopped bool `json:"stopped"`
	// Finished is set at the end of the file.
	Finished bool `json:"finished"`
}

// A result is a row with what became of it.
type result struct {
	outcome
	row row
	err error
}

// A job is a row for a worker, and the channel of its result.
type job struct {
	row    row
	result chan result
}

// run imports a file. It returns an error when it could not finish, and when rows
// were refused.
func (c *config) run(ctx context.Context, file io.Reader) error {
	p, err := c.readProgress()
	if err != nil {
		return err
	}
	r, err := newReader(file)
	if err != nil {
		return fmt.Errorf("%s: %w", c.name, err)
	}
	if err := c.skipRows(ctx, r, p); err != nil {
		return err
	}
	if p.Finished {
		return c.tellFinished(r, p)
	}
	report, err := c.openReport(p, r)
	if err != nil {
		return err
	}
	defer func() { _ = report.Close() }() // finish has synced it
	p.Stopped = false
	if err := c.save(p); err != nil {
		return err
	}
	direct := *c.http
	// A page to sign in at is no answer of the API.
	direct.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	c.http = &direct

	ctx, stop := context.WithCancel(ctx)
	defer stop()
	// The results' channels are in the file's order. Their number bounds the rows
	// that are read ahead.
	queue := make(chan chan result, 4*c.workers)
	var workers sync.WaitGroup
	jobs := make([]chan job, c.workers)
	for i := range jobs {
		// Room for all rows that are read ahead: no worker waits for another's row.
		jobs[i] = make(chan job, cap(queue)+2)
		workers.Go(func() {
			for j := range jobs[i] {
				j.result <- c.register(ctx, j.row)
			}
		})
	}
	go func() {
		defer close(queue)
		c.sendRows(ctx, r, queue, jobs)
		for _, ch := range jobs {
			close(ch)
		}
	}()
	failure := c.collect(queue, p, func(s result) error { return p.refuse(report, r.separator, s) })
	stop() // other results are not needed
	for range queue {
	}
	workers.Wait()
	return c.finish(p, report, failure)
}

// register registers the account of one row.
func (c *config) register(ctx context.Context, r row) result {
	if r.problem != "" {
		return result{row: r, outcome: outcome{refused: &refusal{"invalid", r.problem}}}
	}
	out, err := c.send(ctx, r)
	return result{row: r, outcome: out, err: err}
}

// skipRows reads the lines of earlier runs. It is an error if they are others than then.
// What is a row can depend on the lines behind it, which can be others now: so it reads
// lines, not rows.
func (c *config) skipRows(ctx context.Context, r *reader, p *tally) error {
	if p.Rows == 0 && !p.Finished { // the first row of the file can be another now
		p.Hash = r.lines.sum()
		return nil
	}
	for r.lines.number < p.Line {
		_, err := r.lines.next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err = errors.Join(err, ctx.Err()); err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
	}
	if r.lines.number < p.Line || r.lines.sum() != p.Hash {
		return c.changed(p)
	}
	return nil
}

// changed is the error of a file that is another than the one whose import has started.
func (c *config) changed(p *tally) error {
	return fmt.Errorf("%s has changed since its import (%s). To start over, %s", c.name, p, c.startOver(p))
}

// startOver says what to do before a file is imported from its first row again.
func (c *config) startOver(p *tally) string {
	if p.Refused > 0 {
		return fmt.Sprintf("move %s away and remove %s", c.refusedFile, c.progressFile)
	}
	return "remove " + c.progressFile
}

// tellFinished says how the import of a file has ended. Errors: the file goes on behind
// the rows that were imported, or rows were refused.
func (c *config) tellFinished(r *reader, p *tally) error {
	if _, err := r.next(); !errors.Is(err, io.EOF) {
		return c.changed(p)
	}
	if p.Refused > 0 {
		return fmt.Errorf("%s has been imported to its end: %s. Correct the refused rows in %s and import that file. To start over, %s", c.name, p, c.refusedFile, c.startOver(p))
	}
	fmt.Fprintf(c.out, "%s has been imported to its end: %s. To start over, %s.\n", c.name, p, c.startOver(p))
	return nil
}

// sendRows reads the next rows and gives each to a worker. The rows of one account
// go to the same worker, so that they keep their order.
func (c *config) sendRows(ctx context.Context, r *reader, queue chan<- chan result, jobs []chan job) {
	for {
		next, err := r.next()
		answer := make(chan result, 1)
		if err != nil {
			if !errors.Is(err, io.EOF) {
				answer <- result{err: err}
				queue <- answer
			}
			return
		}
		select {
		case queue <- answer:
		case <-ctx.Done():
			return
		}
		h := fnv.New32a()
		_, _ = h.Write([]byte(next.account)) // a hash never fails
		select {
		case jobs[int(h.Sum32())%len(jobs)] <- job{next, answer}:
		case <-ctx.Done():
			answer <- result{row: next, err: ctx.Err()}
			return
		}
	}
}

// saveEvery is how often progress is saved.
const saveEvery = time.Second

// collect takes the results in the file's order. It ends at the first error.
func (c *config) collect(queue <-chan chan result, p *tally, refuse func(result) error) error {
	bar := newBar(c)
	defer bar.done()
	saved := c.now()
	for answer := range queue {
		s := <-answer
		if s.err != nil {
			return s.err
		}
		rows := 1
		switch {
		case s.refused != nil:
			rows = s.row.count
			if err := refuse(s); err != nil {
				return err
			}
		case s.created:
			p.Registered++
		default:
			p.Existing++
		}
		p.Line, p.Hash, p.Rows = s.row.last, s.row.sum, p.Rows+rows
		bar.show(p, s.row.end)
		if now := c.now(); now.Sub(saved) >= saveEvery {
			saved = now
			if err := c.save(p); err != nil {
				return err
			}
		}
	}
	return nil
}

func (c *config) finish(p *tally, report *os.File, failure error) error {
	if err := report.Sync(); err != nil {
		return errors.Join(failure, err)
	}
	p.Stopped, p.Finished = true, failure == nil
	if err := c.save(p); err != nil {
		return errors.Join(failure, err)
	}
	if p.Finished && p.Refused == 0 {
		_ = os.Remove(c.refusedFile) // an empty report is not needed
	}
	goesOn := "The same command goes on from there"
	if p.Refused > 0 {
		goesOn += ". Until then don't edit " + c.refusedFile
	}
	switch {
	case errors.Is(failure, context.Canceled):
		return fmt.Errorf("stopped after line %d: %s. %s", p.Line, p, goesOn)
	case failure != nil:
		return fmt.Errorf("stopped after line %d: %s. %s. Why it stopped: %w", p.Line, p, goesOn, failure)
	case p.Refused > 0:
		return fmt.Errorf("%s: %s. Correct the refused rows in %s and import that file", c.name, p, c.refusedFile)
	}
	fmt.Fprintf(c.out, "%s: %s.\n", c.name, p)
	return nil
}

// A tally is the progress of a running import.
type tally struct {
	progress
	// reportHash is the hash of the report.
	reportHash hash.Hash
}

func (p *tally) String() string {
	return fmt.Sprintf("%s, %d registered, %d already there, %d refused", plural(p.Rows, "row"), p.Registered, p.Existing, p.Refused)
}

// plural returns a number of things.
func plural(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}

// refuse adds a row to the report: its line, the reason, and the row as it is in the
// file, formulas included. The report is a file to correct and import.
func (p *tally) refuse(report io.Writer, separator byte, s result) error {
	lines := strconv.Itoa(s.row.line)
	if s.row.last > s.row.line {
		lines += "-" + strconv.Itoa(s.row.last)
	}
	p.Refused += s.row.count
	return p.write(report, reportLine(separator, s.row.raw, lines, s.refused.code, s.refused.reason))
}

// write adds a text to the report.
func (p *tally) write(report io.Writer, text string) error {
	n, err := io.WriteString(io.MultiWriter(report, p.reportHash), text)
	p.RefusedBytes += int64(n)
	return err
}

// reportLine returns a line of a report: its own fields, then a line of the file. What
// is malformed in the latter can't harm the fields before it.
func reportLine(separator byte, raw string, own ...string) string {
	for i, field := range own {
		own[i] = strings.Join(strings.Fields(field), " ") // on one line
	}
	var text bytes.Buffer
	w := csv.NewWriter(&text)
	w.Comma = rune(separator)
	_ = w.Write(own) // a buffer takes everything
	w.Flush()
	return strings.TrimSuffix(text.String(), "\n") + string(separator) + raw + "\n"
}

func (c *config) readProgress() (*tally, error) {
	p := &tally{reportHash: sha256.New()}
	content, err := os.ReadFile(c.progressFile)
	if errors.Is(err, os.ErrNotExist) {
		return p, nil
	}
	if err == nil {
		err = json.Unmarshal(content, &p.progress)
	}
	if err != nil {
		return nil, fmt.Errorf("%s, the progress of the import, can't be read. To start over, move %s away and remove it: %w", c.progressFile, c.refusedFile, err)
	}
	return p, nil
}

// save saves the progress, atomically.
func (c *config) save(p *tally) error {
	p.RefusedHash = fmt.Sprintf("%x", p.reportHash.Sum(nil))
	content, err := json.Marshal(p.progress)
	if err != nil {
		return err
	}
	if err := os.WriteFile(c.progressFile+".new", content, 0o600); err != nil {
		return err
	}
	return os.Rename(c.progressFile+".new", c.progressFile)
}

// openReport opens the report of a file's refusals, and cuts it to its size at the saved
// progress: after a crash, the rows behind that are refused again. It is an error if the report has
// changed since, so that no correction in it is lost.
func (c *config) openReport(p *tally, r *reader) (_ *os.File, err error) {
	report, err := os.OpenFile(c.refusedFile, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			_ = report.Close() // nothing was written
		}
	}()
	info, err := report.Stat()
	if err != nil {
		return nil, err
	}
	if p.RefusedBytes == 0 && info.Size() > 0 {
		return nil, fmt.Errorf("%s is of an earlier import. Move it away first", c.refusedFile)
	}
	if _, err := io.CopyN(p.reportHash, report, p.RefusedBytes); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	if p.RefusedBytes > 0 && (fmt.Sprintf("%x", p.reportHash.Sum(nil)) != p.RefusedHash || p.Stopped && info.Size() != p.RefusedBytes) {
		return nil, fmt.Errorf("%s has changed since the import stopped. Undo the change, or start over: %s", c.refusedFile, c.startOver(p))
	}
	if p.Rows == 0 { // the first row of the file can be another now
		p.RefusedBytes = 0
		p.reportHash.Reset()
	}
	if err := report.Truncate(p.RefusedBytes); err != nil {
		return nil, err
	}
	if _, err := report.Seek(p.RefusedBytes, io.SeekStart); err != nil {
		return nil, err
	}
	if p.RefusedBytes == 0 {
		if err := p.write(report, r.head+reportLine(r.separator, r.header, reported...)); err != nil {
			return nil, err
		}
	}
	return report, nil
}
