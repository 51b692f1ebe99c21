package session_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/parley-voice/parley/identity"
	"github.com/parley-voice/parley/session"
	"github.com/parley-voice/parley/session/sessiontest"
	"github.com/parley-voice/parley/session/wire"
)

// naming makes a member whose application names moderators.
func naming(t *testing.T, net *sessiontest.Network, n int, pcm []float32, moderators ...int) *member {
	t.Helper()
	return newMember(t, net, n, pcm, func(c *session.Config) {
		c.Session, c.Sign = "lobby", sessiontest.Sign(n)
		for _, m := range moderators {
			c.Moderators = append(c.Moderators, sessiontest.PeerID(m))
		}
	})
}

// moderated is what a member was told that moderators decided until now.
func moderated(m *member) (all []session.Moderated) {
	for len(m.Events()) > 0 {
		if e, ok := (<-m.Events()).(session.Moderated); ok {
			all = append(all, e)
		}
	}
	return all
}

// Who is muted for all is heard by none of those who name the moderator, and isn't
// even decoded there; it knows, and so do all others, those who come later and never
// met the moderator too. Then that is over.
func TestWhoIsMutedForAllIsNotHeard(t *testing.T) {
	party(t, nearby, func(t *testing.T, net *sessiontest.Network) {
		boss, loud, other, late := naming(t, net, 1, nil, 1), naming(t, net, 2, tone(440, 0.2), 1), naming(t, net, 3, nil, 1, 9), naming(t, net, 4, nil, 1)
		defer closeAll(t, boss, loud, other, late)
		meet(t, boss, loud, other)
		if got := playedIn(t, time.Second, other, loud); got < 900*time.Millisecond {
			t.Fatalf("before, %v of a second was heard", got)
		}
		must(t, boss.MuteForAll(loud.id, "too\x1bloud"))
		time.Sleep(200 * time.Millisecond)
		want := session.Moderated{Peer: loud.id, By: boss.id, Muted: true, Reason: "too\uFFFDloud"}
		check := func(what string, want session.Moderated, all ...*member) {
			t.Helper()
			for _, m := range all {
				if got := moderated(m); !slices.Equal(got, []session.Moderated{want}) {
					t.Errorf("%s: %s was told %+v", what, m.id, got)
				}
				if m != loud {
					st := m.peer(t, loud)
					if st.Moderated != want.Muted || st.Moderated && (st.ModeratedBy != want.By || st.ModeratedReason != want.Reason) {
						t.Errorf("%s: %s sees %t, %s, %q", what, m.id, st.Moderated, st.ModeratedBy, st.ModeratedReason)
					}
				} else if m.Stats().Moderated != want.Muted {
					t.Errorf("%s: it sees %t itself", what, m.Stats().Moderated)
				}
			}
		}
		check("muted", want, boss, loud, other)
		for _, m := range []*member{boss, other} {
			if got := playedIn(t, time.Second, m, loud); got != 0 {
				t.Errorf("muted for all, %v of a second is heard by %s", got, m.id)
			}
			if why := m.Why(loud.id); !strings.Contains(why, "muted for all") || !strings.Contains(why, boss.id.String()) || !strings.Contains(why, "too\uFFFDloud") {
				t.Errorf("why: %s", why)
			}
		}
		if why := loud.Why(other.id); !strings.Contains(why, "we were muted for all") || !strings.Contains(why, boss.id.String()) {
			t.Errorf("why, for who is muted: %s", why)
		}
		sent := loud.Stats().PacketsSpoken
		time.Sleep(time.Second)
		if got := loud.Stats().PacketsSpoken - sent; got != 0 {
			t.Errorf("it speaks all the same: %d packets", got)
		}
		must(t, other.Listen("help")) // where it may write all the same
		time.Sleep(200 * time.Millisecond)
		must(t, loud.SendText(session.Room("help"), "why me?"))
		next[session.TextReceived](t, other, time.Second)
		other.ListenToAll()

		must(t, boss.Stop()) // and the others remember
		late.start(t)
		late.joined(t, loud, other)
		loud.joined(t, late)
		other.joined(t, late)
		time.Sleep(500 * time.Millisecond)
		check("late", want, late)
		must(t, loud.Stop()) // that doesn't help it
		loud.start(t)
		loud.joined(t, other, late)
		must(t, other.PeerLeft(loud.id))
		other.joined(t, loud)
		time.Sleep(500 * time.Millisecond)
		check("back", want, loud, other)
		if got := playedIn(t, time.Second, late, loud); got != 0 {
			t.Errorf("%v of it is heard by who came later", got)
		}
		boss.start(t)
		boss.joined(t, other)
		other.joined(t, boss)
		time.Sleep(500 * time.Millisecond)
		must(t, boss.UnmuteForAll(loud.id)) // whom the moderator doesn't reach
		time.Sleep(500 * time.Millisecond)
		check("over", session.Moderated{Peer: loud.id, By: boss.id}, loud, other, late)
		for _, m := range []*member{other, late} {
			if got := playedIn(t, time.Second, m, loud); got < 900*time.Millisecond {
				t.Errorf("over, %v of a second is heard by %s", got, m.id)
			}
		}
	})
}

