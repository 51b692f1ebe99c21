package session

import (
	"bytes"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/parley-voice/parley/audio"
	"github.com/parley-voice/parley/codec"
	"github.com/parley-voice/parley/session/sessiontest"
	"github.com/parley-voice/parley/session/wire"
)

func loudBlock() *audio.Block {
	var b audio.Block
	for i := range b {
		b[i] = float32(i%48)/48 - 0.5
	}
	return &b
}

// say pushes blocks and returns what comes out, with payloads that last.
func say(t *testing.T, tk *talker, b *audio.Block, open bool, blocks int) (out []spoken) {
	t.Helper()
	for range blocks {
		s, err := tk.push(b, open)
		if err != nil {
			t.Fatal(err)
		}
		if s != nil {
			kept := *s
			kept.payloads = payloads{whole: bytes.Clone(s.payloads[whole])}
			out = append(out, kept)
		}
	}
	return out
}

func newTestTalker(t *testing.T, d time.Duration) *talker {
	t.Helper()
	tk, err := newTalker(&sessiontest.Codec{}, codec.Config{FrameDuration: d})
	if err != nil {
		t.Fatal(err)
	}
	return tk
}

func TestSequenceCountsPacketsAndTimestampCountsTime(t *testing.T) {
	for _, d := range []time.Duration{10, 20, 40, 60} {
		d *= time.Millisecond
		frame := int64(d * audio.SampleRate / time.Second)
		tk := newTestTalker(t, d)
		first := say(t, tk, loudBlock(), true, 60)
		if len(first) != int(600*time.Millisecond/d) {
			t.Fatalf("%v: %d packets in 600 ms", d, len(first))
		}
		for i, s := range first {
			if s.seq != int64(i+1) || s.timestamp != int64(i)*frame || s.samples != int(frame) || s.spurt != 1 || s.end {
				t.Fatalf("%v: packet %d is %+v", d, i, s)
			}
		}
		closed := say(t, tk, loudBlock(), false, 600)
		if len(closed) != 1+endRepeats {
			t.Fatalf("%v: closing said %+v, want the end and %d repeats", d, closed, endRepeats)
		}
		for _, s := range closed {
			if !s.end || s.samples != 0 || len(s.payloads[whole]) != 0 || s.timestamp != 600*48 || s.spurt != 1 {
				t.Errorf("%v: closing said %+v, want an end at 600 ms", d, s)
			}
		}
		again := say(t, tk, loudBlock(), true, 60)[0]
		if again.seq != closed[endRepeats].seq+1 || again.spurt != 2 || again.timestamp != 660*480 {
			t.Errorf("%v: after 6 s of silence %+v, want number %d of spurt 2 at 6.6 s", d, again, closed[endRepeats].seq+1)
		}
	}
}

// The encoder alone knows when silence needs no packets; from then on the
// listener must know, or it would conceal.
func TestEncodersSilenceEndsTheSpurt(t *testing.T) {
	tk := newTestTalker(t, 20*time.Millisecond)
	loud := say(t, tk, loudBlock(), true, 10)
	quiet := say(t, tk, &audio.Block{}, true, 200)
	ends := 0
	for _, s := range quiet {
		if !s.end {
			if ends > 0 {
				t.Fatalf("audio after the end: %+v", s)
			}
			continue
		}
		ends++
	}
	if ends != 1+endRepeats {
		t.Fatalf("%d ends, want 1 and %d repeats", ends, endRepeats)
	}
	next := say(t, tk, loudBlock(), true, 2)
	if len(next) != 1 || next[0].spurt != 2 || next[0].seq != int64(len(loud)+len(quiet)+1) {
		t.Errorf("after the pause %+v", next)
	}
}

