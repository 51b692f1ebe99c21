package pipe

import (
	"bytes"
	"encoding/hex"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/parley-voice/parley/p2p/link"
)

// frames are the inside of one message of each kind, as testdata/frames.hex has
// them, line by line.
var frames = []frame{
	{body: bodyNothing},
	{body: bodyVoice, data: []byte("voice")},
	{body: bodyVoice, data: []byte{}},
	{body: bodyControl, seq: 0x01020304, data: []byte("control")},
	{body: bodyEnd, seq: 0xfffffffe},
	{body: bodyPing},
	{body: bodyBye},
	{body: bodyVoice, data: []byte("voice"), acks: true, ack: ack{
		top: 0x11121314, delay: 5 * time.Millisecond, received: 0x21222324, mask: 0x80000001, undeliver: 3,
	}},
	{body: bodyNothing, acks: true, ack: ack{top: 1, delay: 0xffff * ackUnit}},
}

func goldenFrames(t *testing.T) (golden [][]byte) {
	t.Helper()
	text, err := os.ReadFile("testdata/frames.hex")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		b, err := hex.DecodeString(strings.ReplaceAll(strings.TrimSpace(line), " ", ""))
		if err != nil {
			t.Fatal(err)
		}
		golden = append(golden, b)
	}
	if len(golden) != len(frames) {
		t.Fatalf("%d golden frames, want %d", len(golden), len(frames))
	}
	return golden
}

func TestFramesAreTheGoldenBytes(t *testing.T) {
	for i, want := range goldenFrames(t) {
		if got := frames[i].appendTo(nil); !bytes.Equal(got, want) {
			t.Errorf("frame %d is % x, want % x", i, got, want)
		}
		got, ok := parseFrame(want)
		if got.data == nil && frames[i].data != nil {
			got.data = []byte{}
		}
		if !ok || !reflect.DeepEqual(got, frames[i]) {
			t.Errorf("frame %d is read as %+v, %v; want %+v", i, got, ok, frames[i])
		}
	}
}

// A message that is cut is no other message, but where what is cut is the voice or
// control itself.
func TestFramesThatAreCut(t *testing.T) {
	for i, b := range goldenFrames(t) {
		head := len(b) - len(frames[i].data)
		for n := range b {
			f, ok := parseFrame(b[:n])
			if n < head && ok {
				t.Errorf("frame %d cut to %d of %d bytes is read as %+v", i, n, len(b), f)
			}
			if n >= head && (!ok || !bytes.Equal(f.data, b[head:n])) {
				t.Errorf("frame %d cut to %d of %d bytes is read as %+v, %v", i, n, len(b), f, ok)
			}
		}
	}
}

func TestFramesThatMakeNoSense(t *testing.T) {
	for name, b := range map[string][]byte{
		"unknown body":       {bodyBye + 1},
		"more after a ping":  {bodyPing, 0},
		"more after the end": {bodyEnd, 0, 0, 0, 1, 0},
		"too much voice":     append([]byte{bodyVoice}, make([]byte, link.MaxMessage+1)...),
		"too much control":   append([]byte{bodyControl, 0, 0, 0, 1}, make([]byte, link.MaxMessage+1)...),
	} {
		if f, ok := parseFrame(b); ok {
			t.Errorf("%s is read as %+v", name, f)
		}
	}
}

func TestTheDelayOfAnAckIsBounded(t *testing.T) {
	for delay, want := range map[time.Duration]time.Duration{
		-time.Second:           0,
		250 * time.Microsecond: 200 * time.Microsecond,
		time.Hour:              0xffff * ackUnit,
	} {
		if got := parseAck(ack{delay: delay}.appendTo(nil)).delay; got != want {
			t.Errorf("%v arrives as %v, want %v", delay, got, want)
		}
	}
}

func TestUnwrap(t *testing.T) {
	for _, tt := range []struct {
		near uint64
		low  uint32
		want uint64
	}{
		{0, 0, 0},
		{0, 5, 5},
		{0, 0xffffffff, 0xffffffff}, // there is nothing below
		{0xfffffff0, 3, 0x100000003},
		{0x100000003, 0xfffffff0, 0xfffffff0},
		{0x700000003, 0xfffffff0, 0x6fffffff0},
		{0x700000000, 0x7fffffff, 0x77fffffff},
		{0x7ffffffff, 0, 0x800000000},
	} {
		if got := unwrap(tt.near, tt.low); got != tt.want {
			t.Errorf("near %#x, %#x is %#x, want %#x", tt.near, tt.low, got, tt.want)
		}
	}
}

func FuzzFrame(f *testing.F) {
	for _, fr := range frames {
		f.Add(fr.appendTo(nil))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		fr, ok := parseFrame(b)
		if !ok {
			return
		}
		if again := fr.appendTo(nil); !bytes.Equal(again, b) {
			t.Errorf("% x is read as %+v, which is written % x", b, fr, again)
		}
	})
}
