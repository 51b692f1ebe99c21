package follow_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/parley-voice/parley/follow"
	"github.com/parley-voice/parley/identity"
	"github.com/parley-voice/parley/p2p/link"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// diary is a Session that writes down what it is told, and when.
type diary struct {
	mu      sync.Mutex
	began   time.Time
	calls   []string
	startIs error
	joinIs  func(identity.PeerID) error
	stopIs  error
}

func newDiary() *diary { return &diary{began: time.Now()} }

func (d *diary) write(call string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.calls = append(d.calls, fmt.Sprintf("%v %s", time.Since(d.began).Round(10*time.Millisecond), call))
}

func (d *diary) Start(context.Context) error { d.write("start"); return d.startIs }
func (d *diary) Stop() error                 { d.write("stop"); return d.stopIs }

func (d *diary) PeerJoined(id identity.PeerID) error {
	if d.joinIs != nil {
		if err := d.joinIs(id); err != nil {
			return err
		}
	}
	d.write("+" + string(id))
	return nil
}

func (d *diary) PeerLeft(id identity.PeerID) error { d.write("-" + string(id)); return nil }

// read returns what was written, sorted within the same 10 ms.
func (d *diary) read() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	calls := slices.Clone(d.calls)
	slices.SortStableFunc(calls, func(a, b string) int {
		if ta, _, _ := strings.Cut(a, " "); !strings.HasPrefix(b, ta+" ") || strings.Contains(a+b, "st") {
			return 0
		}
		return strings.Compare(a, b)
	})
	return strings.Join(calls, ", ")
}

// lobby is an application's list.
type lobby struct {
	mu  sync.Mutex
	ids []identity.PeerID
}

func (l *lobby) list() []identity.PeerID {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.ids)
}

func (l *lobby) set(ids ...identity.PeerID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ids = ids
}

// following runs Follow until the function it returns is called.
func following(t *testing.T, s follow.Session, source follow.Source, cfg follow.Config) (end func() error) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- follow.Follow(ctx, s, source, cfg) }()
	synctest.Wait()
	return func() error {
		cancel()
		return <-done
	}
}

func expect(t *testing.T, d *diary, want string) {
	t.Helper()
	synctest.Wait()
	if got := d.read(); got != want {
		t.Errorf("the session was told\n\t%s\nwant\n\t%s", got, want)
	}
}

func TestFollowMakesTheFourCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, l := newDiary(), new(lobby)
		l.set("anna", "ben")
		list := follow.List(l.list)
		end := following(t, d, list, follow.Config{})
		time.Sleep(time.Second)
		l.set("ben", "cleo", "cleo")
		list.Changed()
		time.Sleep(time.Second)
		list.Changed() // nothing has changed
		time.Sleep(time.Second)
		l.set("ben", "anna") // and nobody says so
		time.Sleep(7 * time.Second)
		if err := end(); err != nil {
			t.Error(err)
		}
		expect(t, d, "0s start, 0s +anna, 0s +ben, 1s +cleo, 1s -anna, 7s +anna, 7s -cleo, 10s stop")
	})
}

func TestFollowLooksAtABusySourceNotAllTheTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		looks := 0
		list := follow.List(func() []identity.PeerID { looks++; return nil })
		end := following(t, newDiary(), list, follow.Config{})
		for range 1000 {
			list.Changed()
			time.Sleep(time.Millisecond)
		}
		_ = end()
		if looks < 40 || looks > 60 {
			t.Errorf("%d looks in a second", looks)
		}
	})
}

