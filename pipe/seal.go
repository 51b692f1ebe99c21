package pipe

import (
	"crypto/cipher"
	"encoding/binary"
	"time"

	"golang.org/x/crypto/chacha20poly1305"
)

// keys seal and open the data messages of one handshake. Without encryption they
// only copy.
type keys struct {
	id        uint32
	made      time.Time
	confirmed bool // the far end has them too

	out, in cipher.AEAD // nil without encryption
	nonce   [chacha20poly1305.NonceSize]byte
}

// newKeys makes keys of what Noise gave for the two directions; of nil without
// encryption.
func newKeys(id uint32, out, in *[32]byte, now time.Time) (*keys, error) {
	k := &keys{id: id, made: now}
	if out == nil {
		return k, nil
	}
	var err error
	if k.out, err = chacha20poly1305.New(out[:]); err != nil {
		return nil, err
	}
	if k.in, err = chacha20poly1305.New(in[:]); err != nil {
		return nil, err
	}
	return k, nil
}

// seal appends the sealed form of plain to header, which it authenticates.
// header has room for it.
func (k *keys) seal(header []byte, counter uint64, plain []byte) []byte {
	if k.out == nil {
		return append(header, plain...)
	}
	binary.LittleEndian.PutUint64(k.nonce[4:], counter)
	return k.out.Seal(header, k.nonce[:], plain, header)
}

// open writes to dst what seal sealed, and reports whether it is authentic.
func (k *keys) open(dst []byte, counter uint64, header, sealed []byte) ([]byte, bool) {
	if k.in == nil {
		return append(dst, sealed...), true
	}
	binary.LittleEndian.PutUint64(k.nonce[4:], counter)
	plain, err := k.in.Open(dst, k.nonce[:], sealed, header)
	return plain, err == nil
}
