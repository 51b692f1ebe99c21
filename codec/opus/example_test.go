package opus_test

import (
	"fmt"
	"math"

	"github.com/parley-voice/parley/codec"
	"github.com/parley-voice/parley/codec/opus"
)

// Two frames are coded. The first packet is lost, and the second one comes.
func Example() {
	var c opus.Codec
	encoder, err := c.NewEncoder(codec.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	decoder, err := c.NewDecoder()
	if err != nil {
		fmt.Println(err)
		return
	}
	pcm := make([]float32, encoder.FrameSamples()) // from a microphone
	for i := range pcm {
		pcm[i] = 0.1 * float32(math.Sin(2*math.Pi*440*float64(i)/codec.SampleRate))
	}
	var buffers [2][codec.MaxPacketBytes]byte
	if _, err = encoder.Encode(buffers[0][:], pcm); err != nil {
		fmt.Println(err)
		return
	}
	second, err := encoder.Encode(buffers[1][:], pcm)
	if err != nil {
		fmt.Println(err)
		return
	}

	content, err := c.Inspect(second)
	if err != nil {
		fmt.Println(err)
		return
	}
	var out [codec.MaxPacketSamples]float32
	if content.FEC {
		err = decoder.Recover(out[:content.Samples], second)
	} else {
		err = decoder.Conceal(out[:content.Samples])
	}
	if err != nil {
		fmt.Println(err)
		return
	}
	n, err := decoder.Decode(out[:], second)
	fmt.Println(n, err)
	// Output: 960 <nil>
}