// A hostile peer that goes on speaking is dropped unread by those who name the
// moderator, and by nobody else.
func TestWhoIsMutedForAllAndSpeaksIsDroppedUnread(t *testing.T) {
	party(t, nearby, func(t *testing.T, net *sessiontest.Network) {
		boss, loud, names, doesNot := naming(t, net, 1, nil, 1), naming(t, net, 2, tone(440, 0.2)), naming(t, net, 3, nil, 1), naming(t, net, 4, nil, 3)
		defer closeAll(t, boss, loud, names, doesNot)
		meet(t, boss, loud, names, doesNot)
		must(t, boss.MuteForAll(loud.id, ""))
		time.Sleep(500 * time.Millisecond)
		before := names.peer(t, loud)
		if got := playedIn(t, time.Second, doesNot, loud); got < 900*time.Millisecond {
			t.Errorf("who doesn't name it hears %v of a second", got)
		}
		after := names.peer(t, loud)
		if got := after.Refused - before.Refused; got < 45 || after.BytesIn != before.BytesIn || after.Jitter.Received != before.Jitter.Received {
			t.Errorf("%d packets were dropped, %d bytes and %d packets looked at", got, after.BytesIn-before.BytesIn, after.Jitter.Received-before.Jitter.Received)
		}
		if len(moderated(loud)) != 0 || len(moderated(doesNot)) != 0 {
			t.Error("who doesn't name the moderator is told of it")
		}
		must(t, names.SetModerators(doesNot.id))
		if got := playedIn(t, time.Second, names, loud); got < 900*time.Millisecond {
			t.Errorf("once it isn't named any more, %v of a second is heard", got)
		}
		if got := moderated(names); len(got) != 2 || got[1] != (session.Moderated{Peer: loud.id}) {
			t.Errorf("it was told %+v", got)
		}
		must(t, names.SetModerators(boss.id))
		must(t, names.PeerLeft(boss.id))
		names.joined(t, boss)
		must(t, boss.PeerLeft(names.id))
		boss.joined(t, names)
		time.Sleep(500 * time.Millisecond)
		if got := playedIn(t, time.Second, names, loud); got != 0 {
			t.Errorf("named again, %v of a second is heard", got)
		}
	})
}

// The newest of what several moderators said counts, whoever brings it, in whatever
// order.
func TestTheNewestRulingCounts(t *testing.T) {
	party(t, nearby, func(t *testing.T, net *sessiontest.Network) {
		a, b, loud, m := naming(t, net, 1, nil, 1, 2), naming(t, net, 2, nil, 1, 2), naming(t, net, 3, nil, 1, 2), naming(t, net, 4, nil, 1, 2)
		defer closeAll(t, a, b, loud, m)
		meet(t, a, b, loud, m)
		for i, c := range []struct {
			by    *member
			muted bool
		}{{a, true}, {b, false}, {b, true}, {a, false}, {a, true}, {a, true}, {b, false}} {
			var err error
			if c.muted {
				err = c.by.MuteForAll(loud.id, fmt.Sprint(i))
			} else {
				err = c.by.UnmuteForAll(loud.id)
			}
			must(t, err)
			time.Sleep(300 * time.Millisecond)
			for _, o := range []*member{a, b, m} {
				if st := o.peer(t, loud); st.Moderated != c.muted || c.muted && (st.ModeratedReason != fmt.Sprint(i) || st.ModeratedBy != c.by.id) {
					t.Errorf("%d: %s sees %t by %s, %q", i, o.id, st.Moderated, st.ModeratedBy, st.ModeratedReason)
				}
			}
		}
	})
}

