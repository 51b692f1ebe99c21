package session_test

import (
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/parley-voice/parley/identity"
	"github.com/parley-voice/parley/session"
	"github.com/parley-voice/parley/session/sessiontest"
	"github.com/parley-voice/parley/session/wire"
)

// postman is a rogue that counts the parts it gets, those that were taken, and the
// rulings.
type postman struct {
	rogue
	parts, taken, rulings atomic.Uint64
}

func (r *postman) Control(_ identity.PeerID, b []byte) {
	m, err := wire.Unmarshal(b)
	if err != nil {
		return
	}
	if m.GetPart() != nil {
		r.parts.Add(1)
	}
	if m.GetRuling() != nil {
		r.rulings.Add(1)
	}
	if m.GetTaken() != nil {
		r.taken.Store(m.GetTaken().GetParts())
	}
}

// newPostman greets as one that takes messages.
func newPostman(t *testing.T, net *sessiontest.Network, n int, m *member, more ...string) *postman {
	t.Helper()
	r := &postman{rogue: rogue{net.Transport(sessiontest.PeerID(n))}}
	must(t, r.Open(r))
	must(t, r.Join(m.id))
	must(t, m.PeerJoined(r.Self()))
	must(t, r.SendControl(m.id, encode(t, &wire.Control{Kind: &wire.Control_Hello{Hello: &wire.Hello{
		Version: 1, OldestVersion: 1, Codecs: []string{"test"}, Capabilities: append(more, wire.Messages),
	}}})))
	time.Sleep(200 * time.Millisecond)
	return r
}

func (r *postman) send(t *testing.T, m *member, h *wire.Head, body string) {
	t.Helper()
	must(t, r.SendControl(m.id, encode(t, &wire.Control{Kind: &wire.Control_Part{Part: &wire.Part{Head: h, Body: []byte(body)}}})))
}

func text(n int) *wire.Head { return &wire.Head{Target: wire.HeadEveryone, Length: uint32(n)} }

// Parts that make no sense are counted, and what makes sense comes all the same.
func TestMessagesThatMakeNoSense(t *testing.T) {
	type piece struct {
		head *wire.Head
		body string
	}
	for name, c := range map[string]struct {
		pieces    []piece
		malformed uint64
		want      []string
	}{
		"no beginning":        {[]piece{{nil, "x"}, {text(1), "y"}}, 1, []string{"y"}},
		"no end":              {[]piece{{text(5), "x"}, {text(1), "y"}}, 1, []string{"y"}},
		"too much":            {[]piece{{text(3), "xx"}, {nil, "yy"}, {nil, "z"}, {text(1), "y"}}, 2, []string{"y"}},
		"too much at once":    {[]piece{{text(1), "xx"}, {text(1), "y"}}, 1, []string{"y"}},
		"an empty part":       {[]piece{{text(3), "xx"}, {nil, ""}, {nil, "z"}, {text(1), "y"}}, 2, []string{"y"}},
		"an empty beginning":  {[]piece{{text(1), ""}, {nil, "z"}}, 0, []string{"z"}},
		"no UTF-8":            {[]piece{{text(1), "\xff"}, {text(1), "y"}}, 1, []string{"y"}},
		"cut in a character":  {[]piece{{text(2), "\xc3"}, {nil, "\xa4"}}, 0, []string{"ä"}},
		"control characters":  {[]piece{{text(5), "\x1b[2Ja"}}, 0, []string{"\uFFFD[2Ja"}},
		"data of any bytes":   {[]piece{{&wire.Head{Data: true, Topic: "t", Length: 1}, "\xff"}}, 0, []string{"t/1"}},
		"data that are empty": {[]piece{{&wire.Head{Data: true, Topic: "t"}, ""}}, 0, []string{"t/0"}},
		"a room that we leave": {
			[]piece{{&wire.Head{Target: wire.HeadRoom, Room: "other", Length: 1}, "x"}, {text(1), "y"}},
			0,
			[]string{"y"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			party(t, nearby, func(t *testing.T, net *sessiontest.Network) {
				m := newMember(t, net, 1, nil)
				defer closeAll(t, m)
				must(t, m.Listen("team"))
				m.start(t)
				r := newPostman(t, net, 3, m)
				for _, p := range c.pieces {
					r.send(t, m, p.head, p.body)
				}
				time.Sleep(time.Second)
				if got := mail(m); !slices.Equal(got, c.want) || m.Stats().Malformed != c.malformed {
					t.Errorf("came %q, %d malformed; want %q, %d", got, m.Stats().Malformed, c.want, c.malformed)
				}
				if got := r.taken.Load(); got != uint64(len(c.pieces)) {
					t.Errorf("of %d parts %d were taken", len(c.pieces), got)
				}
				must(t, r.Close())
			})
		})
	}
}

