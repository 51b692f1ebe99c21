package wire

import (
	"math"
	"slices"
	"testing"
)

// channelCases are one of each kind, with options and without.
var channelCases = []Channel{
	{Target: TargetWhisper, Gain: 1},
	{Target: TargetEveryone, Priority: -1, Gain: 0},
	{Target: TargetUnnamed, Priority: 2, Gain: gainOf(31), Positional: true},
	{Target: TargetRooms, Gain: 1, Positional: true},
	{Target: TargetRooms + 300, Priority: 1, Gain: gainOf(1)},
	{Target: TargetRooms + MaxRoomNumber, Gain: 1},
}

// readChannels reads a whole list.
func readChannels(t *testing.T, b []byte) (list []Channel) {
	t.Helper()
	for more := true; more; {
		var (
			c   Channel
			err error
		)
		if c, b, more, err = NextChannel(b); err != nil {
			t.Fatal(err)
		}
		list = append(list, c)
	}
	if len(b) != 0 {
		t.Fatalf("%d bytes are left", len(b))
	}
	return list
}

func TestChannelsReadAsWritten(t *testing.T) {
	if got := readChannels(t, AppendChannels(nil, channelCases)); !slices.Equal(got, channelCases) {
		t.Errorf("got %v, want %v", got, channelCases)
	}
	for _, c := range channelCases {
		b := AppendChannels([]byte("kept"), []Channel{c})
		if got := readChannels(t, b[4:]); !slices.Equal(got, []Channel{c}) {
			t.Errorf("alone %v reads as %v", c, got)
		}
	}
	if got := len(AppendChannels(nil, []Channel{{Target: TargetRooms + 28, Gain: 1}})); got != 1 {
		t.Errorf("one of the first rooms takes %d bytes, want 1", got)
	}
}

func TestChannelsThatDoNotFitAreLeftOut(t *testing.T) {
	short := slices.Repeat([]Channel{{Target: TargetRooms, Gain: 1}}, MaxChannels+3)
	if got := len(readChannels(t, AppendChannels(nil, short))); got != MaxChannels {
		t.Errorf("%d of %d are left, want %d", got, len(short), MaxChannels)
	}
	long := slices.Repeat([]Channel{{Target: TargetRooms + MaxRoomNumber}}, MaxChannels)
	b := AppendChannels(nil, long)
	if n := len(readChannels(t, b)); len(b) > MaxChannelBytes || len(b)+5 <= MaxChannelBytes || n*5 != len(b) {
		t.Errorf("%d bytes with %d channels of 5", len(b), n)
	}
	if list, err := cutChannels(append(b, 1, 2, 3)); err != nil || len(list) != len(b) {
		t.Errorf("read as %d of %d bytes: %v", len(list), len(b), err)
	}
}

func TestGainSteps(t *testing.T) {
	cases := []struct {
		gain, want float64
	}{
		{0, 0}, {-1, 0}, {math.NaN(), 0}, {math.Inf(1), 2}, {1, 1}, {2, 2}, {5, 2}, {0.5, 0.5}, {1e-9, 0.011}, {0.1, 0.1},
	}
	for _, c := range cases {
		got := float64(gainOf(gainStep(float32(c.gain))))
		if off := math.Abs(20 * math.Log10(got/c.want)); got != c.want && !(off <= 0.76) {
			t.Errorf("gain %v becomes %v, %.2f dB off", c.gain, got, off)
		}
	}
}

// Peeking at the channels sees what Parse sees.
func TestChannelsOfAPacket(t *testing.T) {
	for _, c := range voiceCases {
		list, err := Channels(golden(t, c.name))
		if err != nil || !slices.Equal(list, c.v.Channels) {
			t.Errorf("%s: %x, %v; want %x", c.name, list, err, c.v.Channels)
		}
	}
	for _, b := range [][]byte{nil, {0x10}, {0x30, 0, 1, 0, 0, 2, 1, 0x78}, {0x20, 0, 1, 0, 0, 2, 1, 0x15}} {
		if _, err := Channels(b); err == nil {
			t.Errorf("%x has channels", b)
		}
	}
}

func FuzzChannels(f *testing.F) {
	f.Add(AppendChannels(nil, channelCases))
	f.Fuzz(func(t *testing.T, b []byte) {
		list, err := cutChannels(b)
		if err != nil {
			return
		}
		read := readChannels(t, list)
		if len(read) > MaxChannels {
			t.Fatalf("%d channels", len(read))
		}
		again := readChannels(t, AppendChannels(nil, read))
		if !slices.Equal(again, read) {
			t.Fatalf("%v written and read again: %v", read, again)
		}
	})
}