func TestWhoMayNotModerate(t *testing.T) {
	party(t, nearby, func(t *testing.T, net *sessiontest.Network) {
		boss, plain := naming(t, net, 1, nil, 1), naming(t, net, 2, nil, 1)
		unable := newMember(t, net, 3, nil, func(c *session.Config) { c.Moderators = []identity.PeerID{sessiontest.PeerID(3)} })
		failing := newMember(t, net, 4, nil, func(c *session.Config) {
			c.Moderators = []identity.PeerID{sessiontest.PeerID(4)}
			c.Sign = func([]byte) ([]byte, error) { return nil, errBroken }
		})
		wrong := newMember(t, net, 5, nil, func(c *session.Config) {
			c.Moderators, c.Sign = []identity.PeerID{sessiontest.PeerID(5)}, sessiontest.Sign(6)
		})
		defer closeAll(t, plain, unable, failing, wrong)
		if err := boss.MuteForAll(plain.id, ""); !errors.Is(err, session.ErrNotStarted) {
			t.Errorf("before Start: %v", err)
		}
		for _, m := range []*member{boss, plain, unable, failing, wrong} {
			m.start(t)
		}
		long := strings.Repeat("x", 129)
		for name, c := range map[string]struct{ got, want error }{
			"nobody's moderator": {plain.MuteForAll(boss.id, ""), session.ErrNotModerator},
			"without a key":      {unable.MuteForAll(boss.id, ""), session.ErrNotModerator},
			"a key that fails":   {failing.MuteForAll(boss.id, ""), errBroken},
			"another's key":      {wrong.MuteForAll(boss.id, ""), session.ErrNotModerator},
			"itself":             {boss.MuteForAll(boss.id, ""), session.ErrTarget},
			"nobody":             {boss.MuteForAll("", ""), session.ErrTarget},
			"no ID":              {boss.UnmuteForAll(identity.PeerID(long)), session.ErrTarget},
			"a long reason":      {boss.MuteForAll(plain.id, long), session.ErrTarget},
			"no UTF-8":           {boss.MuteForAll(plain.id, "\xff"), session.ErrTarget},
			"who isn't here":     {boss.MuteForAll(sessiontest.PeerID(77), long[:128]), nil},
			"no moderator's ID":  {plain.SetModerators(boss.id, "x"), session.ErrTarget},
			"too many":           {plain.SetModerators(slices.Repeat([]identity.PeerID{boss.id}, session.MaxModerators+1)...), session.ErrTooMany},
		} {
			if !errors.Is(c.got, c.want) {
				t.Errorf("%s: %v, want %v", name, c.got, c.want)
			}
		}
		if got := plain.Moderators(); !slices.Equal(got, []identity.PeerID{boss.id}) {
			t.Errorf("after what failed it names %v", got)
		}
		for i := 1; i < session.MaxRulings; i++ {
			must(t, boss.MuteForAll(sessiontest.PeerID(100+i), ""))
		}
		if err := boss.MuteForAll(sessiontest.PeerID(99), ""); !errors.Is(err, session.ErrTooMany) {
			t.Errorf("about one peer too many: %v", err)
		}
		must(t, boss.UnmuteForAll(sessiontest.PeerID(101)))
		closeAll(t, boss)
		if err := boss.MuteForAll(plain.id, ""); !errors.Is(err, session.ErrClosed) {
			t.Errorf("after Close: %v", err)
		}
	})
	for name, edit := range map[string]func(*session.Config){
		"no ID of a key": func(c *session.Config) { c.Moderators = []identity.PeerID{"x"} },
		"a long name":    func(c *session.Config) { c.Session = strings.Repeat("x", 65) },
	} {
		party(t, nearby, func(t *testing.T, net *sessiontest.Network) {
			cfg := session.Config{Transport: net.Transport(sessiontest.PeerID(1)), Codec: &sessiontest.Codec{}}
			edit(&cfg)
			if _, err := session.New(cfg); !errors.Is(err, session.ErrConfig) {
				t.Errorf("%s: %v", name, err)
			}
		})
	}
}

