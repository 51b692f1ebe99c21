package session

import (
	"context"
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/parley-voice/parley/audio"
)

// endpoint is the source or the sink of a conversation, or the reason why
// there is none.
type endpoint[T io.Closer] struct {
	value  T
	open   bool
	device audio.Device // nil if the endpoint is unpaced
	start  atomic.Int64 // wall clock of the first sample, in Unix nanoseconds; 0 before it

	mu     sync.Mutex // guards reason
	reason string     // why it doesn't work now; empty if it does
}

var errNotConfigured = errors.New("not configured")

type opened[T io.Closer] struct {
	value T
	err   error
}

// openLater opens an endpoint in the background, since a driver may take its
// time. What nobody takes is closed.
func openLater[T io.Closer](open func() (T, error)) <-chan opened[T] {
	ch := make(chan opened[T], 1)
	if open == nil {
		ch <- opened[T]{err: errNotConfigured}
		return ch
	}
	go func() { // ends when open returns
		v, err := open()
		ch <- opened[T]{v, err}
	}()
	return ch
}

// take waits for an endpoint that is being opened. The error says why there is
// none although one is configured. abandoned is not nil if ctx was over before;
// it is closed when the endpoint has been opened and closed again.
func (e *endpoint[T]) take(ctx context.Context, ch <-chan opened[T], none string) (abandoned <-chan struct{}, err error) {
	select {
	case o := <-ch:
		switch {
		case errors.Is(o.err, errNotConfigured), o.err == nil && any(o.value) == nil:
			e.reason = none
			return nil, nil
		case o.err != nil:
			e.reason = o.err.Error()
			return nil, o.err
		}
		e.value, e.open = o.value, true
		e.device, _ = any(o.value).(audio.Device)
		return nil, nil
	case <-ctx.Done():
		gone := make(chan struct{})
		go func() { // ends when open returns
			defer close(gone)
			if o := <-ch; o.err == nil && any(o.value) != nil {
				_ = o.value.Close() // nobody is left to be told
			}
		}()
		e.reason = ctx.Err().Error()
		return gone, ctx.Err()
	}
}

func (e *endpoint[T]) close() {
	if e.open {
		_ = e.value.Close() // there is no more use for it whatever it says
	}
}

// began notes when the first sample was spoken or heard.
func (e *endpoint[T]) began(at time.Time) { e.start.CompareAndSwap(0, at.UnixNano()) }

func (e *endpoint[T]) latency() time.Duration {
	if e.device == nil {
		return 0
	}
	return e.device.Latency()
}

// setReason notes why the endpoint fails, or with "" that it works, and
// reports whether that is news.
func (e *endpoint[T]) setReason(reason string) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	news := (e.reason == "") != (reason == "")
	e.reason = reason
	return news
}

// why says why the endpoint doesn't work now; empty if it does. A device that is
// away gives silence instead of errors.
func (e *endpoint[T]) why() string {
	e.mu.Lock()
	reason := e.reason
	e.mu.Unlock()
	if reason == "" && e.device != nil {
		if f := e.device.Faults(); f.Lost {
			return f.Reason
		}
	}
	return reason
}

func (e *endpoint[T]) stats() EndpointStats {
	st := EndpointStats{Open: e.open, Reason: e.why(), Latency: e.latency()}
	if ns := e.start.Load(); ns != 0 {
		st.Start = time.Unix(0, ns)
	}
	if e.device != nil {
		st.Faults = e.device.Faults()
		st.Open = !st.Faults.Lost || st.Faults.Losses > 0 // what is lost without a loss never was there
	}
	return st
}
