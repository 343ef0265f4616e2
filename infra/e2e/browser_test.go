package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// chromium starts the one browser process of this package, for the first test that
// needs it. Each person has a window of their own in it.
var chromium = sync.OnceValues(startBrowser)

// stopBrowser ends the browser, if one was started.
var stopBrowser = func() error { return nil }

// errNoBrowser is why the browser tests do not run.
var errNoBrowser = errors.New("there is no Chromium on this machine (`make test` installs Debian's where it may)")

// pageTime bounds the wait for anything on a page.
const pageTime = 15 * time.Second

// browsers are the names and places of Chromium and its relatives, by platform.
var browsers = []string{
	"chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "microsoft-edge", "msedge",
	"/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
	"/Applications/Chromium.app/Contents/MacOS/Chromium",
	"/Applications/Microsoft Edge.app/Contents/MacOS/Microsoft Edge",
}

// startBrowser starts Chromium until this process ends.
func startBrowser() (context.Context, error) {
	var path string
	for _, name := range browsers {
		if found, err := exec.LookPath(name); err == nil {
			path = found
			break
		}
	}
	if path == "" {
		return nil, errNoBrowser
	}
	options := append(slices.Clone(chromedp.DefaultExecAllocatorOptions[:]),
		chromedp.ExecPath(path), chromedp.Flag("disable-dev-shm-usage", true), chromedp.Flag("lang", "en-GB"),
		chromedp.WindowSize(1280, 800),
	)
	if os.Geteuid() == 0 {
		options = append(options, chromedp.NoSandbox) // Chromium's sandbox refuses root
	}
	allocated, _ := chromedp.NewExecAllocator(context.Background(), options...)
	ctx, _ := chromedp.NewContext(allocated) // stopBrowser ends both
	if err := chromedp.Do(ctx); err != nil {
		return nil, fmt.Errorf("%s does not start: %w", path, err)
	}
	stopBrowser = func() error {
		within, cancel := context.WithTimeout(ctx, 10*time.Second)
		defer cancel()
		return chromedp.Cancel(within)
	}
	return ctx, nil
}

// A window is a person's browser: cookies and a cache of its own, and one tab.
type window struct {
	*stack
	who string // the person, for the names of files
	ctx context.Context
	// byKeyboard is set for a person without a mouse.
	byKeyboard bool

	mu sync.Mutex
	// complaints are errors and warnings of the browser, and loads are requests. Both
	// are since the last look.
	complaints []string
	loads      map[network.RequestID]*load
}

// A load is one request of a page.
type load struct {
	url    string
	status int64
	kind   network.ResourceType
	wire   int64   // bytes, headers included
	at     float64 // in the browser's seconds
	done   bool    // complete, or failed
}

func (l *load) isOurs(w *window) bool { return strings.HasPrefix(l.url, w.PublicURL+"/") }

// window opens a person's browser until the test ends. Its page is saved when the
// test has failed.
func (s *stack) window(t *testing.T, who string) *window {
	t.Helper()
	w := s.opensWindow(t, who)
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(w.saveFailure(t.Name()))
		}
	})
	return w
}

func (s *stack) opensWindow(t *testing.T, who string) *window {
	t.Helper()
	browser, err := chromium()
	switch {
	case errors.Is(err, errNoBrowser) && os.Getenv("CI") != "true":
		t.Skip("not looked at by a browser: ", err)
	case err != nil:
		t.Fatal(err)
	}
	ctx, cancel := chromedp.NewContext(browser, chromedp.WithNewBrowserContext())
	t.Cleanup(cancel)
	w := &window{stack: s, who: who, ctx: ctx, loads: map[network.RequestID]*load{}}
	must(t, chromedp.Listen(ctx, w.onEvent))
	// A window without the focus would not run its timers.
	call(t, w, emulation.SetFocusEmulationEnabled, emulation.SetFocusEmulationEnabledParams{Enabled: true})
	call(t, w, emulation.SetTimezoneOverride, emulation.SetTimezoneOverrideParams{TimezoneID: "Europe/Athens"})
	w.resize(t, 1280, "light")
	return w
}