// Whoever sends faster than is allowed costs itself its messages, and nobody else
// anything; it may go on when it keeps to what is allowed.
func TestAFloodOfMessagesIsBounded(t *testing.T) {
	for _, read := range []bool{true, false} {
		t.Run(fmt.Sprintf("read %t", read), func(t *testing.T) {
			party(t, nearby, func(t *testing.T, net *sessiontest.Network) {
				m, honest := newMember(t, net, 1, nil), newMember(t, net, 2, nil)
				defer closeAll(t, m, honest)
				meet(t, m, honest)
				r := newPostman(t, net, 3, m)
				mail(m)
				must(t, honest.SendText(session.Everyone(), "hello"))
				time.Sleep(100 * time.Millisecond)
				var got []string
				const rounds, each = 100, 30
				for range rounds {
					for range each {
						r.send(t, m, text(1), "x")
					}
					time.Sleep(100 * time.Millisecond)
					if read {
						got = append(got, mail(m)...)
					}
				}
				honest.SetMuted(true)
				must(t, honest.SendText(session.Everyone(), "still here"))
				time.Sleep(time.Second)
				if read {
					got = append(got, mail(m)...)
				} else {
					muted := false
					for len(m.Events()) > 0 {
						switch e := (<-m.Events()).(type) {
						case session.TextReceived:
							got = append(got, e.Text)
						case session.PeerState:
							muted = muted || e.Muted
						}
					}
					if !muted || m.Stats().EventsDropped != 0 {
						t.Errorf("an event of another was pushed out; %d dropped", m.Stats().EventsDropped)
					}
				}
				count := func(text string) (n int) {
					for _, x := range got {
						if x == text {
							n++
						}
					}
					return n
				}
				if count("hello") != 1 || count("still here") != 1 {
					t.Errorf("of another came %d and %d", count("hello"), count("still here"))
				}
				most := 16 + 8 // a share of the events, and what waits for room
				if read {
					most = 32 + 20*10 + 8 // what is allowed at once, and in 10 s
				}
				if n := count("x"); n > most || n < most-2*wire.PartWindow-4 {
					t.Errorf("%d came of the flood, want about %d", n, most)
				}
				st := statsOf(t, m, r.Self()).Messages
				if st.Flooded < rounds*each-uint64(most) || st.Flooded+st.Received > rounds*each {
					t.Errorf("counted %+v", st)
				}
				mail(m)
				time.Sleep(time.Second)
				r.send(t, m, text(2), "ok")
				if got := mailIn(m, 2*time.Second); !slices.Contains(got, "ok") {
					t.Errorf("after the flood came %q", got)
				}
				must(t, r.Close())
			})
		})
	}
}

// Many peers together can't push out what is no message.
func TestMessagesOfAllLeaveRoomForOthers(t *testing.T) {
	party(t, nearby, func(t *testing.T, net *sessiontest.Network) {
		m := newMember(t, net, 1, nil)
		defer closeAll(t, m)
		m.start(t)
		var all []*postman
		for n := range 20 {
			all = append(all, newPostman(t, net, 10+n, m))
		}
		mail(m)
		for range 10 {
			for _, r := range all {
				for range 4 {
					r.send(t, m, text(1), "x")
				}
			}
			time.Sleep(time.Second)
		}
		if got := len(m.Events()); got != 64 || m.Stats().EventsDropped != 0 {
			t.Errorf("%d messages wait to be read; %d events were dropped", got, m.Stats().EventsDropped)
		}
		for _, r := range all {
			must(t, r.Close())
		}
	})
}

// A peer that says it took what was never sent, or nothing at all, makes us send no
// more than it may get.
func TestAPeerThatLiesAboutWhatItTook(t *testing.T) {
	for name, c := range map[string]struct {
		taken            []uint64
		parts, malformed uint64
	}{
		"nothing":        {nil, 1, 0},
		"too much":       {[]uint64{3, 1 << 63}, 1, 2},
		"less and less":  {[]uint64{1, 0, 0}, 2, 0},
		"one and no end": {[]uint64{1, 1, 1, 1}, 2, 0},
	} {
		t.Run(name, func(t *testing.T) {
			party(t, nearby, func(t *testing.T, net *sessiontest.Network) {
				m := newMember(t, net, 1, nil)
				defer closeAll(t, m)
				m.start(t)
				r := newPostman(t, net, 3, m)
				must(t, m.SendData(session.Everyone(), "", []byte(strings.Repeat("x", session.MaxData))))
				time.Sleep(time.Second)
				for _, n := range c.taken {
					must(t, r.SendControl(m.id, encode(t, &wire.Control{Kind: &wire.Control_Taken{Taken: &wire.Taken{Parts: n}}})))
				}
				time.Sleep(time.Second)
				if r.parts.Load() != c.parts || m.Stats().Malformed != c.malformed {
					t.Errorf("%d parts were sent, %d malformed; want %d, %d", r.parts.Load(), m.Stats().Malformed, c.parts, c.malformed)
				}
				must(t, r.Close())
			})
		})
	}
}

// A peer that crashed and is back without a bye begins anew in both directions: what
// was cut in the middle is not finished by what it says then.
func TestMessagesOfAPeerThatCrashed(t *testing.T) {
	party(t, nearby, func(t *testing.T, net *sessiontest.Network) {
		m := newMember(t, net, 1, nil)
		defer closeAll(t, m)
		m.start(t)
		r := newPostman(t, net, 3, m)
		must(t, m.SendData(session.Everyone(), "", make([]byte, session.MaxData)))
		must(t, m.SendText(session.Everyone(), "after it"))
		r.send(t, m, text(9), "half ")
		time.Sleep(time.Second)
		if got := r.parts.Load(); got != 1 {
			t.Errorf("%d parts came before the crash", got)
		}
		must(t, r.Close())
		r = newPostman(t, net, 3, m)
		time.Sleep(time.Second)
		if got := r.parts.Load(); got != 1 {
			t.Errorf("back it got %d parts, want one text", got)
		}
		for range wire.PartWindow {
			r.send(t, m, nil, "x") // of what it doesn't know
		}
		time.Sleep(time.Second)
		r.send(t, m, text(1), "y")
		if got := mailIn(m, time.Second); !slices.Equal(got, []string{"y"}) || m.Stats().Malformed != wire.PartWindow {
			t.Errorf("came %q, %d parts malformed", got, m.Stats().Malformed)
		}
		if got := statsOf(t, m, r.Self()).Messages; got != (session.MessageStats{Sent: 1, Dropped: 1, Received: 1}) {
			t.Errorf("counted %+v", got)
		}
		must(t, r.Close())
	})
}
