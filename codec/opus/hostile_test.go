package opus

import (
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/parley-voice/parley/codec"
)

const canary = float32(12345)

// guarded is a buffer of n samples whose capacity goes on behind them, over
// samples that nobody may touch.
func guarded(n int) (dst, behind []float32) {
	all := make([]float32, n+4*codec.MaxPacketSamples)
	for i := range all {
		all[i] = canary
	}
	return all[:n], all[n:]
}

func touched(behind []float32) bool {
	return slices.ContainsFunc(behind, func(s float32) bool { return s != canary })
}

// check decodes a packet from a hostile peer in each way: an error, or sound
// samples, and nothing written where it doesn't belong.
func check(t *testing.T, d codec.Decoder, packet []byte) {
	t.Helper()
	dst, behind := guarded(codec.MaxPacketSamples)
	content, inspected := Codec{}.Inspect(packet)
	n, err := d.Decode(dst, packet)
	switch {
	case touched(behind) || err == nil && touched(dst[n:]):
		t.Fatalf("%d bytes: written behind the frame", len(packet))
	case err != nil && !errors.Is(err, codec.ErrPacket):
		t.Fatalf("%d bytes: %v, want ErrPacket", len(packet), err)
	case inspected != nil && err == nil:
		t.Fatalf("%d bytes: decoded, though %v", len(packet), inspected)
	case err == nil && n != content.Samples:
		t.Fatalf("%d bytes: %d samples, Inspect says %d", len(packet), n, content.Samples)
	case err == nil && !sound(dst[:n]):
		t.Fatalf("%d bytes: samples beyond %v", len(packet), peak)
	}
	for _, samples := range []int{120, 480, 960, 1080, 2880} {
		dst, behind := guarded(samples)
		err := d.Recover(dst, packet)
		if touched(behind) {
			t.Fatalf("%d bytes: recovery wrote behind %d samples", len(packet), samples)
		}
		if err == nil && (inspected != nil || !sound(dst)) || err != nil && !errors.Is(err, codec.ErrPacket) {
			t.Fatalf("%d bytes: recovery of %d samples: %v", len(packet), samples, err)
		}
	}
}

func sound(pcm []float32) bool {
	return !slices.ContainsFunc(pcm, func(s float32) bool { return !(s >= -peak && s <= peak) })
}

func TestHostilePacketsDoNoHarm(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	d := newDecoder(t)
	packet := make([]byte, 1300)
	for length := 0; length <= len(packet); length++ {
		for i := range packet[:length] {
			packet[i] = byte(random.Uint32())
		}
		check(t, d, packet[:length])
	}
	good := encodeAll(t, newEncoder(t, codec.Config{NoDTX: true}), speech(t)[:codec.SampleRate])
	for _, p := range good {
		cut := random.IntN(len(p))
		check(t, d, p[:cut])
		p[random.IntN(len(p))] ^= 1 << random.IntN(8)
		check(t, d, p)
	}
}

func TestEveryTOCIsDecodedOrRefused(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 6))
	for toc := range 256 {
		d := newDecoder(t)
		for _, count := range []byte{1, 2, 3, 4, 6, 24, 48, 63} {
			packet := []byte{byte(toc), count}
			for range 2 * 48 {
				packet = append(packet, byte(random.Uint32()))
			}
			check(t, d, packet)
			check(t, d, append(packet, 0))
		}
	}
}

func TestLongPacketsAreRefused(t *testing.T) {
	tests := map[string][]byte{
		"120 ms in 6 frames":  append([]byte{31<<3 | 3, 6}, make([]byte, 6*40)...),
		"80 ms in 4 frames":   append([]byte{31<<3 | 3, 4}, make([]byte, 4*40)...),
		"120 ms in 2 of SILK": append([]byte{11<<3 | 1}, make([]byte, 80)...),
		"62.5 ms in 25":       append([]byte{28<<3 | 3, 25}, make([]byte, 25*8)...),
		"961 bytes":           append([]byte{31 << 3}, make([]byte, 960)...),
	}
	for name, packet := range tests {
		t.Run(name, func(t *testing.T) {
			if _, err := codec.Parse(packet); err != nil {
				t.Fatalf("%v: this packet should be well-formed", err)
			}
			if _, err := (Codec{}).Inspect(packet); !errors.Is(err, codec.ErrPacket) {
				t.Errorf("inspected: %v, want ErrPacket", err)
			}
			d := newDecoder(t)
			dst := make([]float32, 2*codec.MaxPacketSamples)
			if _, err := d.Decode(dst, packet); !errors.Is(err, codec.ErrPacket) {
				t.Errorf("decoded: %v, want ErrPacket", err)
			}
			if err := d.Recover(dst[:960], packet); !errors.Is(err, codec.ErrPacket) {
				t.Errorf("recovered: %v, want ErrPacket", err)
			}
		})
	}
}

func TestFramesOfWrongLengthAreRefused(t *testing.T) {
	d := newDecoder(t)
	p := encodeAll(t, newEncoder(t, codec.Config{NoDTX: true}), speech(t)[:4800])[4]
	big := make([]float32, 3*codec.MaxPacketSamples)
	for _, n := range []int{0, 960, codec.MaxPacketSamples - 1} {
		if _, err := d.Decode(big[:n], p); !errors.Is(err, codec.ErrFrame) {
			t.Errorf("room for %d samples: %v, want ErrFrame", n, err)
		}
	}
	for _, n := range []int{0, 1, 100, 119, 121, 1000, codec.MaxPacketSamples + 120} {
		if err := d.Conceal(big[:n]); !errors.Is(err, codec.ErrFrame) {
			t.Errorf("concealed %d samples: %v, want ErrFrame", n, err)
		}
		if err := d.Recover(big[:n], p); !errors.Is(err, codec.ErrFrame) {
			t.Errorf("recovered %d samples: %v, want ErrFrame", n, err)
		}
	}
}

