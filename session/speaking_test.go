package session_test

import (
	"math"
	"testing"
	"time"

	"github.com/parley-voice/parley/session"
	"github.com/parley-voice/parley/session/sessiontest"
)

// Who speaks is told when it begins and, 200 ms after it ends, that it has ended: once
// each, whoever else speaks; and how loud it is is in the statistics meanwhile.
func TestSpeakingIsToldWithItsLevel(t *testing.T) {
	party(t, nearby, func(t *testing.T, net *sessiontest.Network) {
		talker, other, listener := newMember(t, net, 1, tone(440, 0.2)), newMember(t, net, 2, tone(330, 0.05)), newMember(t, net, 3, nil)
		defer closeAll(t, talker, other, listener)
		talker.SetMuted(true)
		meet(t, talker, other, listener)
		next[session.Speaking](t, listener, time.Second) // the other one, for ever
		for range 3 {
			began := time.Now()
			talker.SetMuted(false)
			e := next[session.Speaking](t, listener, 300*time.Millisecond)
			if took := time.Since(began); e != (session.Speaking{Peer: talker.id, Active: true}) || took > 120*time.Millisecond {
				t.Errorf("after %v %+v", took, e)
			}
			time.Sleep(time.Second)
			const rms, off = -17.0, 1.5 // of a sine of 0.2; the codec makes a tone up to 1 dB softer
			if p := listener.peer(t, talker); !p.Speaking || math.Abs(p.Level-rms) > off {
				t.Errorf("speaking: %t, at %.1f dBFS, want %.1f", p.Speaking, p.Level, rms)
			}
			if p := listener.peer(t, other); !p.Speaking || math.Abs(p.Level-rms+12) > off {
				t.Errorf("the other: %t, at %.1f dBFS, want %.1f", p.Speaking, p.Level, rms-12)
			}
			began = time.Now()
			talker.SetMuted(true)
			e = next[session.Speaking](t, listener, time.Second)
			if took := time.Since(began); e != (session.Speaking{Peer: talker.id}) || took < 200*time.Millisecond || took > 400*time.Millisecond {
				t.Errorf("after %v %+v", took, e)
			}
			time.Sleep(3 * time.Second)
			if p := listener.peer(t, talker); p.Speaking || p.Level > -60 {
				t.Errorf("silent: speaking: %t, at %.1f dBFS", p.Speaking, p.Level)
			}
		}
		for len(listener.Events()) > 0 {
			if e, ok := (<-listener.Events()).(session.Speaking); ok {
				t.Errorf("one more: %+v", e)
			}
		}
	})
}
