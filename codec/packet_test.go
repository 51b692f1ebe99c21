package codec_test

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/parley-voice/parley/codec"
)

// The 32 configurations of RFC 6716 section 3.1, table 2, written out.
func TestParseReadsEveryConfiguration(t *testing.T) {
	type group struct {
		mode      codec.Mode
		bandwidth codec.Bandwidth
		samples   []int
	}
	groups := []group{
		{codec.ModeSILK, codec.Narrowband, []int{480, 960, 1920, 2880}},
		{codec.ModeSILK, codec.Mediumband, []int{480, 960, 1920, 2880}},
		{codec.ModeSILK, codec.Wideband, []int{480, 960, 1920, 2880}},
		{codec.ModeHybrid, codec.SuperWideband, []int{480, 960}},
		{codec.ModeHybrid, codec.Fullband, []int{480, 960}},
		{codec.ModeCELT, codec.Narrowband, []int{120, 240, 480, 960}},
		{codec.ModeCELT, codec.Wideband, []int{120, 240, 480, 960}},
		{codec.ModeCELT, codec.SuperWideband, []int{120, 240, 480, 960}},
		{codec.ModeCELT, codec.Fullband, []int{120, 240, 480, 960}},
	}
	config := byte(0)
	for _, g := range groups {
		for _, samples := range g.samples {
			for _, stereo := range []bool{false, true} {
				toc := config << 3
				if stereo {
					toc |= 4
				}
				want := codec.Info{Samples: samples, Frames: 1, FrameSamples: samples, Mode: g.mode, Bandwidth: g.bandwidth, Stereo: stereo, CodedBytes: 2}
				if got, err := codec.Parse([]byte{toc, 0, 0}); err != nil || got != want {
					t.Errorf("config %d, stereo %v: %+v, %v; want %+v", config, stereo, got, err, want)
				}
			}
			config++
		}
	}
	if config != 32 {
		t.Fatalf("%d configurations in the table, want 32", config)
	}
}

const (
	celt20 = 31 << 3 // fullband CELT, 20 ms
	celt2  = 28 << 3 // fullband CELT, 2.5 ms
	silk60 = 11 << 3 // wideband SILK, 60 ms
)

func packet(head []byte, zeros int) []byte {
	return append(slices.Clone(head), make([]byte, zeros)...)
}

