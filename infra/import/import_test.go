package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/oauth2"

	"agencyhub/shared/agency"
)

// A fakeAPI answers as the platform's API does, and records what it gets.
type fakeAPI struct {
	*httptest.Server
	mu         sync.Mutex
	calls      []string // what was registered, in order
	registered map[string]int
	// answer decides a call; nil takes it. Its status 200 is 201 for a new account, and its
	// body {} the account.
	answer      func(account, name string, try int) (status int, header, body string)
	tries       map[string]int
	inFlight    int // calls without an answer yet
	maxInFlight int
}

func newFakeAPI(t *testing.T) *fakeAPI {
	t.Helper()
	h := &fakeAPI{registered: map[string]int{}, tries: map[string]int{}}
	h.Server = httptest.NewServer(http.HandlerFunc(h.serve))
	t.Cleanup(h.Close)
	return h
}

func (h *fakeAPI) serve(w http.ResponseWriter, r *http.Request) {
	account := strings.TrimPrefix(r.URL.Path, "/v1/platform/accounts/")
	var body struct{ Name, OwnerEmail, Plan string }
	d := json.NewDecoder(r.Body)
	d.DisallowUnknownFields()
	if err := d.Decode(&body); err != nil || r.Method != http.MethodPut || r.Header.Get("Authorization") != "Bearer good" {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	h.mu.Lock()
	h.tries[account+body.Name]++
	try := h.tries[account+body.Name]
	h.inFlight++
	h.maxInFlight = max(h.maxInFlight, h.inFlight)
	h.mu.Unlock()
	status, header, text := http.StatusOK, "", "{}"
	switch {
	case body.Plan == "free":
		status, text = http.StatusBadRequest, `{"code":"invalid","detail":"There is no such plan."}`
	case h.answer != nil:
		status, header, text = h.answer(account, body.Name, try)
	}
	h.mu.Lock()
	h.inFlight--
	if status == http.StatusOK {
		if h.registered[account]++; h.registered[account] == 1 {
			status = http.StatusCreated
		}
		h.calls = append(h.calls, strings.TrimSpace(body.Name+" "+body.OwnerEmail+" "+body.Plan))
	}
	h.mu.Unlock()
	if name, value, ok := strings.Cut(header, "="); ok {
		w.Header().Set(name, value)
	}
	if text == "{}" {
		text = `{"id":"` + account + `"}`
	}
	w.WriteHeader(status)
	fmt.Fprint(w, text)
}

// state returns how often each account was registered so far, and the number of
// calls. After an import has stopped, some calls go on.
func (h *fakeAPI) state() (taken map[string]int, calls int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return maps.Clone(h.registered), len(h.calls)
}

// newImport returns an import into that API, in a folder of its own. It does not
// wait, but records how long it would have.
func (h *fakeAPI) newImport(t *testing.T) (c config, waited func() []time.Duration) {
	t.Helper()
	dir := t.TempDir()
	var mu sync.Mutex
	var waits []time.Duration
	c = config{
		url: h.URL, token: oauth2.StaticTokenSource(&oauth2.Token{AccessToken: "good"}), http: h.Client(), workers: 4, name: "accounts.csv", out: &bytes.Buffer{},
		now: time.Now, progressFile: filepath.Join(dir, "accounts.csv.progress"), refusedFile: filepath.Join(dir, "accounts.csv.refused.csv"),
		sleep: func(ctx context.Context, d time.Duration) error {
			mu.Lock()
			defer mu.Unlock()
			waits = append(waits, d)
			return ctx.Err()
		},
	}
	return c, func() []time.Duration { mu.Lock(); defer mu.Unlock(); return slices.Clone(waits) }
}

// id returns a valid account id.
func id(n int) string { return string(agency.NewAccountID("test", fmt.Sprint(n))) }

func contents(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(path)
	must(t, err)
	return string(content)
}

// TestRowsOfOneAccountKeepTheirOrder checks that the later name is the one that stays.
func TestRowsOfOneAccountKeepTheirOrder(t *testing.T) {
	h := newFakeAPI(t)
	c, _ := h.newImport(t)
	var file strings.Builder
	file.WriteString("account,name,owner\n")
	for n := range 40 {
		fmt.Fprintf(&file, "shop-7,Name %02d,a@b.test\n", n)
	}
	must(t, c.run(t.Context(), strings.NewReader(file.String())))
	if !slices.IsSorted(h.calls) || len(h.calls) != 40 {
		t.Errorf("%q", h.calls)
	}
	if out := fmt.Sprint(c.out); !strings.Contains(out, "40 rows, 1 registered, 39 already there, 0 refused") {
		t.Error(out)
	}
}

// TestARefusalByTheAPINamesColumns checks that a reason names columns of the file.
func TestARefusalByTheAPINamesColumns(t *testing.T) {
	h := newFakeAPI(t)
	h.answer = func(string, string, int) (int, string, string) {
		return 400, "", `{"code":"invalid","detail":"Not well formed.","errors":[{"field":"body.ownerEmail","message":"One."},{"field":"body.plan","message":"Two."}]}`
	}
	c, _ := h.newImport(t)
	wantError(t, c.run(t.Context(), strings.NewReader("account,name,owner\nshop-1,Shop,a@b.test\n")), "1 row, 0 registered, 0 already there, 1 refused", c.refusedFile)
	if want, got := "line,code,reason,account,name,owner\n2,invalid,owner: One. plan: Two.,shop-1,Shop,a@b.test\n", contents(t, c.refusedFile); got != want {
		t.Error(cmp.Diff(want, got))
	}
}

func TestAHubThatIsBusyIsWaitedFor(t *testing.T) {
	h := newFakeAPI(t)
	h.answer = func(_, name string, try int) (int, string, string) {
		switch {
		case name == "Limited" && try == 1:
			return 429, "Retry-After=7", `{"message":"Too Many Requests"}`
		case name == "Limited" && try == 2:
			return 429, "", `{"message":"Too Many Requests"}`
		case name == "Failing" && try < 4:
			return 503, "", `{"message":"Service Unavailable"}`
		case name == "Failing" && try < 6:
			return 500, "Retry-After=1000000", `{"code":"internal"}`
		}
		return 200, "", "{}"
	}
	c, waited := h.newImport(t)
	must(t, c.run(t.Context(), strings.NewReader("account,name,owner\n"+id(1)+",Limited,a@b.test\n"+id(2)+",Failing,a@b.test\n")))
	waits := waited()
	if len(waits) != 7 || !slices.Contains(waits, 7*time.Second) || slices.Max(waits) != longestWait {
		t.Errorf("waited %v", waits)
	}
	if h.registered[id(1)] != 1 || h.registered[id(2)] != 1 {
		t.Errorf("%v", h.registered)
	}
}

// TestAnImportGoesOnWhereItStopped checks that a permanent failure stops the import
// after a whole row. The next run goes on from there. Only calls without an answer
// are made twice.
func TestAnImportGoesOnWhereItStopped(t *testing.T) {
	h := newFakeAPI(t)
	var file strings.Builder
	file.WriteString("account,name,owner\n")
	const rows = 200
	for n := range rows {
		name := fmt.Sprintf("Shop %d", n)
		if n%10 == 3 {
			name = "Owned"
		}
		fmt.Fprintf(&file, "%s,%s,a@b.test\n", id(n), name)
	}
	var down atomic.Bool
	down.Store(true)
	h.answer = func(account, name string, _ int) (int, string, string) {
		switch {
		case name == "Owned":
			return 409, "", `{"code":"permanently_owned","detail":"An agency owns it."}`
		case account == id(97) && down.Load():
			return 503, "", `{"message":"Service Unavailable"}`
		}
		return 200, "", "{}"
	}
	c, _ := h.newImport(t)
	err := c.run(t.Context(), strings.NewReader(file.String()))
	wantError(t, err, "stopped after line 98: 97 rows, 87 registered, 0 already there, 10 refused", "after 8 tries")
	before, _ := h.state()
	// Another file, one with other columns, or a shorter one, is refused.
	for _, other := range []string{strings.Replace(file.String(), "Shop 5,", "Shop 6,", 1), strings.Replace(file.String(), "name,owner", "owner,name", 1), strings.Join(strings.Split(file.String(), "\n")[:50], "\n")} {
		wantError(t, c.run(t.Context(), strings.NewReader(other)), "To start over, move "+c.refusedFile+" away and remove "+c.progressFile)
	}
	// A crash leaves a report that is longer than the saved progress.
	report, err := os.OpenFile(c.refusedFile, os.O_APPEND|os.O_WRONLY, 0)
	must(t, err)
	_, err = report.WriteString("half a ro")
	must(t, errors.Join(err, report.Close()))
	crash(t, c)
	down.Store(false)
	wantError(t, c.run(t.Context(), strings.NewReader(file.String())), "200 rows, ", " 20 refused")
	taken, calls := h.state()
	p, err := c.readProgress()
	must(t, err)
	// What had no answer yet when the import stopped is there already.
	if p.Registered+p.Existing != 180 || p.Registered < 87 || p.Rows != 200 {
		t.Error(p)
	}
	for n := range rows {
		most := 1
		if n > 97 {
			most = 2 // it had no answer yet when the import stopped
		}
		if got := taken[id(n)]; n%10 != 3 && (got < 1 || got > most) || n < 97 && got != before[id(n)] {
			t.Errorf("row %d was taken %d times", n, got)
		}
	}
	if lines := strings.Count(contents(t, c.refusedFile), "permanently_owned"); lines != 20 {
		t.Errorf("%d rows in the report", lines)
	}
	// A finished import makes no more calls, and rows stay refused.
	wantError(t, c.run(t.Context(), strings.NewReader(file.String())), "has been imported to its end: 200 rows", "20 refused")
	if _, now := h.state(); now != calls {
		t.Errorf("once more: %d calls", now-calls)
	}
}

// TestALaterLineIsCorrected stops an import behind a row that was refused for its open
// quote, and corrects a line behind that. The quote then seems to close there, but no
// imported row has changed.
func TestALaterLineIsCorrected(t *testing.T) {
	const file = "account,name,owner\nshop-1,One,a@x.test\nshop-2,\"Two,a@x.test\n,,\nshop-3,Three,a@x.test\nshop-4,Four,a@x.test\nshop-5,Five,a@x.test\n"
	for name, test := range map[string]struct{ line, refused string }{
		"where it closes would not be clear": {`shop-5,"Five",a@x.test`, "1 refused"},
		"it would close":                     {`shop-5,Five",a@x.test`, "2 refused"},
		"it has a backslash":                 {`shop-5,Five\"",a@x.test`, "2 refused"},
	} {
		t.Run(name, func(t *testing.T) {
			h := newFakeAPI(t)
			var down atomic.Bool
			down.Store(true)
			h.answer = func(_, name string, _ int) (int, string, string) {
				if down.Load() && (name == "Four" || name == "Five") {
					return 503, "", ""
				}
				return 200, "", "{}"
			}
			c, _ := h.newImport(t)
			wantError(t, c.run(t.Context(), strings.NewReader(file)), "stopped after line 5: 3 rows, 2 registered, 0 already there, 1 refused")
			down.Store(false)
			// A line without a value is a line too: without it the row of a number is another.
			wantError(t, c.run(t.Context(), strings.NewReader(strings.Replace(file, ",,\n", "", 1))), "has changed since its import")
			corrected := strings.Replace(file, "shop-5,Five,a@x.test", test.line, 1)
			wantError(t, c.run(t.Context(), strings.NewReader(corrected)), "5 rows, ", test.refused+". Correct the refused rows")
			wantError(t, c.run(t.Context(), strings.NewReader(corrected)), "has been imported to its end: 5 rows")
			taken, calls := h.state()
			if want := 4 - strings.Count(test.refused, "2"); len(taken) != want || calls != want {
				t.Errorf("%v in %d calls", taken, calls)
			}
		})
	}
}

// TestAFinishedImportOfAnotherFile checks that a file which has changed since its import is
// not taken for imported.
func TestAFinishedImportOfAnotherFile(t *testing.T) {
	h := newFakeAPI(t)
	c, _ := h.newImport(t)
	const file = "account,name,owner\nshop-1,One,a@x.test\nshop-2,Two,nobody\n"
	wantError(t, c.run(t.Context(), strings.NewReader(file)), "2 rows, 1 registered, 0 already there, 1 refused")
	for name, other := range map[string]string{
		"a row is corrected": strings.Replace(file, "nobody", "b@x.test", 1),
		"a row more":         file + "shop-3,Three,c@x.test\n",
		"a row less":         "account,name,owner\nshop-1,One,a@x.test\n",
		"rows of one quote":  "account,name,owner\nshop-1,One,a@x.test\nshop-2,\"Two\nx\",nobody\n",
		"other columns":      strings.Replace(file, "name,owner", "owner,name", 1),
	} {
		t.Run(name, func(t *testing.T) {
			wantError(t, c.run(t.Context(), strings.NewReader(other)), "has changed since its import", "remove "+c.progressFile)
		})
	}
	wantError(t, c.run(t.Context(), strings.NewReader(file)), "has been imported to its end", "Correct the refused rows")
	if len(h.calls) != 1 {
		t.Errorf("%q", h.calls)
	}
	// The report is not written over.
	must(t, os.Remove(c.progressFile))
	wantError(t, c.run(t.Context(), strings.NewReader(file)), c.refusedFile+" is of an earlier import")
	must(t, os.Remove(c.refusedFile))
	good := strings.Replace(file, "nobody", "b@x.test", 1)
	must(t, c.run(t.Context(), strings.NewReader(good)))
	must(t, c.run(t.Context(), strings.NewReader(good)))
	if out := fmt.Sprint(c.out); !strings.Contains(out, "has been imported to its end: 2 rows") {
		t.Error(out)
	}
}

// TestAReportThatIsCorrectedTooEarly stops an import, and corrects its report before the
// import goes on. No correction is cut.
func TestAReportThatIsCorrectedTooEarly(t *testing.T) {
	const file = "account,name,owner\nshop-1,One,a@x.test\nshop-2,Four,nobody\nshop-3,Three,a@x.test\nshop-4,Four,nobody\n"
	for name, correct := range map[string][2]string{"longer": {"nobody", "a@x.com.test"}, "shorter": {"nobody", "a@x.te"}, "as long": {"Four", "Five"}, "a row behind": {"nobody\n", "nobody\nshop-9,Nine,a@x.test\n"}} {
		t.Run(name, func(t *testing.T) {
			h := newFakeAPI(t)
			var down atomic.Bool
			down.Store(true)
			h.answer = func(_, name string, _ int) (int, string, string) {
				if name == "Three" && down.Load() {
					return 503, "", ""
				}
				return 200, "", "{}"
			}
			c, _ := h.newImport(t)
			wantError(t, c.run(t.Context(), strings.NewReader(file)), "stopped after line 3", "don't edit "+c.refusedFile)
			down.Store(false)
			report := contents(t, c.refusedFile)
			corrected := strings.Replace(report, correct[0], correct[1], 1)
			must(t, os.WriteFile(c.refusedFile, []byte(corrected), 0o600))
			wantError(t, c.run(t.Context(), strings.NewReader(file)), c.refusedFile+" has changed since the import stopped")
			if got := contents(t, c.refusedFile); got != corrected || len(h.calls) != 1 {
				t.Errorf("%q, %q", got, h.calls)
			}
			must(t, os.WriteFile(c.refusedFile, []byte(report), 0o600))
			wantError(t, c.run(t.Context(), strings.NewReader(file)), "4 rows, 2 registered, 0 already there, 2 refused")
			if got := contents(t, c.refusedFile); strings.Count(got, "\n") != 3 || !strings.HasPrefix(got, report) {
				t.Error(got)
			}
		})
	}
}

// TestAnswersThatAreNotOfTheAPI checks that only an answer of the API counts as an account.
func TestAnswersThatAreNotOfTheAPI(t *testing.T) {
	for name, handler := range map[string]http.HandlerFunc{
		"200 with a page":         func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>") },
		"201 without a body":      func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusCreated) },
		"200 with other JSON":     func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{"ok":true}`) },
		"200 of another account":  func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{"id":"`+id(99)+`"}`) },
		"302 to a page":           redirectTo(http.StatusFound),
		"307 to the same account": redirectTo(http.StatusTemporaryRedirect),
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(handler)
			t.Cleanup(server.Close)
			c, waited := newFakeAPI(t).newImport(t)
			c.url = server.URL
			wantError(t, c.run(t.Context(), strings.NewReader("account,name,owner\n"+id(1)+",One,a@x.test\n"+id(2)+",Two,a@x.test\n")), "0 registered, 0 already there", "what answers is no hub")
			if len(waited()) > 0 {
				t.Error("it was tried again")
			}
		})
	}
}

