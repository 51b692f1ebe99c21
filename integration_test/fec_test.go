package integration_test

import (
	"cmp"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/parley-voice/parley/audio"
	"github.com/parley-voice/parley/audio/audiotest"
	"github.com/parley-voice/parley/codec"
	"github.com/parley-voice/parley/codec/opus"
)

// protection is how speech is protected against losses: not at all, by in-band FEC,
// or by a copy in the next packet.
type protection struct {
	rate     int // b/s asked of the encoder
	fec      bool
	expected float64 // loss that it is told; 0 for that which there is
	constant bool    // bitrate
	copy     bool
}

var fecFull = flag.Bool("fec.full", false, "compare FEC and copies at all losses, with several seeds")

// protected is what comes of it.
type protected struct {
	kbps    float64 // payload sent, copies included
	carries float64 // share of packets with in-band FEC
	narrow  float64 // share of packets below full band
	stoi    float64
}

const fecFrame = audio.SampleRate / 50

// over codes what was said, loses a share of the packets at random, and decodes what
// is left: every lost frame is played as the packet after it makes possible.
func (p protection) over(t *testing.T, said []float32, loss float64, seed uint64) (r protected) {
	t.Helper()
	enc, err := opus.Codec{}.NewEncoder(codec.Config{Bitrate: p.rate, Constant: p.constant, NoDTX: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := enc.SetExpectedLoss(cmp.Or(p.expected, loss), p.fec); err != nil {
		t.Fatal(err)
	}
	var packets [][]byte
	for at := 0; at+fecFrame <= len(said); at += fecFrame {
		b, err := enc.Encode(make([]byte, codec.MaxPacketBytes), said[at:at+fecFrame])
		if err != nil {
			t.Fatal(err)
		}
		content, err := opus.Codec{}.Inspect(b)
		if err != nil {
			t.Fatal(err)
		}
		r.kbps += float64(len(b))
		if content.FEC {
			r.carries++
		}
		if !fullBand(b[0]) {
			r.narrow++
		}
		packets = append(packets, b)
	}
	n := float64(len(packets))
	r.kbps, r.carries, r.narrow = r.kbps/n*50*8/1000, r.carries/n, r.narrow/n
	if p.copy {
		r.kbps *= 2
	}
	r.stoi = audiotest.STOI(said, p.decode(t, packets, loss, seed))
	return r
}

// decode plays packets of which a share is lost, without the codec's delay.
func (p protection) decode(t *testing.T, packets [][]byte, loss float64, seed uint64) (heard []float32) {
	t.Helper()
	dec, err := opus.Codec{}.NewDecoder()
	if err != nil {
		t.Fatal(err)
	}
	random := rand.New(rand.NewPCG(seed, 1))
	lost := make([]bool, len(packets)+1)
	for i := range packets {
		lost[i] = random.Float64() < loss
	}
	lost[len(packets)] = true
	buf := make([]float32, codec.MaxPacketSamples)
	for i, b := range packets {
		switch next := !lost[i+1]; {
		case !lost[i], p.copy && next:
			_, err = dec.Decode(buf, b)
		case p.fec && next:
			err = dec.Recover(buf[:fecFrame], packets[i+1])
		default:
			err = dec.Conceal(buf[:fecFrame])
		}
		if err != nil {
			t.Fatal(err)
		}
		heard = append(heard, buf[:fecFrame]...)
	}
	return heard[audiotest.Samples(opus.Codec{}.Delay(codec.Config{})):]
}

// fullBand says whether a packet has the whole band, by its first byte: RFC 6716,
// table 2.
func fullBand(toc byte) bool {
	config := toc >> 3
	return config == 14 || config == 15 || config >= 28
}

// protections are those that are compared. A copy costs as much as its frame.
var protections = map[string]protection{
	"none, 26 kb/s":        {rate: codec.DefaultBitrate},
	"FEC, 26 kb/s":         {rate: codec.DefaultBitrate, fec: true},
	"copies, 26 kb/s":      {rate: codec.DefaultBitrate, copy: true},
	"none, 32 kb/s":        {rate: 32000},
	"FEC, 32 kb/s":         {rate: 32000, fec: true, expected: 0.05},
	"FEC, 52 kb/s":         {rate: 2 * codec.DefaultBitrate, fec: true},
	"copies, lean 17 kb/s": {rate: 17000, constant: true, copy: true},
}

// At the bitrate that is ours by default libopus puts FEC into no packet while less
// than a tenth is lost, and into most beyond, for the upper band of all. A copy
// brings more there. From 32 kb/s on FEC is there at any loss, and where the link
// carries no whole copy it brings more than a copy of the lean encoding, which takes as
// much.
func TestInBandFECIsForThinLinks(t *testing.T) {
	said, err := audiotest.LoadWAV(filepath.Join("..", "testdata", "speech", "anna.wav"))
	if err != nil {
		t.Fatal(err)
	}
	losses, seeds := []float64{0.05, 0.1}, uint64(1)
	if *fecFull {
		losses, seeds = []float64{0, 0.01, 0.02, 0.05, 0.1, 0.2}, 6
	} else {
		said = said[:min(len(said), audiotest.Samples(8*time.Second))]
	}
	table := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "loss\tprotection\tpayload kb/s\twith FEC\tbelow full band\tSTOI")
	for _, loss := range losses {
		got := map[string]protected{}
		for _, name := range slices.Sorted(maps.Keys(protections)) {
			var sum protected
			for seed := range seeds {
				r := protections[name].over(t, said, loss, seed+1)
				r.stoi = sum.stoi + r.stoi/float64(seeds)
				sum = r
			}
			got[name] = sum
			fmt.Fprintf(table, "%.0f %%\t%s\t%.1f\t%.0f %%\t%.0f %%\t%.4f\n", 100*loss, name, sum.kbps, 100*sum.carries, 100*sum.narrow, sum.stoi)
		}
		ours, bare, copies, higher := got["FEC, 26 kb/s"], got["none, 26 kb/s"], got["copies, 26 kb/s"], got["FEC, 32 kb/s"]
		if little := loss < 0.1; little && ours.carries > 0 || !little && (ours.carries < 0.5 || ours.narrow < 0.9) {
			t.Errorf("%.0f %% loss: at 26 kb/s %+v", 100*loss, ours)
		}
		if loss > 0 && higher.carries < 0.5 || higher.narrow > 0 || bare.narrow > 0 {
			t.Errorf("%.0f %% loss: at 32 kb/s %+v", 100*loss, higher)
		}
		if small := got["copies, lean 17 kb/s"]; loss > 0 && loss <= 0.1 && (higher.stoi < small.stoi || higher.kbps > small.kbps) {
			t.Errorf("%.0f %% loss: FEC at 32 kb/s %+v, lean copies %+v", 100*loss, higher, small)
		}
		if loss >= 0.05 && (copies.stoi < ours.stoi+0.01 || copies.stoi < higher.stoi) {
			t.Errorf("%.0f %% loss: copies %+v, FEC %+v, at 32 kb/s %+v", 100*loss, copies, ours, higher)
		}
	}
	if err := table.Flush(); err != nil {
		t.Fatal(err)
	}
}
