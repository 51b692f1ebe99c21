package session_test

import (
	"encoding/hex"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/parley-voice/parley/audio"
	"github.com/parley-voice/parley/identity"
	"github.com/parley-voice/parley/session"
	"github.com/parley-voice/parley/session/sessiontest"
)

// said is a message of a recorded conversation.
type said struct {
	at    time.Duration
	voice bool
	b     []byte
}

func recorded(t *testing.T, name string) (all []said) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", name+".hex"))
	must(t, err)
	for line := range strings.Lines(string(text)) {
		words := strings.Fields(line)
		if len(words) == 0 || words[0] == "#" {
			continue
		}
		ms, err := strconv.Atoi(words[0])
		must(t, err)
		b, err := hex.DecodeString(words[2])
		must(t, err)
		all = append(all, said{time.Duration(ms) * time.Millisecond, words[1] == "voice", b})
	}
	return all
}

// A whole conversation with a peer of an earlier and of a later version, from
// hello to bye: what isn't known is ignored, what isn't said is as it was, and
// all the rest is understood.
func TestRecordedPeerOfAnotherVersion(t *testing.T) {
	cases := []struct {
		recording, name, gone string
		delay                 time.Duration // of its microphone
		unrecovered           float64       // that it reports
		offset                int           // of the nearest copy that it gets after its report, which is of bursts: 1 otherwise
	}{
		{"conversation-older", "Old Friend", "left", 0, 0, 1},
		{"conversation-newer", "New Friend", "gone to lunch", 30 * time.Millisecond, 0.04, 2},
		{"conversation-rooms", "Roomy", "gone to lunch", 30 * time.Millisecond, 0.04, 2},
	}
	for _, c := range cases {
		t.Run(c.recording, func(t *testing.T) {
			party(t, sessiontest.Config{}, func(t *testing.T, net *sessiontest.Network) {
				m := newMember(t, net, 2, tone(440, 0.2), func(c *session.Config) { c.Codec = opusNamed{&sessiontest.Codec{}} })
				defer closeAll(t, m)
				if c.recording == "conversation-rooms" {
					must(t, m.Listen("team"))
					speak(t, m, session.Room("team"))
				}
				m.start(t)
				r := &rogue{Transport: net.Transport(sessiontest.PeerID(3))}
				must(t, r.Open(r))
				must(t, r.Join(m.id))
				must(t, m.PeerJoined(r.Self()))
				begin := time.Now()
				var last session.PeerStats
				for _, s := range recorded(t, c.recording) {
					time.Sleep(s.at - time.Since(begin))
					last = statsOf(t, m, r.Self())
					if s.voice {
						must(t, r.SendVoice(m.id, s.b))
					} else {
						must(t, r.SendControl(m.id, s.b))
					}
				}
				e := next[session.PeerReachable](t, m, time.Second)
				if e.Name != c.name || e.Peer != r.Self() {
					t.Errorf("it is called %q, want %q", e.Name, c.name)
				}
				checkRecordedVoice(t, m, r.Self())
				if !last.Muted || last.Deafened || last.FixedDelay != c.delay {
					t.Errorf("muted %t, deafened %t, delay %v; want muted, and a delay of %v", last.Muted, last.Deafened, last.FixedDelay, c.delay)
				}
				if last.ReportedLoss != 0.2 || last.ReportedUnrecovered != c.unrecovered || last.CopyOffset != c.offset || last.Copies == 0 {
					t.Errorf("reported loss %v, unrecovered %v; %d copies, now at offset %d, want %d", last.ReportedLoss, last.ReportedUnrecovered, last.Copies, last.CopyOffset, c.offset)
				}
				if last.Sent < 100 {
					t.Errorf("%d packets were sent to it in 2.4 s", last.Sent)
				}
				if heard := last.Heard; c.recording == "conversation-rooms" {
					if heard.Priority != session.High || !slices.Equal(heard.Through, []session.Target{session.Whisper(m.id)}) {
						t.Errorf("heard last %+v", heard)
					}
					if rooms, all := m.PeerRooms(r.Self()); all || last.Refused != 0 || !last.Addressed {
						t.Errorf("it listens to %q, to all: %t; addressed %t, %d packets refused", rooms, all, last.Addressed, last.Refused)
					}
				}
				if gone := next[session.PeerGone](t, m, time.Second); gone.Reason != c.gone {
					t.Errorf("it took leave with %q, want %q", gone.Reason, c.gone)
				}
				must(t, r.Close())
			})
		})
	}
}

// checkRecordedVoice checks that a second of voice was heard whole: the packet
// that is missing came as a copy.
func checkRecordedVoice(t *testing.T, m *member, id identity.PeerID) {
	t.Helper()
	p := statsOf(t, m, id)
	j := p.Jitter
	if j.PlayedSamples != audio.SampleRate || j.Lost != 1 || j.RecoveredCopy != 1 || j.ConcealedSamples > 960 || j.Rejected != 0 || j.Late != 0 {
		t.Errorf("of 50 packets of 20 ms: %+v", j)
	}
	if p.Malformed != 0 || p.DecodeFailed != 0 || m.Stats().Malformed != 0 {
		t.Errorf("%d voice packets and %d control messages made no sense, %d were not decoded", p.Malformed, m.Stats().Malformed, p.DecodeFailed)
	}
	if got := m.loudness(500*time.Millisecond, time.Second); got < 0.03 { // of a tone at few bits
		t.Errorf("heard %.3f", got)
	}
}

type opusNamed struct{ *sessiontest.Codec }

func (opusNamed) Name() string { return "opus" }