// redirectTo returns a handler that leads from each call to itself by a cookie's query, and
// answers there as the API would.
func redirectTo(status int) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.URL.RawQuery == "" {
			http.Redirect(w, r, r.URL.Path+"?again", status)
			return
		}
		fmt.Fprintf(w, `{"id":%q}`, filepath.Base(r.URL.Path))
	}
}

// crash makes the progress of an import that has stopped that of one that has crashed.
func crash(t *testing.T, c config) {
	t.Helper()
	p := contents(t, c.progressFile)
	crashed := strings.Replace(p, `"stopped":true`, `"stopped":false`, 1)
	if crashed == p {
		t.Fatal(p)
	}
	must(t, os.WriteFile(c.progressFile, []byte(crashed), 0o600))
}

func TestAnImportIsInterrupted(t *testing.T) {
	h := newFakeAPI(t)
	ctx, interrupt := context.WithCancel(t.Context())
	h.answer = func(account, _ string, _ int) (int, string, string) {
		if account == id(20) {
			interrupt()
		}
		return 200, "", "{}"
	}
	var file strings.Builder
	file.WriteString("account,name,owner\n")
	for n := range 100 {
		fmt.Fprintf(&file, "%s,Shop,a@b.test\n", id(n))
	}
	c, _ := h.newImport(t)
	wantError(t, c.run(ctx, strings.NewReader(file.String())), "The same command goes on from there")
	must(t, c.run(t.Context(), strings.NewReader(file.String())))
	taken, _ := h.state()
	for n := range 100 {
		if taken[id(n)] == 0 {
			t.Errorf("row %d is lost", n)
		}
	}
}