// ruling is what moderator n says about a peer, signed for a session.
func ruling(t *testing.T, n int, about identity.PeerID, muted bool, at time.Time, name string) *wire.Ruling {
	t.Helper()
	r := &wire.Ruling{Moderator: []byte(sessiontest.PeerID(n)), Peer: []byte(about), Muted: muted, TimeUs: uint64(at.UnixMicro())}
	var err error
	r.Signature, err = sessiontest.Sign(n)(r.Signed(name))
	must(t, err)
	return r
}

func pass(t *testing.T, r *rogue, m *member, x *wire.Ruling) {
	t.Helper()
	must(t, r.SendControl(m.id, encode(t, &wire.Control{Kind: &wire.Control_Ruling{Ruling: x}})))
	time.Sleep(50 * time.Millisecond)
}

// What no moderator signed for this session, or what is older than what is known,
// changes nothing, whoever brings it.
func TestRulingsThatDoNotCount(t *testing.T) {
	party(t, nearby, func(t *testing.T, net *sessiontest.Network) {
		m, loud := naming(t, net, 1, nil, 7), naming(t, net, 2, tone(440, 0.2))
		defer closeAll(t, m, loud)
		meet(t, m, loud)
		now := time.Now()
		good := ruling(t, 7, loud.id, true, now, "lobby")
		altered := func(edit func(*wire.Ruling)) *wire.Ruling {
			r := ruling(t, 7, sessiontest.PeerID(50), true, now, "lobby")
			edit(r)
			return r
		}
		for name, c := range map[string]struct {
			r       *wire.Ruling
			refused uint64
		}{
			"by no moderator":        {ruling(t, 8, loud.id, true, now, "lobby"), 0},
			"of another session":     {ruling(t, 7, loud.id, true, now, "lobby2"), 1},
			"of the session \"\"":    {ruling(t, 7, loud.id, true, now, ""), 1},
			"about another peer":     {altered(func(r *wire.Ruling) { r.Peer = []byte(loud.id) }), 1},
			"with another time":      {altered(func(r *wire.Ruling) { r.Peer, r.TimeUs = []byte(loud.id), r.TimeUs+1 }), 1},
			"with another reason":    {altered(func(r *wire.Ruling) { r.Reason = "x" }), 1},
			"of yesterday":           {ruling(t, 7, loud.id, true, now.Add(-session.RulingLife), "lobby"), 1},
			"of the day after":       {ruling(t, 7, loud.id, true, now.Add(session.RulingLife+time.Minute), "lobby"), 1},
			"of the end of all time": {&wire.Ruling{Moderator: good.Moderator, Peer: good.Peer, TimeUs: 1<<64 - 1, Signature: []byte("x")}, 1},
		} {
			r := newRogue(t, net, 30, m)
			before := m.Stats()
			pass(t, r, m, c.r)
			if st := m.Stats(); st.RulingsRefused-before.RulingsRefused != c.refused || m.peer(t, loud).Moderated || st.Malformed != before.Malformed {
				t.Errorf("%s: %d refused, want %d; muted: %t", name, st.RulingsRefused-before.RulingsRefused, c.refused, m.peer(t, loud).Moderated)
			}
			must(t, r.Close())
			must(t, m.PeerLeft(r.Self()))
		}
		r := newRogue(t, net, 30, m)
		over := ruling(t, 7, loud.id, false, now.Add(time.Second), "lobby")
		for i, c := range []struct {
			r     *wire.Ruling
			muted bool
		}{{good, true}, {good, true}, {over, false}, {good, false}, {over, false}} {
			pass(t, r, m, c.r)
			if got := m.peer(t, loud).Moderated; got != c.muted {
				t.Errorf("%d: muted %t, want %t", i, got, c.muted)
			}
		}
		refused := m.Stats().RulingsRefused
		good.Signature[0] ^= 1 // what is old isn't looked at any further
		pass(t, r, m, good)
		if got := m.Stats().RulingsRefused; got != refused {
			t.Errorf("%d more were refused", got-refused)
		}
		if got := moderated(m); len(got) != 2 || got[1].Muted {
			t.Errorf("what came again was told again: %+v", got)
		}
		must(t, r.Close())
	})
}

