package audiotest_test

import (
	"fmt"
	"time"

	"github.com/parley-voice/parley/audio/audiotest"
)

// A chirp is played once per second, and found in what came out 42 ms later.
func ExampleFindWithin() {
	chirp := audiotest.Chirp(audiotest.ChirpConfig{})
	played := audiotest.Repeat(chirp, time.Second, 4*time.Second)
	recorded := audiotest.Delayed(played, audiotest.Samples(42*time.Millisecond))

	for at := time.Duration(0); at < 4*time.Second; at += time.Second {
		m := audiotest.FindWithin(chirp, recorded, at, at+500*time.Millisecond)
		fmt.Println(m.Offset-at, m.Confidence > 0.9)
	}
	// Output:
	// 42ms true
	// 42ms true
	// 42ms true
	// 42ms true
}
