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
	// Refused is the number of refused rows, and RefusedBytes the size of their
	// report.
	Refused      int   `json:"refused"`
	RefusedBytes int64 `json:"refusedBytes"`
	// Hash is the hash of the columns' names and all rows so far, which differs for
	// another file.
	Hash string `json:"hash"`
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
	if p.Finished {
		fmt.Fprintf(c.out, "%s has been imported to its end: %s. To import it anew, remove %s.\n", c.name, p, c.progressFile)
		return nil
	}
	r, err := newReader(file)
	if err != nil {
		return fmt.Errorf("%s: %w", c.name, err)
	}
	p.add(r.header)
	report, err := c.openReport(p, r)
	if err != nil {
		return err
	}
	defer func() { _ = report.Close() }() // finish has synced it

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
		c.sendRows(ctx, r, p, queue, jobs)
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

// sendRows reads the next rows and gives each to a worker. The rows of one account
// go to the same worker, so that they keep their order.
func (c *config) sendRows(ctx context.Context, r *reader, p *tally, queue chan<- chan result, jobs []chan job) {
	for n := 0; ; n++ {
		next, err := r.next()
		switch {
		case errors.Is(err, io.EOF) && n < p.skip:
			err = fmt.Errorf("the file is shorter than when its import was begun; to begin anew, remove %s", c.progressFile)
		case err == nil && n < p.skip:
			if p.add(next.all); n < p.skip-1 || p.sum() == p.Hash {
				continue
			}
			err = fmt.Errorf("the file is another than when its import was begun; to begin anew, remove %s", c.progressFile)
		}
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
		switch {
		case s.refused != nil:
			if err := refuse(s); err != nil {
				return err
			}
		case s.created:
			p.Registered++
		default:
			p.Existing++
		}
		p.Line, p.Rows = s.row.line, p.Rows+1
		p.add(s.row.all)
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
	p.Finished = failure == nil
	if p.Finished || p.Rows > p.skip {
		if err := c.save(p); err != nil {
			return errors.Join(failure, err)
		}
	}
	if p.Finished && p.Refused == 0 {
		_ = os.Remove(c.refusedFile) // an empty report is not needed
	}
	switch {
	case errors.Is(failure, context.Canceled):
		return fmt.Errorf("stopped behind line %d: %s. The same command goes on from there", p.Line, p)
	case failure != nil:
		return fmt.Errorf("stopped behind line %d: %s. The same command goes on from there. %w", p.Line, p, failure)
	case p.Refused > 0:
		return fmt.Errorf("%s: %s. What was refused, and why, stands in %s: mend it there, and import that file", c.name, p, c.refusedFile)
	}
	fmt.Fprintf(c.out, "%s: %s.\n", c.name, p)
	return nil
}

// A tally is the progress of a running import.
type tally struct {
	progress
	// skip is the number of rows of earlier runs.
	skip int
	hash hash.Hash
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

// add adds a line to the hash.
func (p *tally) add(line string) {
	_, _ = io.WriteString(p.hash, line+"\n") // a hash never fails
}

func (p *tally) sum() string { return fmt.Sprintf("%x", p.hash.Sum(nil)) }

// refuse adds a row to the report: its line, the reason, and the row as it is in the
// file, formulas included. The report is a file to mend and import.
func (p *tally) refuse(report io.Writer, separator byte, s result) error {
	n, err := io.WriteString(report, reportLine(separator, s.row.raw, strconv.Itoa(s.row.line), s.refused.code, s.refused.reason))
	p.Refused++
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
	p := &tally{hash: sha256.New()}
	content, err := os.ReadFile(c.progressFile)
	if errors.Is(err, os.ErrNotExist) {
		return p, nil
	}
	if err == nil {
		err = json.Unmarshal(content, &p.progress)
	}
	if err != nil {
		return nil, fmt.Errorf("how far the import has come can't be read; to begin anew, remove %s: %w", c.progressFile, err)
	}
	p.skip = p.Rows
	return p, nil
}

// save saves the progress, atomically.
func (c *config) save(p *tally) error {
	p.Hash = p.sum()
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
// progress.
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
	switch {
	case err != nil:
		return nil, err
	case info.Size() < p.RefusedBytes:
		return nil, fmt.Errorf("%s is not as it was left; to begin anew, remove it and %s", c.refusedFile, c.progressFile)
	}
	if err := report.Truncate(p.RefusedBytes); err != nil {
		return nil, err
	}
	if _, err := report.Seek(p.RefusedBytes, io.SeekStart); err != nil {
		return nil, err
	}
	if p.RefusedBytes == 0 {
		n, err := io.WriteString(report, r.head+reportLine(r.separator, r.header, reported...))
		if p.RefusedBytes = int64(n); err != nil {
			return nil, err
		}
	}
	return report, nil
}