// Every legal length is filled, and no sample behind it: the binding passes the
// capacity to C, not the length.
func TestConcealFillsWhatItIsGiven(t *testing.T) {
	for _, c := range []codec.Config{{}, {LowDelay: true}} {
		packets := encodeAll(t, newEncoder(t, c), speech(t)[4800:4800+9600])
		for n := 120; n <= codec.MaxPacketSamples; n += 120 {
			d := newDecoder(t)
			decodeAll(t, d, packets, 960)
			dst, behind := guarded(n)
			if err := d.Conceal(dst); err != nil {
				t.Fatalf("%d samples: %v", n, err)
			}
			if touched(behind) || slices.Contains(dst, canary) {
				t.Fatalf("%d samples: not just these were written", n)
			}
			if power(dst) < 1e-7 {
				t.Errorf("%d samples: silence after speech", n)
			}
		}
	}
}

func TestConcealFadesOut(t *testing.T) {
	d := newDecoder(t)
	decodeAll(t, d, encodeAll(t, newEncoder(t, codec.Config{}), speech(t)[4800:4800+9600]), 960)
	dst := make([]float32, 960)
	for range 50 {
		if err := d.Conceal(dst); err != nil {
			t.Fatal(err)
		}
	}
	if p := 10 * math.Log10(power(dst)+1e-12); p > -60 {
		t.Fatalf("%.0f dBFS after a second of concealment", p)
	}
}

func TestEncoderSurvivesAnySamples(t *testing.T) {
	pcm := speech(t)[:2*codec.SampleRate]
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	for _, lowDelay := range []bool{false, true} {
		e := newEncoder(t, codec.Config{NoDTX: true, LowDelay: lowDelay})
		for _, bad := range []float32{nan, inf, -inf, 1e30, math.MaxFloat32, 1e-44} {
			frame := slices.Repeat([]float32{bad}, 960)
			encodeAll(t, e, frame)
			if math.Float32bits(frame[0]) != math.Float32bits(bad) {
				t.Fatal("Encode changed its input")
			}
		}
		out := decodeAll(t, newDecoder(t), encodeAll(t, e, pcm), 960)
		delay := int(math.Round((Codec{}).Delay(codec.Config{LowDelay: lowDelay}).Seconds() * codec.SampleRate))
		if got := spectralDistance(pcm[codec.SampleRate/2:], out[codec.SampleRate/2+delay:]); got > 5 {
			t.Errorf("low delay %v: spectral distance %.1f dB after samples that are none", lowDelay, got)
		}
	}
}

// Also in a pause, whose noise they must not spoil: the packets are those of
// harmless samples.
func TestSamplesThatAreNoneCountAsSilence(t *testing.T) {
	pcm := noisy(make([]float32, 4*codec.SampleRate), 0.001)
	copy(pcm[3*codec.SampleRate:], noisy(speech(t)[:codec.SampleRate], 0.001))
	for bad, good := range map[float32]float32{float32(math.NaN()): 0, float32(math.Inf(1)): peak, -1e30: -peak} {
		spoiled := slices.Clone(pcm)
		for i := 2 * codec.SampleRate; i < 2*codec.SampleRate+960; i += 7 {
			pcm[i], spoiled[i] = good, bad
		}
		want := encodeAll(t, newEncoder(t, codec.Config{}), pcm)
		for i, p := range encodeAll(t, newEncoder(t, codec.Config{}), spoiled) {
			if !slices.Equal(p, want[i]) {
				t.Fatalf("with %v frame %d becomes %d bytes, with %v %d", bad, i, len(p), good, len(want[i]))
			}
		}
	}
}

func TestEncodeWritesOnlyIntoItsBuffer(t *testing.T) {
	all := slices.Repeat([]byte{0xA5}, 4*codec.MaxPacketBytes)
	e := newEncoder(t, codec.Config{Bitrate: codec.MaxBitrate, FrameDuration: durations[3], NoDTX: true})
	pcm := noisy(make([]float32, codec.SampleRate), 0.3)
	for ; len(pcm) >= 2880; pcm = pcm[2880:] {
		p, err := e.Encode(all[:codec.MaxPacketBytes], pcm[:2880])
		if err != nil || len(p) < 900 || &p[0] != &all[0] {
			t.Fatalf("%d bytes, %v", len(p), err)
		}
		if slices.ContainsFunc(all[codec.MaxPacketBytes:], func(b byte) bool { return b != 0xA5 }) {
			t.Fatal("written behind the buffer")
		}
	}
}

func FuzzDecode(f *testing.F) {
	for _, c := range []codec.Config{{}, {LowDelay: true}, {FrameDuration: durations[3], Bitrate: 12000}, {FrameDuration: durations[2], Bitrate: 64000}} {
		e := newEncoder(f, c)
		if err := e.SetExpectedLoss(0.2, true); err != nil {
			f.Fatal(err)
		}
		packets := encodeAll(f, e, speech(f)[:codec.SampleRate/2])
		f.Add(packets[1], packets[2])
	}
	f.Add([]byte{0x7f, 0xC3, 1, 2, 3, 4, 5, 6, 7}, []byte{0x4c, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, first, second []byte) {
		d := newDecoder(t)
		check(t, d, first)
		check(t, d, second)
	})
}