func TestFollowEnds(t *testing.T) {
	broken := errors.New("broken")
	for _, tt := range []struct {
		name    string
		diary   *diary
		source  follow.Source
		want    error
		told    string
		cancels bool
	}{
		{"start fails", &diary{startIs: broken}, follow.List(nobody), broken, "0s start", false},
		{"ctx is over while it starts", &diary{startIs: context.Canceled}, follow.List(nobody), nil, "0s start", true},
		{"the source fails", &diary{}, failing{broken}, broken, "0s start, 0s stop", false},
		{
			"the session was stopped by somebody else", &diary{joinIs: func(identity.PeerID) error { return broken }},
			follow.List(somebody), broken, "0s start, 0s stop", false,
		},
		{"stop fails", &diary{stopIs: broken}, follow.List(nobody), broken, "0s start, 0s stop", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				tt.diary.began = time.Now()
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				if tt.cancels {
					cancel()
				}
				if err := follow.Follow(ctx, tt.diary, tt.source, follow.Config{}); !errors.Is(err, tt.want) {
					t.Errorf("it ends with %v, want %v", err, tt.want)
				}
				expect(t, tt.diary, tt.told)
			})
		})
	}
}

func nobody() []identity.PeerID   { return nil }
func somebody() []identity.PeerID { return []identity.PeerID{"anna"} }

// failing is a Source that fails.
type failing struct{ err error }

func (failing) Members() []identity.PeerID     { return nil }
func (f failing) Wait(_ context.Context) error { return f.err }

// A member with an ID that voice can't take is left out, and said of once.
func TestFollowLeavesOutWhoCannotBeReached(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asked := 0
		d, l := newDiary(), new(lobby)
		d.joinIs = func(id identity.PeerID) error {
			if id == "bot" {
				asked++
				return fmt.Errorf("session: %w", link.ErrInvalidPeer)
			}
			return nil
		}
		l.set("anna", "bot")
		list := follow.List(l.list)
		end := following(t, d, list, follow.Config{})
		time.Sleep(time.Minute)
		l.set("anna")
		list.Changed()
		time.Sleep(time.Second)
		_ = end()
		if asked != 1 {
			t.Errorf("the session was asked %d times", asked)
		}
		expect(t, d, "0s start, 0s +anna, 1m1s stop")
	})
}

// topic is a topic as go-libp2p-pubsub has them.
type topic struct {
	lobby
	events chan struct{}
}

// peerEvent stands for pubsub.PeerEvent.
type peerEvent struct{ kind int }

func (t *topic) ListPeers() []identity.PeerID { return t.list() }

func (t *topic) NextPeerEvent(ctx context.Context) (peerEvent, error) {
	select {
	case <-t.events:
		return peerEvent{1}, nil
	case <-ctx.Done():
		return peerEvent{}, ctx.Err()
	}
}

func (t *topic) change(ids ...identity.PeerID) {
	t.set(ids...)
	t.events <- struct{}{}
}

func TestTopicFollowsItsMembers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, room := newDiary(), &topic{events: make(chan struct{}, 100)}
		end := following(t, d, follow.Topic(room, room), follow.Config{})
		time.Sleep(time.Second)
		room.change("anna", "ben")
		time.Sleep(time.Second)
		room.change("anna") // ben's connection breaks for a moment
		time.Sleep(9 * time.Second)
		room.change("anna", "ben")
		time.Sleep(time.Second)
		room.change("ben") // and anna goes for good
		time.Sleep(3 * time.Second)
		room.change() // ben's breaks again
		time.Sleep(5 * time.Second)
		room.change("ben")
		time.Sleep(12 * time.Second)
		_ = end()
		expect(t, d, "0s start, 1s +anna, 1s +ben, 22s -anna, 32s stop")
	})
}

func TestTheGraceIsKeptToTheMoment(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, room := newDiary(), &topic{events: make(chan struct{}, 100)}
		room.set("anna")
		end := following(t, d, follow.Topic(room, room), follow.Config{Grace: 1500 * time.Millisecond})
		time.Sleep(time.Second)
		room.change()
		time.Sleep(4 * time.Second)
		_ = end()
		expect(t, d, "0s start, 0s +anna, 2.5s -anna, 5s stop")
	})
}
