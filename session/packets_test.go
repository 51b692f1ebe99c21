package session_test

import (
	"bytes"
	"errors"
	"io"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/parley-voice/parley/audio"
	"github.com/parley-voice/parley/codec"
	"github.com/parley-voice/parley/session"
	"github.com/parley-voice/parley/session/sessiontest"
)

// deck plays packets, one after the other; where one is nil it has an error instead.
type deck struct {
	list   [][]byte
	at     int
	closed int
}

func (d *deck) ReadPacket(dst []byte) ([]byte, error) {
	if d.at == len(d.list) {
		return nil, io.EOF
	}
	d.at++
	p := d.list[d.at-1]
	if p == nil {
		return nil, errBroken
	}
	return append(dst[:0], p...), nil
}

func (d *deck) Close() error {
	d.closed++
	return nil
}

// encoded is a tone in packets of these lengths, again and again.
func encoded(t *testing.T, n int, lengths ...time.Duration) (list [][]byte) {
	t.Helper()
	encoders := map[time.Duration]codec.Encoder{}
	for i := range n {
		d := lengths[i%len(lengths)]
		if encoders[d] == nil {
			enc, err := (&sessiontest.Codec{}).NewEncoder(codec.Config{FrameDuration: d})
			if err != nil {
				t.Fatal(err)
			}
			encoders[d] = enc
		}
		frame := make([]float32, encoders[d].FrameSamples())
		for k := range frame {
			frame[k] = float32(0.3 * math.Sin(2*math.Pi*400*float64(k)/audio.SampleRate))
		}
		p, err := encoders[d].Encode(make([]byte, codec.MaxPacketBytes), frame)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, slices.Clone(p))
	}
	return list
}

// bot is a pair of which the talker says packets.
func bot(t *testing.T, net *sessiontest.Network, d *deck, edit ...func(*session.Config)) (talker, listener *member) {
	t.Helper()
	talker = newMember(t, net, 1, nil, append(edit, func(c *session.Config) {
		c.OpenSource = func() (audio.Source, error) { return session.Packets(d), nil }
	})...)
	listener = newMember(t, net, 2, nil)
	return talker, listener
}

func TestPacketsAreSaidAsTheyAre(t *testing.T) {
	for _, loss := range []float64{0, 0.2} {
		party(t, sessiontest.Config{Link: sessiontest.LinkConfig{Loss: loss, Delay: 20 * time.Millisecond}}, func(t *testing.T, net *sessiontest.Network) {
			d := &deck{list: encoded(t, 600, 20*time.Millisecond, 20*time.Millisecond, 60*time.Millisecond, 10*time.Millisecond, 40*time.Millisecond)}
			talker, listener := bot(t, net, d)
			defer closeAll(t, talker, listener)
			var said, received tape
			defer talker.Tap(session.Taps{Said: said.packet})()
			defer listener.Tap(received.taps())()
			began := time.Now()
			meet(t, talker, listener)
			next[session.SourceEnded](t, talker, 20*time.Second)
			if took, want := time.Since(began), 18*time.Second; (took - want).Abs() > 100*time.Millisecond {
				t.Errorf("18 s were said in %v", took)
			}
			time.Sleep(time.Second)
			if d.closed != 0 {
				t.Error("the reader is closed before Stop")
			}
			timestamps, end := map[string][]int64{}, int64(0)
			own := said.take()
			for i, p := range own {
				if p.End {
					continue
				}
				if i < len(d.list) && (!bytes.Equal(p.Payload, d.list[i]) || p.Timestamp != end || p.Spurt != 1) {
					t.Fatalf("packet %d: %+v, want timestamp %d", i, p, end)
				}
				end = p.Timestamp + int64(p.Samples)
				timestamps[string(p.Payload)] = append(timestamps[string(p.Payload)], p.Timestamp)
			}
			if len(own) < 601 || !own[600].End {
				t.Errorf("%d packets were said, want 600 and the end", len(own))
			}
			got := received.take()
			first := got[0].Timestamp - timestamps[string(got[0].Payload)][0]
			heard := 0
			for _, p := range got {
				if p.Samples == 0 {
					continue
				}
				heard++
				if !slices.Contains(timestamps[string(p.Payload)], p.Timestamp-first) && !slices.Contains(timestamps[string(p.Payload)], p.Timestamp) {
					t.Errorf("a packet that was never said at that time: %+v", p)
				}
			}
			if float64(heard) < 580*(1-loss/3) {
				t.Errorf("loss %v: %d of 600 packets were received", loss, heard)
			}
			if x := listener.loudness(5*time.Second, 10*time.Second); loss == 0 && math.Abs(x-0.212) > 0.03 {
				t.Errorf("it is heard with an RMS of %.3f", x)
			}
			if st := listener.peer(t, talker); st.Speaking || st.Malformed+st.DecodeFailed > 0 {
				t.Errorf("after the end the listener says %+v", st)
			}
			closeAll(t, talker)
			if d.closed != 1 {
				t.Errorf("the reader was closed %d times", d.closed)
			}
		})
	}
}

