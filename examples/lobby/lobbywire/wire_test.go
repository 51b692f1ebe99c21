package lobbywire

import (
	"bufio"
	"bytes"
	"crypto/ed25519"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/record"
	ma "github.com/multiformats/go-multiaddr"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
)

var rewrite = flag.Bool("golden", false, "rewrite the golden bytes; look at the difference")

func testKey(t testing.TB, b byte) (crypto.PrivKey, peer.ID) {
	t.Helper()
	key, err := crypto.UnmarshalEd25519PrivateKey(ed25519.NewKeyFromSeed(bytes.Repeat([]byte{b}, 32)))
	if err != nil {
		t.Fatal(err)
	}
	id, err := peer.IDFromPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return key, id
}

// testRecord is the same at all times: Ed25519 signs without chance.
func testRecord(t testing.TB, b byte, addrs ...string) []byte {
	t.Helper()
	key, id := testKey(t, b)
	rec := &peer.PeerRecord{PeerID: id, Seq: 1700000000000000000}
	for _, a := range addrs {
		rec.Addrs = append(rec.Addrs, ma.StringCast(a))
	}
	envelope, err := record.Seal(rec, key)
	if err != nil {
		t.Fatal(err)
	}
	out, err := envelope.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	return out
}

var lanAndRelay = []string{
	"/ip4/192.168.1.2/udp/4001/quic-v1",
	"/ip4/11.0.0.1/tcp/4001/p2p/12D3KooWK99VoVxNE7XzyBwXEzW7xhK7Gpv85r9F3V3fyKSUKPH5/p2p-circuit",
}

func wireCases(t testing.TB) map[string]*Message {
	_, one := testKey(t, 1)
	_, two := testKey(t, 2)
	recordOne, recordTwo := testRecord(t, 1, lanAndRelay...), testRecord(t, 2)
	anna := &Member{Peer: []byte(one), Name: "Anna", Record: recordOne}
	return map[string]*Message{
		"join":     {Kind: &Message_Join{Join: &Join{Room: "lusab-babad-gutih", Name: "Anna", Record: recordOne, OwnConnection: true}}},
		"leave":    {Kind: &Message_Leave{Leave: &Leave{}}},
		"update":   {Kind: &Message_Update{Update: &Update{Record: recordTwo}}},
		"beat":     {Kind: &Message_Beat{Beat: &Beat{}}},
		"welcome":  {Kind: &Message_Welcome{Welcome: &Welcome{Instance: []byte("0123456789abcdef"), Resumed: true, Relay: true}}},
		"members":  {Kind: &Message_Members{Members: &Members{Members: []*Member{anna, {Peer: []byte(two), Record: recordTwo}}, Last: true}}},
		"nobody":   {Kind: &Message_Members{Members: &Members{Last: true}}},
		"joined":   {Kind: &Message_Joined{Joined: anna}},
		"updated":  {Kind: &Message_Updated{Updated: anna}},
		"left":     {Kind: &Message_Left{Left: &Left{Peer: []byte(two)}}},
		"vanished": {Kind: &Message_Left{Left: &Left{Peer: []byte(two), Vanished: true}}},
		"bye":      {Kind: &Message_Bye{Bye: &Bye{Code: Code_SHUTDOWN, Text: "the lobby is shutting down"}}},
	}
}

