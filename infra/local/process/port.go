package process

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"sync/atomic"
	"syscall"
	"time"
)

// Listen opens a port on 127.0.0.1; 0 takes a free one. An error names the port
// and the command line flag that sets it.
func Listen(flag string, port int) (net.Listener, error) {
	if port == 0 {
		return listenAnywhere()
	}
	for try := 0; ; try++ {
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		switch inUse := errors.Is(err, syscall.EADDRINUSE); {
		case err == nil:
			return l, nil
		case !inUse:
			return nil, fmt.Errorf("-%s %d: %w", flag, port, err)
		case try == 20:
			return nil, fmt.Errorf("port %d is in use by another program: stop it, or choose another port with -%s PORT (0 takes a free one)", port, flag)
		}
		time.Sleep(20 * time.Millisecond) // the children of a runner killed a moment ago may still hold it
	}
}

// ports counts the free ports that this process has taken.
var ports atomic.Int64

// listenAnywhere takes a free port below those that systems give to outgoing
// connections. One of these could otherwise take the port of a server before it
// starts, or while it restarts. Each process has a sequence of its own, so that no
// other stack takes a port between its reservation and the start of its program.
func listenAnywhere() (net.Listener, error) {
	for {
		port := 20_000 + (int64(os.Getpid())*131+ports.Add(1))%12_000
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if !errors.Is(err, syscall.EADDRINUSE) {
			return l, err
		}
	}
}

// PortOf returns the port of a listener that Listen opened.
func PortOf(l net.Listener) int { return l.Addr().(*net.TCPAddr).Port }

// WaitListening waits until something accepts connections on the port. It returns
// an error when the process ends before, or ctx does.
func (p *Process) WaitListening(ctx context.Context, port int) error {
	for {
		c, err := net.DialTimeout("tcp", fmt.Sprintf("127.0.0.1:%d", port), time.Second)
		if err == nil {
			return c.Close()
		}
		select {
		case <-p.Exited:
			return fmt.Errorf("%s before it listened on port %d", p.Ending(), port)
		case <-ctx.Done():
			return fmt.Errorf("%s does not listen on port %d: %w", p.name, port, ctx.Err())
		case <-time.After(5 * time.Millisecond):
		}
	}
}
