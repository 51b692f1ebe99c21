package wire

import (
	"bytes"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// golden reads testdata/name.hex: hexadecimal, white space and # comments.
func golden(t testing.TB, name string) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", name+".hex"))
	if err != nil {
		t.Fatal(err)
	}
	var digits strings.Builder
	for line := range strings.Lines(string(text)) {
		line, _, _ = strings.Cut(line, "#")
		digits.WriteString(strings.Join(strings.Fields(line), ""))
	}
	b, err := hex.DecodeString(digits.String())
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return b
}

var voiceCases = []struct {
	name string
	v    Voice
}{
	{"voice-plain", Voice{Sequence: 0x1234, Timestamp: 0xabcdef, Spurt: 7, Payload: []byte{0x78, 1, 2, 3}}},
	{"voice-copy", Voice{Sequence: 0xffff, Timestamp: 2, Spurt: 255, Copies: [MaxCopies]Copy{{1, []byte{0x78, 9}}}, NumCopies: 1, Payload: []byte{0x78, 1}}},
	{"voice-three-copies", Voice{
		Sequence: 4, Timestamp: 8, Spurt: 1, NumCopies: 3,
		Copies:  [MaxCopies]Copy{{1, []byte{3}}, {2, bytes.Repeat([]byte{2}, 130)}, {4, []byte{0}}},
		Payload: []byte{5},
	}},
	{"voice-twin", Voice{
		Sequence: 7, Timestamp: 14, Spurt: 3, Twins: 1, NumCopies: 2,
		Copies: [MaxCopies]Copy{{1, []byte{0x78, 6}}, {3, []byte{0x78, 4}}}, Payload: []byte{0x78, 7},
	}},
	{"voice-twins", Voice{
		Sequence: 9, Timestamp: 18, Spurt: 3, Twins: 2, NumCopies: 3,
		Copies: [MaxCopies]Copy{{2, []byte{0x78, 7}}, {1, []byte{0x78, 8}}, {3, []byte{0x78, 6}}}, Payload: []byte{0x78, 9},
	}},
	{"voice-room", Voice{Sequence: 8, Timestamp: 16, Spurt: 3, Channels: []byte{0x14}, Payload: []byte{0x78, 8}}},
	{"voice-channels", Voice{
		Sequence: 9, Timestamp: 18, Spurt: 4, NumCopies: 1, Copies: [MaxCopies]Copy{{1, []byte{0x78, 8}}},
		Channels: AppendChannels(nil, channelCases), Payload: []byte{0x78, 9},
	}},
	{"voice-end", Voice{Sequence: 5, Timestamp: 10, Spurt: 1, End: true}},
	{"voice-end-copies", Voice{Sequence: 5, Timestamp: 10, Spurt: 1, End: true, Copies: [MaxCopies]Copy{{1, []byte{0x78}}}, NumCopies: 1}},
}

func TestVoiceMatchesGoldenBytesBothWays(t *testing.T) {
	for _, c := range voiceCases {
		t.Run(c.name, func(t *testing.T) {
			want := golden(t, c.name)
			got, err := c.v.AppendTo(nil)
			if err != nil || !bytes.Equal(got, want) {
				t.Fatalf("AppendTo = %x, %v; want %x", got, err, want)
			}
			if c.v.Size() != len(want) {
				t.Errorf("Size = %d, want %d", c.v.Size(), len(want))
			}
			kept := bytes.Clone(want)
			var v Voice
			if err := v.Parse(want); err != nil {
				t.Fatal(err)
			}
			again, err := v.AppendTo(nil)
			if err != nil || !bytes.Equal(again, want) {
				t.Errorf("parsed and written again: %x, %v; want %x", again, err, want)
			}
			if !bytes.Equal(kept, want) {
				t.Error("Parse changed its input")
			}
		})
	}
}

// Cut anywhere in its header or copies a packet is malformed; cut in the
// payload it is a shorter payload, which only the codec can judge.
func TestVoiceCutIsMalformed(t *testing.T) {
	for _, c := range voiceCases {
		whole := golden(t, c.name)
		for n := range len(whole) - len(c.v.Payload) {
			var v Voice
			if err := v.Parse(whole[:n]); !errors.Is(err, ErrVoiceFormat) {
				t.Errorf("%s cut to %d bytes: %v, want ErrVoiceFormat", c.name, n, err)
			}
		}
	}
}

