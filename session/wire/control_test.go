package wire

import (
	"bytes"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/parley-voice/parley/p2p/link"
)

var controlCases = []struct {
	name string
	m    *Control
}{
	{"hello", &Control{Kind: &Control_Hello{Hello: &Hello{
		Version: 1, OldestVersion: 1, Codecs: []string{"opus"}, Name: "Ada",
		State:        &State{Muted: new(true), Deafened: new(false), CaptureDelayUs: new(uint32(36400))},
		LanAddresses: [][]byte{{4, 192, 168, 1, 2}}, Capabilities: []string{"copies"},
	}}}},
	{"state", &Control{Kind: &Control_State{State: &State{Muted: new(false)}}}},
	{"state-recording", &Control{Kind: &Control_State{State: &State{Recording: new(true)}}}},
	{"report", &Control{Kind: &Control_Report{Report: &Report{
		Expected: 25, NetworkLost: 2, Unrecovered: 1, BurstLengthX10: 15, JitterUs: 3100, BufferUs: 31000,
	}}}},
	{"hello-rooms", &Control{Kind: &Control_Hello{Hello: &Hello{Version: 1, OldestVersion: 1, Codecs: []string{"opus"}, Rooms: true}}}},
	{"rooms", &Control{Kind: &Control_Rooms{Rooms: &Rooms{
		NamedOnly: new(true), Joined: []*Room{{Number: 0, Name: "team"}, {Number: 300, Name: "Zuschauer"}}, Left: []uint32{1, 299}, Token: []byte("let me in"),
	}}}},
	{"part-text", &Control{Kind: &Control_Part{Part: &Part{Head: &Head{Target: HeadRoom, Room: "team", Length: 3}, Body: []byte("hi!")}}}},
	{"part-data", &Control{Kind: &Control_Part{Part: &Part{Head: &Head{Target: HeadEveryone, Data: true, Topic: "move", Length: 1000}, Body: []byte{1, 2}}}}},
	{"part-more", &Control{Kind: &Control_Part{Part: &Part{Body: []byte{3, 4, 5}}}}},
	{"taken", &Control{Kind: &Control_Taken{Taken: &Taken{Parts: 300}}}},
	{"ruling", &Control{Kind: &Control_Ruling{Ruling: rulingCase}}},
	{"pose", &Control{Kind: &Control_Pose{Pose: &Pose{X: 1.5, Y: -2, Z: 1e6, Unknown: true}}}},
	{"bye", &Control{Kind: &Control_Bye{Bye: &Bye{Reason: "stopped"}}}},
}

func TestControlMatchesGoldenBytesBothWays(t *testing.T) {
	for _, c := range controlCases {
		t.Run(c.name, func(t *testing.T) {
			want := golden(t, "control-"+c.name)
			got, err := Marshal(c.m)
			if err != nil || !bytes.Equal(got, want) {
				t.Fatalf("Marshal = %x, %v; want %x", got, err, want)
			}
			m, err := Unmarshal(want)
			if err != nil || !proto.Equal(m, c.m) {
				t.Errorf("Unmarshal = %v, %v; want %v", m, err, c.m)
			}
		})
	}
}

func TestControlCutNeverReadsAsWhole(t *testing.T) {
	for _, c := range controlCases {
		whole := golden(t, "control-"+c.name)
		for n := range whole {
			m, err := Unmarshal(whole[:n])
			if err == nil && proto.Equal(m, c.m) {
				t.Errorf("%s cut to %d bytes reads as the whole message", c.name, n)
			}
		}
	}
}

// The recorded peer of another version sends fields and a kind that this
// version doesn't know, and leaves out some that it does.
func TestControlOfAnotherVersion(t *testing.T) {
	m, err := Unmarshal(golden(t, "other-version-hello"))
	if err != nil {
		t.Fatal(err)
	}
	h := m.GetHello()
	if h.GetVersion() != 3 || h.GetOldestVersion() != 1 || h.GetName() != "Old Friend" || len(h.GetCodecs()) != 2 {
		t.Errorf("hello = %v", h)
	}
	if h.GetState() != nil {
		t.Errorf("state = %v, want none", h.GetState())
	}
	m, err = Unmarshal(golden(t, "other-version-kind"))
	if err != nil || m.GetKind() != nil {
		t.Errorf("unknown kind = %v, %v; want nil and no error", m.GetKind(), err)
	}
}

