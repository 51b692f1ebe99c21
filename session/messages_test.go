package session_test

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/parley-voice/parley/session"
	"github.com/parley-voice/parley/session/sessiontest"
)

// mail is the messages that a member was told of until now, as texts: data by its
// topic and length.
func mail(m *member) (all []string) {
	for {
		select {
		case e := <-m.Events():
			switch e := e.(type) {
			case session.TextReceived:
				all = append(all, e.Text)
			case session.DataReceived:
				all = append(all, fmt.Sprintf("%s/%d", e.Topic, len(e.Data)))
			}
		default:
			return all
		}
	}
}

// mailIn is what comes in a time.
func mailIn(m *member, d time.Duration) (all []string) {
	for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		all = append(all, mail(m)...)
	}
	return all
}

func TestMessagesComeToWhomTheyAreFor(t *testing.T) {
	party(t, nearby, func(t *testing.T, net *sessiontest.Network) {
		a, team, all, other := newMember(t, net, 1, nil), newMember(t, net, 2, nil), newMember(t, net, 3, nil), newMember(t, net, 4, nil)
		defer closeAll(t, a, team, all, other)
		must(t, team.Listen("team"))
		must(t, other.Listen("other"))
		meet(t, a, team, all, other)
		speak(t, a, session.Room("other")) // whom voice goes to doesn't matter
		team.SetDeafened(true)             // nor who hears it
		must(t, a.SendText(session.Room("team"), "to the team"))
		must(t, a.SendData(session.Room("other"), "move", nil))
		must(t, a.SendText(session.Whisper(team.id), "to you"))
		must(t, a.SendText(session.Everyone(), "to all"))
		time.Sleep(200 * time.Millisecond)
		for _, c := range []struct {
			of   *member
			want []session.Event
		}{
			{team, []session.Event{
				session.TextReceived{Peer: a.id, To: session.Room("team"), Text: "to the team"},
				session.TextReceived{Peer: a.id, To: session.Whisper(team.id), Text: "to you"},
				session.TextReceived{Peer: a.id, To: session.Everyone(), Text: "to all"},
			}},
			{all, []session.Event{
				session.TextReceived{Peer: a.id, To: session.Room("team"), Text: "to the team"},
				session.DataReceived{Peer: a.id, To: session.Room("other"), Topic: "move"},
				session.TextReceived{Peer: a.id, To: session.Everyone(), Text: "to all"},
			}},
			{other, []session.Event{
				session.DataReceived{Peer: a.id, To: session.Room("other"), Topic: "move"},
				session.TextReceived{Peer: a.id, To: session.Everyone(), Text: "to all"},
			}},
		} {
			var got []string
			for len(c.of.Events()) > 0 {
				switch e := (<-c.of.Events()).(type) {
				case session.TextReceived, session.DataReceived:
					got = append(got, fmt.Sprintf("%+v", e))
				}
			}
			var want []string
			for _, e := range c.want {
				want = append(want, fmt.Sprintf("%+v", e))
			}
			if !slices.Equal(got, want) {
				t.Errorf("%s got\n%q, want\n%q", c.of.id, got, want)
			}
			if got := c.of.peer(t, a).Messages; got != (session.MessageStats{Received: uint64(len(want))}) {
				t.Errorf("counted %+v", got)
			}
			if got := a.peer(t, c.of).Messages; got != (session.MessageStats{Sent: uint64(len(want))}) {
				t.Errorf("counted %+v by who sent it", got)
			}
		}
	})
}

// The longest messages come whole, in order, and byte by byte as they were.
func TestLongMessagesComeWhole(t *testing.T) {
	lossy := sessiontest.Config{Link: sessiontest.LinkConfig{Delay: 40 * time.Millisecond, Loss: 0.1, Jitter: 10 * time.Millisecond}}
	party(t, lossy, func(t *testing.T, net *sessiontest.Network) {
		a, b := pair(t, net, nil)
		defer closeAll(t, a, b)
		time.Sleep(500 * time.Millisecond)
		text := strings.Repeat("ä", session.MaxText/2)
		data := make([]byte, session.MaxData)
		for i := range data {
			data[i] = byte(i * i >> 8)
		}
		must(t, a.SendText(session.Everyone(), text))
		must(t, a.SendData(session.Whisper(b.id), strings.Repeat("t", session.MaxTopic), data))
		must(t, a.SendText(session.Everyone(), "x"))
		want := bytes.Clone(data)
		clear(data) // it was copied
		if got := next[session.TextReceived](t, b, 5*time.Second); got.Text != text {
			t.Errorf("a text of %d bytes came", len(got.Text))
		}
		if got := next[session.DataReceived](t, b, 5*time.Second); !bytes.Equal(got.Data, want) || len(got.Topic) != session.MaxTopic {
			t.Errorf("data of %d bytes came, with a topic of %d", len(got.Data), len(got.Topic))
		}
		if got := next[session.TextReceived](t, b, 5*time.Second); got.Text != "x" {
			t.Errorf("then came %q", got.Text)
		}
	})
}

