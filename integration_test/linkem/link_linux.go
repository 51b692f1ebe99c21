package linkem

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// Link is an emulated link that is up. All methods are safe for concurrent
// use.
type Link struct {
	cfg   Config
	ns    [2]*Namespace
	tun   [2]int
	wake  int // an eventfd: the loop ends once it is readable
	began time.Time

	counters [2]counters                // by the side that sends
	pending  [2]atomic.Pointer[pending] // the impairment to use from now on

	close sync.Once
	done  chan struct{} // closed when the loop has ended
}

type pending struct{ imp Impairment }

// New makes a link and starts it: one goroutine, until Close. Without root or
// TUN devices the error is [ErrUnsupported].
func New(cfg Config) (*Link, error) {
	cfg = cfg.withDefaults()
	if err := cfg.check(); err != nil {
		return nil, err
	}
	if err := Supported(); err != nil {
		return nil, err
	}
	l := &Link{cfg: cfg, tun: [2]int{-1, -1}, wake: -1, began: time.Now(), done: make(chan struct{})}
	if err := l.open(); err != nil {
		l.release()
		return nil, fmt.Errorf("linkem: %w", err)
	}
	go l.run()
	return l, nil
}

func (l *Link) open() (err error) {
	if l.wake, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK); err != nil {
		return os.NewSyscallError("eventfd", err)
	}
	for side := range l.ns {
		if l.ns[side], err = openNamespace(l.cfg.Namespace[side]); err != nil {
			return err
		}
		if l.tun[side], err = openTUN(l.ns[side], l.cfg, Side(side)); err != nil {
			return err
		}
	}
	return nil
}

// release closes what was opened. With the last descriptor of a namespace of
// our own, the namespace goes.
func (l *Link) release() {
	for side := range l.ns {
		if l.tun[side] >= 0 {
			_ = unix.Close(l.tun[side])
		}
		if l.ns[side] != nil {
			_ = l.ns[side].Close()
		}
	}
	if l.wake >= 0 {
		_ = unix.Close(l.wake)
	}
}

// Close takes the link down; packets on their way are lost. The namespaces go
// once the programs that run in them have ended. Idempotent.
func (l *Link) Close() error {
	l.close.Do(func() {
		_, _ = unix.Write(l.wake, []byte{1, 0, 0, 0, 0, 0, 0, 0})
		<-l.done
		l.release()
	})
	return nil
}

// Set changes what happens to packets from side from on, beginning with the
// next one. What is on its way stays as it is.
func (l *Link) Set(from Side, imp Impairment) error {
	if err := imp.check(); err != nil {
		return err
	}
	l.pending[from].Store(&pending{imp.withDefaults()})
	return nil
}

// Addr returns the IPv4 address of a side in text, which an unnumbered link
// has not given to it.
func (l *Link) Addr(side Side) string { return l.cfg.Addr[side].Addr().String() }

// Stats returns the counters since New.
func (l *Link) Stats() Stats {
	return Stats{AB: l.counters[A].load(), BA: l.counters[B].load()}
}

// Do runs f on a thread that is in side's namespace: see [Namespace.Do].
func (l *Link) Do(side Side, f func() error) error {
	select {
	case <-l.done:
		return ErrClosed
	default:
		return l.ns[side].Do(f)
	}
}

// Command returns a command that runs name in side's namespace, not started.
// Start it before Close. See [Namespace.Command].
func (l *Link) Command(side Side, name string, args ...string) *exec.Cmd {
	return l.ns[side].Command(name, args...)
}

// Path returns the path of side's namespace, valid until Close and while this
// process lives: for nsenter --net=PATH and the like.
func (l *Link) Path(side Side) string { return l.ns[side].Path() }

// run moves packets until Close. It alone owns the models, the queue and both
// TUN descriptors. It sleeps in ppoll, whose timeout is finer than the
// runtime's timers.
func (l *Link) run() {
	defer close(l.done)
	var (
		q      queue
		models [2]*Model
		buf    = make([]byte, 65536)
	)
	for side, imp := range l.cfg.ways() {
		models[side] = NewModel(imp, l.cfg.Seed, Side(side))
	}
	fds := []unix.PollFd{
		{Fd: int32(l.tun[A]), Events: unix.POLLIN},
		{Fd: int32(l.tun[B]), Events: unix.POLLIN},
		{Fd: int32(l.wake), Events: unix.POLLIN},
	}
	for {
		if _, err := unix.Ppoll(fds, timeout(&q, time.Since(l.began)), nil); err != nil && !errors.Is(err, unix.EINTR) {
			return
		}
		if fds[2].Revents != 0 {
			return
		}
		for from, m := range models {
			if fds[from].Revents != 0 {
				l.take(Side(from), m, &q, buf)
			}
		}
		l.deliver(&q)
	}
}

// timeout returns how long to wait for the next arrival; nil if for ever.
func timeout(q *queue, now time.Duration) *unix.Timespec {
	at, ok := q.next()
	if !ok {
		return nil
	}
	wait := unix.NsecToTimespec(int64(max(0, at-now)))
	return &wait
}

// batch is how many packets of one side are read before arrivals are looked
// at again.
const batch = 32

// take reads what waits at a side and puts it on its way.
func (l *Link) take(from Side, m *Model, q *queue, buf []byte) {
	if next := l.pending[from].Swap(nil); next != nil {
		m.Set(next.imp)
	}
	count := &l.counters[from]
	for range batch {
		n, err := unix.Read(l.tun[from], buf)
		if err != nil || n <= 0 {
			return
		}
		count.sent.Add(1)
		count.sentBytes.Add(uint64(n))
		at, what := m.schedule(time.Since(l.began), n)
		switch what {
		case lost:
			count.lost.Add(1)
		case overflowed:
			count.overflowed.Add(1)
		case delivered:
			q.push(at, 1-from, append([]byte(nil), buf[:n]...))
		}
	}
}

// deliver hands over what has arrived.
func (l *Link) deliver(q *queue) {
	now := time.Since(l.began)
	for {
		at, ok := q.next()
		if !ok || at > now {
			return
		}
		p := q.pop()
		// A packet that the stack refuses (the device is down) is lost to it
		// as it would be on a wire.
		if _, err := unix.Write(l.tun[p.to], p.data); err == nil {
			l.counters[1-p.to].delivered.Add(1)
			l.counters[1-p.to].deliveredBytes.Add(uint64(len(p.data)))
		}
	}
}
