package wire

import (
	"bytes"
	"crypto/ed25519"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/parley-voice/parley/identity"
	"github.com/parley-voice/parley/p2p/link"
)

// rulingKey is the key of the moderator in the golden bytes: 32 bytes of 7.
var rulingKey = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, ed25519.SeedSize))

func moderatorOf(key ed25519.PrivateKey) []byte {
	return append([]byte("\x00\x24\x08\x01\x12\x20"), key[32:]...) // an identity multihash of the key
}

var rulingCase = func() *Ruling {
	r := &Ruling{Moderator: moderatorOf(rulingKey), Peer: []byte("somebody"), Muted: true, TimeUs: 1_700_000_000_000_000, Reason: "shouting"}
	r.Signature = ed25519.Sign(rulingKey, r.Signed("lobby"))
	return r
}()

func ruling(edit func(*Ruling)) *Control {
	r := proto.CloneOf(rulingCase)
	edit(r)
	return &Control{Kind: &Control_Ruling{Ruling: r}}
}

func TestWhatIsSignedOfARuling(t *testing.T) {
	if got, want := rulingCase.Signed("lobby"), golden(t, "ruling-signed"); !bytes.Equal(got, want) {
		t.Errorf("signed is %x, want %x", got, want)
	}
	m, err := Unmarshal(golden(t, "control-ruling"))
	if err != nil {
		t.Fatal(err)
	}
	r := m.GetRuling()
	by := identity.PeerID(r.GetModerator())
	if err := identity.Verify(by, r.Signed("lobby"), r.GetSignature()); err != nil {
		t.Error(err)
	}
	if err := identity.Verify(by, r.Signed("lobby2"), r.GetSignature()); err == nil {
		t.Error("it counts in another session")
	}
}

// No two rulings have the same bytes to be signed, wherever a border is moved.
func TestBordersWithinASignedRuling(t *testing.T) {
	base := func() *Ruling {
		return &Ruling{Moderator: []byte("mm"), Peer: []byte("pp"), Reason: "rr", TimeUs: 1}
	}
	seen := map[string]string{}
	for name, b := range map[string][]byte{
		"as it is":          base().Signed("ss"),
		"name longer":       func() []byte { r := base(); r.Moderator = []byte("m"); return r.Signed("ssm") }(),
		"moderator longer":  func() []byte { r := base(); r.Moderator, r.Peer = []byte("mmp"), []byte("p"); return r.Signed("ss") }(),
		"peer longer":       func() []byte { r := base(); r.Peer, r.Reason = []byte("ppr"), "r"; return r.Signed("ss") }(),
		"reason longer":     func() []byte { r := base(); r.Reason = "rr\x00"; return r.Signed("ss") }(),
		"muted":             func() []byte { r := base(); r.Muted = true; return r.Signed("ss") }(),
		"later":             func() []byte { r := base(); r.TimeUs = 2; return r.Signed("ss") }(),
		"the other session": base().Signed(""),
	} {
		if other, ok := seen[string(b)]; ok {
			t.Errorf("%s and %s are signed alike", name, other)
		}
		seen[string(b)] = name
	}
}

// The largest ruling fits a message of the link.
func TestARulingFitsTheLink(t *testing.T) {
	b, err := Marshal(&Control{Kind: &Control_Ruling{Ruling: &Ruling{
		Moderator: bytes.Repeat([]byte("m"), MaxPeerID), Peer: bytes.Repeat([]byte("p"), MaxPeerID), Muted: true,
		TimeUs: 1 << 63, Reason: string(bytes.Repeat([]byte("r"), MaxReason)), Signature: make([]byte, MaxSignature),
	}}})
	if err != nil || len(b) > link.MaxMessage {
		t.Errorf("%d bytes, %v", len(b), err)
	}
}
