package e2e

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// A target is something on a page that a person uses: its kind, and the words on it
// or of its label.
type target struct {
	Kind string `json:"kind"`
	Name string `json:"name"`
}

func button(name string) target     { return target{Kind: "button", Name: name} }
func anchor(name string) target     { return target{Kind: "link", Name: name} }
func field(label string) target     { return target{Kind: "field", Name: label} }
func choice(label string) target    { return target{Kind: "choice", Name: label} }
func details(summary string) target { return target{Kind: "fold", Name: summary} }

func (t target) String() string { return fmt.Sprintf("the %s %q", t.Kind, t.Name) }

// findElement is a function in JavaScript. It returns a target's element among those
// that are visible.
const findElement = `((target) => {
  const plain = (text) => (text ?? '').replace(/\s+/g, ' ').trim();
  const kinds = {
    button: 'button, [type=submit], a[role=button]', link: 'a[href]', fold: 'summary',
    field: 'input:not([type=hidden], [type=radio], [type=checkbox]), textarea, select', choice: 'input[type=radio], input[type=checkbox]',
  };
  const names = (e) => e.labels ? [...e.labels].map((l) => plain(l.textContent)) : [];
  const named = (e) => [e.getAttribute('aria-label'), ...(kinds.field === kinds[target.kind] || kinds.choice === kinds[target.kind] ? names(e) : [e.textContent])].map(plain);
  const shown = (e) => e.checkVisibility({ visibilityProperty: true });
  const all = [...document.querySelectorAll(kinds[target.kind])].filter(shown);
  for (const fits of [(n) => n === target.name, (n) => n.startsWith(target.name), (n) => n.includes(target.name)]) {
    const hits = all.filter((e) => named(e).some(fits));
    if (hits.length > 1 && new Set(hits.map((e) => e.href || e)).size > 1) throw new Error(hits.length + ' of them');
    if (hits.length) return hits[0];
  }
  throw new Error('it is not there; there is ' + all.map((e) => plain(named(e).join(' '))).join(' | '));
})`

// evalOn evaluates a function of a target's element.
func evalOn[T any](w *window, at target, function string) (T, error) {
	text, err := json.Marshal(at)
	if err != nil {
		var none T
		return none, err
	}
	return eval[T](w, fmt.Sprintf(`(%s)(%s(%s))`, function, findElement, text))
}

// until waits for a condition of the page. Its errors count only when it never
// comes: a page that is being left causes some.
func (w *window) until(t *testing.T, what string, condition func() (bool, error)) {
	t.Helper()
	var last error
	for deadline := time.Now().Add(pageTime); ; time.Sleep(15 * time.Millisecond) {
		ok, err := condition()
		if ok {
			return
		}
		if err != nil {
			last = err
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s never met: %s (%v)", w.who, what, last)
		}
	}
}

// pageID returns a number that differs from one loaded page to the next.
func (w *window) pageID(t *testing.T) float64 {
	t.Helper()
	return evaluate[float64](t, w, `performance.timeOrigin`)
}

// navigate does something that opens another page, and waits until that has loaded.
func (w *window) navigate(t *testing.T, what string, do func()) {
	t.Helper()
	before := w.pageID(t)
	do()
	w.until(t, "the page that "+what+" leads to", func() (bool, error) {
		return eval[bool](w, fmt.Sprintf(`performance.timeOrigin !== %v && document.readyState === 'complete'`, before))
	})
}

// open opens a path of the site, or a whole URL.
func (w *window) open(t *testing.T, address string) {
	t.Helper()
	if strings.HasPrefix(address, "/") {
		address = w.PublicURL + address
	}
	w.navigate(t, address, func() {
		if r := call(t, w, page.Navigate, page.NavigateParams{URL: address}); r.ErrorText != "" {
			t.Fatalf("%s: %s", address, r.ErrorText)
		}
	})
}

// press clicks a button or a link, and waits for the page that it opens.
func (w *window) press(t *testing.T, at target) {
	t.Helper()
	w.navigate(t, at.String(), func() { w.use(t, at) })
}

