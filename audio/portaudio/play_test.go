package portaudio_test

import (
	"bufio"
	"encoding/binary"
	"io"
	"math"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/parley-voice/parley/audio"
	"github.com/parley-voice/parley/audio/portaudio"
	"github.com/parley-voice/parley/audio/pulsetest"
)

// noise is deterministic noise of 16 bits, never silent for long.
func noise(n int) []int16 {
	pcm := make([]int16, n)
	x := uint32(1)
	for i := range pcm {
		x = x*1664525 + 1013904223
		pcm[i] = int16(x>>16) / 4
	}
	return pcm
}

// rawFile writes samples as paplay takes them with --raw.
func rawFile(t *testing.T, pcm []int16) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "pcm.raw")
	raw := make([]byte, 0, 2*len(pcm))
	for _, x := range pcm {
		raw = binary.LittleEndian.AppendUint16(raw, uint16(x))
	}
	if err := os.WriteFile(name, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

func TestMicrophoneIsReadBitExactly(t *testing.T) {
	server := pulsetest.Start(t, pulsetest.Config{})
	server.Setenv()
	machine := server.Machine(0)
	source, err := portaudio.OpenSource(portaudio.Config{Device: machine.Microphone})
	if err != nil {
		t.Fatal(err)
	}
	defer source.Close()
	said := noise(audio.SampleRate)
	player := server.Command("paplay", "--raw", "--rate=48000", "--channels=1", "--format=s16le", "--device="+machine.MouthSink, rawFile(t, said))
	if err := player.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := player.Wait(); err != nil {
			t.Error(err)
		}
	}()
	var heard []int16
	for deadline := time.Now().Add(4 * time.Second); len(heard) < len(said) && time.Now().Before(deadline); {
		var b audio.Block
		if err := source.ReadBlock(&b); err != nil {
			t.Fatal(err)
		}
		for _, x := range b {
			if v := math.Round(float64(x) * 32768); v != 0 || len(heard) > 0 {
				heard = append(heard, int16(v))
			}
		}
	}
	if faults := source.Faults(); faults.Underruns+faults.Overruns > 0 {
		t.Skipf("SKIPPED: the machine is too busy to compare every sample: %+v", faults)
	}
	skipped := 0 // zeros that the noise begins with
	for said[skipped] == 0 {
		skipped++
	}
	if len(heard) < len(said)-skipped {
		t.Fatalf("heard %d of %d samples", len(heard), len(said))
	}
	wrong := 0
	for i, x := range said[skipped:] {
		if heard[i] != x {
			wrong++
		}
	}
	if wrong > 0 {
		t.Errorf("%d of %d samples differ", wrong, len(said))
	}
}

func TestSpeakerPlaysBothSides(t *testing.T) {
	server := pulsetest.Start(t, pulsetest.Config{})
	server.Setenv()
	machine := server.Machine(0)
	sink, err := portaudio.OpenSink(portaudio.Config{Device: machine.Speaker})
	if err != nil {
		t.Fatal(err)
	}
	defer sink.Close()
	recorder := server.Command("parec", "--raw", "--rate=48000", "--channels=2", "--format=float32le", "--latency-msec=10", "--device="+machine.EarSource)
	out, err := recorder.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := recorder.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		var b audio.StereoBlock
		for i := range b {
			b[i] = 0.5 - 0.75*float32(i%2) // left 0.5, right -0.25
		}
		var err error
		for err == nil {
			err = sink.WriteBlock(&b)
		}
	}()
	left, right := 0, 0
	frame := make([]byte, 8)
	pcm := bufio.NewReader(out)
	for range 2 * audio.SampleRate {
		if _, err := io.ReadFull(pcm, frame); err != nil {
			t.Fatal(err)
		}
		l := math.Float32frombits(binary.LittleEndian.Uint32(frame))
		r := math.Float32frombits(binary.LittleEndian.Uint32(frame[4:]))
		if l == 0.5 {
			left++
		}
		if r == -0.25 {
			right++
		}
		if left > 4800 && right > 4800 {
			break
		}
	}
	if err := recorder.Process.Kill(); err != nil {
		t.Error(err)
	}
	_ = recorder.Wait() // killed
	if left < 4800 || right < 4800 {
		t.Errorf("heard %d samples on the left and %d on the right, want 4800", left, right)
	}
}

func TestDeviceWithoutClockIsPaced(t *testing.T) {
	server := pulsetest.Start(t, pulsetest.Config{ExtraALSA: `
pcm.clockless { type null hint { show on description "takes and gives anything at once" } }
`})
	server.Setenv()
	sink, err := portaudio.OpenSink(portaudio.Config{Device: "clockless"})
	if err != nil {
		t.Fatal(err)
	}
	defer sink.Close()
	source, err := portaudio.OpenSource(portaudio.Config{Device: "clockless"})
	if err != nil {
		t.Fatal(err)
	}
	defer source.Close()
	const blocks = 100
	began := time.Now()
	for range blocks {
		var b audio.StereoBlock
		if err := sink.WriteBlock(&b); err != nil {
			t.Fatal(err)
		}
	}
	written := time.Since(began)
	began = time.Now()
	for range blocks {
		var b audio.Block
		if err := source.ReadBlock(&b); err != nil {
			t.Fatal(err)
		}
	}
	read := time.Since(began)
	if least := blocks*audio.BlockDuration - 400*time.Millisecond; written < least || read < least {
		t.Errorf("1 s of audio was written in %v and read in %v", written, read)
	}
}

func TestNothingIsAllocatedPerBlock(t *testing.T) {
	server := pulsetest.Start(t, pulsetest.Config{})
	server.Setenv()
	machine := server.Machine(0)
	sink, err := portaudio.OpenSink(portaudio.Config{Device: machine.Speaker})
	if err != nil {
		t.Fatal(err)
	}
	defer sink.Close()
	source, err := portaudio.OpenSource(portaudio.Config{Device: machine.Ear})
	if err != nil {
		t.Fatal(err)
	}
	defer source.Close()
	var in audio.Block
	var out audio.StereoBlock
	block := func() {
		if err := sink.WriteBlock(&out); err != nil {
			t.Fatal(err)
		}
		if err := source.ReadBlock(&in); err != nil {
			t.Fatal(err)
		}
	}
	for range 10 {
		block()
	}
	if allocs := testing.AllocsPerRun(100, block); allocs > 0 { // those of the package's goroutines too
		t.Errorf("%v allocations per block", allocs)
	}
}