func TestControlLimits(t *testing.T) {
	long := func(n int) string { return strings.Repeat("x", n) }
	cases := map[string]*Control{
		"name":         {Kind: &Control_Hello{Hello: &Hello{Name: long(MaxName + 1)}}},
		"codecs":       {Kind: &Control_Hello{Hello: &Hello{Codecs: make([]string, MaxCodecs+1)}}},
		"capabilities": {Kind: &Control_Hello{Hello: &Hello{Capabilities: make([]string, MaxCapabilities+1)}}},
		"addresses":    {Kind: &Control_Hello{Hello: &Hello{LanAddresses: make([][]byte, MaxAddresses+1)}}},
		"address":      {Kind: &Control_Hello{Hello: &Hello{LanAddresses: [][]byte{make([]byte, MaxAddress+1)}}}},
		"rooms":        {Kind: &Control_Rooms{Rooms: &Rooms{Joined: slices.Repeat([]*Room{{Name: "x"}}, MaxRooms+1)}}},
		"rooms left":   {Kind: &Control_Rooms{Rooms: &Rooms{Left: make([]uint32, MaxRoomsLeft+1)}}},
		"room name":    {Kind: &Control_Rooms{Rooms: &Rooms{Joined: []*Room{{Name: long(MaxRoomName + 1)}}}}},
		"no room name": {Kind: &Control_Rooms{Rooms: &Rooms{Joined: []*Room{{Number: 1}}}}},
		"room number":  {Kind: &Control_Rooms{Rooms: &Rooms{Joined: []*Room{{Name: "x", Number: MaxRoomNumber + 1}}}}},
		"token":        {Kind: &Control_Rooms{Rooms: &Rooms{Token: make([]byte, MaxToken+1)}}},
		"part":         part(nil, MaxPart+1),
		"text":         part(&Head{Length: MaxText + 1}, 1),
		"no text":      part(&Head{}, 0),
		"data":         part(&Head{Data: true, Length: MaxData + 1}, 1),
		"topic":        part(&Head{Data: true, Topic: long(MaxTopic + 1), Length: 1}, 1),
		"text's topic": part(&Head{Topic: "x", Length: 1}, 1),
		"target":       part(&Head{Target: HeadRoom + 1, Length: 1}, 1),
		"part's room":  part(&Head{Target: HeadRoom, Room: long(MaxRoomName + 1), Length: 1}, 1),
		"nameless":     part(&Head{Target: HeadRoom, Length: 1}, 1),
		"other's room": part(&Head{Target: HeadEveryone, Room: "x", Length: 1}, 1),
		"moderator":    ruling(func(r *Ruling) { r.Moderator = make([]byte, MaxPeerID+1) }),
		"no moderator": ruling(func(r *Ruling) { r.Moderator = nil }),
		"whom":         ruling(func(r *Ruling) { r.Peer = make([]byte, MaxPeerID+1) }),
		"nobody":       ruling(func(r *Ruling) { r.Peer = nil }),
		"itself":       ruling(func(r *Ruling) { r.Peer = r.Moderator }),
		"why":          ruling(func(r *Ruling) { r.Reason = long(MaxReason + 1) }),
		"signature":    ruling(func(r *Ruling) { r.Signature = make([]byte, MaxSignature+1) }),
		"no signature": ruling(func(r *Ruling) { r.Signature = nil }),
		"coordinate":   {Kind: &Control_Pose{Pose: &Pose{Z: -2 * MaxCoordinate}}},
		"infinity":     {Kind: &Control_Pose{Pose: &Pose{X: math.Inf(1)}}},
		"no number":    {Kind: &Control_Pose{Pose: &Pose{Y: math.NaN()}}},
		"reason":       {Kind: &Control_Bye{Bye: &Bye{Reason: long(MaxReason + 1)}}},
	}
	for name, m := range cases {
		if _, err := Marshal(m); !errors.Is(err, ErrControlLimit) {
			t.Errorf("%s too long: Marshal = %v, want ErrControlLimit", name, err)
		}
		b, err := proto.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Unmarshal(b); !errors.Is(err, ErrControlLimit) {
			t.Errorf("%s too long: Unmarshal = %v, want ErrControlLimit", name, err)
		}
	}
	if _, err := Unmarshal([]byte{0xff, 0xff}); !errors.Is(err, ErrControlFormat) {
		t.Errorf("garbage: %v, want ErrControlFormat", err)
	}
}

