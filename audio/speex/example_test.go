package speex_test

import (
	"fmt"

	"github.com/parley-voice/parley/audio"
	"github.com/parley-voice/parley/audio/speex"
)

// A chain for a session that isn't made by parley.New, which makes a longer one.
func Example() {
	canceller, err := speex.New(speex.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer canceller.Close()
	chain := audio.Chain{canceller, &audio.Limiter{}}
	// session.Config{Chain: chain} has it called for each block of the microphone.
	var mic, mix audio.Block
	chain.Process(&mic, &mix)
	fmt.Println("audio is held back for", chain.Delay())
	// Output: audio is held back for 6ms
}