// The rules R1 to R7 of RFC 6716 section 3.4, on both sides of each border.
func TestParseChecksEveryRule(t *testing.T) {
	tests := []struct {
		name   string
		packet []byte
		frames int // 0: malformed
	}{
		{"R1 nothing", nil, 0},
		{"R1 TOC alone is an empty frame", []byte{celt20}, 1},
		{"R2 longest frame", packet([]byte{celt20}, 1275), 1},
		{"R2 one byte more", packet([]byte{celt20}, 1276), 0},
		{"R2 two longest frames", packet([]byte{celt20 | 1}, 2550), 2},
		{"R2 two frames of a byte more", packet([]byte{celt20 | 1}, 2552), 0},
		{"R2 longest second frame", packet([]byte{celt20 | 2, 1, 0}, 1275), 2},
		{"R2 second frame of a byte more", packet([]byte{celt20 | 2, 1, 0}, 1276), 0},
		{"R2 equal frames", packet([]byte{celt20 | 3, 3}, 3*1275), 3},
		{"R2 equal frames of a byte more", packet([]byte{celt20 | 3, 3}, 3*1276), 0},
		{"R2 longest last frame", packet([]byte{celt20 | 3, 0x82, 0}, 1275), 2},
		{"R2 last frame of a byte more", packet([]byte{celt20 | 3, 0x82, 0}, 1276), 0},
		{"R3 two empty halves", []byte{celt20 | 1}, 2},
		{"R3 two halves", packet([]byte{celt20 | 1}, 4), 2},
		{"R3 an odd byte", packet([]byte{celt20 | 1}, 5), 0},
		{"R4 no length", []byte{celt20 | 2}, 0},
		{"R4 cut length", []byte{celt20 | 2, 252}, 0},
		{"R4 length of two bytes", packet([]byte{celt20 | 2, 252, 1}, 256), 2},
		{"R4 one byte short", packet([]byte{celt20 | 2, 252, 1}, 255), 0},
		{"R4 second frame empty", packet([]byte{celt20 | 2, 3}, 3), 2},
		{"R4 first frame cut", packet([]byte{celt20 | 2, 4}, 3), 0},
		{"R5 no count", []byte{celt20 | 3}, 0},
		{"R5 no frames", []byte{celt20 | 3, 0}, 0},
		{"R5 120 ms", packet([]byte{celt20 | 3, 6}, 6), 6},
		{"R5 140 ms", packet([]byte{celt20 | 3, 7}, 7), 0},
		{"R5 48 frames", packet([]byte{celt2 | 3, 48}, 48), 48},
		{"R5 49 frames", packet([]byte{celt2 | 3, 49}, 49), 0},
		{"R5 two of 60 ms", packet([]byte{silk60 | 3, 2}, 2), 2},
		{"R5 three of 60 ms", packet([]byte{silk60 | 3, 3}, 3), 0},
		{"R6 shares", packet([]byte{celt20 | 3, 3}, 9), 3},
		{"R6 uneven shares", packet([]byte{celt20 | 3, 3}, 10), 0},
		{"R6 padding of one byte", packet([]byte{celt20 | 3, 0x43, 1}, 10), 3},
		{"R6 padding uneven", packet([]byte{celt20 | 3, 0x43, 2}, 10), 0},
		{"R6 padding is all", packet([]byte{celt20 | 3, 0x43, 5}, 5), 3},
		{"R6 padding too long", packet([]byte{celt20 | 3, 0x43, 6}, 5), 0},
		{"R6 padding length missing", []byte{celt20 | 3, 0x43}, 0},
		{"R6 padding length cut", []byte{celt20 | 3, 0x43, 255}, 0},
		{"R6 padding of 254 and 1", packet([]byte{celt20 | 3, 0x43, 255, 1}, 258), 3},
		{"R6 padding of 254 and 1 too long", packet([]byte{celt20 | 3, 0x43, 255, 1}, 254), 0},
		{"R7 lengths", packet([]byte{celt20 | 3, 0x83, 2, 3}, 6), 3},
		{"R7 last frame empty", packet([]byte{celt20 | 3, 0x83, 2, 3}, 5), 3},
		{"R7 frames cut", packet([]byte{celt20 | 3, 0x83, 2, 3}, 4), 0},
		{"R7 length missing", []byte{celt20 | 3, 0x83, 0}, 0},
		{"R7 length cut", []byte{celt20 | 3, 0x83, 0, 252}, 0},
		{"R7 one frame needs no length", packet([]byte{celt20 | 3, 0x81}, 5), 1},
		{"R7 padding", packet([]byte{celt20 | 3, 0xC2, 2, 1}, 4), 2},
		{"R7 padding over the frames", packet([]byte{celt20 | 3, 0xC2, 2, 3}, 4), 0},
		{"R7 padding over the lengths", []byte{celt20 | 3, 0xC2, 2, 1, 0}, 0},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			info, err := codec.Parse(test.packet)
			if test.frames == 0 {
				if !errors.Is(err, codec.ErrPacket) || info != (codec.Info{}) {
					t.Fatalf("%+v, %v; want ErrPacket", info, err)
				}
				return
			}
			if err != nil || info.Frames != test.frames || info.Samples != test.frames*info.FrameSamples {
				t.Fatalf("%+v, %v; want %d frames", info, err, test.frames)
			}
		})
	}
}

// The flags of the SILK layer by frame duration and channels: one voice
// activity flag per 20 ms and then the redundancy flag, per channel.
func TestHasFECReadsTheRedundancyFlag(t *testing.T) {
	tests := []struct {
		name   string
		config byte
		stereo byte
		flags  byte // redundancy flags of all channels
	}{
		{"10 ms", 8, 0, 0b0100_0000},
		{"20 ms", 9, 0, 0b0100_0000},
		{"40 ms", 10, 0, 0b0010_0000},
		{"60 ms", 11, 0, 0b0001_0000},
		{"hybrid 10 ms", 14, 0, 0b0100_0000},
		{"hybrid 20 ms", 15, 0, 0b0100_0000},
		{"10 ms stereo", 8, 4, 0b0101_0000},
		{"20 ms stereo", 9, 4, 0b0101_0000},
		{"40 ms stereo", 10, 4, 0b0010_0100},
		{"60 ms stereo", 11, 4, 0b0001_0001},
		{"CELT has none", 31, 0, 0},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			toc := test.config<<3 | test.stereo
			for bit := range 8 {
				first := byte(1) << bit
				want := first&test.flags != 0
				for name, p := range map[string][]byte{
					"one frame":          {toc, first, 0},
					"two equal frames":   {toc | 1, first, 0, 0, 0},
					"two various frames": {toc | 2, 2, first, 0, 0},
					"padded frame":       {toc | 3, 0x41, 1, first, 0, 0},
					"VBR":                {toc | 3, 0x82, 2, first, 0, 0},
				} {
					if got := codec.HasFEC(p); got != want {
						t.Errorf("%s with first byte %08b: %v, want %v", name, first, got, want)
					}
				}
			}
			for name, p := range map[string][]byte{
				"frame of one byte":     {toc, 0xff},
				"no frame":              {toc},
				"first frame empty":     {toc | 2, 0, 0xff, 0xff},
				"first frame of a byte": {toc | 2, 1, 0xff, 0xff, 0xff},
				"malformed":             {toc | 1, 0xff},
			} {
				if codec.HasFEC(p) {
					t.Errorf("%s: has FEC", name)
				}
			}
		})
	}
}