// use clicks on a target, or goes to it by Tab and presses a key.
func (w *window) use(t *testing.T, at target) {
	t.Helper()
	if w.byKeyboard {
		w.tabTo(t, at)
		key := kb.Enter
		if at.Kind == "choice" || at.Kind == "fold" {
			key = " "
		}
		w.key(t, key)
		return
	}
	spot := w.center(t, at)
	w.do(t, chromedp.MouseClickXY(spot.X, spot.Y))
}

func (w *window) key(t *testing.T, keys string, options ...chromedp.KeyOption) {
	t.Helper()
	w.do(t, chromedp.KeyEvent(keys, options...))
}

func (w *window) do(t *testing.T, action chromedp.Action[chromedp.Void]) {
	t.Helper()
	if err := chromedp.Do(w.ctx, action); err != nil {
		t.Fatalf("%s: %v", w.who, err)
	}
}

type point struct{ X, Y float64 }

// center scrolls to a target and returns its middle, which nothing may cover.
func (w *window) center(t *testing.T, at target) point {
	t.Helper()
	var s point
	w.until(t, at.String(), func() (bool, error) {
		var err error
		s, err = evalOn[point](w, at, `(e) => {
		  e.scrollIntoView({ block: 'center', behavior: 'instant' });
		  const r = e.getBoundingClientRect();
		  const [x, y] = [r.x + r.width / 2, r.y + r.height / 2];
		  const top = document.elementFromPoint(x, y);
		  if (!(top && (e.contains(top) || [...(e.labels ?? [])].some((l) => l.contains(top))))) throw new Error('it is covered by ' + top?.outerHTML.slice(0, 200));
		  return { x, y };
		}`)
		return err == nil, err
	})
	return s
}

// maxTabs bounds how often Tab is pressed to reach a target.
const maxTabs = 150

// tabTo goes to a target by Tab alone. The focus must be visible at each stop on the
// way.
func (w *window) tabTo(t *testing.T, at target) {
	t.Helper()
	w.waitFor(t, at)
	var before string
	for range maxTabs {
		type focus struct {
			Here, Shown bool
			What        string
		}
		f, err := evalOn[focus](w, at, `(e) => {
		  const a = document.activeElement;
		  const group = e.type === 'radio' && a.type === 'radio' && a.name === e.name && a.form === e.form;
		  const style = getComputedStyle(a);
		  const r = a.getBoundingClientRect();
		  const marked = (style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) > 0) || style.boxShadow !== 'none';
		  return { here: a === e || group, shown: marked && r.bottom > 0 && r.top < innerHeight, what: a.outerHTML.slice(0, 160) };
		}`)
		if err != nil {
			t.Fatalf("%s looks for %s: %v", w.who, at, err)
		}
		// Inside of a date field the browser itself outlines the part that has the
		// focus.
		within := f.What == before && strings.Contains(f.What, `type="date"`)
		if !f.Shown && !within && !strings.HasPrefix(f.What, "<body") && !strings.HasPrefix(f.What, "<main") {
			t.Errorf("the focus can't be seen on %s", f.What)
		}
		before = f.What
		if f.Here {
			return
		}
		w.key(t, kb.Tab)
	}
	t.Fatalf("%s can't reach %s by %d times Tab", w.who, at, maxTabs)
}

// waitFor waits until the page has a target.
func (w *window) waitFor(t *testing.T, at target) {
	t.Helper()
	w.until(t, at.String(), func() (bool, error) { return evalOn[bool](w, at, `() => true`) })
}