func TestWhatCanNotBeSentIsAnError(t *testing.T) {
	party(t, nearby, func(t *testing.T, net *sessiontest.Network) {
		a, b := newMember(t, net, 1, nil), newMember(t, net, 2, nil)
		defer closeAll(t, b)
		if err := a.SendText(session.Everyone(), "early"); !errors.Is(err, session.ErrNotStarted) {
			t.Errorf("before Start: %v", err)
		}
		meet(t, a, b)
		long := strings.Repeat("x", session.MaxData+1)
		for name, c := range map[string]struct{ got, want error }{
			"empty text":      {a.SendText(session.Everyone(), ""), session.ErrMessage},
			"long text":       {a.SendText(session.Everyone(), long[:session.MaxText+1]), session.ErrMessage},
			"no UTF-8":        {a.SendText(session.Everyone(), "\xff"), session.ErrMessage},
			"long data":       {a.SendData(session.Everyone(), "", []byte(long)), session.ErrMessage},
			"long topic":      {a.SendData(session.Everyone(), long[:session.MaxTopic+1], nil), session.ErrMessage},
			"topic no UTF-8":  {a.SendData(session.Everyone(), "\xff", nil), session.ErrMessage},
			"nobody":          {a.SendText(session.Target{}, "x"), session.ErrTarget},
			"ourselves":       {a.SendText(session.Whisper(a.id), "x"), session.ErrTarget},
			"no room":         {a.SendText(session.Room(""), "x"), session.ErrTarget},
			"somebody else":   {a.SendText(session.Whisper(sessiontest.PeerID(9)), "x"), session.ErrUnknownPeer},
			"an empty room":   {a.SendText(session.Room("nowhere"), "x"), nil},
			"the longest":     {a.SendText(session.Everyone(), long[:session.MaxText]), nil},
			"no data at all":  {a.SendData(session.Everyone(), "", nil), nil},
			"the longest too": {a.SendData(session.Everyone(), long[:session.MaxTopic], []byte(long[:session.MaxData])), nil},
		} {
			if !errors.Is(c.got, c.want) {
				t.Errorf("%s: %v, want %v", name, c.got, c.want)
			}
		}
		a.SetPeerBlocked(b.id, true)
		if err := a.SendText(session.Whisper(b.id), "x"); !errors.Is(err, session.ErrTarget) {
			t.Errorf("to whom we have blocked: %v", err)
		}
		closeAll(t, a)
		if err := a.SendText(session.Everyone(), "late"); !errors.Is(err, session.ErrClosed) {
			t.Errorf("after Close: %v", err)
		}
	})
}

// What is said before a peer can be reached, and while it can't be, comes once and
// in order; what there is no room for is an error.
func TestMessagesOutlastInterruptions(t *testing.T) {
	party(t, nearby, func(t *testing.T, net *sessiontest.Network) {
		a, b := newMember(t, net, 1, nil), newMember(t, net, 2, nil)
		defer closeAll(t, a, b)
		a.start(t)
		b.start(t)
		a.joined(t, b) // and b doesn't know of a yet
		said, heard := 0, []string(nil)
		say := func(n int) {
			t.Helper()
			for range n {
				must(t, a.SendText(session.Whisper(b.id), fmt.Sprint(said)))
				said++
			}
		}
		say(session.MaxWaiting)
		if err := a.SendText(session.Whisper(b.id), "one more"); !errors.Is(err, session.ErrTooMany) {
			t.Errorf("with %d waiting: %v", session.MaxWaiting, err)
		}
		must(t, a.SendText(session.Everyone(), "it misses this"))
		time.Sleep(time.Second)
		if got := a.peer(t, b).Messages; got != (session.MessageStats{Waiting: session.MaxWaiting, Dropped: 2}) {
			t.Errorf("before it joined: %+v", got)
		}
		b.joined(t, a)
		heard = append(heard, mailIn(b, 5*time.Second)...)
		for _, broken := range []time.Duration{100 * time.Millisecond, time.Second, 10 * time.Second} {
			say(12) // some of which are under way
			net.Cut(a.id, b.id)
			for range 10 {
				time.Sleep(broken / 10)
				say(2)
			}
			net.Restore(a.id, b.id)
			say(3)
			heard = append(heard, mailIn(b, 5*time.Second)...)
		}
		if len(heard) != said {
			t.Errorf("%d of %d came", len(heard), said)
		}
		for i, text := range heard {
			if text != fmt.Sprint(i) {
				t.Fatalf("as number %d came %q", i, text)
			}
		}
	})
}

