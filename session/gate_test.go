package session

import (
	"testing"
	"time"

	"github.com/parley-voice/parley/audio"
)

// openFor pushes blocks of one level and returns for how many the gate was
// open.
func openFor(g *gate, blocks int, in gateInput) (open int) {
	for range blocks {
		var b audio.Block
		if g.push(&b, in) {
			open++
		}
	}
	return open
}

func TestOpenGateIsOpenUnlessMuted(t *testing.T) {
	g := newGate(Open, -45)
	if got := openFor(&g, 10, gateInput{Level: -96}); got != 10 {
		t.Errorf("open for %d of 10 silent blocks, want 10", got)
	}
	if got := openFor(&g, 10, gateInput{Level: -10, Muted: true}); got != 0 {
		t.Errorf("open for %d of 10 muted blocks, want 0", got)
	}
}

func TestMutedBlockIsSilenced(t *testing.T) {
	for _, mode := range []Mode{Open, VoiceActivation, PushToTalk} {
		g := newGate(mode, -45)
		loud := audio.Block{0: 1, 479: 1}
		openFor(&g, 5, gateInput{Level: 0, Talking: true})
		b := loud
		g.push(&b, gateInput{Level: 0, Muted: true, Talking: true})
		if b != (audio.Block{}) {
			t.Errorf("%v: a muted block left the gate with sound in it", mode)
		}
		// Nor does what was said while muted come out after it.
		for range 2 * gatePreRoll {
			b = loud
			if g.push(&b, gateInput{Level: 0, Muted: true}); b != (audio.Block{}) {
				t.Errorf("%v: held sound left the gate while muted", mode)
			}
		}
	}
}

func TestVoiceActivationKeepsFirstSyllableAndLastBreath(t *testing.T) {
	g := newGate(VoiceActivation, -45)
	if got := openFor(&g, 100, gateInput{Level: -60}); got != 0 {
		t.Fatalf("open for %d blocks of noise", got)
	}
	// Number the blocks to see which come out.
	out := make([]float32, 0, 100)
	for i := range 100 {
		level := -60.0
		if i >= 10 && i < 20 {
			level = -20
		}
		b := audio.Block{0: float32(i)}
		if g.push(&b, gateInput{Level: level}) {
			out = append(out, b[0])
		}
	}
	if out[0] != 10-gatePreRoll {
		t.Errorf("first block said is number %g, want %d: the pre-roll", out[0], 10-gatePreRoll)
	}
	last := out[len(out)-1]
	if hang := time.Duration(last-19) * audio.BlockDuration; hang < gateHangover || hang > gateHangover+50*time.Millisecond {
		t.Errorf("closed %v after the last loud block, want %v", hang, gateHangover)
	}
	for i := 1; i < len(out); i++ {
		if out[i] != out[i-1]+1 {
			t.Fatalf("block %g follows %g", out[i], out[i-1])
		}
	}
}

func TestVoiceActivationHasTwoThresholds(t *testing.T) {
	g := newGate(VoiceActivation, -45)
	if got := openFor(&g, 100, gateInput{Level: -48}); got != 0 {
		t.Errorf("opened at -48 dBFS with a threshold of -45")
	}
	openFor(&g, 1, gateInput{Level: -40})
	if got := openFor(&g, 200, gateInput{Level: -48}); got != 200 {
		t.Errorf("open gate closed at -48 dBFS, within the hysteresis: %d of 200", got)
	}
}

func TestPushToTalkHasATail(t *testing.T) {
	g := newGate(PushToTalk, -45)
	if got := openFor(&g, 10, gateInput{Level: 0}); got != 0 {
		t.Errorf("open for %d blocks without the key", got)
	}
	openFor(&g, 10, gateInput{Talking: true})
	want := int(releaseTail / audio.BlockDuration)
	if got := openFor(&g, 100, gateInput{}); got != want {
		t.Errorf("open for %d blocks after the key, want %d", got, want)
	}
}
