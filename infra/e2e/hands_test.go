package e2e

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// A target is something on a page that a person uses: what it is, and the words
// on it or of its label.
type target struct {
	Kind string `json:"kind"`
	Name string `json:"name"`
}

func button(name string) target { return target{Kind: "button", Name: name} }
func anchor(name string) target { return target{Kind: "link", Name: name} }
func field(label string) target { return target{Kind: "field", Name: label} }
func choice(label string) target {
	return target{Kind: "choice", Name: label}
}
func fold(summary string) target { return target{Kind: "fold", Name: summary} }

func (t target) String() string {
	return fmt.Sprintf("the %s %q", t.Kind, t.Name)
}

// find is the element of a target as a person finds it: by what can be seen.
const find = `((target) => {
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

// on evaluates a function of a target's element.
func on[T any](w *window, at target, function string) (T, error) {
	text, err := json.Marshal(at)
	if err != nil {
		var none T
		return none, err
	}
	return eval[T](w, fmt.Sprintf(`(%s)(%s(%s))`, function, find, text))
}

// until waits for what a page will come to. While it is being left, it answers
// errors.
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

// document is what tells one shown page from the next.
func (w *window) document(t *testing.T) float64 {
	t.Helper()
	at, err := eval[float64](w, `performance.timeOrigin`)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

// leads does something that leads to another page, and waits until that is
// there whole.
func (w *window) leads(t *testing.T, what string, do func()) {
	t.Helper()
	before := w.document(t)
	do()
	w.until(t, "the page that "+what+" leads to", func() (bool, error) {
		return eval[bool](w, fmt.Sprintf(`performance.timeOrigin !== %v && document.readyState === 'complete'`, before))
	})
}

// open goes to an address of the site, or to a whole one.
func (w *window) open(t *testing.T, address string) {
	t.Helper()
	if strings.HasPrefix(address, "/") {
		address = w.PublicURL + address
	}
	w.leads(t, address, func() {
		if r := call(t, w, page.Navigate, page.NavigateParams{URL: address}); r.ErrorText != "" {
			t.Fatalf("%s: %s", address, r.ErrorText)
		}
	})
}

// press uses a button or a link that leads to another page.
func (w *window) press(t *testing.T, at target) {
	t.Helper()
	w.leads(t, at.String(), func() { w.use(t, at) })
}

// use clicks on a target, or goes to it by Tab and presses the key for it.
func (w *window) use(t *testing.T, at target) {
	t.Helper()
	if w.byKeyboard {
		w.reach(t, at)
		key := kb.Enter
		if at.Kind == "choice" || at.Kind == "fold" {
			key = " "
		}
		w.key(t, key)
		return
	}
	spot := w.spot(t, at)
	w.do(t, chromedp.MouseClickXY(spot.X, spot.Y))
}

// key presses keys.
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

type spot struct{ X, Y float64 }

// spot scrolls to a target and answers its middle, which nothing may cover.
func (w *window) spot(t *testing.T, at target) spot {
	t.Helper()
	var s spot
	w.until(t, at.String(), func() (bool, error) {
		var err error
		s, err = on[spot](w, at, `(e) => {
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

// maxTabs bounds how far a target may be away for somebody without a mouse.
const maxTabs = 150

// reach goes to a target by Tab alone. Whatever is focused on the way must show
// that it is, inside of the window.
func (w *window) reach(t *testing.T, at target) {
	t.Helper()
	w.spotless(t, at)
	var before string
	for range maxTabs {
		type focus struct {
			Here, Shown bool
			What        string
		}
		text, err := json.Marshal(at)
		if err != nil {
			t.Fatal(err)
		}
		f, err := eval[focus](w, fmt.Sprintf(`(() => {
		  const [e, a] = [%s(%s), document.activeElement];
		  const group = e.type === 'radio' && a.type === 'radio' && a.name === e.name && a.form === e.form;
		  const style = getComputedStyle(a);
		  const r = a.getBoundingClientRect();
		  const marked = (style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) > 0) || style.boxShadow !== 'none';
		  return { here: a === e || group, shown: marked && r.bottom > 0 && r.top < innerHeight, what: a.outerHTML.slice(0, 160) };
		})()`, find, text))
		if err != nil {
			t.Fatalf("%s looks for %s: %v", w.who, at, err)
		}
		// Within a date the browser itself marks the part that is focused.
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

// spotless waits until a target is there.
func (w *window) spotless(t *testing.T, at target) {
	t.Helper()
	w.until(t, at.String(), func() (bool, error) {
		return on[bool](w, at, `() => true`)
	})
}

// fill types into a field, in place of what is in it.
func (w *window) fill(t *testing.T, label, text string) {
	t.Helper()
	at := field(label)
	if w.byKeyboard {
		w.reach(t, at)
		w.key(t, "a", chromedp.KeyModifiers(kb.ModifierCtrl))
		w.key(t, text)
	} else {
		w.use(t, at)
		if _, err := on[struct{}](w, at, `(e) => { e.focus(); e.select?.(); }`); err != nil {
			t.Fatal(err)
		}
		call(t, w, input.InsertText, input.InsertTextParams{Text: text})
	}
	got, err := on[string](w, at, `(e) => e.value`)
	if err != nil || got != text {
		t.Fatalf("%s holds %q, not %q (%v)", at, got, text, err)
	}
}

// choose picks one of several, or ticks a box.
func (w *window) choose(t *testing.T, at target) {
	t.Helper()
	chosen := func() bool {
		t.Helper()
		on, err := on[bool](w, at, `(e) => e.checked`)
		if err != nil {
			t.Fatalf("%s: %v", at, err)
		}
		return on
	}
	switch radio, err := on[bool](w, at, `(e) => e.type === 'radio'`); {
	case err != nil:
		t.Fatalf("%s: %v", at, err)
	case chosen():
	case w.byKeyboard && radio:
		w.reach(t, at)
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

// text is what the page shows, its breaks as blanks.
func (w *window) text() (string, error) {
	return eval[string](w, `document.body.innerText.replace(/\s+/g, ' ')`)
}

// sees waits until the page shows each of these words.
func (w *window) sees(t *testing.T, words ...string) {
	t.Helper()
	for _, word := range words {
		w.until(t, fmt.Sprintf("%q on the page", word), func() (bool, error) {
			text, err := w.text()
			return strings.Contains(text, word), err
		})
	}
}

// misses holds the page to showing none of these words.
func (w *window) misses(t *testing.T, words ...string) {
	t.Helper()
	text, err := w.text()
	if err != nil {
		t.Fatal(err)
	}
	for _, word := range words {
		if strings.Contains(text, word) {
			t.Errorf("%s sees %q: %s", w.who, word, text)
		}
	}
}

// at holds the page to its address on the site.
func (w *window) at(t *testing.T, path string) {
	t.Helper()
	if got := w.path(t); got != path {
		t.Fatalf("%s is at %s, not at %s", w.who, got, path)
	}
}

func (w *window) path(t *testing.T) string {
	t.Helper()
	at, err := eval[string](w, `location.href`)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimPrefix(at, w.PublicURL)
}

// signsIn goes through the issuer's page, which must be shown.
func (w *window) signsIn(t *testing.T, email string) {
	t.Helper()
	w.fill(t, "Email address", email)
	w.press(t, button("Sign in"))
}

// forgets drops cookies of the site, as browsers do with their time.
func (w *window) forgets(t *testing.T, names ...string) {
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