// short is sessiontest's codec with packets that last 5 ms.
type short struct{ *sessiontest.Codec }

func (s short) Inspect(p []byte) (codec.Content, error) {
	if string(p) == "short" {
		return codec.Content{Samples: 240}, nil
	}
	return s.Codec.Inspect(p)
}

// What can't be said is counted and leaves silence as long as it is known to be.
func TestPacketsThatCannotBeSaid(t *testing.T) {
	party(t, sessiontest.Config{}, func(t *testing.T, net *sessiontest.Network) {
		good := encoded(t, 1, 20*time.Millisecond)[0]
		d := &deck{list: [][]byte{good, {}, good, []byte("not a packet"), good, make([]byte, codec.MaxPacketBytes+1), good, nil, good, []byte("short"), good}}
		talker, listener := bot(t, net, d, func(c *session.Config) { c.Codec = short{&sessiontest.Codec{}} })
		defer closeAll(t, talker, listener)
		var said tape
		defer talker.Tap(session.Taps{Said: said.packet})()
		meet(t, talker, listener)
		if e := next[session.DeviceChanged](t, talker, time.Second); e.Working || e.Reason != errBroken.Error() {
			t.Errorf("a reader that fails: %+v", e)
		}
		next[session.DeviceChanged](t, talker, time.Second)
		next[session.SourceEnded](t, talker, time.Second)
		time.Sleep(time.Second)
		var at []int64
		end := int64(0)
		for _, p := range said.take() {
			if p.Samples > 0 {
				at = append(at, p.Timestamp)
			}
			if p.Timestamp < end {
				t.Errorf("packet %d is of %d, before the end of the one before it, %d", p.Seq, p.Timestamp, end)
			}
			end = p.Timestamp + int64(p.Samples)
		}
		if want := []int64{0, 1440, 2880, 4320, 5760, 7200}; !slices.Equal(at, want) {
			t.Errorf("said at %v, want %v", at, want)
		}
		if st := talker.Stats(); st.ReadErrors != 4 {
			t.Errorf("%d errors were counted, want 4", st.ReadErrors)
		}
	})
}

// Packets that pass while muted, or without the key, are gone.
func TestPacketsAreNotSaidWhileMuted(t *testing.T) {
	party(t, sessiontest.Config{}, func(t *testing.T, net *sessiontest.Network) {
		talker, listener := bot(t, net, &deck{list: encoded(t, 600, 20*time.Millisecond)}, func(c *session.Config) { c.Mode = session.PushToTalk })
		defer closeAll(t, talker, listener)
		var said tape
		defer talker.Tap(session.Taps{Said: said.packet})()
		meet(t, talker, listener)
		time.Sleep(time.Second)
		if n := len(said.take()); n > 0 {
			t.Errorf("%d packets were said without the key", n)
		}
		talker.SetTalking(true)
		time.Sleep(time.Second)
		talker.SetMuted(true)
		time.Sleep(time.Second)
		talker.SetMuted(false)
		time.Sleep(time.Second)
		spurts, last := map[int64]int{}, int64(0)
		for _, p := range said.take() {
			if p.Samples > 0 {
				spurts[p.Spurt]++
				last = p.Timestamp
			}
		}
		if len(spurts) != 2 || spurts[1] < 48 || spurts[1] > 51 || spurts[2] < 48 || spurts[2] > 51 {
			t.Errorf("packets by talk spurt: %v, want 50 each", spurts)
		}
		if got := time.Duration(last) * time.Second / audio.SampleRate; got < 3900*time.Millisecond {
			t.Errorf("the last one has the time %v, as if mute had stopped it", got)
		}
	})
}

// A source of packets is for sessions only.
func TestPacketsHaveNoPCM(t *testing.T) {
	d := &deck{}
	source := session.Packets(d)
	if err := source.ReadBlock(&audio.Block{}); !errors.Is(err, audio.ErrFormat) {
		t.Errorf("ReadBlock: %v, want ErrFormat", err)
	}
	if err := errors.Join(source.Close(), source.Close()); err != nil || d.closed != 1 {
		t.Errorf("Close: %v, %d times", err, d.closed)
	}
}

// Of packets there are no lighter ones: where a second copy would pay if it were light,
// none is sent.
func TestPacketsHaveNoLightCopies(t *testing.T) {
	party(t, sessiontest.Config{Link: sessiontest.LinkConfig{Loss: 0.05, Delay: 25 * time.Millisecond}}, func(t *testing.T, net *sessiontest.Network) {
		talker, listener := bot(t, net, &deck{list: encoded(t, 3000, 20*time.Millisecond)})
		defer closeAll(t, talker, listener)
		meet(t, talker, listener)
		time.Sleep(50 * time.Second)
		if st := talker.peer(t, listener); st.Sent < 2400 || st.Copies < st.Sent/2 || float64(st.Copies) > 1.2*float64(st.Sent) {
			t.Errorf("%d packets with %d copies", st.Sent, st.Copies)
		}
	})
}
