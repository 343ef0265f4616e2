package main

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestLifecycle(t *testing.T) {
	var did []string
	errStart, errStop := errors.New("no start"), errors.New("no stop")
	made := func(name string, start, stop error) part {
		return part{
			name: name, startTime: time.Minute,
			start: func(ctx context.Context) (stopFunc, error) {
				if _, bounded := ctx.Deadline(); !bounded {
					t.Errorf("the start of %s has no deadline", name)
				}
				did = append(did, "start "+name)
				return func(ctx context.Context) error {
					if _, bounded := ctx.Deadline(); !bounded {
						t.Errorf("the stop of %s has no deadline", name)
					}
					did = append(did, "stop "+name)
					return stop
				}, start
			},
		}
	}
	var l lifecycle
	err := l.start(t.Context(), []part{made("a", nil, errStop), made("b", nil, nil), made("c", errStart, nil), made("d", nil, nil)})
	if !errors.Is(err, errStart) {
		t.Errorf("start: %v", err)
	}
	if err := l.stop(); !errors.Is(err, errStop) || err.Error() != "a does not stop: no stop" {
		t.Errorf("stop: %v", err)
	}
	if diff := cmp.Diff([]string{"start a", "start b", "start c", "stop c", "stop b", "stop a"}, did); diff != "" {
		t.Error(diff)
	}
}