func TestVoiceRefusesWhatIsNoPacket(t *testing.T) {
	cases := []struct {
		name string
		hex  string
		want error
	}{
		{"other version", "30000100000201" + "78", ErrVoiceVersion},
		{"twin without a copy", "18000100000201" + "78", ErrVoiceFormat},
		{"twin farther back", "19000100000201" + "020178" + "78", ErrVoiceFormat},
		{"twins with one left out", "1a000100000201" + "020178" + "030178" + "78", ErrVoiceFormat},
		{"more twins than copies", "1b000100000201" + "040178" + "030178" + "020178" + "78", ErrVoiceFormat},
		{"no payload and no end", "10000100000201", ErrVoiceFormat},
		{"copy without bytes", "11000100000201" + "0100" + "78", ErrVoiceFormat},
		{"copy of itself", "11000100000201" + "000178" + "78", ErrVoiceFormat},
		{"copy from too far back", "11000100000201" + "050178" + "78", ErrVoiceFormat},
		{"copy longer than the packet", "11000100000201" + "01ff07" + "78", ErrVoiceFormat},
		{"copy length beyond 64 bits", "11000100000201" + "01ffffffffffffffffffff01" + "78", ErrVoiceFormat},
		{"no channels where there should be", "20000100000201", ErrVoiceFormat},
		{"channel cut off", "20000100000201" + "94", ErrVoiceFormat},
		{"channel not in shortest form", "20000100000201" + "9400" + "78", ErrVoiceFormat},
		{"channel without its options", "20000100000201" + "16", ErrVoiceFormat},
		{"channel that announces another one", "20000100000201" + "15", ErrVoiceFormat},
		{"channel to a room beyond the last", "20000100000201" + "8c80808002" + "78", ErrVoiceFormat},
		{"channels and no payload", "20000100000201" + "14", ErrVoiceFormat},
		{"too many channels", "20000100000201" + strings.Repeat("15", MaxChannels) + "14" + "78", ErrVoiceFormat},
		{"channels of too many bytes", "20000100000201" + strings.Repeat("f7ffff1f80", 30) + "14" + "78", ErrVoiceFormat},
		{"copy length not in shortest form", "11000100000201" + "01810078" + "78", ErrVoiceFormat},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			b, err := hex.DecodeString(c.hex)
			if err != nil {
				t.Fatal(err)
			}
			var v Voice
			if err := v.Parse(b); !errors.Is(err, c.want) {
				t.Errorf("Parse = %v, want %v", err, c.want)
			}
		})
	}
}

func TestVoiceDoesNotWriteWhatItWouldNotRead(t *testing.T) {
	cases := map[string]Voice{
		"nothing to say":      {Sequence: 1},
		"timestamp too large": {Timestamp: 1 << TimestampBits, Payload: []byte{1}},
		"copy without bytes":  {Payload: []byte{1}, NumCopies: 1, Copies: [MaxCopies]Copy{{Offset: 1}}},
		"copy too far back":   {Payload: []byte{1}, NumCopies: 1, Copies: [MaxCopies]Copy{{Offset: 5, Payload: []byte{1}}}},
		"half a channel":      {Payload: []byte{1}, Channels: []byte{0x16}},
		"more than channels":  {Payload: []byte{1}, Channels: []byte{0x14, 0x14}},
		"too many copies":     {Payload: []byte{1}, NumCopies: 4},
		"a twin but no copy":  {Payload: []byte{1}, Twins: 1},
		"twins out of order":  {Payload: []byte{1}, Twins: 2, NumCopies: 2, Copies: [MaxCopies]Copy{{1, []byte{1}}, {2, []byte{1}}}},
		"less than no twin":   {Payload: []byte{1}, Twins: -1},
	}
	for name, v := range cases {
		if b, err := v.AppendTo([]byte("kept")); err == nil || string(b) != "kept" {
			t.Errorf("%s: AppendTo = %q, %v; want the input back and an error", name, b, err)
		}
	}
}

func TestUnwrap(t *testing.T) {
	cases := []struct {
		name      string
		last      int64
		truncated uint32
		bits      int
		want      int64
	}{
		{"next", 1000, 1001, 16, 1001},
		{"same", 1000, 1000, 16, 1000},
		{"before", 1000, 990, 16, 990},
		{"over the edge", 0xffff, 0, 16, 0x10000},
		{"back over the edge", 0x10000, 0xffff, 16, 0xffff},
		{"second lap", 5<<16 + 10, 12, 16, 5<<16 + 12},
		{"farthest ahead", 0, 0x8000, 16, 0x8000},
		{"farthest behind", 0x10000, 0x8001, 16, 0x8001},
		{"eight bits", 1<<32 | 255, 1, 8, 1<<32 + 257},
	}
	for _, c := range cases {
		if got := Unwrap(c.last, c.truncated, c.bits); got != c.want {
			t.Errorf("%s: Unwrap(%d, %d, %d) = %d, want %d", c.name, c.last, c.truncated, c.bits, got, c.want)
		}
	}
}

func TestVoiceAllocatesNothing(t *testing.T) {
	b := golden(t, "voice-three-copies")
	withChannels := golden(t, "voice-channels")
	out := make([]byte, 0, 1000)
	var v Voice
	if n := testing.AllocsPerRun(100, func() {
		if v.Parse(b) != nil {
			t.Error("refused")
		}
		if _, err := v.AppendTo(out); err != nil {
			t.Error(err)
		}
		if v.Parse(withChannels) != nil {
			t.Error("refused")
		}
		if _, err := v.AppendTo(out); err != nil {
			t.Error(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations a packet, want 0", n)
	}
}

func FuzzVoice(f *testing.F) {
	for _, c := range voiceCases {
		f.Add(golden(f, c.name))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var v Voice
		if v.Parse(b) != nil {
			return
		}
		again, err := v.AppendTo(nil)
		if err != nil || !bytes.Equal(again, b) {
			t.Fatalf("%x parsed and written again: %x, %v", b, again, err)
		}
	})
}