func TestWhatEndsAnImport(t *testing.T) {
	for name, test := range map[string]struct{ file, says string }{
		"empty":                 {"", "the file is empty"},
		"no owner's column":     {"account,name\n", `there is no column "owner"`},
		"an unknown column":     {"account,name,onwer\n", `column 3 is "onwer"`},
		"a column twice":        {"account,name,owner,name\n", `column 4 is "name"`},
		"an endless line":       {"account,name,owner\n" + id(1) + ",\"Shop,a@b.test\n" + strings.Repeat("x", 3*maxLineBytes), "line 3 has more than 65536 bytes"},
		"a quote open for long": {"account,name,owner\n" + id(1) + ",\"Shop\n" + id(2) + ",Two,evil@x.test\n" + strings.Repeat("x\n", maxLineBytes/2) + "\",a@b.test\n", "line 2 opens a quote, and none closes it within 65536 bytes"},
		"a token that is bad":   {"account,name,owner\n" + id(1) + ",Shop,a@b.test\n", "does not take the token"},
		"something else":        {"account,name,owner\n" + id(1) + ",Else,a@b.test\n", "what answers is no hub: 404"},
	} {
		t.Run(name, func(t *testing.T) {
			h := newFakeAPI(t)
			h.answer = func(_, name string, _ int) (int, string, string) {
				if name == "Else" {
					return 404, "", "<html>"
				}
				return 200, "", "{}"
			}
			c, _ := h.newImport(t)
			if name == "a token that is bad" {
				c.token = oauth2.StaticTokenSource(&oauth2.Token{AccessToken: "bad"})
			}
			wantError(t, c.run(t.Context(), strings.NewReader(test.file)), test.says)
			if len(h.calls) > 0 {
				t.Errorf("%q", h.calls)
			}
		})
	}
	h := newFakeAPI(t)
	c, _ := h.newImport(t)
	h.Close()
	wantError(t, c.run(t.Context(), strings.NewReader("account;name;owner\n"+id(1)+";Shop;a@b.test\n")), "can't be reached")
}

