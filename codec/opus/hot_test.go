package opus

import (
	"fmt"
	"testing"

	"github.com/parley-voice/parley/codec"
)

func TestHotPathAllocatesNothing(t *testing.T) {
	pcm := speech(t)[:codec.SampleRate]
	e := newEncoder(t, codec.Config{})
	if err := e.SetExpectedLoss(0.1, true); err != nil {
		t.Fatal(err)
	}
	packets := encodeAll(t, e, pcm)
	d := newDecoder(t)
	dst := make([]byte, codec.MaxPacketBytes)
	frame := make([]float32, codec.MaxPacketSamples)
	i := 0
	for name, f := range map[string]func() error{
		"Encode":          func() error { _, err := e.Encode(dst, pcm[i*960:(i+1)*960]); return err },
		"Decode":          func() error { _, err := d.Decode(frame, packets[i]); return err },
		"Recover":         func() error { return d.Recover(frame[:960], packets[i]) },
		"Conceal":         func() error { return d.Conceal(frame[:960]) },
		"Inspect":         func() error { _, err := Codec{}.Inspect(packets[i]); return err },
		"SetBitrate":      func() error { return e.SetBitrate(24000 + i) },
		"SetExpectedLoss": func() error { return e.SetExpectedLoss(float64(i)/100, true) },
	} {
		if n := testing.AllocsPerRun(100, func() {
			i = (i + 1) % 30
			if err := f(); err != nil {
				t.Error(err)
			}
		}); n != 0 {
			t.Errorf("%s: %v allocations, want 0", name, n)
		}
	}
	silence := make([]float32, 960)
	if n := testing.AllocsPerRun(200, func() {
		if _, err := e.Encode(dst, silence); err != nil {
			t.Error(err)
		}
	}); n != 0 {
		t.Errorf("Encode in a pause: %v allocations, want 0", n)
	}
}

func BenchmarkEncode(b *testing.B) {
	pcm := speech(b)
	dst := make([]byte, codec.MaxPacketBytes)
	for name, cfg := range map[string]codec.Config{
		"usual": {NoDTX: true},
		"small": {NoDTX: true, Bitrate: 11000, Constant: true},
	} {
		for _, cfg.Complexity = range []int{1, 5, 9, 10} {
			b.Run(fmt.Sprintf("%s/complexity=%d", name, cfg.Complexity), func(b *testing.B) {
				e := newEncoder(b, cfg)
				b.ReportAllocs()
				i := 0
				for b.Loop() {
					if _, err := e.Encode(dst, pcm[i:i+960]); err != nil {
						b.Fatal(err)
					}
					i = (i + 960) % (len(pcm) - 960)
				}
			})
		}
	}
}

func BenchmarkDecode(b *testing.B) {
	e := newEncoder(b, codec.Config{NoDTX: true})
	if err := e.SetExpectedLoss(0.1, true); err != nil {
		b.Fatal(err)
	}
	packets := encodeAll(b, e, speech(b))
	frame := make([]float32, codec.MaxPacketSamples)
	for _, bench := range []struct {
		name string
		f    func(d codec.Decoder, i int) error
	}{
		{"decode", func(d codec.Decoder, i int) error { _, err := d.Decode(frame, packets[i]); return err }},
		{"recover", func(d codec.Decoder, i int) error { return d.Recover(frame[:960], packets[i]) }},
		{"conceal", func(d codec.Decoder, i int) error {
			if i%10 == 0 {
				_, err := d.Decode(frame, packets[i])
				return err
			}
			return d.Conceal(frame[:960])
		}},
	} {
		b.Run(bench.name, func(b *testing.B) {
			d := newDecoder(b)
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				if err := bench.f(d, i); err != nil {
					b.Fatal(err)
				}
				i = (i + 1) % len(packets)
			}
		})
	}
}
