package pipe

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"testing"

	"github.com/libp2p/go-libp2p/core/crypto"

	"github.com/parley-voice/parley/identity"
)

// shake runs a handshake between two sets of credentials, and returns what each side
// finds.
func shake(t *testing.T, a, b *credentials, idA, idB, seenByA, seenByB identity.PeerID) (errA, errB error) {
	t.Helper()
	x, err := a.begin(1, idA, seenByA, true)
	if err != nil {
		t.Fatal(err)
	}
	y, err := b.begin(1, idB, seenByB, false)
	if err != nil {
		t.Fatal(err)
	}
	first, _, err := x.write(nil, nil, epoch)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := y.read(first, epoch); err != nil {
		return nil, err
	}
	second, _, err := y.write(nil, b.payload(22), epoch)
	if err != nil {
		t.Fatal(err)
	}
	payload, _, err := x.read(second, epoch)
	if err != nil {
		return err, nil
	}
	far, errA := x.verify(payload)
	if errA == nil && far != 22 {
		t.Errorf("the epoch arrives as %d", far)
	}
	third, out, err := x.write(nil, a.payload(11), epoch)
	if err != nil {
		t.Fatal(err)
	}
	payload, in, err := y.read(third, epoch)
	if err != nil {
		return errA, err
	}
	if far, errB = y.verify(payload); errB == nil && far != 11 {
		t.Errorf("the epoch arrives as %d", far)
	}
	sealed := out.seal(make([]byte, dataHeader, 100), 7, []byte("hello"))
	plain, ok := in.open(nil, 7, sealed[:dataHeader], sealed[dataHeader:])
	if !ok || string(plain) != "hello" {
		t.Error("the keys don't fit")
	}
	return errA, errB
}

func testCredentials(t *testing.T, session string) (*credentials, identity.PeerID) {
	t.Helper()
	key, id := newKey(t)
	own, err := newCredentials(Config{Key: key, Session: session})
	if err != nil {
		t.Fatal(err)
	}
	return own, id
}

func TestHandshakeProvesWhoIsThere(t *testing.T) {
	a, idA := testCredentials(t, "")
	b, idB := testCredentials(t, "")
	m, idM := testCredentials(t, "")
	other, idO := testCredentials(t, "other")

	if errA, errB := shake(t, a, b, idA, idB, idB, idA); errA != nil || errB != nil {
		t.Errorf("two honest peers: %v, %v", errA, errB)
	}
	if errA, _ := shake(t, a, m, idA, idB, idB, idA); !errors.Is(errA, errPeer) {
		t.Errorf("Mallory with her own key in Ben's place: %v", errA)
	}
	if _, errB := shake(t, m, b, idA, idB, idB, idA); !errors.Is(errB, errPeer) {
		t.Errorf("Mallory with her own key in Anna's place: %v", errB)
	}
	if errA, _ := shake(t, a, b, idA, idB, idM, idA); !errors.Is(errA, ErrForged) {
		t.Errorf("Ben answers what Anna wants to say to Mallory: %v", errA)
	}
	if errA, errB := shake(t, a, other, idA, idO, idO, idA); errA == nil && errB == nil {
		t.Error("two sessions shake hands")
	}

	// Mallory shows Ben's public key, which everybody knows, and signs herself.
	stolen := *m
	size := int(binary.BigEndian.Uint16(b.proof))
	stolen.proof = append(bytes.Clone(b.proof[:2+size]), m.proof[2+size:]...)
	if errA, _ := shake(t, a, &stolen, idA, idB, idB, idA); !errors.Is(errA, ErrForged) {
		t.Errorf("Mallory with Ben's public key: %v", errA)
	}
	// And with Ben's signature too, which is of another static key.
	stolen.proof = b.proof
	if errA, _ := shake(t, a, &stolen, idA, idB, idB, idA); !errors.Is(errA, ErrForged) {
		t.Errorf("Mallory with Ben's public key and signature: %v", errA)
	}
	if _, errB := shake(t, &stolen, a, idB, idA, idA, idB); !errors.Is(errB, ErrForged) {
		t.Errorf("the same as initiator: %v", errB)
	}
}

func TestHandshakePayloadsThatAreCut(t *testing.T) {
	a, idA := testCredentials(t, "")
	b, idB := testCredentials(t, "")
	full := b.payload(5)
	for n := range full {
		x, err := a.begin(1, idA, idB, true)
		if err != nil {
			t.Fatal(err)
		}
		y, err := b.begin(1, idB, idA, false)
		if err != nil {
			t.Fatal(err)
		}
		first, _, _ := x.write(nil, nil, epoch)
		_, _, _ = y.read(first, epoch)
		second, _, err := y.write(nil, full[:n], epoch)
		if err != nil {
			t.Fatal(err)
		}
		payload, _, err := x.read(second, epoch)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := x.verify(payload); err == nil {
			t.Errorf("a payload cut to %d of %d bytes is taken", n, len(full))
		}
	}
}

func TestKeysOfOtherKinds(t *testing.T) {
	for name, make := range map[string]func() (crypto.PrivKey, crypto.PubKey, error){
		"ECDSA":     func() (crypto.PrivKey, crypto.PubKey, error) { return crypto.GenerateECDSAKeyPair(rand.Reader) },
		"secp256k1": func() (crypto.PrivKey, crypto.PubKey, error) { return crypto.GenerateSecp256k1Key(rand.Reader) },
		"RSA 2048":  func() (crypto.PrivKey, crypto.PubKey, error) { return crypto.GenerateRSAKeyPair(2048, rand.Reader) },
	} {
		key, _, err := make()
		if err != nil {
			t.Fatal(err)
		}
		a, err := New(Config{Key: key, Send: func(identity.PeerID, []byte, bool) error { return nil }})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		b, idB := testCredentials(t, "")
		if errA, errB := shake(t, b, a.own, idB, a.Self(), a.Self(), idB); errA != nil || errB != nil {
			t.Errorf("%s: %v, %v", name, errA, errB)
		}
		if n := keyHeader + 32 + 32 + tagSize + len(a.own.payload(1)) + tagSize; n > MaxMessage {
			t.Errorf("%s: a response has %d bytes", name, n)
		}
	}
}
