package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"agencyhub/infra/e2e/client"
)

// emailTime bounds the wait for an email.
const emailTime = 20 * time.Second

// A demo plays the story against a stack, and prints it. After an error its steps
// do nothing, so that the story need not look at each.
type demo struct {
	stack  *client.Stack
	out    io.Writer
	run    string // part of this run's addresses
	number int    // of the step
	title  string // of the step
	err    error  // the first; it ended the story
	began  time.Time
	shown  map[string]bool // ids of the emails
	names  []string        // pairs of an id and what is printed in its place
}

func newDemo(stack *client.Stack, out io.Writer) *demo {
	return &demo{stack: stack, out: out, run: strings.ToLower(rand.Text()[:5]), began: time.Now().Add(-time.Second), shown: map[string]bool{}}
}

// A person plays a part.
type person struct {
	name, email, token string
}

// person signs somebody in, at an address of this run alone.
func (s *demo) person(ctx context.Context, name, domain string) person {
	p := person{name: name, email: strings.ToLower(name) + "@" + domain + "-" + s.run + ".test"}
	if s.err == nil {
		if p.token, s.err = s.stack.SignIn(ctx, client.Identity{Email: p.email}); s.err == nil {
			fmt.Fprintf(s.out, "    %s is %s\n", p.name, p.email)
		}
	}
	return p
}

// nameID returns the id in an answer. From now on it is printed as a variable of a
// shell.
func (s *demo) nameID(answer map[string]any, name string) string {
	id := fmt.Sprint(answer["id"])
	if s.err == nil {
		s.names = append([]string{id, "$" + name}, s.names...) // the longer ids come later
		fmt.Fprintf(s.out, "      below, %s is $%s\n", id, name)
	}
	return id
}

func (s *demo) withNames(text string) string { return strings.NewReplacer(s.names...).Replace(text) }

// step begins a step and prints what happens in it.
func (s *demo) step(title string) {
	if s.err == nil {
		s.number, s.title = s.number+1, title
		fmt.Fprintf(s.out, "\n%2d  %s\n", s.number, title)
	}
}

// A call is one call of the API in the story.
type call struct {
	who    person
	method string
	path   string
	body   any
	keyed  bool     // with an Idempotency-Key
	want   int      // the status that the story goes on by
	shows  []string // what of the answer is printed, by path such as access.allowed
}

// do makes a call, prints it with its answer in short, and returns the answer.
func (s *demo) do(ctx context.Context, c call) (answer map[string]any) {
	if s.err == nil {
		answer, s.err = s.try(ctx, c)
	}
	return answer
}

func (s *demo) try(ctx context.Context, c call) (map[string]any, error) {
	var body []byte
	header := []string{"Authorization", "Bearer " + c.who.token}
	if c.body != nil {
		var err error
		if body, err = json.Marshal(c.body); err != nil {
			return nil, err
		}
		header = append(header, "Content-Type", "application/json")
	}
	if c.keyed {
		header = append(header, "Idempotency-Key", rand.Text())
	}
	fmt.Fprintf(s.out, "    %s: %s %s\n", c.who.name, c.method, s.withNames(c.path))
	if body != nil {
		fmt.Fprintf(s.out, "      %s\n", s.withNames(string(body)))
	}
	answer, err := s.stack.Call(ctx, c.method, c.path, body, header...)
	if err != nil {
		return nil, fmt.Errorf("the stack does not answer: %w", err)
	}
	var fields map[string]any
	if err := json.Unmarshal(answer.Body, &fields); err != nil {
		return nil, fmt.Errorf("%s %s answered %d %.200s", c.method, c.path, answer.Status, answer.Body)
	}
	fmt.Fprintf(s.out, "      -> %d %s%s\n", answer.Status, http.StatusText(answer.Status), summary(fields, c.shows))
	if answer.Status != c.want {
		return nil, fmt.Errorf("%s %s answered %d where %d was expected: %s", c.method, c.path, answer.Status, c.want, answer.Body)
	}
	return fields, nil
}

// summary returns what a person wants to know of an answer.
func summary(answer map[string]any, shows []string) string {
	if code, ok := answer["code"].(string); ok {
		return fmt.Sprintf("  %s: %v", code, answer["detail"])
	}
	text := ""
	for _, path := range shows {
		var value any = answer
		for _, name := range strings.Split(path, ".") {
			object, ok := value.(map[string]any)
			if !ok {
				break
			}
			value = object[name]
		}
		if areas, ok := value.(map[string]any); ok {
			value = levels(areas)
		}
		if value == nil {
			value = "-"
		}
		text += fmt.Sprintf("  %s: %v", path, value)
	}
	return text
}

func levels(areas map[string]any) string {
	var parts []string
	for area, level := range areas {
		if level != "none" {
			parts = append(parts, fmt.Sprintf("%s %v", area, level))
		}
	}
	slices.Sort(parts)
	if len(parts) == 0 {
		return "none"
	}
	return strings.Join(parts, ", ")
}

// showEmails waits for as many emails as the step must cause, and prints them.
func (s *demo) showEmails(ctx context.Context, n int) {
	if s.err == nil {
		s.err = s.waitForEmails(ctx, n)
	}
}

func (s *demo) waitForEmails(ctx context.Context, n int) error {
	for deadline := time.Now().Add(emailTime); ; {
		all, err := s.stack.Emails(ctx, s.began)
		if err != nil {
			return err
		}
		var fresh []client.Email
		for _, m := range all {
			if strings.HasSuffix(m.To, "-"+s.run+".test") && !s.shown[m.ID] {
				fresh = append(fresh, m)
			}
		}
		if len(fresh) >= n {
			for _, m := range fresh {
				s.shown[m.ID] = true
				s.showEmail(m)
			}
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%d of %d emails are there after %s; look at the terminal of the stack for what notify says", len(fresh), n, emailTime)
		}
		select {
		case <-ctx.Done():
			return errors.New("interrupted")
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// showEmail prints an email: its recipient, its subject, and how its text begins.
func (s *demo) showEmail(m client.Email) {
	fmt.Fprintf(s.out, "    email to %s\n      | %s\n", m.To, m.Subject)
	text := strings.Split(strings.TrimSpace(m.Text), "\n")
	printed := 0
	for _, line := range text[min(2, len(text)):] { // the title says what the subject does
		if printed == 3 {
			fmt.Fprintln(s.out, "      |   …")
			break
		}
		if line = strings.TrimSpace(line); line != "" {
			fmt.Fprintf(s.out, "      |   %s\n", line)
			printed++
		}
	}
}

// rows prints the items of a list.
func (s *demo) rows(list map[string]any, shown func(map[string]any) string) {
	items, _ := list["items"].([]any)
	for _, item := range items {
		if row, ok := item.(map[string]any); ok {
			fmt.Fprintf(s.out, "         %s\n", shown(row))
		}
	}
}

// goodbye prints where to look further.
func (s *demo) goodbye() {
	fmt.Fprintf(s.out, "\nThat was the story: %d steps, %d emails.\n", s.number, len(s.shown))
	fmt.Fprintf(s.out, "All emails, as people see them:  %s\n", s.stack.SES)
	fmt.Fprintf(s.out, "Go on by hand:  make token EMAIL=ann@bright-%s.test\n", s.run)
}