// Who doesn't read its events slows down who sends it messages, and nobody else; all
// comes when it reads, and no other event is lost by that.
func TestAReaderThatIsAwayLosesNothing(t *testing.T) {
	party(t, nearby, func(t *testing.T, net *sessiontest.Network) {
		a, b, c := newMember(t, net, 1, nil), newMember(t, net, 2, nil), newMember(t, net, 3, nil)
		defer closeAll(t, a, b, c)
		meet(t, a, b, c)
		mail(b)
		mail(c)
		sent := 0
		for ; ; sent++ {
			if err := a.SendText(session.Whisper(b.id), fmt.Sprint(sent)); errors.Is(err, session.ErrTooMany) {
				break
			}
			time.Sleep(20 * time.Millisecond)
			if sent > 1000 {
				t.Fatal("it never is too much")
			}
		}
		must(t, a.SendText(session.Everyone(), "to who reads"))
		if got := mailIn(c, 200*time.Millisecond); !slices.Equal(got, []string{"to who reads"}) {
			t.Errorf("another got %q", got)
		}
		c.SetMuted(true)
		time.Sleep(time.Second)
		var muted bool
		var got []string
		for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
			for len(b.Events()) > 0 {
				switch e := (<-b.Events()).(type) {
				case session.TextReceived:
					got = append(got, e.Text)
				case session.PeerState:
					muted = muted || e.Peer == c.id && e.Muted
				}
			}
		}
		if len(got) != sent || !slices.IsSortedFunc(got, func(x, y string) int { return len(x) - len(y) }) || !muted || b.Stats().EventsDropped != 0 {
			t.Errorf("%d of %d came, another's event: %t; %d dropped", len(got), sent, muted, b.Stats().EventsDropped)
		}
	})
}

// What an application said at the last moment is said.
func TestAMessageBeforeStopIsSent(t *testing.T) {
	party(t, nearby, func(t *testing.T, net *sessiontest.Network) {
		a, b := pair(t, net, nil)
		defer closeAll(t, a, b)
		time.Sleep(500 * time.Millisecond)
		must(t, a.SendText(session.Everyone(), "good night"))
		must(t, a.Stop())
		time.Sleep(100 * time.Millisecond)
		var order []string
		for len(b.Events()) > 0 {
			switch e := (<-b.Events()).(type) {
			case session.TextReceived:
				order = append(order, e.Text)
			case session.PeerGone:
				order = append(order, "gone")
			}
		}
		if !slices.Equal(order, []string{"good night", "gone"}) {
			t.Errorf("came %q", order)
		}
	})
}

// What had begun when a peer crashed is not finished when it is back; what had not
// is sent then.
func TestMessagesAndANewEpoch(t *testing.T) {
	party(t, nearby, func(t *testing.T, net *sessiontest.Network) {
		a, b := newMember(t, net, 1, nil), newMember(t, net, 2, nil)
		defer closeAll(t, a, b)
		meet(t, a, b)
		must(t, a.SendData(session.Everyone(), "first", make([]byte, session.MaxData)))
		must(t, a.SendText(session.Everyone(), "second"))
		time.Sleep(30 * time.Millisecond) // it is under way
		must(t, b.Stop())
		b.start(t)
		b.joined(t, a)
		if got := mailIn(b, 5*time.Second); !slices.Equal(got, []string{"second"}) {
			t.Errorf("back it got %q", got)
		}
		if got := a.peer(t, b).Messages; got != (session.MessageStats{Sent: 1, Dropped: 1}) {
			t.Errorf("counted %+v", got)
		}
	})
}

