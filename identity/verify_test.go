package identity

import (
	"crypto/rand"
	"errors"
	"path/filepath"
	"testing"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"
)

func TestVerify(t *testing.T) {
	key, err := LoadOrCreateKey(filepath.Join(t.TempDir(), "key"))
	if err != nil {
		t.Fatal(err)
	}
	id, err := peer.IDFromPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	data := []byte("what was said")
	signature, err := key.Sign(data)
	if err != nil {
		t.Fatal(err)
	}
	if err := Verify(id, data, signature); err != nil || !HoldsKey(id) {
		t.Errorf("its own signature: %v; holds its key: %t", err, HoldsKey(id))
	}
	rsa, _, err := crypto.GenerateKeyPairWithReader(crypto.RSA, 2048, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	hashed, err := peer.IDFromPrivateKey(rsa)
	if err != nil {
		t.Fatal(err)
	}
	byRSA, err := rsa.Sign(data)
	if err != nil {
		t.Fatal(err)
	}
	_, other, err := crypto.GenerateEd25519Key(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	stranger, err := peer.IDFromPublicKey(other)
	if err != nil {
		t.Fatal(err)
	}
	flipped := append([]byte(nil), signature...)
	flipped[10] ^= 1
	for name, c := range map[string]struct {
		id              PeerID
		data, signature []byte
	}{
		"other data":        {id, data[1:], signature},
		"another peer":      {stranger, data, signature},
		"a flipped bit":     {id, data, flipped},
		"cut":               {id, data, signature[:63]},
		"nothing":           {id, data, nil},
		"a hash of the key": {hashed, data, byRSA},
		"no peer ID":        {"x", data, signature},
		"an empty one":      {"", data, signature},
	} {
		if err := Verify(c.id, c.data, c.signature); !errors.Is(err, ErrSignature) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if HoldsKey(hashed) || HoldsKey("x") || HoldsKey("") {
		t.Error("a key is found where there is none")
	}
}
