package audio

import (
	"bytes"
	"encoding/binary"
	"io"
	"testing"
)

// near tells whether x is y but for the rounding of 12 bits.
func near(x, y float32) bool { return max(x-y, y-x) < 1.0/4096 }

// fmt chunks have any size from 16 on; the padding of an odd one belongs to it.
func TestFormatChunkOfAnySizeIsRead(t *testing.T) {
	pcm := encodePCM([]float32{0.5, -0.25}, tagPCM, 1, 2)
	for size := 16; size <= 45; size++ {
		content := append(fmtContent(tagPCM, 1, 48000, 16, 2), make([]byte, size-16)...)
		file := form(chunk("fmt ", content), chunk("data", pcm))
		for _, r := range []io.Reader{bytes.NewReader(file), pipe{bytes.NewReader(file)}} {
			s, err := NewWAVSource(r)
			if err != nil {
				t.Errorf("%d bytes: %v", size, err)
				continue
			}
			var b Block
			if err := s.ReadBlock(&b); err != nil || !near(b[0], 0.5) || !near(b[1], -0.25) {
				t.Errorf("%d bytes: read %v %v, %v", size, b[0], b[1], err)
			}
		}
	}
}

// Writers get the size of a frame wrong more often than the bits.
func TestWrongFrameSizeIsSeenThrough(t *testing.T) {
	tests := map[string]struct {
		tag, channels, bits, align int
		data                       []byte
		want                       [2]float32
	}{
		"16 bits stereo, 8 bytes": {tagPCM, 2, 16, 8, encodePCM([]float32{0.5, -0.25}, tagPCM, 2, 2), [2]float32{0.5, -0.25}},
		"16 bits stereo, 2 bytes": {tagPCM, 2, 16, 2, encodePCM([]float32{0.5, -0.25}, tagPCM, 2, 2), [2]float32{0.5, -0.25}},
		"16 bits stereo, 0 bytes": {tagPCM, 2, 16, 0, encodePCM([]float32{0.5, -0.25}, tagPCM, 2, 2), [2]float32{0.5, -0.25}},
		"16 bits stereo, 3 bytes": {tagPCM, 2, 16, 3, encodePCM([]float32{0.5, -0.25}, tagPCM, 2, 2), [2]float32{0.5, -0.25}},
		"float, 1 byte":           {tagFloat, 1, 32, 1, encodePCM([]float32{0.5, -0.25}, tagFloat, 1, 4), [2]float32{0.5, -0.25}},
		"8 bits, 2 bytes":         {tagPCM, 1, 8, 2, []byte{192, 96}, [2]float32{0.5, -0.25}},
		"24 bits, 3 bytes":        {tagPCM, 1, 24, 3, encodePCM([]float32{0.5, -0.25}, tagPCM, 1, 3), [2]float32{0.5, -0.25}},
		"24 bits in 4 bytes":      {tagPCM, 1, 24, 4, encodePCM([]float32{0.5, -0.25}, tagPCM, 1, 4), [2]float32{0.5, -0.25}},
		"12 bits in 2 bytes":      {tagPCM, 1, 12, 2, encodePCM([]float32{0.5, -0.25}, tagPCM, 1, 2), [2]float32{0.5, -0.25}},
	}
	for name, tt := range tests {
		content := fmtContent(tt.tag, tt.channels, 48000, tt.bits, 1)
		binary.LittleEndian.PutUint16(content[12:], uint16(tt.align))
		s, err := NewWAVSource(bytes.NewReader(form(chunk("fmt ", content), chunk("data", tt.data))))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		var b Block
		if err := s.ReadBlock(&b); err != nil || !near(b[0], tt.want[0]) || !near(b[1], tt.want[1]) || b[2] != 0 {
			t.Errorf("%s: read %v %v %v, %v", name, b[0], b[1], b[2], err)
		}
	}
}

func TestFewBitsInALargeContainerAreRead(t *testing.T) {
	s, err := NewWAVSource(bytes.NewReader(form(extensible(tagPCM, 1, 48000, 8, 2), chunk("data", encodePCM([]float32{0.5, -0.25}, tagPCM, 1, 2)))))
	if err != nil {
		t.Fatal(err)
	}
	var b Block
	if err := s.ReadBlock(&b); err != nil || !near(b[0], 0.5) || !near(b[1], -0.25) {
		t.Errorf("read %v %v, %v", b[0], b[1], err)
	}
}