// fill replaces the text of a field.
func (w *window) fill(t *testing.T, label, text string) {
	t.Helper()
	at := field(label)
	if w.byKeyboard {
		w.tabTo(t, at)
		w.key(t, "a", chromedp.KeyModifiers(kb.ModifierCtrl))
		w.key(t, text)
	} else {
		w.use(t, at)
		_, err := evalOn[struct{}](w, at, `(e) => { e.focus(); e.select?.(); }`)
		must(t, err)
		call(t, w, input.InsertText, input.InsertTextParams{Text: text})
	}
	got, err := evalOn[string](w, at, `(e) => e.value`)
	if err != nil || got != text {
		t.Fatalf("%s holds %q, not %q (%v)", at, got, text, err)
	}
}

// choose selects a radio button or checks a box.
func (w *window) choose(t *testing.T, at target) {
	t.Helper()
	chosen := func() bool {
		t.Helper()
		on, err := evalOn[bool](w, at, `(e) => e.checked`)
		if err != nil {
			t.Fatalf("%s: %v", at, err)
		}
		return on
	}
	switch radio, err := evalOn[bool](w, at, `(e) => e.type === 'radio'`); {
	case err != nil:
		t.Fatalf("%s: %v", at, err)
	case chosen():
	case w.byKeyboard && radio:
		w.tabTo(t, at)
		for range 10 {
			w.key(t, kb.ArrowDown)
			if chosen() {
				break
			}
		}
	default:
		w.use(t, at)
	}
	if !chosen() {
		t.Fatalf("%s can't choose %s", w.who, at)
	}
}

// text returns the page's visible text, its line breaks as blanks.
func (w *window) text() (string, error) {
	return eval[string](w, `document.body.innerText.replace(/\s+/g, ' ')`)
}

// expectText waits until the page shows each of these texts.
func (w *window) expectText(t *testing.T, words ...string) {
	t.Helper()
	for _, word := range words {
		w.until(t, fmt.Sprintf("%q on the page", word), func() (bool, error) {
			text, err := w.text()
			return strings.Contains(text, word), err
		})
	}
}

// expectNoText checks that the page shows none of these texts.
func (w *window) expectNoText(t *testing.T, words ...string) {
	t.Helper()
	text, err := w.text()
	must(t, err)
	expectNoneOf(t, w.who+"'s page", text, words...)
}

// expectPath waits until the page has a path.
func (w *window) expectPath(t *testing.T, path string) {
	t.Helper()
	w.until(t, "the path "+path, func() (bool, error) {
		at, err := eval[string](w, `location.href`)
		if at = strings.TrimPrefix(at, w.PublicURL); err == nil && at != path {
			err = fmt.Errorf("it is %s", at)
		}
		return err == nil, err
	})
}

func (w *window) path(t *testing.T) string {
	t.Helper()
	return strings.TrimPrefix(evaluate[string](t, w, `location.href`), w.PublicURL)
}

// signsIn signs in on the issuer's page, which must be open.
func (w *window) signsIn(t *testing.T, email string) {
	t.Helper()
	w.fill(t, "Email address", email)
	w.press(t, button("Sign in"))
}

// goBackTo goes back in the window's history to a page of the site.
func (w *window) goBackTo(t *testing.T, path string) {
	t.Helper()
	history := call(t, w, page.GetNavigationHistory, cdp.Empty{})
	for i := history.CurrentIndex - 1; i >= 0; i-- {
		if entry := history.Entries[i]; entry.URL == w.PublicURL+path {
			call(t, w, page.NavigateToHistoryEntry, page.NavigateToHistoryEntryParams{EntryID: entry.ID})
			return
		}
	}
	t.Fatalf("%s was not at %s", w.who, path)
}

// deleteCookies deletes cookies of the site, as browsers do in time.
func (w *window) deleteCookies(t *testing.T, names ...string) {
	t.Helper()
	for _, name := range names {
		call(t, w, network.DeleteCookies, network.DeleteCookiesParams{Name: name, URL: w.PublicURL})
	}
	left := call(t, w, network.GetCookies, network.GetCookiesParams{URLs: []string{w.PublicURL}})
	for _, c := range left.Cookies {
		for _, name := range names {
			if c.Name == name {
				t.Fatalf("the browser still has %s", name)
			}
		}
	}
}