// call runs a command of the DevTools protocol.
func call[P, R any](t *testing.T, w *window, command cdp.Command[P, R], params P) R {
	t.Helper()
	r, err := try(w, command, params)
	if err != nil {
		t.Fatalf("%s: %v", command.Method, err)
	}
	return r
}

func try[P, R any](w *window, command cdp.Command[P, R], params P) (R, error) {
	ctx, cancel := context.WithTimeout(w.ctx, pageTime)
	defer cancel()
	return chromedp.Call(ctx, command, params)
}

// resize sets the window's width in pixels, and the preferred colour scheme.
func (w *window) resize(t *testing.T, width int64, scheme string) {
	t.Helper()
	call(t, w, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{
		Width: width, Height: 800, DeviceScaleFactor: 1, Mobile: width < 500,
	})
	call(t, w, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{
		{Name: "prefers-color-scheme", Value: scheme}, {Name: "prefers-reduced-motion", Value: "reduce"},
	}})
}

// withoutScripts switches JavaScript off.
func (w *window) withoutScripts(t *testing.T) {
	t.Helper()
	call(t, w, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
}

// onEvent records requests, errors and warnings.
func (w *window) onEvent(event any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	complain := func(format string, args ...any) {
		w.complaints = append(w.complaints, fmt.Sprintf("%.400s", fmt.Sprintf(format, args...)))
	}
	switch e := event.(type) {
	case *runtime.EventExceptionThrown:
		complain("an exception: %s %s", e.ExceptionDetails.Text, describe(e.ExceptionDetails.Exception))
	case *runtime.EventConsoleAPICalled:
		var said []string
		for _, arg := range e.Args {
			said = append(said, describe(arg))
		}
		complain("the console: %s %s", e.Type, strings.Join(said, " "))
	case *log.EventEntryAdded:
		// Pages of errors cause such an entry; other failed loads are found below.
		bad := e.Entry.Level == log.EntryLevelError || e.Entry.Level == log.EntryLevelWarning
		if bad && e.Entry.Source != log.EntrySourceNetwork {
			complain("the console: %s %s", e.Entry.Source, e.Entry.Text)
		}
	case *network.EventRequestWillBeSent:
		w.loads[e.RequestID] = &load{url: e.Request.URL, kind: e.Type, at: e.Timestamp.Float64()}
		if !w.loads[e.RequestID].isOurs(w) && !strings.HasPrefix(e.Request.URL, w.OIDC+"/") && !strings.HasPrefix(e.Request.URL, "data:") {
			complain("a request of another origin: %s", e.Request.URL)
		}
	case *network.EventResponseReceived:
		if l := w.loads[e.RequestID]; l != nil {
			l.status = e.Response.Status
			if l.isOurs(w) && l.kind != network.ResourceTypeDocument && l.status >= 400 {
				complain("%s answered %d", l.url, l.status)
			}
		}
	case *network.EventLoadingFinished:
		if l := w.loads[e.RequestID]; l != nil {
			l.wire, l.done = int64(e.EncodedDataLength), true
		}
	case *network.EventLoadingFailed:
		if l := w.loads[e.RequestID]; l != nil {
			l.done = true
			if !e.Canceled {
				complain("%s failed: %s %s", l.url, e.ErrorText, e.BlockedReason)
			}
		}
	}
}

func describe(o *runtime.RemoteObject) string {
	if o == nil {
		return ""
	}
	if o.Description != "" {
		return o.Description
	}
	return string(o.Value)
}

// expectNoComplaints checks that the browser has not complained since the last look.
func (w *window) expectNoComplaints(t *testing.T) {
	t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	slices.Sort(w.complaints)
	for _, complaint := range slices.Compact(w.complaints) {
		t.Errorf("%s's browser complains: %s", w.who, complaint)
	}
	w.complaints = nil
}

// takeLoads returns the loads since the last look.
func (w *window) takeLoads() []*load {
	w.mu.Lock()
	defer w.mu.Unlock()
	all := slices.Collect(maps.Values(w.loads))
	w.loads = map[network.RequestID]*load{}
	return all
}

// isIdle reports whether nothing is being loaded.
func (w *window) isIdle() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, l := range w.loads {
		if !l.done {
			return false
		}
	}
	return true
}

