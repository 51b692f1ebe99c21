package session_test

import (
	"testing"
	"time"

	"github.com/parley-voice/parley/audio"
	"github.com/parley-voice/parley/session/sessiontest"
)

// What is not sent to a listener, because it is deafened, is neither lost nor
// concealed there, and the talker sees no reason to send copies.
func TestDeafenedTimeIsNoLoss(t *testing.T) {
	for _, deaf := range []time.Duration{20 * time.Millisecond, 300 * time.Millisecond, 10 * time.Second, 90 * time.Second} {
		t.Run(deaf.String(), func(t *testing.T) {
			party(t, sessiontest.Config{Link: sessiontest.LinkConfig{Delay: 20 * time.Millisecond}}, func(t *testing.T, net *sessiontest.Network) {
				talker, listener := pair(t, net, tone(440, 0.2))
				defer closeAll(t, talker, listener)
				time.Sleep(5 * time.Second)
				for range 3 {
					listener.SetDeafened(true)
					time.Sleep(deaf)
					listener.SetDeafened(false)
					time.Sleep(3 * time.Second)
					if got := talker.peer(t, listener).CopyOffset; got != 0 {
						t.Errorf("copies are sent at offset %d", got)
					}
				}
				p := listener.peer(t, talker)
				if j := p.Jitter; j.Lost != 0 || j.Missing != 0 || j.ConcealedSamples != 0 || j.Late != 0 || j.Rejected != 0 || j.Resyncs != 0 {
					t.Errorf("%d lost, %d missing, %d samples concealed, %d late, %d rejected, %d resyncs", j.Lost, j.Missing, j.ConcealedSamples, j.Late, j.Rejected, j.Resyncs)
				}
				if p := talker.peer(t, listener); p.ReportedLoss != 0 || p.SendDropped != 0 {
					t.Errorf("the talker was told of %.2f loss and dropped %d packets", p.ReportedLoss, p.SendDropped)
				}
				heard := listener.peer(t, talker).Jitter.PlayedSamples
				time.Sleep(time.Second)
				if got := listener.peer(t, talker).Jitter.PlayedSamples - heard; got < 9*audio.SampleRate/10 {
					t.Errorf("in a second %d samples were heard", got)
				}
			})
		})
	}
}

// A listener who is deafened in the middle of a sentence is told that the
// sentence ends there; one who is not hears all of it.
func TestDeafenedListenersHearTheEndOfTheSpurt(t *testing.T) {
	party(t, sessiontest.Config{Link: sessiontest.LinkConfig{Delay: 20 * time.Millisecond}}, func(t *testing.T, net *sessiontest.Network) {
		talker, listener := pair(t, net, tone(440, 0.2))
		other := newMember(t, net, 3, nil)
		defer closeAll(t, talker, listener, other)
		other.start(t)
		other.joined(t, talker)
		talker.joined(t, other)
		time.Sleep(2 * time.Second)
		listener.SetDeafened(true)
		time.Sleep(500 * time.Millisecond)
		p := listener.peer(t, talker)
		if p.Speaking {
			t.Error("the talker still speaks 500 ms after the end")
		}
		sent := talker.peer(t, listener).Sent
		time.Sleep(2 * time.Second)
		if got := talker.peer(t, listener).Sent; got != sent {
			t.Errorf("%d packets were sent to a deafened listener", got-sent)
		}
		if j := other.peer(t, talker).Jitter; j.Lost != 0 || j.ConcealedSamples != 0 || j.PlayedSamples < 4*audio.SampleRate {
			t.Errorf("the other one heard %d samples, %d lost, %d concealed", j.PlayedSamples, j.Lost, j.ConcealedSamples)
		}
	})
}

// The numbers that a listener sees run on over what it wasn't sent, with loss
// and copies too: a copy is never of a packet that it wasn't sent.
func TestCopiesDoNotReachBackOverDeafenedTime(t *testing.T) {
	party(t, sessiontest.Config{Seed: 3, Link: sessiontest.LinkConfig{Delay: 20 * time.Millisecond, Loss: 0.1}}, func(t *testing.T, net *sessiontest.Network) {
		talker, listener := pair(t, net, tone(440, 0.2))
		defer closeAll(t, talker, listener)
		time.Sleep(10 * time.Second)
		if talker.peer(t, listener).CopyOffset == 0 {
			t.Fatal("no copies are sent: the test shows nothing")
		}
		before := listener.peer(t, talker).Jitter
		for range 50 {
			listener.SetDeafened(true)
			time.Sleep(170 * time.Millisecond)
			listener.SetDeafened(false)
			time.Sleep(430 * time.Millisecond)
		}
		j := listener.peer(t, talker).Jitter
		if lost, expected := j.Lost-before.Lost, j.Expected-before.Expected; lost == 0 || lost*5 > expected {
			t.Errorf("%d of %d lost where the link loses a tenth", lost, expected)
		}
		if rejected := j.Rejected - before.Rejected; rejected != 0 {
			t.Errorf("%d packets made no sense", rejected)
		}
	})
}