// The receiver's application decides who may be read, the sender's who may read;
// what is sent before they have decided waits for that.
func TestMessagesNeedTheSameLeaveAsVoice(t *testing.T) {
	no := errors.New("no")
	party(t, nearby, func(t *testing.T, net *sessiontest.Network) {
		c := newMember(t, net, 3, nil)
		asked := map[session.Target]int{}
		a := newMember(t, net, 1, nil, func(cfg *session.Config) {
			cfg.Authorize = func(claim session.Claim) error {
				if claim.Peer == c.id && claim.Action == session.ToListen {
					asked[claim.To]++
				}
				if claim.Action == session.ToListen && claim.To == session.Room("secret") && claim.Peer == c.id {
					return no
				}
				return nil
			}
		})
		b := newMember(t, net, 2, nil, func(cfg *session.Config) {
			cfg.Authorize = func(claim session.Claim) error {
				if _, whisper := claim.To.Peer(); claim.Action == session.ToSpeak && whisper {
					return no
				}
				return nil
			}
		})
		defer closeAll(t, a, b, c)
		must(t, b.Listen("secret"))
		must(t, b.Listen("left"))
		for _, m := range []*member{a, b, c} {
			m.start(t)
		}
		say := func(to *member) {
			must(t, a.SendText(session.Room("secret"), "a secret"))
			must(t, a.SendText(session.Room("left"), "another room"))
			must(t, a.SendText(session.Whisper(to.id), "a whisper"))
			must(t, a.SendText(session.Everyone(), "no secret"))
		}
		a.joined(t, b)
		b.joined(t, a)
		time.Sleep(500 * time.Millisecond)
		must(t, b.Leave("left"))
		say(b)
		if got, want := mailIn(b, time.Second), []string{"a secret", "no secret"}; !slices.Equal(got, want) {
			t.Errorf("b got %q, want %q", got, want)
		}
		a.joined(t, c)
		say(c)
		c.joined(t, a)
		time.Sleep(time.Second)
		if got, want := mail(c), []string{"another room", "a whisper", "no secret"}; !slices.Equal(got, want) {
			t.Errorf("c got %q, want %q", got, want)
		}
		if got := b.peer(t, a).Messages; got.Refused != 1 || got.Received != 4 {
			t.Errorf("counted %+v", got)
		}
		for to, n := range asked {
			if n != 1 {
				t.Errorf("it was asked %d times about one that listens %s", n, to)
			}
		}
		mail(b)
		b.SetPeerBlocked(a.id, true)
		must(t, a.SendText(session.Everyone(), "to who doesn't want it"))
		if got := mailIn(b, time.Second); len(got) != 0 || b.peer(t, a).Messages.Refused != 2 {
			t.Errorf("who has blocked us got %q; counted %+v", got, b.peer(t, a).Messages)
		}
		b.SetPeerBlocked(a.id, false)
		must(t, a.SendText(session.Everyone(), "and does again"))
		if got := mailIn(b, time.Second); !slices.Equal(got, []string{"and does again"}) {
			t.Errorf("then it got %q", got)
		}
	})
}

// A peer that has not said that it takes messages is sent none.
func TestOlderPeersGetNoMessages(t *testing.T) {
	party(t, nearby, func(t *testing.T, net *sessiontest.Network) {
		m := newMember(t, net, 1, nil)
		defer closeAll(t, m)
		m.start(t)
		r := &postman{rogue: rogue{net.Transport(sessiontest.PeerID(3))}}
		must(t, r.Open(r))
		must(t, r.Join(m.id))
		must(t, m.PeerJoined(r.Self()))
		must(t, m.SendText(session.Whisper(r.Self()), "before it greeted"))
		must(t, r.SendControl(m.id, hello(t)))
		time.Sleep(time.Second)
		if err := m.SendText(session.Whisper(r.Self()), "after"); !errors.Is(err, session.ErrTarget) || !strings.Contains(err.Error(), "version") {
			t.Errorf("%v", err)
		}
		must(t, m.SendText(session.Everyone(), "to all"))
		time.Sleep(time.Second)
		if got := statsOf(t, m, r.Self()).Messages; got != (session.MessageStats{Dropped: 3}) || r.parts.Load() != 0 {
			t.Errorf("counted %+v; %d parts were sent to it", got, r.parts.Load())
		}
		must(t, r.Close())
	})
}
