package opus

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/parley-voice/parley/codec"
)

// lostFrame decodes what comes before packet i, and returns two guesses at
// packet i-1: by FEC in packet i, and by concealment.
func lostFrame(t *testing.T, packets [][]byte, i, samples int) (fec, plc []float32) {
	t.Helper()
	guess := func(f func(d codec.Decoder, dst []float32) error) []float32 {
		d := newDecoder(t)
		decodeAll(t, d, packets[max(0, i-6):i-1], samples)
		dst := make([]float32, samples)
		if err := f(d, dst); err != nil {
			t.Fatal(err)
		}
		return dst
	}
	fec = guess(func(d codec.Decoder, dst []float32) error { return d.Recover(dst, packets[i]) })
	plc = guess(func(d codec.Decoder, dst []float32) error { return d.Conceal(dst) })
	return fec, plc
}

// HasFEC against libopus: where it sees FEC in a packet, libopus recovers
// something else than concealment, and where not, the same.
func TestInspectAgreesWithLibopusAboutFEC(t *testing.T) {
	pcm := speech(t)[:3*codec.SampleRate]
	for _, d := range durations {
		for _, bitrate := range []int{16000, 32000, 64000} {
			t.Run(fmt.Sprintf("%v, %d b/s", d, bitrate), func(t *testing.T) {
				e := newEncoder(t, codec.Config{FrameDuration: d, Bitrate: bitrate})
				if err := e.SetExpectedLoss(0.3, true); err != nil {
					t.Fatal(err)
				}
				packets := encodeAll(t, e, pcm)
				with, without, wrong := 0, 0, 0
				for i := 1; i < len(packets); i++ {
					if len(packets[i]) == 0 || len(packets[i-1]) == 0 {
						continue
					}
					content, err := Codec{}.Inspect(packets[i])
					if err != nil {
						t.Fatal(err)
					}
					fec, plc := lostFrame(t, packets, i, e.FrameSamples())
					if content.FEC {
						with++
					} else {
						without++
					}
					if content.FEC == slices.Equal(fec, plc) {
						wrong++
					}
				}
				t.Logf("%d packets with FEC, %d without, %d wrong", with, without, wrong)
				// Before the first words libopus has nothing to conceal with,
				// and where its mode changes it takes concealment.
				if wrong > 2 || bitrate > 16000 && with < len(packets)/2 || without == 0 {
					t.Errorf("%d packets with FEC, %d without, in %d of them libopus does otherwise", with, without, wrong)
				}
			})
		}
	}
}

// In a long packet libopus codes only the voiced parts again, so that there is
// less to gain.
func TestFECBeatsConcealment(t *testing.T) {
	pcm := speech(t)
	tests := []struct {
		bitrate  int
		duration time.Duration
		least    float64 // SNR inside lost frames in dB
		better   float64 // than that of concealment
	}{
		{32000, 10 * time.Millisecond, 9, 4},
		{32000, 20 * time.Millisecond, 11, 8},
		{48000, 20 * time.Millisecond, 13, 10},
		{32000, 40 * time.Millisecond, 3, 1.5},
		{32000, 60 * time.Millisecond, 0.8, 0.4},
	}
	for _, test := range tests {
		t.Run(fmt.Sprintf("%d b/s, %v", test.bitrate, test.duration), func(t *testing.T) {
			e := newEncoder(t, codec.Config{Bitrate: test.bitrate, FrameDuration: test.duration})
			if err := e.SetExpectedLoss(0.1, true); err != nil {
				t.Fatal(err)
			}
			packets := encodeAll(t, e, pcm)
			fec := loseEveryThird(t, packets, e.FrameSamples(), true)
			plc := loseEveryThird(t, packets, e.FrameSamples(), false)
			t.Logf("SNR %.1f dB by FEC, %.1f dB by concealment", fec, plc)
			if fec < test.least || fec < plc+test.better {
				t.Errorf("SNR %.1f dB by FEC, %.1f dB by concealment; want at least %.1f, and %.1f better", fec, plc, test.least, test.better)
			}
		})
	}
}

// loseEveryThird loses every third packet whose next one carries FEC, and
// returns the SNR inside them against a decoder that lost nothing.
func loseEveryThird(t *testing.T, packets [][]byte, samples int, fec bool) float64 {
	t.Helper()
	whole := decodeAll(t, newDecoder(t), packets, samples)
	d := newDecoder(t)
	frame := make([]float32, codec.MaxPacketSamples)
	var sent, got []float32
	for i, p := range packets[:len(packets)-1] {
		var err error
		lost := len(p) > 0 && i%3 == 1 && codec.HasFEC(packets[i+1])
		switch {
		case lost && fec:
			err = d.Recover(frame[:samples], packets[i+1])
		case lost || len(p) == 0:
			err = d.Conceal(frame[:samples])
		default:
			_, err = d.Decode(frame, p)
		}
		if err != nil {
			t.Fatal(err)
		}
		if lost {
			sent = append(sent, whole[i*samples:(i+1)*samples]...)
			got = append(got, frame[:samples]...)
		}
	}
	return snr(sent, got)
}

func TestRecoverConcealsWithoutFEC(t *testing.T) {
	for _, c := range []codec.Config{{}, {LowDelay: true}} {
		packets := encodeAll(t, newEncoder(t, c), speech(t)[4800:4800+9600])
		if codec.HasFEC(packets[9]) {
			t.Fatal("FEC that nobody asked for")
		}
		recovered, concealed := lostFrame(t, packets, 9, 960)
		if power(recovered) < power(concealed)/4 {
			t.Errorf("low delay %v: power %g, %g concealed", c.LowDelay, power(recovered), power(concealed))
		}
	}
}

func TestFECIsThereWhenAskedFor(t *testing.T) {
	pcm := speech(t)[:3*codec.SampleRate]
	tests := []struct {
		name     string
		share    float64
		fec      bool
		lowDelay bool
		want     bool
	}{
		{"asked for", 0.05, true, false, true},
		{"asked for without loss", 0, true, false, true},
		{"asked for with little loss", 0.001, true, false, true},
		{"not asked for", 0.3, false, false, false},
		{"low delay", 0.3, true, true, false},
	}
	for _, test := range tests {
		e := newEncoder(t, codec.Config{LowDelay: test.lowDelay, Bitrate: 32000})
		if err := e.SetExpectedLoss(test.share, test.fec); err != nil {
			t.Fatal(err)
		}
		if got := slices.ContainsFunc(encodeAll(t, e, pcm), codec.HasFEC); got != test.want {
			t.Errorf("%s: FEC %v, want %v", test.name, got, test.want)
		}
	}
}
