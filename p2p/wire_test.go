package p2p

import (
	"bytes"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/parley-voice/parley/p2p/link"
)

// golden reads testdata/name.hex: hexadecimal digits, spaces and # comments.
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

const (
	epochA = 0x0102030405060708
	epochB = 0xf1f2f3f4f5f6f7f8
)

var goldenPreambles = map[string]preamble{
	"preamble-control-first":  {kind: kindControl, from: epochA},
	"preamble-control-answer": {kind: kindControl, session: "lobby", from: epochB, to: epochA},
	"preamble-lane":           {kind: kindLane, session: "lobby", lane: 5, from: epochA, to: epochB},
}

var goldenFrames = map[string]frame{
	"frame-data":    {kind: frameData, value: 300, data: []byte("hello")},
	"frame-ack":     {kind: frameAck, value: 301},
	"frame-ping":    {kind: framePing, value: 9},
	"frame-pong":    {kind: framePong, value: 9},
	"frame-unknown": {kind: 200, data: []byte("later")},
}

var goldenLanes = map[string]laneMessage{
	"lane-voice":     {hasVoice: true, number: 0x1234, payload: []byte("opus")},
	"lane-ack":       {hasAck: true, ack: ackInfo{largest: 0xfffe, bitmap: 0x80000001, delay: 60 * time.Millisecond}},
	"lane-voice-ack": {hasAck: true, ack: ackInfo{largest: 7, bitmap: 0x7f, delay: maxAckDelay}, hasVoice: true, payload: []byte{}},
}

func TestGoldenBytes(t *testing.T) {
	for name, want := range goldenPreambles {
		b := golden(t, name)
		got, n, err := parsePreamble(b)
		if err != nil || n != len(b) || got != want {
			t.Errorf("%s parses as %+v, %d, %v", name, got, n, err)
		}
		if e := appendPreamble(nil, want); !bytes.Equal(e, b) {
			t.Errorf("%s is written as %x", name, e)
		}
		cutEverywhere(t, name, b, func(b []byte) error { _, _, err := parsePreamble(b); return err })
	}
	for name, want := range goldenFrames {
		b := golden(t, name)
		got, n, err := parseFrame(b)
		if err != nil || n != len(b) || !reflect.DeepEqual(got, want) {
			t.Errorf("%s parses as %+v, %d, %v", name, got, n, err)
		}
		if e := appendFrame(nil, want); !bytes.Equal(e, b) {
			t.Errorf("%s is written as %x", name, e)
		}
		cutEverywhere(t, name, b, func(b []byte) error { _, _, err := parseFrame(b); return err })
	}
	for name, want := range goldenLanes {
		b := golden(t, name)
		got, n, err := parseLaneMessage(b)
		if err != nil || n != len(b) || !reflect.DeepEqual(got, want) {
			t.Errorf("%s parses as %+v, %d, %v", name, got, n, err)
		}
		if e := appendLaneMessage(nil, &want); !bytes.Equal(e, b) {
			t.Errorf("%s is written as %x", name, e)
		}
		cutEverywhere(t, name, b, func(b []byte) error { _, _, err := parseLaneMessage(b); return err })
	}
}

func cutEverywhere(t *testing.T, name string, b []byte, parse func([]byte) error) {
	t.Helper()
	for i := range b {
		if err := parse(b[:i]); !errors.Is(err, errIncomplete) {
			t.Errorf("%s cut at byte %d: %v", name, i, err)
		}
	}
}

func TestPreamblesThatAreRefused(t *testing.T) {
	good := func() []byte { return golden(t, "preamble-lane") }
	cases := map[string]struct {
		change func(b []byte) []byte
		want   error
	}{
		"version 0":           {func(b []byte) []byte { b[0] = 0; return b }, errVersion},
		"version 2, cut":      {func([]byte) []byte { return []byte{2} }, errVersion},
		"kind 0":              {func(b []byte) []byte { b[1] = 0; return b }, errVersion},
		"name of 65 bytes":    {func(b []byte) []byte { b[2] = 65; return b }, errMalformed},
		"length in two bytes": {func(b []byte) []byte { return append([]byte{1, 2, 0x85, 0}, b[3:]...) }, errMalformed},
		"sender's epoch 0":    {func(b []byte) []byte { clear(b[9:17]); return b }, errMalformed},
		"lane to epoch 0":     {func(b []byte) []byte { clear(b[17:]); return b }, errMalformed},
		"control with lane":   {func(b []byte) []byte { b[1] = kindControl; return b }, errMalformed},
		"name of 64 bytes, good": {func([]byte) []byte {
			return appendPreamble(nil, preamble{kind: 1, session: strings.Repeat("x", 64), from: 1})
		}, nil},
	}
	for name, c := range cases {
		if _, _, err := parsePreamble(c.change(good())); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
}

func FuzzPreamble(f *testing.F) {
	for name := range goldenPreambles {
		f.Add(golden(f, name))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		p, n, err := parsePreamble(b)
		if err != nil {
			return
		}
		if e := appendPreamble(nil, p); !bytes.Equal(e, b[:n]) || n > preambleMax {
			t.Errorf("%x parses as %+v, which is written as %x", b[:n], p, e)
		}
	})
}

func FuzzControlFrame(f *testing.F) {
	for name := range goldenFrames {
		f.Add(golden(f, name))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		p, n, err := parseFrame(b)
		if err != nil {
			return
		}
		if e := appendFrame(nil, p); !bytes.Equal(e, b[:n]) || n > maxFrame {
			t.Errorf("%x parses as %+v, which is written as %x", b[:n], p, e)
		}
	})
}

func FuzzLaneMessage(f *testing.F) {
	for name := range goldenLanes {
		f.Add(golden(f, name))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		m, n, err := parseLaneMessage(b)
		if err != nil {
			return
		}
		if e := appendLaneMessage(nil, &m); !bytes.Equal(e, b[:n]) || len(m.payload) > link.MaxMessage {
			t.Errorf("%x parses as %+v, which is written as %x", b[:n], m, e)
		}
	})
}

func TestLargestMessagesFitTheReader(t *testing.T) {
	m := laneMessage{hasVoice: true, hasAck: true, payload: make([]byte, link.MaxMessage)}
	f := frame{kind: frameData, value: 1<<64 - 1, data: make([]byte, link.MaxMessage)}
	for _, b := range [][]byte{appendLaneMessage(nil, &m), appendFrame(nil, f), make([]byte, maxFrame)} {
		if len(b) > readerSize {
			t.Errorf("%d bytes don't fit", len(b))
		}
	}
	if _, _, err := parseFrame(appendFrame(nil, f)); err != nil {
		t.Error(err)
	}
}
