package sessiontest

import (
	"bytes"
	"errors"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/parley-voice/parley/codec"
)

// tone is a sine in 48 kHz PCM.
func tone(hz, gain float64, from, samples int) []float32 {
	pcm := make([]float32, samples)
	for i := range pcm {
		pcm[i] = float32(gain * math.Sin(2*math.Pi*hz*float64(from+i)/codec.SampleRate))
	}
	return pcm
}

// snr is the ratio of signal and error in dB.
func snr(want, got []float32) float64 {
	var signal, noise float64
	for i := range want {
		signal += float64(want[i]) * float64(want[i])
		noise += float64(want[i]-got[i]) * float64(want[i]-got[i])
	}
	return 10 * math.Log10(signal/noise)
}

func newCoder(t *testing.T, cfg codec.Config) (codec.Encoder, *Decoder) {
	t.Helper()
	c := &Codec{Record: true}
	e, err := c.NewEncoder(cfg)
	check(t, err)
	_, err = c.NewDecoder()
	check(t, err)
	return e, c.Decoders()[0]
}

func TestCodecKeepsAToneAtEveryDurationAndBitrate(t *testing.T) {
	for _, ms := range []time.Duration{10, 20, 40, 60} {
		for _, bitrate := range []int{6000, 16000, 32000, 64000, 128000} {
			e, d := newCoder(t, codec.Config{FrameDuration: ms * time.Millisecond, Bitrate: bitrate})
			check(t, e.SetExpectedLoss(0.1, true))
			out := make([]float32, codec.MaxPacketSamples)
			buf := make([]byte, codec.MaxPacketBytes)
			n := e.FrameSamples()
			for i := range 3 {
				pcm := tone(200, 0.5, i*n, n)
				packet, err := e.Encode(buf, pcm)
				check(t, err)
				if limit := max(bitrate*n/codec.SampleRate/8, packetHeader+n/96+n/fecFactor); len(packet) > limit {
					t.Errorf("%d ms at %d b/s: %d bytes, more than %d", ms, bitrate, len(packet), limit)
				}
				info, err := codec.Parse(packet)
				if err != nil || info.Samples != n || info.FEC != (i > 0) {
					t.Errorf("%d ms: codec.Parse says %+v, %v", ms, info, err)
				}
				content, err := (&Codec{}).Inspect(packet)
				if err != nil || content != (codec.Content{Samples: n, FEC: i > 0}) {
					t.Errorf("%d ms: Inspect says %+v, %v", ms, content, err)
				}
				got, err := d.Decode(out, packet)
				if err != nil || got != n {
					t.Fatalf("decoded %d samples, %v; want %d", got, err, n)
				}
				if q := snr(pcm, out[:n]); bitrate >= 32000 && q < 15 {
					t.Errorf("%d ms at %d b/s: %.1f dB", ms, bitrate, q)
				}
			}
		}
	}
}

func TestCodecSendsNothingThroughSilence(t *testing.T) {
	buf := make([]byte, codec.MaxPacketBytes)
	for _, noDTX := range []bool{false, true} {
		e, _ := newCoder(t, codec.Config{NoDTX: noDTX})
		packet, err := e.Encode(buf, make([]float32, 960))
		if err != nil || (len(packet) > 0) != noDTX {
			t.Errorf("NoDTX %v: %d bytes, %v", noDTX, len(packet), err)
		}
	}
}