func part(h *Head, body int) *Control {
	return &Control{Kind: &Control_Part{Part: &Part{Head: h, Body: make([]byte, body)}}}
}

// The largest part that may be sent fits a message of the link.
func TestAPartFitsTheLink(t *testing.T) {
	long := strings.Repeat("x", 64)
	b, err := Marshal(part(&Head{Target: HeadRoom, Room: long[:MaxRoomName], Data: true, Topic: long[:MaxTopic], Length: MaxData}, MaxPart))
	if err != nil || len(b) > link.MaxMessage {
		t.Errorf("%d bytes, %v; the link takes %d", len(b), err, link.MaxMessage)
	}
}

func TestClip(t *testing.T) {
	cases := []struct{ in, want string }{
		{"", ""},
		{"short", "short"},
		{"exactly8", "exactly8"},
		{"exactly8+", "exactly8"},
		{"1234567é", "1234567"},
		{"bad\xff", "bad\uFFFD"},
	}
	for _, c := range cases {
		if got := Clip(c.in, 8); got != c.want {
			t.Errorf("Clip(%q, 8) = %q, want %q", c.in, got, c.want)
		}
	}
}

func TestClean(t *testing.T) {
	cases := []struct{ in, want string }{
		{"", ""},
		{"Zoë 🙂", "Zoë 🙂"},
		{"a\x1b[2J", "a\uFFFD[2J"},
		{"bell\x07\n\r\t\x7f", "bell\uFFFD\uFFFD"}, // no room for more
		{"csi \u009b1m", "csi \uFFFD1m"},
		{"\u202eadA", "\uFFFDadA"}, // right-to-left override
		{"bad\xff", "bad\uFFFD"},
		{strings.Repeat("é", 9), strings.Repeat("é", 6)},
	}
	for _, c := range cases {
		if got := Clean(c.in, 12); got != c.want {
			t.Errorf("Clean(%q, 12) = %q, want %q", c.in, got, c.want)
		}
	}
}

func TestCleanText(t *testing.T) {
	cases := []struct{ in, want string }{
		{"two\r\nlines\n\tand a tab", "two\nlines\n\tand a tab"},
		{"over\rwritten", "over\uFFFDwritten"},
		{"\x1b[2Jgone", "\uFFFD[2Jgone"},
		{"\u202eadA \u2066x", "\uFFFDadA \uFFFDx"},
		{"a\u00a0b\u3000c", "a\u00a0b\u3000c"},
		{"👩\u200d👧 می\u200cروم", "👩\u200d👧 می\u200cروم"},
		{"line\u2028break", "line\uFFFDbreak"},
	}
	for _, c := range cases {
		if got := CleanText(c.in); got != c.want {
			t.Errorf("CleanText(%q) = %q, want %q", c.in, got, c.want)
		}
	}
}

func FuzzControl(f *testing.F) {
	for _, c := range controlCases {
		f.Add(golden(f, "control-"+c.name))
	}
	f.Add(golden(f, "other-version-hello"))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := Unmarshal(b)
		if err != nil {
			return
		}
		again, err := Marshal(m)
		if err != nil {
			t.Fatalf("what was read can't be written: %v", err)
		}
		if m2, err := Unmarshal(again); err != nil || !proto.Equal(m, m2) {
			t.Fatalf("%v written and read again: %v, %v", m, m2, err)
		}
	})
}