// A stream makes rows while they are read, and keeps none.
type stream struct {
	rows, made int
	filler     string
	rest       []byte
	taken      func() int
	ahead      int  // the maximum of rows read and not yet registered
	wide       bool // in UTF-16
}

func (s *stream) Read(p []byte) (int, error) {
	if len(s.rest) == 0 {
		switch {
		case s.made == 0:
			s.rest = []byte("account,name,owner,reason\n")
		case s.made > s.rows:
			return 0, io.EOF
		default:
			s.rest = fmt.Appendf(nil, "%s,Shop %d,owner-%d@shop.test,%s\n", id(s.made), s.made, s.made, s.filler)
		}
		if s.wide {
			wide := make([]byte, 0, 2*len(s.rest))
			for _, b := range s.rest {
				wide = append(wide, b, 0)
			}
			s.rest = wide
		}
		s.made++
		s.ahead = max(s.ahead, s.made-s.taken())
	}
	n := copy(p, s.rest)
	s.rest = s.rest[n:]
	return n, nil
}

// TestALargeFileIsAStream imports ten thousand rows of three kilobytes each. Only a
// few rows for each worker are in memory or sent at once.
func TestALargeFileIsAStream(t *testing.T) {
	for name, wide := range map[string]bool{"UTF-8": false, "UTF-16": true} {
		t.Run(name, func(t *testing.T) { importLargeFile(t, wide) })
	}
}

