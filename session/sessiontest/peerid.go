package sessiontest

import (
	"crypto/ed25519"
	"encoding/binary"

	"github.com/parley-voice/parley/identity"
)

// ed25519Prefix begins the peer ID of an Ed25519 key: an identity multihash
// (0x00) of 36 bytes that hold the libp2p protobuf of a public key: type 1
// (Ed25519), 32 bytes of data (libp2p specs, peer-ids).
const ed25519Prefix = "\x00\x24\x08\x01\x12\x20"

// PeerID returns the n-th of a fixed sequence of peer IDs. They are distinct
// and valid: each is that of an Ed25519 key, which is made from n.
func PeerID(n int) identity.PeerID {
	public := key(n)[ed25519.SeedSize:] // the second half of a private key is the public one
	return identity.PeerID(ed25519Prefix + string(public))
}

// Sign returns what signs by the key of PeerID(n), for session.Config.Sign. The key
// is no secret.
func Sign(n int) func(data []byte) ([]byte, error) {
	return func(data []byte) ([]byte, error) { return ed25519.Sign(key(n), data), nil }
}

func key(n int) ed25519.PrivateKey {
	var seed [ed25519.SeedSize]byte
	copy(seed[:], "parley sessiontest")
	binary.BigEndian.PutUint64(seed[ed25519.SeedSize-8:], uint64(n))
	return ed25519.NewKeyFromSeed(seed[:])
}