func TestParseCountsWhatIsCoded(t *testing.T) {
	tests := []struct {
		name   string
		packet []byte
		want   int
	}{
		{"one frame", packet([]byte{celt20}, 7), 7},
		{"no frame", []byte{celt20}, 0},
		{"two halves", packet([]byte{celt20 | 1}, 8), 8},
		{"two frames", packet([]byte{celt20 | 2, 3}, 8), 8},
		{"two frames, length of two bytes", packet([]byte{celt20 | 2, 252, 0}, 260), 260},
		{"equal frames", packet([]byte{celt20 | 3, 3}, 9), 9},
		{"equal frames, padded", packet([]byte{celt20 | 3, 0x43, 4}, 13), 9},
		{"equal frames, all padding", packet([]byte{celt20 | 3, 0x43, 4}, 4), 0},
		{"various frames", packet([]byte{celt20 | 3, 0x83, 1, 2}, 9), 9},
		{"various frames, padded", packet([]byte{celt20 | 3, 0xC3, 255, 1, 1, 2}, 264), 9},
	}
	for _, test := range tests {
		if info, err := codec.Parse(test.packet); err != nil || info.CodedBytes != test.want {
			t.Errorf("%s: %d bytes, %v; want %d", test.name, info.CodedBytes, err, test.want)
		}
	}
}

func TestParseAllocatesNothing(t *testing.T) {
	good := packet([]byte{celt20 | 3, 0xC3, 2, 3, 4}, 20)
	bad := []byte{celt20 | 3, 0}
	if n := testing.AllocsPerRun(100, func() {
		if _, err := codec.Parse(good); err != nil {
			t.Error(err)
		}
		if _, err := codec.Parse(bad); err == nil {
			t.Error("no error")
		}
	}); n != 0 {
		t.Fatalf("%v allocations, want 0", n)
	}
}

func TestNamesAreThoseOfTheRFC(t *testing.T) {
	got := fmt.Sprint(codec.ModeSILK, codec.ModeHybrid, codec.ModeCELT, codec.Mode(0),
		codec.Narrowband, codec.Mediumband, codec.Wideband, codec.SuperWideband, codec.Fullband, codec.Bandwidth(9))
	if want := "SILK hybrid CELT none NB MB WB SWB FB none"; got != want {
		t.Fatalf("%s, want %s", got, want)
	}
}

func FuzzParse(f *testing.F) {
	for _, b := range [][]byte{nil, {celt20}, {celt20 | 1, 1, 2}, {celt20 | 2, 1, 2, 3}, {celt20 | 3, 0xC3, 2, 1, 1, 0, 0, 0, 0, 0}, {silk60, 0x10, 0}} {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		before := bytes.Clone(b)
		info, err := codec.Parse(b)
		if !bytes.Equal(before, b) {
			t.Fatal("the packet was changed")
		}
		if err != nil {
			if !errors.Is(err, codec.ErrPacket) || info != (codec.Info{}) || codec.HasFEC(b) {
				t.Fatalf("%+v, %v", info, err)
			}
			return
		}
		if info.Samples != info.Frames*info.FrameSamples || info.Samples < 120 || info.Samples > 5760 || info.CodedBytes >= len(b) {
			t.Fatalf("%+v from %d bytes", info, len(b))
		}
		if info.FEC && (info.Mode == codec.ModeCELT || len(b) < 3) {
			t.Fatalf("FEC in %x", b)
		}
	})
}

func ExampleParse() {
	info, err := codec.Parse([]byte{0x78, 0xC0, 0x00})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(info.Mode, info.Bandwidth, info.Samples*1000/codec.SampleRate, "ms, FEC:", info.FEC)
	// Output: hybrid FB 20 ms, FEC: true
}

func BenchmarkParse(b *testing.B) {
	p := packet([]byte{celt20 | 3, 0xC3, 2, 3, 4}, 20)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := codec.Parse(p); err != nil {
			b.Fatal(err)
		}
	}
}
