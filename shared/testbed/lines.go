package testbed

import (
	"strings"
	"sync"
)

// Lines is a buffer that several goroutines may write.
type Lines struct {
	mu sync.Mutex
	b  strings.Builder
}

// Write appends to the buffer.
func (l *Lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

// Reset forgets all that was written.
func (l *Lines) Reset() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.b.Reset()
}

// String returns all that was written.
func (l *Lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
