package audio_test

import (
	"fmt"

	"github.com/parley-voice/parley/audio"
)

// Two voices, one of them half as loud and to the left, become one stereo block
// for the speaker and one mono block for an echo canceller.
func ExampleMixer() {
	anna, ben := audio.NewTone(220, -12), audio.NewTone(330, -12)
	var toAnna, toBen audio.Input
	toBen.SetGain(0.5)
	toBen.SetPan(-1)

	var mixer audio.Mixer
	var level audio.Meter
	for range 10 {
		var voice, mono audio.Block
		var speaker audio.StereoBlock
		_ = anna.ReadBlock(&voice)
		mixer.Add(&toAnna, &voice)
		_ = ben.ReadBlock(&voice)
		mixer.Add(&toBen, &voice)
		mixer.Mix(&speaker)
		mixer.Mono(&mono)
		level.Push(mono[:])
	}
	fmt.Printf("peak %.0f dBFS\n", level.Level().Peak)
	// Output: peak -10 dBFS
}