// A microphone that is switched off costs no encoder's time, before anything was
// said and after.
func TestNothingAtAllIsNotEncoded(t *testing.T) {
	counts := &counting{}
	tk, err := newTalker(counts, codec.Config{FrameDuration: 20 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	if said := say(t, tk, &audio.Block{}, true, 200); len(said) > 0 || counts.encoded > 0 {
		t.Fatalf("of silence %d packets were said, %d frames encoded; want none", len(said), counts.encoded)
	}
	say(t, tk, loudBlock(), true, 10)
	say(t, tk, &audio.Block{}, true, 200) // the encoder ends the spurt
	before := counts.encoded
	if said := say(t, tk, &audio.Block{}, true, 200); len(said) > 0 || counts.encoded > before {
		t.Fatalf("of silence after speech %d packets were said, %d frames encoded; want none", len(said), counts.encoded-before)
	}
	if said := say(t, tk, loudBlock(), true, 2); len(said) != 1 {
		t.Errorf("then of a frame %d packets were said, want 1", len(said))
	}
}

func TestCopiesBelongToTheSameSpurtWithoutGap(t *testing.T) {
	tk := newTestTalker(t, 20*time.Millisecond)
	var payloads [][]byte
	for i := range 12 {
		s, err := tk.push(loudBlock(), true)
		if err != nil {
			t.Fatal(err)
		}
		if s == nil {
			continue
		}
		payloads = append(payloads, bytes.Clone(s.payloads[whole]))
		for offset := 1; offset <= wire.MaxOffset; offset++ {
			h := s.before(offset)
			if n := len(payloads) - 1 - offset; n < 0 {
				if h != nil {
					t.Errorf("block %d: a copy from before the first packet", i)
				}
			} else if h == nil || !bytes.Equal(h.payloads[whole], payloads[n]) {
				t.Errorf("block %d: the packet %d back is not the one that was sent", i, offset)
			}
		}
	}
	tk.skip(4)
	s := (*spoken)(nil)
	for s == nil {
		var err error
		if s, err = tk.push(loudBlock(), true); err != nil {
			t.Fatal(err)
		}
	}
	if s.before(1) != nil {
		t.Error("a copy over a gap in time: the receiver would play it at the wrong moment")
	}
	say(t, tk, loudBlock(), false, 4)
	for s = nil; s == nil; {
		var err error
		if s, err = tk.push(loudBlock(), true); err != nil {
			t.Fatal(err)
		}
	}
	if s.before(1) != nil || s.before(2) != nil {
		t.Error("a copy from another talk spurt")
	}
}

// What is heard only if two packets are lost takes few bytes.
func TestLightCopiesAreSpare(t *testing.T) {
	tk := newTestTalker(t, 20*time.Millisecond)
	tk.wanted = encodings{whole: true, spare: true}
	var said *spoken
	for range 10 {
		if s, err := tk.push(loudBlock(), true); err != nil {
			t.Fatal(err)
		} else if s != nil {
			said = s
		}
	}
	for name, c := range map[string]struct {
		pl   plan
		want map[int]encoding // by offset
	}{
		"light":     {plan{copies: back(1, 2), light: true}, map[int]encoding{1: whole, 2: spare}},
		"not light": {plan{copies: back(1, 2)}, map[int]encoding{1: whole, 2: whole}},
	} {
		var v wire.Voice
		addCopies(&v, said, c.pl, 1)
		if v.NumCopies != 2 {
			t.Fatalf("%s: %d copies", name, v.NumCopies)
		}
		for _, got := range v.Copies[:2] {
			if want := said.before(got.Offset).payloads[c.want[got.Offset]]; len(want) == 0 || !bytes.Equal(got.Payload, want) {
				t.Errorf("%s: the copy of %d frames back is %d bytes, want %d", name, got.Offset, len(got.Payload), len(want))
			}
		}
	}
}

// At each offset every packet has a copy, in a later packet or at the end; of
// four at the end there is room for three, and the last goes without.
func TestEndOfSpurtCarriesTheCopiesThatAreStillDue(t *testing.T) {
	for i, want := range [][]int{{1}, {2, 1}, {3, 2, 1}, {4, 3, 2}} {
		offset := i + 1
		tk := newTestTalker(t, 20*time.Millisecond)
		say(t, tk, loudBlock(), true, 20)
		end, err := tk.push(loudBlock(), false)
		for end == nil && err == nil {
			end, err = tk.push(loudBlock(), false)
		}
		if err != nil {
			t.Fatal(err)
		}
		v := wire.Voice{End: true}
		addCopies(&v, end, plan{copies: back(offset)}, 1)
		var got []int
		for _, c := range v.Copies[:v.NumCopies] {
			got = append(got, c.Offset)
		}
		if !slices.Equal(got, want) {
			t.Errorf("offset %d: the end carries copies of %v packets back, want %v", offset, got, want)
		}
	}
}

func TestCopyWithinASpurtIsTheOneAtTheOffset(t *testing.T) {
	tk := newTestTalker(t, 20*time.Millisecond)
	said := lastOf(t, tk, 20)
	for offset := 1; offset <= wire.MaxOffset; offset++ {
		v := wire.Voice{}
		addCopies(&v, said, plan{copies: back(offset)}, 1)
		if v.NumCopies != 1 || v.Copies[0].Offset != offset {
			t.Errorf("offset %d: %d copies, the first %d back", offset, v.NumCopies, v.Copies[0].Offset)
		}
		v = wire.Voice{}
		if addCopies(&v, said, plan{copies: back(offset)}, said.seq-int64(offset)+1); v.NumCopies != 0 {
			t.Errorf("offset %d: a copy of a packet that the listener wasn't sent", offset)
		}
	}
}

// What was said before the key went down, or after it came up, is nobody's
// business, though a frame is longer than a block.
func TestOnlyWhatIsSaidIsInAFrame(t *testing.T) {
	for _, d := range []time.Duration{20, 40, 60} {
		blocks := int(d / 10)
		for first := range blocks {
			for last := first; last < blocks; last++ {
				tk := newTestTalker(t, d*time.Millisecond)
				for i := range blocks {
					if _, err := tk.push(loudBlock(), i >= first && i <= last); err != nil {
						t.Fatal(err)
					}
				}
				if tk.packet.samples == 0 {
					t.Fatalf("%v ms: nothing was said", int(d))
				}
				for i := range blocks {
					block := tk.frame[i*audio.BlockSamples:][:audio.BlockSamples]
					level := audio.Measure(block).RMS
					switch {
					case i >= first && i <= last && level < -20:
						t.Errorf("%d ms, open from block %d to %d: block %d is at %.0f dBFS", int(d), first, last, i, level)
					case i == last+1: // the fade
						level = audio.Measure(block[audio.FadeSamples:]).RMS
						fallthrough
					case i < first || i > last:
						if level > audio.FloorDBFS {
							t.Errorf("%d ms, open from block %d to %d: block %d is heard at %.0f dBFS", int(d), first, last, i, level)
						}
					}
				}
			}
		}
	}
}

// lastOf says blocks, an even number, and returns the last packet.
func lastOf(t *testing.T, tk *talker, blocks int) (last *spoken) {
	t.Helper()
	for range blocks {
		s, err := tk.push(loudBlock(), true)
		if err != nil {
			t.Fatal(err)
		}
		last = s
	}
	return last
}

// Packets of a spurt follow each other without a gap in time: after blocks that
// were lost comes another spurt, or the end of this one.
func TestASpurtDoesNotGoOnOverAGap(t *testing.T) {
	tk := newTestTalker(t, 20*time.Millisecond)
	last := *lastOf(t, tk, 20)
	say(t, tk, loudBlock(), true, 1) // half a frame, lost with the rest
	tk.skip(5)
	next := say(t, tk, loudBlock(), true, 2)
	if len(next) != 1 || next[0].spurt != last.spurt+1 || next[0].seq != last.seq+1 || next[0].timestamp != 26*480 {
		t.Fatalf("after the gap %+v, want the first packet of another spurt at 260 ms", next)
	}
	tk.skip(5)
	ends := say(t, tk, loudBlock(), false, 20)
	if len(ends) != 1+endRepeats {
		t.Fatalf("%d packets of silence after a gap, want the end and %d repeats", len(ends), endRepeats)
	}
	for _, s := range ends {
		if !s.end || s.spurt != next[0].spurt || s.timestamp != 28*480 {
			t.Errorf("after the gap %+v, want the end at 280 ms", s)
		}
	}
}

func TestWhatCannotBeEncodedEndsTheSpurt(t *testing.T) {
	tk := newTestTalker(t, 20*time.Millisecond)
	last := *lastOf(t, tk, 20)
	good := tk.enc
	tk.enc[whole] = failing{good[whole]}
	say(t, tk, loudBlock(), true, 1)
	end, err := tk.push(loudBlock(), true)
	if !errors.Is(err, errEncode) || end == nil || !end.end || end.spurt != last.spurt || end.timestamp != 20*480 {
		t.Fatalf("%+v, %v; want the end at 200 ms, and the error", end, err)
	}
	tk.enc = good
	if next := lastOf(t, tk, 2); next.spurt != last.spurt+1 {
		t.Errorf("after the failure %+v, want another spurt", next)
	}
}

// failing is an encoder that can't.
type failing struct{ codec.Encoder }

func (failing) Encode([]byte, []float32) ([]byte, error) { return nil, errEncode }

var errEncode = errors.New("broken on purpose")

func TestTalkerAllocatesNothing(t *testing.T) {
	tk := newTestTalker(t, 20*time.Millisecond)
	b := loudBlock()
	say(t, tk, b, true, 100)
	if n := testing.AllocsPerRun(500, func() {
		if _, err := tk.push(b, true); err != nil {
			t.Error(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations a block, want 0", n)
	}
}
