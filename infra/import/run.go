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

// maxWorkers bounds how many rows are on their way at once, and so what is held
// of the file: four rows for each.
const maxWorkers = 64

// config is one import.
type config struct {
	url      string
	token    oauth2.TokenSource
	http     *http.Client
	workers  int
	name     string
	size     int64 // of the file, in bytes; 0 where it is not known
	terminal io.Writer
	out      io.Writer
	now      func() time.Time
	sleep    func(context.Context, time.Duration) error
	// progressFile says how far the import has come, refusedFile what was refused.
	progressFile, refusedFile string
}

// progress is how far an import has come: everything before Line is settled, done
// or refused.
type progress struct {
	// Line is that of the last row settled, and Rows how many there were.
	Line int `json:"line"`
	Rows int `json:"rows"`
	Done int `json:"done"`
	// Refused counts the rows refused, and RefusedBytes how much of the report of
	// them is of these.
	Refused      int   `json:"refused"`
	RefusedBytes int64 `json:"refusedBytes"`
	// Hash is of all the rows so far, to tell another file by.
	Hash string `json:"hash"`
	// Finished: the file was imported to its end.
	Finished bool `json:"finished"`
}

// settled is a row with what became of it.
type settled struct {
	row     row
	refused *refusal
	err     error
}

// job is a row on its way to a worker, and where its answer is waited for.
type job struct {
	row    row
	answer chan settled
}

// run imports a file. It answers an error when it could not go on, and when rows
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
	report, err := c.openReport(p, r.own(r.columns))
	if err != nil {
		return err
	}
	defer func() { _ = report.Close() }() // finish has synced it

	ctx, stop := context.WithCancel(ctx)
	defer stop()
	// Rows wait here in the file's order for their answers: that bounds how many
	// are under way.
	queue := make(chan chan settled, 4*c.workers)
	var workers sync.WaitGroup
	inboxes := make([]chan job, c.workers)
	for i := range inboxes {
		// Room for all that can be under way: no worker waits for another's row.
		inboxes[i] = make(chan job, cap(queue)+2)
		workers.Go(func() {
			for j := range inboxes[i] {
				j.answer <- c.settle(ctx, j.row)
			}
		})
	}
	go func() {
		defer close(queue)
		c.feed(ctx, r, p, queue, inboxes)
		for _, inbox := range inboxes {
			close(inbox)
		}
	}()
	failure := c.collect(queue, p, func(s settled) error { return p.refuse(report, r.own(s.row.fields), s) }, stop)
	// What is still under way is of no use any more.
	for range queue {
	}
	workers.Wait()
	return c.finish(p, report, failure)
}

// settle brings one row to its end.
func (c *config) settle(ctx context.Context, r row) settled {
	if r.wrong != "" {
		return settled{row: r, refused: &refusal{"invalid", r.wrong}}
	}
	refused, err := c.send(ctx, r)
	return settled{row: r, refused: refused, err: err}
}

// feed reads the rows that are not settled yet and gives each to a worker: those
// of one account to one, so that they are sent in their order.
func (c *config) feed(ctx context.Context, r *reader, p *tally, queue chan<- chan settled, inboxes []chan job) {
	for n := 0; ; n++ {
		next, err := r.next()
		if errors.Is(err, io.EOF) && n < p.skip {
			err = fmt.Errorf("the file is shorter than when its import was begun; to begin anew, remove %s", c.progressFile)
		}
		if err != nil {
			if !errors.Is(err, io.EOF) {
				queue <- answered(settled{err: err})
			}
			return
		}
		if n < p.skip {
			if p.add(next.fields); n == p.skip-1 && p.sum() != p.Hash {
				queue <- answered(settled{err: fmt.Errorf("the file is another than when its import was begun; to begin anew, remove %s", c.progressFile)})
				return
			}
			continue
		}
		answer := make(chan settled, 1)
		select {
		case queue <- answer:
		case <-ctx.Done():
			return
		}
		h := fnv.New32a()
		_, _ = h.Write([]byte(next.account)) // a hash never fails
		select {
		case inboxes[int(h.Sum32())%len(inboxes)] <- job{next, answer}:
		case <-ctx.Done():
			answer <- settled{row: next, err: ctx.Err()}
			return
		}
	}
}

func answered(s settled) chan settled {
	answer := make(chan settled, 1)
	answer <- s
	return answer
}

// saveEvery is how often progress is written down.
const saveEvery = time.Second

// collect takes the answers in the file's order, so that everything before the
// last is settled. It ends at the first row that could not be.
func (c *config) collect(queue <-chan chan settled, p *tally, refuse func(settled) error, stop func()) error {
	bar := newBar(c)
	defer bar.done()
	saved := c.now()
	for answer := range queue {
		s := <-answer
		if s.err != nil {
			stop()
			return s.err
		}
		if s.refused != nil {
			if err := refuse(s); err != nil {
				stop()
				return err
			}
		} else {
			p.Done++
		}
		p.Line, p.Rows = s.row.line, p.Rows+1
		p.add(s.row.fields)
		bar.show(p, s.row.end)
		if now := c.now(); now.Sub(saved) >= saveEvery {
			saved = now
			if err := c.save(p); err != nil {
				stop()
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
		_ = os.Remove(c.refusedFile) // an empty report is of no use
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

// tally is the progress while it is made.
type tally struct {
	progress
	// skip is how many rows were settled before.
	skip int
	hash hash.Hash
}

func (p *tally) String() string {
	return fmt.Sprintf("%d rows, %d registered, %d refused", p.Rows, p.Done, p.Refused)
}

func (p *tally) add(fields []string) {
	for _, f := range fields {
		_, _ = fmt.Fprintf(p.hash, "%d:%s", len(f), f) // a hash never fails
	}
	_, _ = p.hash.Write([]byte{'\n'})
}

func (p *tally) sum() string { return fmt.Sprintf("%x", p.hash.Sum(nil)) }

// refuse writes a row into the report, with its line and why.
func (p *tally) refuse(report io.Writer, fields []string, s settled) error {
	n, err := report.Write(record(append(fields, strconv.Itoa(s.row.line), s.refused.code, strings.TrimSpace(s.refused.reason))))
	p.Refused++
	p.RefusedBytes += int64(n)
	return err
}

// record is a row of a report.
func record(fields []string) []byte {
	var text bytes.Buffer
	w := csv.NewWriter(&text)
	_ = w.Write(fields) // a buffer takes everything
	w.Flush()
	return text.Bytes()
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

// save writes down how far the import has come, whole or not at all.
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

// openReport opens the report of what is refused, as long as it was when progress
// was last written down.
func (c *config) openReport(p *tally, columns []string) (_ *os.File, err error) {
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
		n, err := report.Write(record(append(columns, reported...)))
		if p.RefusedBytes = int64(n); err != nil {
			return nil, err
		}
	}
	return report, nil
}
