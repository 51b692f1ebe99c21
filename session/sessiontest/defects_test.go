package sessiontest

import (
	"bytes"
	"errors"
	"slices"
	"time"

	"github.com/parley-voice/parley/identity"
	"github.com/parley-voice/parley/p2p/link"
)

// handlers makes faults of what the Handler is told.
func handlers(wrap func(t *faulty, h link.Handler) hooks) faults {
	return faults{handler: func(t *faulty, h link.Handler) link.Handler {
		w := wrap(t, h)
		w.Handler = h
		return w
	}}
}

// late calls f after everything else had its chance.
func late(d time.Duration, f func()) {
	go func() {
		time.Sleep(d)
		f()
	}()
}

// defects are the ways in which transports go wrong.
var defects = []struct {
	name   string
	check  string // which check must catch it
	says   string // part of what it must report
	faults faults
}{
	{"another identity after Open", "self is stable", "identity", faults{selfHook: func(t *faulty) identity.PeerID {
		if t.every(3) {
			return PeerID(99)
		}
		return t.Transport.Self()
	}}},
	{"a second Open is fine", "open twice is ErrOpen", "ErrOpen", faults{openHook: func(t *faulty, h link.Handler) error {
		_ = t.Transport.Open(h)
		return nil
	}}},
	{"Join before Open is fine", "before Open and after Close is ErrClosed", "Join before Open", faults{joinHook: func(t *faulty, p identity.PeerID) error {
		if err := t.Transport.Join(p); !errors.Is(err, link.ErrClosed) {
			return err
		}
		return nil
	}}},
	{"SendVoice after Close is another error", "before Open and after Close is ErrClosed", "SendVoice after Close", faults{voiceHook: func(t *faulty, p identity.PeerID, b []byte) error {
		if err := t.Transport.SendVoice(p, b); err == nil {
			return nil
		}
		return link.ErrNotJoined
	}}},
	{"itself may be joined", "an invalid peer and self are refused", "ErrSelf", faults{joinHook: func(t *faulty, p identity.PeerID) error {
		if p == t.Transport.Self() {
			return nil
		}
		return t.Transport.Join(p)
	}}},
	{"anything may be joined", "an invalid peer and self are refused", "ErrInvalidPeer", faults{joinHook: func(t *faulty, p identity.PeerID) error {
		if p == "" {
			return nil
		}
		return t.Transport.Join(p)
	}}},
	{"a reason for peers never heard of", "a peer that isn't joined has no path and no stats", "zero Path", faults{pathHook: func(t *faulty, p identity.PeerID) link.Path {
		path := t.Transport.Path(p)
		if path == (link.Path{}) {
			path.Reason = "unknown"
		}
		return path
	}}},
	{"no reason", "a peer that isn't joined has no path and no stats", "always set when Kind is None", faults{pathHook: func(t *faulty, p identity.PeerID) link.Path {
		path := t.Transport.Path(p)
		path.Reason = ""
		return path
	}}},
	{"no reason is told", "control before Leave still arrives", "always set when Kind is None", handlers(func(_ *faulty, h link.Handler) hooks {
		return hooks{path: func(p identity.PeerID, path link.Path) {
			path.Reason = ""
			h.PathChanged(p, path)
		}}
	})},
	{"voice before the path", "first contact, whoever joins first", "no Voice or Control precedes", handlers(func(_ *faulty, h link.Handler) hooks {
		return hooks{path: func(p identity.PeerID, path link.Path) {
			h.Voice(p, []byte("x"), time.Now())
			h.PathChanged(p, path)
		}}
	})},
	{"two epochs at once", "first contact, whoever joins first", "present way", faults{pathHook: func(t *faulty, p identity.PeerID) link.Path {
		path := t.Transport.Path(p)
		path.Epoch++
		return path
	}}},
	{"a path without an epoch", "first contact, whoever joins first", "a path without one", handlers(func(_ *faulty, h link.Handler) hooks {
		return hooks{path: func(p identity.PeerID, path link.Path) {
			path.Epoch = 0
			h.PathChanged(p, path)
		}}
	})},
	{"only who joins last gets a path", "first contact, whoever joins first", "no path", faults{joinHook: func(t *faulty, p identity.PeerID) error {
		if t.next() > 1 {
			return nil
		}
		return t.Transport.Join(p)
	}}},
	{"a second Join is a new epoch", "join is idempotent", "idempotent", faults{joinHook: func(t *faulty, p identity.PeerID) error {
		_ = t.Transport.Leave(p)
		return t.Transport.Join(p)
	}}},
	{"nobody knocks", "an unannounced peer knocks and is adopted", "no Knock", handlers(func(*faulty, link.Handler) hooks {
		return hooks{knock: func(identity.PeerID) {}}
	})},
	{"unannounced peers are heard", "an unannounced peer knocks and is adopted", "of a joined peer", handlers(func(_ *faulty, h link.Handler) hooks {
		return hooks{knock: func(p identity.PeerID) {
			h.Knock(p)
			h.PathChanged(p, link.Path{Kind: link.LAN, Epoch: 1})
			h.Control(p, []byte("x"))
		}}
	})},
	{"who was held isn't adopted", "an unannounced peer knocks and is adopted", "a Join in that time accepts it", handlers(func(t *faulty, h link.Handler) hooks {
		return hooks{path: func(p identity.PeerID, path link.Path) {
			time.Sleep(3 * time.Second)
			h.PathChanged(p, path)
		}}
	})},
	{"voice is garbled", "voice arrives intact", "arrived and wasn't sent", handlers(func(_ *faulty, h link.Handler) hooks {
		return hooks{voice: func(p identity.PeerID, b []byte, at time.Time) {
			if len(b) == 999 {
				b[500] ^= 1
			}
			h.Voice(p, b, at)
		}}
	})},
	{"the longest voice is cut", "voice arrives intact", "no voice message of a length", handlers(func(_ *faulty, h link.Handler) hooks {
		return hooks{voice: func(p identity.PeerID, b []byte, at time.Time) { h.Voice(p, b[:min(len(b), 999)], at) }}
	})},
	{"empty voice is lost", "voice arrives intact", "no voice message of a length", handlers(func(_ *faulty, h link.Handler) hooks {
		return hooks{voice: func(p identity.PeerID, b []byte, at time.Time) {
			if len(b) > 0 {
				h.Voice(p, b, at)
			}
		}}
	})},
	{"the sender's buffer is kept", "voice arrives intact", "arrived and wasn't sent", faults{voiceHook: func(t *faulty, p identity.PeerID, b []byte) error {
		return t.Transport.SendVoice(p, t.swap(b))
	}}},
	{"no time of arrival", "voice arrives intact", "at is the time of arrival", handlers(func(_ *faulty, h link.Handler) hooks {
		return hooks{voice: func(p identity.PeerID, b []byte, _ time.Time) { h.Voice(p, b, time.Time{}) }}
	})},
	{"voice twice", "voice arrives at most once", "at most once", handlers(func(t *faulty, h link.Handler) hooks {
		return hooks{voice: func(p identity.PeerID, b []byte, at time.Time) {
			h.Voice(p, b, at)
			if t.every(50) {
				h.Voice(p, b, at)
			}
		}}
	})},
	{"two of three are lost", "voice arrives at most once", "as soon as possible", faults{voiceHook: func(t *faulty, p identity.PeerID, b []byte) error {
		if t.every(3) {
			return t.Transport.SendVoice(p, b)
		}
		return nil
	}}},
	{"too large is cut", "too large is ErrTooLarge", "ErrTooLarge", faults{voiceHook: func(t *faulty, p identity.PeerID, b []byte) error {
		return t.Transport.SendVoice(p, b[:min(len(b), link.MaxMessage)])
	}}},
	{"too large control is accepted", "too large is ErrTooLarge", "SendControl of 1001", faults{controlHook: func(t *faulty, p identity.PeerID, b []byte) error {
		if len(b) > link.MaxMessage {
			return nil
		}
		return t.Transport.SendControl(p, b)
	}}},
	{"control out of order", "control arrives in order, none missing", "in the order", handlers(func(_ *faulty, h link.Handler) hooks {
		var kept [][]byte
		return hooks{control: func(p identity.PeerID, b []byte) {
			kept = append(kept, bytes.Clone(b))
			if len(kept) == 7 {
				slices.Reverse(kept)
			}
			if len(kept) >= 7 {
				h.Control(p, kept[0])
				kept = kept[1:]
			}
		}}
	})},
	{"control is lost", "control arrives in order, none missing", "in the order", faults{controlHook: func(t *faulty, p identity.PeerID, b []byte) error {
		if t.every(100) {
			return nil
		}
		return t.Transport.SendControl(p, b)
	}}},
	{"congested control is said to be sent", "control arrives in order, none missing", "in the order", faults{controlHook: func(t *faulty, p identity.PeerID, b []byte) error {
		_ = t.Transport.SendControl(p, b)
		return nil
	}}},
	{"the sender's control is kept", "control arrives in order, none missing", "in the order", faults{controlHook: func(t *faulty, p identity.PeerID, b []byte) error {
		return t.Transport.SendControl(p, t.swap(b))
	}}},
	{"control needs a path", "control waits for the path", "once there is a path", faults{controlHook: func(t *faulty, p identity.PeerID, b []byte) error {
		if t.Transport.Path(p).Kind == link.None {
			return link.ErrNoPath
		}
		return t.Transport.SendControl(p, b)
	}}},
	{"control without a path is forgotten", "control waits for the path", "once there is a path", faults{controlHook: func(t *faulty, p identity.PeerID, b []byte) error {
		if t.Transport.Path(p).Kind == link.None {
			return nil
		}
		return t.Transport.SendControl(p, b)
	}}},
	{"control without a bound", "control is bounded", "bounded", faults{controlHook: func(t *faulty, p identity.PeerID, b []byte) error {
		if err := t.Transport.SendControl(p, b); err != nil {
			m := bytes.Clone(b)
			late(time.Second, func() { _ = t.Transport.SendControl(p, m) })
		}
		return nil
	}}},
	{"voice without a path is said to be sent", "voice doesn't wait for the path", "not ErrNoPath", faults{voiceHook: func(t *faulty, p identity.PeerID, b []byte) error {
		if err := t.Transport.SendVoice(p, b); !errors.Is(err, link.ErrNoPath) {
			return err
		}
		return nil
	}}},
	{"voice without a path is kept", "voice doesn't wait for the path", "before there was a path, and arrived", faults{voiceHook: func(t *faulty, p identity.PeerID, b []byte) error {
		err := t.Transport.SendVoice(p, b)
		if m := bytes.Clone(b); errors.Is(err, link.ErrNoPath) {
			late(0, func() {
				for over := time.Now().Add(10 * time.Second); t.Transport.SendVoice(p, m) != nil && time.Now().Before(over); {
					time.Sleep(time.Millisecond)
				}
			})
		}
		return err
	}}},
	{"voice after Leave", "nothing is delivered after Leave", "after it returned", handlers(func(_ *faulty, h link.Handler) hooks {
		return hooks{voice: func(p identity.PeerID, b []byte, at time.Time) {
			h.Voice(p, b, at)
			late(10*time.Millisecond, func() { h.Voice(p, []byte("x"), time.Now()) })
		}}
	})},
	{"Leave doesn't wait", "Leave waits for the call under way", "a call for that peer was under way", faults{leaveHook: func(t *faulty, p identity.PeerID) error {
		late(0, func() { _ = t.Transport.Leave(p) })
		return nil
	}}},
	{"Leave waits for ever", "Leave waits for the call under way", "doesn't return", faults{leaveHook: func(t *faulty, p identity.PeerID) error {
		err := t.Transport.Leave(p)
		time.Sleep(time.Minute)
		return err
	}}},
	{"Leave drops control", "control before Leave still arrives", "still leave within", faults{
		controlHook: func(t *faulty, p identity.PeerID, b []byte) error {
			m := bytes.Clone(b)
			late(20*time.Millisecond, func() { _ = t.Transport.SendControl(p, m) })
			return nil
		},
	}},
	{"nobody is told of a Leave", "control before Leave still arrives", "a peer that left still has a path", handlers(func(_ *faulty, h link.Handler) hooks {
		return hooks{path: func(p identity.PeerID, path link.Path) {
			if path.Kind != link.None {
				h.PathChanged(p, path)
			}
		}}
	})},
	{"left peers are heard", "a left peer is not heard", "of a joined peer", faults{leaveHook: func(*faulty, identity.PeerID) error { return nil }}},
	{"always the same epoch", "a rejoin is a new epoch", "PathChanged says no new epoch", handlers(func(_ *faulty, h link.Handler) hooks {
		return hooks{path: func(p identity.PeerID, path link.Path) {
			path.Epoch = 1
			h.PathChanged(p, path)
		}}
	})},
	{"old voice in a new epoch", "a rejoin is a new epoch", "old voice", handlers(func(_ *faulty, h link.Handler) hooks {
		var last []byte
		var epoch uint64
		return hooks{
			voice: func(p identity.PeerID, b []byte, at time.Time) {
				if last == nil {
					last = bytes.Clone(b)
					last[len(last)-1] = '!'
				}
				h.Voice(p, b, at)
			},
			path: func(p identity.PeerID, path link.Path) {
				h.PathChanged(p, path)
				if epoch != 0 && path.Epoch != epoch && last != nil {
					h.Voice(p, last, time.Now())
					last = nil
				}
				epoch = path.Epoch
			},
		}
	})},
	{"the same epoch if both rejoin", "both rejoin", "PathChanged says no new epoch", handlers(func(_ *faulty, h link.Handler) hooks {
		return hooks{path: func(p identity.PeerID, path link.Path) {
			path.Epoch = 1
			h.PathChanged(p, path)
		}}
	})},
	{"voice after Close", "nothing is delivered after Close", "after it returned", handlers(func(_ *faulty, h link.Handler) hooks {
		return hooks{voice: func(p identity.PeerID, b []byte, at time.Time) {
			h.Voice(p, b, at)
			late(10*time.Millisecond, func() { h.Voice(p, []byte("x"), time.Now()) })
		}}
	})},
	{"a slow Close", "nothing is delivered after Close", "at most FlushTimeout", faults{closeHook: func(t *faulty) error {
		time.Sleep(2 * time.Second)
		return t.Transport.Close()
	}}},
	{"Close drops control", "Close flushes control", "for at most FlushTimeout", faults{controlHook: func(t *faulty, p identity.PeerID, b []byte) error {
		m := bytes.Clone(b)
		late(20*time.Millisecond, func() { _ = t.Transport.SendControl(p, m) })
		return nil
	}}},
	{"a goroutine is left", "Close ends every goroutine", "goroutines are left", faults{openHook: func(t *faulty, h link.Handler) error {
		late(time.Minute, func() {})
		return t.Transport.Open(h)
	}}},
	{"opened once only", "Open works again after Close", "can be opened again", faults{openHook: func(t *faulty, h link.Handler) error {
		if t.every(2) {
			return link.ErrClosed
		}
		return t.Transport.Open(h)
	}}},
	{"SendVoice waits for room", "SendVoice never blocks", "never blocks", faults{voiceHook: func(t *faulty, p identity.PeerID, b []byte) error {
		if t.every(10) {
			time.Sleep(15 * time.Millisecond)
		}
		return t.Transport.SendVoice(p, b)
	}}},
	{"one call at a time for all peers", "a slow handler delays nobody else", "no voice arrived", handlers(func(t *faulty, h link.Handler) hooks {
		return hooks{voice: func(p identity.PeerID, b []byte, at time.Time) {
			t.lock <- struct{}{}
			defer func() { <-t.lock }()
			h.Voice(p, b, at)
		}}
	})},
	{"one buffer for all peers", "a slow handler delays nobody else", "bytes are valid", handlers(func(_ *faulty, h link.Handler) hooks {
		shared := make([]byte, link.MaxMessage)
		return hooks{voice: func(p identity.PeerID, b []byte, at time.Time) { h.Voice(p, shared[:copy(shared, b)], at) }}
	})},
	{"calls under the transport's lock", "a handler may take its user's lock", "wait for each other", faults{
		handler: func(t *faulty, h link.Handler) link.Handler {
			return hooks{Handler: h, voice: func(p identity.PeerID, b []byte, at time.Time) {
				t.lock <- struct{}{}
				defer func() { <-t.lock }()
				h.Voice(p, b, at)
			}}
		},
		voiceHook: func(t *faulty, p identity.PeerID, b []byte) error {
			select {
			case t.lock <- struct{}{}:
			case <-time.After(time.Minute): // so that the test ends
				return link.ErrCongested
			}
			defer func() { <-t.lock }()
			return t.Transport.SendVoice(p, b)
		},
	}},
	{"two calls at once for a peer", "a handler may take its user's lock", "calls that concern one peer are serial", handlers(func(_ *faulty, h link.Handler) hooks {
		return hooks{voice: func(p identity.PeerID, b []byte, at time.Time) {
			m := bytes.Clone(b)
			late(0, func() { h.Voice(p, m, at) })
		}}
	})},
	{"no stats", "stats add up", "VoiceSent", faults{statsHook: func(*faulty, identity.PeerID) link.Stats { return link.Stats{} }}},
	{"stats from the first Join on", "stats add up", "totals since Join", faults{statsHook: func(t *faulty, p identity.PeerID) link.Stats {
		s := t.Transport.Stats(p)
		t.mu.Lock()
		defer t.mu.Unlock()
		t.count = max(t.count, int(s.ControlReceived))
		s.ControlReceived = uint64(t.count)
		return s
	}}},
	{"what is dropped isn't counted", "stats add up", "what was given to SendVoice", faults{voiceHook: func(t *faulty, p identity.PeerID, b []byte) error {
		if t.every(10) {
			return link.ErrCongested
		}
		return t.Transport.SendVoice(p, b)
	}}},
	{"the tenth Join is forgotten", "random calls from many goroutines", "no path", faults{joinHook: func(t *faulty, p identity.PeerID) error {
		if t.next() > 10 {
			return nil
		}
		return t.Transport.Join(p)
	}}},
	{"calls that wait for each other", "random calls from many goroutines", "don't return", faults{statsHook: func(t *faulty, p identity.PeerID) link.Stats {
		if t.every(20) {
			time.Sleep(time.Minute)
		}
		return t.Transport.Stats(p)
	}}},
}