func TestDecoderRecordsWhatItDid(t *testing.T) {
	e, d := newCoder(t, codec.Config{})
	check(t, e.SetExpectedLoss(0.1, true))
	var packets [][]byte
	var frames [][]float32
	for i := range 5 {
		frames = append(frames, tone(300, 0.3, i*960, 960))
		p, err := e.Encode(make([]byte, codec.MaxPacketBytes), frames[i])
		check(t, err)
		packets = append(packets, p)
	}
	out := make([]float32, codec.MaxPacketSamples)
	_, err := d.Decode(out, packets[0])
	check(t, err)
	check(t, d.Recover(out[:960], packets[2]))
	if q := snr(frames[1], out[:960]); q < 10 {
		t.Errorf("recovered with %.1f dB", q)
	}
	_, err = d.Decode(out, packets[2])
	check(t, err)
	loud := energy(out[480:960])
	check(t, d.Conceal(out[:960]))
	if first, second := energy(out[:480]), energy(out[480:960]); first >= loud || second >= first || second == 0 {
		t.Errorf("concealed with energies %v and %v after %v, want a fade", first, second, loud)
	}
	_, err = d.Decode(out, packets[4])
	check(t, err)
	want := []Frame{{Decoded, 0, 960}, {Recovered, 1, 960}, {Decoded, 2, 960}, {Concealed, 0, 960}, {Decoded, 4, 960}}
	if got := d.Frames(); !slices.Equal(got, want) {
		t.Errorf("frames %v, want %v", got, want)
	}
}

func energy(pcm []float32) (sum float64) {
	for _, s := range pcm {
		sum += float64(s) * float64(s)
	}
	return sum
}

func TestDecoderRefusesWhatIsNoPacket(t *testing.T) {
	e, d := newCoder(t, codec.Config{})
	good, err := e.Encode(make([]byte, codec.MaxPacketBytes), tone(300, 0.3, 0, 960))
	check(t, err)
	out := make([]float32, codec.MaxPacketSamples)
	for cut := range len(good) {
		if _, err := d.Decode(out, good[:cut]); !errors.Is(err, codec.ErrPacket) {
			t.Errorf("cut to %d bytes: %v, want ErrPacket", cut, err)
		}
	}
	if _, err := d.Decode(out, append(bytes.Clone(good), 0)); !errors.Is(err, codec.ErrPacket) {
		t.Errorf("a byte too many: %v, want ErrPacket", err)
	}
}

func FuzzDecoder(f *testing.F) {
	e, _ := (&Codec{}).NewEncoder(codec.Config{})
	buf := make([]byte, codec.MaxPacketBytes)
	for range 2 {
		p, _ := e.Encode(buf, tone(300, 0.3, 0, 960))
		f.Add(bytes.Clone(p))
		_ = e.SetExpectedLoss(0, true)
	}
	f.Fuzz(func(t *testing.T, packet []byte) {
		c := &Codec{}
		d, _ := c.NewDecoder()
		out := make([]float32, codec.MaxPacketSamples)
		content, inspected := c.Inspect(packet)
		n, err := d.Decode(out, packet)
		if (err == nil) != (inspected == nil) || n != content.Samples {
			t.Fatalf("Inspect %+v, %v; Decode %d, %v", content, inspected, n, err)
		}
		if err != nil {
			return
		}
		if info, err := codec.Parse(packet); err != nil || info.Samples != n || info.FEC != content.FEC {
			t.Fatalf("codec.Parse says %+v, %v; Inspect %+v", info, err, content)
		}
		for _, s := range out[:n] {
			if !(s >= -1 && s <= 1) {
				t.Fatalf("sample %v", s)
			}
		}
		if err := d.Recover(out[:960], packet); err != nil {
			t.Fatal(err)
		}
	})
}

func TestCodecAllocatesNothing(t *testing.T) {
	c := &Codec{}
	e, err := c.NewEncoder(codec.Config{})
	check(t, err)
	d, err := c.NewDecoder()
	check(t, err)
	pcm, out, buf := tone(300, 0.3, 0, 960), make([]float32, codec.MaxPacketSamples), make([]byte, codec.MaxPacketBytes)
	if allocs := testing.AllocsPerRun(100, func() {
		p, _ := e.Encode(buf, pcm)
		_, _ = d.Decode(out, p)
		_ = d.Conceal(out[:960])
	}); allocs != 0 {
		t.Errorf("%v allocations per frame", allocs)
	}
}
