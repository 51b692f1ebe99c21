package session_test

import (
	"encoding/binary"
	"errors"
	"io"
	"math"
	"testing"
	"time"

	"github.com/parley-voice/parley/audio"
	"github.com/parley-voice/parley/session"
	"github.com/parley-voice/parley/session/sessiontest"
)

// drain reads a stream as an engine does that plays it, in pieces of 10 ms for a time,
// and returns it as samples of channel 0.
func drain(t *testing.T, r io.Reader, format session.PCMFormat, channels, rate int, d time.Duration) (pcm []float32) {
	t.Helper()
	size := map[session.PCMFormat]int{session.Float32: 4, session.Int16: 2}[format] * channels
	piece := make([]byte, rate/100*size)
	for range d / (10 * time.Millisecond) {
		time.Sleep(10 * time.Millisecond)
		if n, err := r.Read(piece); n != len(piece) || err != nil {
			t.Fatalf("read %d of %d bytes: %v", n, len(piece), err)
		}
		for i := 0; i < len(piece); i += size {
			if format == session.Int16 {
				pcm = append(pcm, float32(int16(binary.LittleEndian.Uint16(piece[i:])))/32768)
			} else {
				pcm = append(pcm, math.Float32frombits(binary.LittleEndian.Uint32(piece[i:])))
			}
			if channels == 2 && string(piece[i:i+size/2]) != string(piece[i+size/2:i+size]) {
				t.Fatal("left and right differ")
			}
		}
	}
	return pcm
}

// rms is how loud the second half is, beside a voice in the centre of Parley's mix.
func rms(pcm []float32) float64 {
	pcm = pcm[len(pcm)/2:]
	sum := 0.0
	for _, x := range pcm {
		sum += float64(x) * float64(x)
	}
	return math.Sqrt(sum/float64(len(pcm))) / full
}

// periods is how often a signal rises through zero in a second.
func periods(pcm []float32, rate int) float64 {
	n := 0
	for i := 1; i < len(pcm); i++ {
		if pcm[i-1] < 0 && pcm[i] >= 0 {
			n++
		}
	}
	return float64(n) * float64(rate) / float64(len(pcm))
}

func TestAPeersVoiceIsReadInAnyForm(t *testing.T) {
	for _, cfg := range []session.PCMConfig{
		{},
		{Channels: 1},
		{Format: session.Int16},
		{Format: session.Int16, Channels: 1, SampleRate: 44100},
		{SampleRate: 22050},
		{SampleRate: 96000, Channels: 1},
	} {
		party(t, nearby, func(t *testing.T, net *sessiontest.Network) {
			talker, m := newMember(t, net, 1, tone(440, 0.2)), newMember(t, net, 2, nil)
			defer closeAll(t, talker, m)
			r, err := m.OpenPeerPCM(talker.id, cfg) // before it joined
			must(t, err)
			defer r.Close()
			channels, rate := cfg.Channels, cfg.SampleRate
			if channels == 0 {
				channels = 2
			}
			if rate == 0 {
				rate = audio.SampleRate
			}
			if pcm := drain(t, r, cfg.Format, channels, rate, 100*time.Millisecond); rms(pcm) != 0 {
				t.Errorf("%+v: a voice before anybody spoke", cfg)
			}
			meet(t, talker, m)
			// Poses, ducking and the limiter are of the mix.
			must(t, errors.Join(m.SetPose(at(0, 0)), m.SetPeerPose(talker.id, at(1000, 0))))
			pcm := drain(t, r, cfg.Format, channels, rate, 2*time.Second)
			if loud, hz := rms(pcm), periods(pcm[len(pcm)/2:], rate); math.Abs(loud-1) > 0.02 || math.Abs(hz-440) > 2 {
				t.Errorf("%+v: loudness %.3f, %.1f Hz", cfg, loud, hz)
			}
			if st := r.Stats(); st.Queued > 60*time.Millisecond || st.Skipped > audio.SampleRate {
				t.Errorf("%+v: %+v", cfg, st)
			}
		})
	}
}