// saveFailure saves the page into an ignored folder, and returns a line about where.
func (w *window) saveFailure(name string) string {
	folder := filepath.Join(built.root, ".local", "failures")
	base := filepath.Join(folder, strings.NewReplacer("/", "-", " ", "_").Replace(name+"-"+w.who))
	at, errAt := eval[string](w, `location.href`)
	html, errHTML := eval[string](w, `document.documentElement.outerHTML`)
	picture, errPicture := w.picture()
	err := errors.Join(errAt, errHTML, errPicture, os.MkdirAll(folder, 0o755))
	if err == nil {
		err = errors.Join(os.WriteFile(base+".html", []byte(html), 0o644), os.WriteFile(base+".png", picture, 0o644))
	}
	if err != nil {
		return fmt.Sprintf("what %s saw last could not be kept: %v", w.who, err)
	}
	return fmt.Sprintf("%s was at %s and saw %s.png (and .html)", w.who, at, base)
}

// picture returns the whole page as a PNG.
func (w *window) picture() ([]byte, error) {
	var size struct{ Width, Height float64 }
	size, err := eval[struct{ Width, Height float64 }](w, `({width: innerWidth, height: Math.max(innerHeight, document.documentElement.scrollHeight)})`)
	if err != nil {
		return nil, err
	}
	whole := true
	shot, err := try(w, page.CaptureScreenshot, page.CaptureScreenshotParams{
		CaptureBeyondViewport: &whole, Clip: &page.Viewport{Width: size.Width, Height: min(size.Height, 8000), Scale: 1},
	})
	return shot.Data, err
}

// eval evaluates an expression in the page, and waits for it if it is a promise.
func eval[T any](w *window, expression string) (T, error) {
	return evalIn[T](w, expression, 0)
}

// evaluate is eval for an expression that must not fail.
func evaluate[T any](t *testing.T, w *window, expression string) T {
	t.Helper()
	v, err := eval[T](w, expression)
	if err != nil {
		t.Fatalf("%s: %v", w.who, err)
	}
	return v
}

// evalIn is eval in a world of the page, 0 for its own.
func evalIn[T any](w *window, expression string, world runtime.ExecutionContextID) (T, error) {
	var value T
	yes := true
	r, err := try(w, runtime.Evaluate, runtime.EvaluateParams{
		Expression: expression, ReturnByValue: &yes, AwaitPromise: &yes, ContextID: world,
	})
	if err != nil {
		return value, err
	}
	if r.ExceptionDetails != nil {
		return value, fmt.Errorf("%s %s", r.ExceptionDetails.Text, describe(r.ExceptionDetails.Exception))
	}
	if len(r.Result.Value) == 0 {
		return value, nil // undefined
	}
	return value, json.NewDecoder(bytes.NewReader(r.Result.Value)).Decode(&value)
}

// isolatedWorld makes a world in which our own scripts run. They see the page's
// elements, but do not meet its scripts and its policy.
func (w *window) isolatedWorld(t *testing.T) runtime.ExecutionContextID {
	t.Helper()
	frames := call(t, w, page.GetFrameTree, cdp.Empty{})
	made := call(t, w, page.CreateIsolatedWorld, page.CreateIsolatedWorldParams{FrameID: frames.FrameTree.Frame.ID, WorldName: "apart"})
	return made.ExecutionContextID
}