func importLargeFile(t *testing.T, wide bool) {
	t.Helper()
	h := newFakeAPI(t)
	c, _ := h.newImport(t)
	c.workers = 8
	taken := func() int { h.mu.Lock(); defer h.mu.Unlock(); return len(h.registered) }
	heap := func() int64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	before := heap()
	var grown int64
	h.answer = func(string, string, int) (int, string, string) {
		if n := taken(); n%1000 == 500 {
			h.mu.Lock()
			h.calls = nil
			grown = max(grown, heap()-before)
			h.mu.Unlock()
		}
		return 200, "", "{}"
	}
	var screen bytes.Buffer
	s := &stream{rows: 4_000, filler: strings.Repeat("f", 3000), taken: taken, wide: wide}
	c.terminal, c.size = &screen, 4_000*3060 // less than a wide file has: the bar is full then
	began := time.Now()
	must(t, c.run(t.Context(), s))
	t.Logf("%.0f rows a second, the heap grew by %d KB, %d rows were read ahead", 4_000/time.Since(began).Seconds(), grown>>10, s.ahead)
	if taken() != 4_000 || h.maxInFlight > c.workers {
		t.Errorf("%d rows, %d at once", taken(), h.maxInFlight)
	}
	// Four rows wait for each worker, and a few in buffers.
	if s.ahead > 4*c.workers+12 {
		t.Errorf("%d rows were read ahead", s.ahead)
	}
	// The fake API's own record takes about 1 MB.
	if grown > 6<<20 {
		t.Errorf("the heap grew by %d KB", grown>>10)
	}
	if !strings.Contains(screen.String(), "\r[###") || !strings.Contains(screen.String(), "rows") {
		t.Errorf("%q", screen.String())
	}
}

