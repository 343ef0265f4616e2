package standins

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"time"

	"agencyhub/infra/local/disk"
	"agencyhub/infra/local/lambda"
	"agencyhub/infra/local/template"
)

// A Scheduler stands in for EventBridge Scheduler. It keeps when each schedule ran
// last: one that was due while nothing ran runs once at the start.
type Scheduler struct {
	Path      string // the file of its state
	Schedules []template.Schedule
	Invoke    lambda.Invoke
	Now       func() time.Time
	Logf      func(format string, args ...any)
}

// Run runs the schedules on time until ctx ends.
func (s *Scheduler) Run(ctx context.Context) error {
	last := map[string]time.Time{}
	if err := disk.ReadJSON(s.Path, &last); err != nil {
		return err
	}
	for _, sch := range s.Schedules {
		if last[sch.Name].IsZero() {
			last[sch.Name] = s.Now()
		}
	}
	for {
		var due time.Time
		for _, sch := range s.Schedules {
			if next := last[sch.Name].Add(sch.Every); due.IsZero() || next.Before(due) {
				due = next
			}
		}
		if due.IsZero() {
			return nil
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(due.Sub(s.Now())):
		}
		now := s.Now()
		for _, sch := range s.Schedules {
			if last[sch.Name].Add(sch.Every).After(now) {
				continue
			}
			last[sch.Name] = now
			go func() {
				if _, err := s.fire(context.WithoutCancel(ctx), sch, nil); err != nil {
					s.Logf("the scheduled run of %s failed: %v", sch.Function, err)
				}
			}()
		}
		state, err := json.Marshal(last)
		if err != nil {
			return err
		}
		if err := disk.WriteFile(s.Path, state); err != nil {
			return err
		}
	}
}

// fire runs a schedule now and returns the function's response. An empty input is the
// event that EventBridge Scheduler sends.
func (s *Scheduler) fire(ctx context.Context, sch template.Schedule, input []byte) ([]byte, error) {
	if len(input) == 0 {
		e := newEvent("aws.scheduler", "Scheduled Event", s.Now(), json.RawMessage(`"{}"`))
		e.Resources = []string{fmt.Sprintf("arn:aws:scheduler:%s:%s:schedule/default/%s", template.Region, template.AccountID, sch.Name)}
		var err error
		if input, err = json.Marshal(e); err != nil {
			return nil, err
		}
	}
	return s.Invoke(ctx, sch.Function, input)
}

// Serve runs the schedule of the function whose folder is {function} in the path now,
// with the body as its input unless that is empty. It writes the function's response.
func (s *Scheduler) Serve(w http.ResponseWriter, r *http.Request) {
	folder := r.PathValue("function")
	i := slices.IndexFunc(s.Schedules, func(sch template.Schedule) bool { return template.Folder(sch.Function) == folder })
	if i < 0 {
		http.Error(w, "the template has no schedule for "+folder, http.StatusNotFound)
		return
	}
	input, err := io.ReadAll(io.LimitReader(r.Body, lambda.MaxPayload))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	response, err := s.fire(r.Context(), s.Schedules[i], input)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(response) // fails when the caller has gone
}