func golden(t testing.TB, name string) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", name+".hex"))
	if err != nil {
		t.Fatal(err)
	}
	b, err := hex.DecodeString(strings.Join(strings.Fields(string(text)), ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func writeGolden(t *testing.T, name string, b []byte) {
	t.Helper()
	var text strings.Builder
	for line := range slices.Chunk(b, 32) {
		fmt.Fprintln(&text, hex.EncodeToString(line))
	}
	if err := os.WriteFile(filepath.Join("testdata", name+".hex"), []byte(text.String()), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestFramesMatchGoldenBytesBothWays(t *testing.T) {
	for name, m := range wireCases(t) {
		t.Run(name, func(t *testing.T) {
			got, err := AppendFrame(nil, m)
			if err != nil {
				t.Fatal(err)
			}
			if *rewrite {
				writeGolden(t, name, got)
			}
			want := golden(t, name)
			if !bytes.Equal(got, want) {
				t.Fatalf("AppendFrame = %x; want %x", got, want)
			}
			for how, r := range map[string]io.Reader{"whole": bytes.NewReader(want), "byte by byte": iotest.OneByteReader(bytes.NewReader(want))} {
				back, n, err := ReadFrame(bufio.NewReader(r))
				if err != nil || n != len(want) || !proto.Equal(back, m) {
					t.Errorf("%s: ReadFrame = %v, %d, %v; want %v", how, back, n, err, m)
				}
			}
		})
	}
}

func TestFramesCutAnywhereAreErrors(t *testing.T) {
	for name := range wireCases(t) {
		whole := golden(t, name)
		for n := range whole {
			_, _, err := ReadFrame(bytes.NewReader(whole[:n]))
			want := io.ErrUnexpectedEOF
			if n == 0 {
				want = io.EOF
			}
			if !errors.Is(err, want) {
				t.Errorf("%s cut to %d bytes: %v, want %v", name, n, err, want)
			}
		}
		_, prefix, err := readLength(bytes.NewReader(whole))
		if err != nil {
			t.Fatal(err)
		}
		m, err := Unmarshal(whole[prefix:])
		if err != nil {
			t.Fatal(err)
		}
		for n := range whole[prefix:] {
			if cut, err := Unmarshal(whole[prefix : prefix+n]); err == nil && proto.Equal(cut, m) {
				t.Errorf("%s: a body of %d bytes reads as the whole message", name, n)
			}
		}
	}
}

// What a later version might send: fields and kinds that this one doesn't know.
func TestUnknownFieldsAndKindsAreIgnored(t *testing.T) {
	join := wireCases(t)["join"]
	inner, err := proto.Marshal(join.GetJoin())
	if err != nil {
		t.Fatal(err)
	}
	inner = protowire.AppendString(protowire.AppendTag(inner, 99, protowire.BytesType), "later")
	body := protowire.AppendBytes(protowire.AppendTag(nil, 1, protowire.BytesType), inner)
	body = protowire.AppendVarint(protowire.AppendTag(body, 100, protowire.VarintType), 7)
	if m, err := Unmarshal(body); err != nil || !proto.Equal(m, join) {
		t.Errorf("unknown fields: %v, %v; want %v", m, err, join)
	}
	kind := protowire.AppendBytes(protowire.AppendTag(nil, 77, protowire.BytesType), []byte("later"))
	if m, err := Unmarshal(kind); err != nil || m.GetKind() != nil {
		t.Errorf("unknown kind: %v, %v; want none", m, err)
	}
	bye, err := proto.Marshal(&Message{Kind: &Message_Bye{Bye: &Bye{Code: 4711}}})
	if err != nil {
		t.Fatal(err)
	}
	if m, err := Unmarshal(bye); err != nil || m.GetBye().GetCode() != 4711 {
		t.Errorf("unknown code: %v, %v", m, err)
	}
}

func TestLimitsHoldInBothDirections(t *testing.T) {
	text, raw := func(n int) string { return strings.Repeat("x", n) }, func(n int) []byte { return make([]byte, n) }
	join := func(j *Join) *Message { return &Message{Kind: &Message_Join{Join: j}} }
	cases := map[string]*Message{
		"no room":        join(&Join{}),
		"short room":     join(&Join{Room: text(MinRoom - 1)}),
		"long room":      join(&Join{Room: text(MaxRoom + 1)}),
		"name":           join(&Join{Room: "room", Name: text(MaxName + 1)}),
		"record":         join(&Join{Room: "room", Record: raw(MaxRecord + 1)}),
		"update":         {Kind: &Message_Update{Update: &Update{Record: raw(MaxRecord + 1)}}},
		"instance":       {Kind: &Message_Welcome{Welcome: &Welcome{Instance: raw(MaxInstance + 1)}}},
		"joined peer":    {Kind: &Message_Joined{Joined: &Member{Peer: raw(MaxPeer + 1)}}},
		"joined name":    {Kind: &Message_Joined{Joined: &Member{Name: text(MaxName + 1)}}},
		"joined record":  {Kind: &Message_Joined{Joined: &Member{Record: raw(MaxRecord + 1)}}},
		"updated record": {Kind: &Message_Updated{Updated: &Member{Record: raw(MaxRecord + 1)}}},
		"listed name":    {Kind: &Message_Members{Members: &Members{Members: []*Member{{}, {Name: text(MaxName + 1)}}}}},
		"left peer":      {Kind: &Message_Left{Left: &Left{Peer: raw(MaxPeer + 1)}}},
		"text":           {Kind: &Message_Bye{Bye: &Bye{Text: text(MaxText + 1)}}},
		"whole message":  {Kind: &Message_Members{Members: &Members{Members: []*Member{{Record: raw(MaxRecord)}, {Record: raw(MaxRecord)}}}}},
	}
	for name, m := range cases {
		if _, err := Marshal(m); !errors.Is(err, ErrLimit) {
			t.Errorf("%s: Marshal = %v, want ErrLimit", name, err)
		}
		b, err := proto.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Unmarshal(b); !errors.Is(err, ErrLimit) {
			t.Errorf("%s: Unmarshal = %v, want ErrLimit", name, err)
		}
	}
	largest := join(&Join{Room: text(MaxRoom), Name: text(MaxName), Record: raw(MaxRecord)})
	if b, err := Marshal(largest); err != nil || len(b) < MaxRecord {
		t.Errorf("what is within the limits: %d bytes, %v", len(b), err)
	}
}

func TestFrameLengthsAreJudgedBeforeAnythingIsAllocated(t *testing.T) {
	for name, c := range map[string]struct {
		b    []byte
		want error
	}{
		"one too much":     {[]byte{0x81, 0x80, 0x01}, ErrLimit},
		"10 MB":            {[]byte{0x80, 0x80, 0x80, 0x05}, ErrLimit},
		"64 bits":          {bytes.Repeat([]byte{0xff}, 10), ErrLimit},
		"a longer form":    {[]byte{0x80, 0x00}, ErrFormat},
		"an even longer":   {[]byte{0x81, 0x80, 0x00}, ErrFormat},
		"no protobuf":      {[]byte{2, 0xff, 0xff}, ErrFormat},
		"bad UTF-8 in it":  {append([]byte{10, 0x0a, 8, 0x0a, 4, 'r', 'o', 'o', 'm'}, 0x12, 1, 0xff), ErrFormat},
		"a cut inner part": {[]byte{3, 0x0a, 8, 0x0a}, ErrFormat},
	} {
		if _, _, err := ReadFrame(bytes.NewReader(c.b)); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
	tenMB := []byte{0x80, 0x80, 0x80, 0x05}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range 100 {
		_, _, _ = ReadFrame(bytes.NewReader(tenMB))
	}
	runtime.ReadMemStats(&after)
	if n := after.TotalAlloc - before.TotalAlloc; n > 1<<20 {
		t.Errorf("%d bytes allocated for 100 lengths that are refused", n)
	}
}

func TestAMemberListOfAnySizeArrivesWhole(t *testing.T) {
	_, id := testKey(t, 1)
	for _, n := range []int{0, 1, 2, 200, 1000} {
		for _, size := range []int{100, 700, MaxRecord} {
			var want []*Member
			for range n {
				want = append(want, &Member{Peer: []byte(id), Name: "Anna", Record: make([]byte, size)})
			}
			frames, err := AppendMembers(nil, want)
			if err != nil {
				t.Fatalf("%d members with records of %d bytes: %v", n, size, err)
			}
			got := 0
			for i, frame := range frames {
				m, _, err := ReadFrame(bytes.NewReader(frame))
				if err != nil {
					t.Fatal(err)
				}
				if last := m.GetMembers().GetLast(); last != (i == len(frames)-1) {
					t.Errorf("frame %d of %d is the last: %t", i, len(frames), last)
				}
				got += len(m.GetMembers().GetMembers())
			}
			if got != n {
				t.Errorf("%d of %d members in %d frames", got, n, len(frames))
			}
		}
	}
}

func TestClip(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"", ""}, {"exactly8", "exactly8"}, {"exactly8+", "exactly8"}, {"1234567é", "1234567"}, {"bad\xff", "bad\uFFFD"},
	} {
		if got := Clip(c.in, 8); got != c.want {
			t.Errorf("Clip(%q, 8) = %q, want %q", c.in, got, c.want)
		}
	}
}

func FuzzReadFrame(f *testing.F) {
	for name := range wireCases(f) {
		f.Add(golden(f, name))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		m, n, err := ReadFrame(bytes.NewReader(b))
		if n > len(b) {
			t.Fatalf("%d bytes read of %d", n, len(b))
		}
		if err != nil {
			return
		}
		again, err := AppendFrame(nil, m)
		if err != nil {
			t.Fatalf("what was read can't be written: %v", err)
		}
		if back, _, err := ReadFrame(bytes.NewReader(again)); err != nil || !proto.Equal(m, back) {
			t.Fatalf("%v written and read again: %v, %v", m, back, err)
		}
	})
}
