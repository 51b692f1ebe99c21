package oggopus_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/parley-voice/parley/audio/oggopus"
	"github.com/parley-voice/parley/codec"
)

// Packets are written to a file and read again as they were.
func ExampleReader() {
	var file bytes.Buffer
	w, err := oggopus.NewWriter(&file, oggopus.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	twenty := []byte{31 << 3, 0xff, 0xfe} // 20 ms of silence, from an encoder
	for range 3 {
		if err := w.WritePacket(twenty); err != nil {
			fmt.Println(err)
		}
	}
	if err := w.Close(); err != nil {
		fmt.Println(err)
	}

	r, err := oggopus.NewReader(&file)
	if err != nil {
		fmt.Println(err)
		return
	}
	packet := make([]byte, codec.MaxPacketBytes)
	for n := 1; ; n++ {
		p, err := r.ReadPacket(packet)
		switch {
		case errors.Is(err, io.EOF):
			return
		case errors.Is(err, codec.ErrPacket): // one that can't be said; those behind it can
			continue
		case err != nil:
			fmt.Println(err)
			return
		}
		fmt.Printf("packet %d: %x\n", n, p)
	}
	// Output:
	// packet 1: f8fffe
	// packet 2: f8fffe
	// packet 3: f8fffe
}