// A peer that brings forged rulings costs no more than a few looks at signatures; a
// moderator that decides about very many peers no more than its share.
func TestFloodsOfRulingsAreBounded(t *testing.T) {
	party(t, nearby, func(t *testing.T, net *sessiontest.Network) {
		m, loud := naming(t, net, 1, nil, 7), naming(t, net, 2, tone(440, 0.2))
		defer closeAll(t, m, loud)
		meet(t, m, loud)
		now := time.Now()
		many := newRogue(t, net, 31, m)
		for i := range 3 * session.MaxRulings {
			pass(t, many, m, ruling(t, 7, sessiontest.PeerID(1000+i), true, now, "lobby"))
		}
		if got := m.Stats().RulingsRefused; got != 2*session.MaxRulings {
			t.Errorf("%d were refused", got)
		}
		r := newRogue(t, net, 30, m)
		good := ruling(t, 7, sessiontest.PeerID(1000), true, now.Add(time.Second), "lobby")
		bad := ruling(t, 7, sessiontest.PeerID(1000), true, now.Add(time.Minute), "elsewhere")
		for range 20 {
			pass(t, r, m, bad)
		}
		pass(t, r, m, good) // of who has forged so much nothing is taken
		if got := m.Stats().RulingsRefused; got != 2*session.MaxRulings+21 {
			t.Errorf("%d were refused", got)
		}
		if got := playedIn(t, time.Second, m, loud); got < 950*time.Millisecond {
			t.Errorf("meanwhile %v of a second was heard", got)
		}
		must(t, r.Close())
		must(t, many.Close())
		before := &rogue{Transport: net.Transport(sessiontest.PeerID(32))}
		must(t, before.Open(before))
		must(t, before.Join(m.id))
		must(t, m.PeerJoined(before.Self()))
		malformed := m.Stats().Malformed
		pass(t, before, m, good)
		if got := m.Stats().Malformed - malformed; got != 1 {
			t.Errorf("before its hello: %d malformed", got)
		}
		must(t, before.Close())
	})
}

// Who crashed and is back is told anew.
func TestRulingsAreToldAfterACrash(t *testing.T) {
	party(t, nearby, func(t *testing.T, net *sessiontest.Network) {
		boss := naming(t, net, 1, nil, 1)
		defer closeAll(t, boss)
		boss.start(t)
		must(t, boss.MuteForAll(sessiontest.PeerID(9), ""))
		for range 3 {
			r := newPostman(t, net, 3, boss, wire.Rulings)
			time.Sleep(time.Second)
			if got := r.rulings.Load(); got != 1 {
				t.Errorf("it was told %d rulings", got)
			}
			must(t, r.Close())
		}
	})
}

// All that is known is told to who comes, however much it is, and once.
func TestManyRulingsAreToldToWhoComes(t *testing.T) {
	party(t, nearby, func(t *testing.T, net *sessiontest.Network) {
		boss, late := naming(t, net, 1, nil, 1), naming(t, net, 2, nil, 1)
		defer closeAll(t, boss, late)
		boss.start(t)
		for i := range session.MaxRulings {
			must(t, boss.MuteForAll(sessiontest.PeerID(100+i), fmt.Sprint(i)))
		}
		late.start(t)
		r := &record{Transport: net.Transport(sessiontest.PeerID(3))}
		listener := newMember(t, net, 3, nil, func(c *session.Config) {
			c.Transport, c.Session, c.Moderators = r, "lobby", []identity.PeerID{boss.id}
		})
		defer closeAll(t, listener)
		listener.start(t)
		late.joined(t, boss)
		boss.joined(t, late)
		time.Sleep(3 * time.Second)
		listener.joined(t, late)
		late.joined(t, listener)
		for i := range session.MaxRulings {
			if err := listener.PeerJoined(sessiontest.PeerID(100 + i)); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(3 * time.Second)
		for i := range session.MaxRulings {
			if st := statsOf(t, listener, sessiontest.PeerID(100+i)); !st.Moderated || st.ModeratedReason != fmt.Sprint(i) {
				t.Errorf("of %d: %t, %q", i, st.Moderated, st.ModeratedReason)
			}
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		for _, b := range r.control {
			if x, err := wire.Unmarshal(b); err == nil && x.GetRuling() != nil {
				t.Fatal("it tells what it was told back to who told it")
			}
		}
		if len(r.control) == 0 {
			t.Error("it said nothing at all")
		}
	})
}
