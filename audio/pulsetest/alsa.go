package pulsetest

import (
	"fmt"
	"strings"
)

// alsaConfig is the whole ALSA configuration: the default device and the four
// ends of each machine that isn't hidden, nothing of the system's own.
func alsaConfig(c Config, hidden map[int]bool) string {
	var b strings.Builder
	fmt.Fprintf(&b, "pcm.default {\n\ttype pulse\n\thint { show on description \"default\" }\n}\n")
	fmt.Fprintf(&b, "ctl.default { type pulse }\n")
	for i := range c.Machines {
		if hidden[i] {
			continue
		}
		m := machine(i)
		pcm(&b, m.Speaker, m.SpeakerSink, "speaker")
		pcm(&b, m.Microphone, m.MicrophoneSource, "microphone")
		pcm(&b, m.Mouth, m.MouthSink, "talk into the microphone")
		pcm(&b, m.Ear, m.EarSource, "hear the speaker")
	}
	b.WriteString(c.ExtraALSA)
	return b.String()
}

func pcm(b *strings.Builder, name, device, description string) {
	fmt.Fprintf(b, "pcm.%s {\n\ttype pulse\n\tdevice %s\n\thint { show on description \"%s\" }\n}\n", name, device, description)
}