// TestARowThatHangsHoldsUpTheRest checks that a row without an answer stops the
// reading after a few rows for each worker.
func TestARowThatHangsHoldsUpTheRest(t *testing.T) {
	h := newFakeAPI(t)
	c, _ := h.newImport(t)
	taken := func() int { h.mu.Lock(); defer h.mu.Unlock(); return len(h.registered) }
	most := 4*c.workers + c.workers
	passed := 0
	h.answer = func(account, _ string, _ int) (int, string, string) {
		if account == id(1) {
			for deadline := time.Now().Add(500 * time.Millisecond); time.Now().Before(deadline) && passed <= most; time.Sleep(time.Millisecond) {
				passed = taken()
			}
		}
		return 200, "", "{}"
	}
	s := &stream{rows: 500, taken: taken}
	must(t, c.run(t.Context(), s))
	if passed > most || passed < c.workers || taken() != s.rows {
		t.Errorf("%d rows passed one that hangs, of %d", passed, taken())
	}
}

// TestBaseURL checks that the default is the stack on this machine, on any port.
func TestBaseURL(t *testing.T) {
	data := t.TempDir()
	_, err := baseURL("", data)
	wantError(t, err, "make run", "-url")
	stack := fmt.Sprintf(`{"publicUrl":"http://localhost:9080","pid":%d}`, os.Getpid())
	must(t, os.WriteFile(filepath.Join(data, "stack.json"), []byte(stack), 0o600))
	for given, want := range map[string]string{"": "http://localhost:9080", "https://hub.example.com/": "https://hub.example.com"} {
		if got, err := baseURL(given, data); err != nil || got != want {
			t.Errorf("%q: %q, %v", given, got, err)
		}
	}
}

// wantError demands an error whose text has all parts.
func wantError(t *testing.T, err error, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Fatalf("%v, want %q", err, part)
		}
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