// Read never gives less than it is asked for, whatever that is, and no byte twice or
// not: two streams, one read in odd pieces, are the same.
func TestReadingInOddPiecesLosesNothing(t *testing.T) {
	party(t, nearby, func(t *testing.T, net *sessiontest.Network) {
		talker, m := newMember(t, net, 1, tone(440, 0.2)), newMember(t, net, 2, nil)
		defer closeAll(t, talker, m)
		cfg := session.PCMConfig{Format: session.Int16, SampleRate: 44100}
		whole, err := m.OpenPeerPCM(talker.id, cfg)
		must(t, err)
		odd, err := m.OpenPeerPCM(talker.id, cfg)
		must(t, err)
		meet(t, talker, m)
		a, b, loud := make([]byte, 4*441), make([]byte, 4*441), false
		for round := range 200 {
			time.Sleep(10 * time.Millisecond)
			if _, err := io.ReadFull(whole, a); err != nil {
				t.Fatal(err)
			}
			for at, k := 0, 0; at < len(b); k++ {
				piece := b[at:min(len(b), at+(round+k)%7)]
				n, err := odd.Read(piece)
				if n != len(piece) || err != nil {
					t.Fatalf("read %d of %d bytes: %v", n, len(piece), err)
				}
				at += n
			}
			// At the borders a stretch may come a sample earlier.
			if round < 20 && string(a) != string(b) {
				t.Fatalf("round %d: the streams differ", round)
			}
			loud = loud || a[0] != 0
		}
		if !loud {
			t.Error("silence was compared")
		}
	})
}

// Exclusive takes the peer out of the mix as long as the stream is open.
func TestAVoiceThatIsReadAloneIsNotMixed(t *testing.T) {
	party(t, nearby, func(t *testing.T, net *sessiontest.Network) {
		talker, m := newMember(t, net, 1, tone(440, 0.2)), newMember(t, net, 2, nil)
		defer closeAll(t, talker, m)
		meet(t, talker, m)
		beside, err := m.OpenPeerPCM(talker.id, session.PCMConfig{Channels: 1})
		must(t, err)
		wantSides(t, "beside the mix", m, 1, 1)
		alone, err := m.OpenPeerPCM(talker.id, session.PCMConfig{Channels: 1, Exclusive: true, Volume: true})
		must(t, err)
		wantSides(t, "alone", m, 0, 0)
		loud := func(what string, r *session.PeerPCM, want float64) {
			t.Helper()
			if got := rms(drain(t, r, session.Float32, 1, audio.SampleRate, 500*time.Millisecond)); math.Abs(got-want) > 0.02 {
				t.Errorf("%s: loudness %.3f, want %.3f", what, got, want)
			}
		}
		loud("as it is", alone, 1)
		m.SetPeerVolume(talker.id, 0.5)
		loud("at half its volume", alone, 0.5)
		loud("as it was decoded", beside, 1)
		m.SetDeafened(true)
		time.Sleep(200 * time.Millisecond)
		m.SetDeafened(false)
		loud("heard again", alone, 0.5)
		m.SetPeerMuted(talker.id, true)
		loud("muted", alone, 0)
		m.SetPeerMuted(talker.id, false)
		m.SetPeerVolume(talker.id, 1)

		must(t, m.PeerLeft(talker.id))
		time.Sleep(100 * time.Millisecond)
		loud("a peer that left", alone, 0)
		must(t, m.Stop())
		loud("stopped", alone, 0)
		m.start(t)
		m.joined(t, talker)
		time.Sleep(3 * time.Second)
		loud("back again", alone, 1)
		wantSides(t, "alone, back again", m, 0, 0)
		must(t, alone.Close())
		must(t, alone.Close())
		if n, err := alone.Read(make([]byte, 8)); n != 0 || !errors.Is(err, io.EOF) {
			t.Errorf("after Close: %d bytes, %v", n, err)
		}
		wantSides(t, "closed", m, 1, 1)
		loud("the other", beside, 1)
	})
}

func TestWhatIsNoPCM(t *testing.T) {
	party(t, nearby, func(t *testing.T, net *sessiontest.Network) {
		m := newMember(t, net, 1, nil)
		for _, cfg := range []session.PCMConfig{{Format: 2}, {Channels: 3}, {Channels: -1}, {SampleRate: 100}, {SampleRate: -1}, {SampleRate: 1e9}} {
			if _, err := m.OpenPeerPCM(sessiontest.PeerID(2), cfg); !errors.Is(err, session.ErrConfig) {
				t.Errorf("%+v: %v", cfg, err)
			}
		}
		closeAll(t, m)
		if _, err := m.OpenPeerPCM(sessiontest.PeerID(2), session.PCMConfig{}); !errors.Is(err, session.ErrClosed) {
			t.Errorf("of a closed session: %v", err)
		}
	})
}
