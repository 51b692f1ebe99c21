package server

import (
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/network"

	"github.com/parley-voice/parley/examples/lobby/lobbywire"
)

// idleStream is a stream on which only deadlines are set.
type idleStream struct {
	network.Stream
	deadline time.Time
}

func (s *idleStream) SetDeadline(t time.Time) error {
	s.deadline = t
	return nil
}

func TestAQueueIsBoundedInFramesAndBytes(t *testing.T) {
	for name, c := range map[string]struct {
		frame []byte
		fit   int
	}{
		"small frames": {make([]byte, 10), queueFrames},
		"large frames": {make([]byte, 16000), queueBytes / 16000},
	} {
		t.Run(name, func(t *testing.T) {
			counted := &counters{}
			raw := &idleStream{}
			s := newStream(raw, counted)
			ended := func() bool {
				select {
				case <-s.ended:
					return true
				default:
					return false
				}
			}
			for n := range c.fit {
				if s.send(c.frame); ended() {
					t.Fatalf("slow after %d frames of %d bytes, want %d", n, len(c.frame), c.fit)
				}
			}
			s.send(c.frame)
			if !ended() || s.code != lobbywire.Code_SLOW || s.how != atOnce || raw.deadline.After(time.Now()) {
				t.Errorf("after %d frames of %d bytes: ended %t, %v, deadline %v", c.fit+1, len(c.frame), ended(), s.code, raw.deadline)
			}
			s.send(c.frame)
			s.end(lobbywire.Code_SHUTDOWN, gently)
			if got := counted.snapshot().Refused[Slow]; got != 1 || s.code != lobbywire.Code_SLOW {
				t.Errorf("counted %d times, code %v", got, s.code)
			}
		})
	}
}

func TestAFullRoomOfTheLargestRecordsFitsInAQueue(t *testing.T) {
	members := make([]*lobbywire.Member, Limits{}.withDefaults().RoomMembers)
	for n := range members {
		members[n] = &lobbywire.Member{Peer: make([]byte, 38), Name: string(make([]byte, lobbywire.MaxName)), Record: make([]byte, lobbywire.MaxRecord)}
	}
	frames, err := lobbywire.AppendMembers(nil, members)
	if err != nil {
		t.Fatal(err)
	}
	total := 0
	for _, f := range frames {
		total += len(f)
	}
	if len(frames) > queueFrames/2 || total > queueBytes*9/10 {
		t.Errorf("%d frames, %d bytes", len(frames), total)
	}
}
