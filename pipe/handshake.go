package pipe

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/flynn/noise"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/parley-voice/parley/identity"
)

const (
	prologuePrefix  = "parley pipe 1\x00"
	signaturePrefix = "parley-pipe-static-key:"
	checkSize       = 8 // of the prologue's hash, without encryption
)

// credentials are what a transport proves its identity with. They live as long as
// the transport.
type credentials struct {
	insecure bool
	session  string
	static   noise.DHKey
	proof    []byte // public key and signature, as payloads have them
}

func newCredentials(c Config) (*credentials, error) {
	own := &credentials{insecure: c.Insecure, session: c.Session}
	if c.Insecure {
		return own, nil
	}
	var err error
	if own.static, err = noise.DH25519.GenerateKeypair(rand.Reader); err != nil {
		return nil, fmt.Errorf("pipe: make a key: %w", err)
	}
	public, err := crypto.MarshalPublicKey(c.Key.GetPublic())
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrConfig, err)
	}
	signature, err := c.Key.Sign(append([]byte(signaturePrefix), own.static.Public...))
	if err != nil {
		return nil, fmt.Errorf("%w: sign with Key: %w", ErrConfig, err)
	}
	// Larger than every handshake message: ephemeral key, static key with its
	// tag, payload with its tag.
	if keyHeader+32+32+tagSize+8+2+len(public)+len(signature)+tagSize > MaxMessage {
		return nil, fmt.Errorf("%w: Key is too large for a message of %d bytes", ErrConfig, MaxMessage)
	}
	own.proof = binary.BigEndian.AppendUint16(nil, uint16(len(public)))
	own.proof = append(append(own.proof, public...), signature...)
	return own, nil
}

// payload is what a peer says of itself in a handshake.
func (c *credentials) payload(epoch uint64) []byte {
	return append(binary.BigEndian.AppendUint64(nil, epoch), c.proof...)
}

// A handshake is one side of Noise XX.
type handshake struct {
	own       *credentials
	id        uint32
	peer      identity.PeerID // who has to be at the other end
	initiator bool
	prologue  []byte
	seed      []byte // of the ephemeral key, so that it can begin again
	noise     *noise.HandshakeState
}

// begin starts a handshake of self with a peer.
func (c *credentials) begin(id uint32, self, peer identity.PeerID, initiator bool) (*handshake, error) {
	h := &handshake{own: c, id: id, peer: peer, initiator: initiator}
	first, second := self, peer
	if !initiator {
		first, second = peer, self
	}
	h.prologue = []byte(prologuePrefix)
	for _, s := range []string{string(first), string(second), c.session} {
		h.prologue = binary.BigEndian.AppendUint16(h.prologue, uint16(len(s)))
		h.prologue = append(h.prologue, s...)
	}
	if c.insecure {
		return h, nil
	}
	h.seed = make([]byte, 32)
	_, _ = rand.Read(h.seed) // never fails
	return h, h.restart()
}

// restart brings a handshake to its beginning, for one whose state a message spoiled
// that wasn't the right one. What is read and written next must be the same as
// before; it is then written with the same bytes.
func (h *handshake) restart() (err error) {
	cfg := noise.Config{
		CipherSuite:   noise.NewCipherSuite(noise.DH25519, noise.CipherChaChaPoly, noise.HashSHA256),
		Pattern:       noise.HandshakeXX,
		Initiator:     h.initiator,
		Prologue:      h.prologue,
		StaticKeypair: h.own.static,
	}
	cfg.Random = bytes.NewReader(h.seed)
	h.noise, err = noise.NewHandshakeState(cfg)
	return err
}

// write appends the next message to b. keys are those of the last message.
func (h *handshake) write(b, payload []byte, now time.Time) ([]byte, *keys, error) {
	if h.own.insecure {
		k, err := newKeys(h.id, nil, nil, now)
		sum := sha256.Sum256(h.prologue)
		return append(append(b, sum[:checkSize]...), payload...), k, err
	}
	b, first, second, err := h.noise.WriteMessage(b, payload)
	if err != nil {
		return nil, nil, err
	}
	k, err := h.split(first, second, now)
	return b, k, err
}

// read takes the next message, and returns its payload and the keys of the last
// one.
func (h *handshake) read(b []byte, now time.Time) ([]byte, *keys, error) {
	if h.own.insecure {
		sum := sha256.Sum256(h.prologue)
		payload, ok := bytes.CutPrefix(b, sum[:checkSize])
		if !ok {
			return nil, nil, ErrForged
		}
		k, err := newKeys(h.id, nil, nil, now)
		return payload, k, err
	}
	payload, first, second, err := h.noise.ReadMessage(nil, b)
	if err != nil {
		return nil, nil, ErrForged
	}
	k, err := h.split(first, second, now)
	return payload, k, err
}

func (h *handshake) split(first, second *noise.CipherState, now time.Time) (*keys, error) {
	if first == nil || second == nil {
		return nil, nil
	}
	out, in := first.UnsafeKey(), second.UnsafeKey()
	if !h.initiator {
		out, in = in, out
	}
	return newKeys(h.id, &out, &in, now)
}

// errPeer: the handshake is sound, and somebody else's.
var errPeer = errors.New("pipe: somebody else answers in the peer's place")

// verify checks that a payload is by the peer, and returns the peer's epoch.
func (h *handshake) verify(payload []byte) (epoch uint64, err error) {
	if len(payload) < 8 {
		return 0, ErrMalformed
	}
	epoch, payload = binary.BigEndian.Uint64(payload), payload[8:]
	if epoch == 0 {
		return 0, ErrMalformed
	}
	if h.own.insecure {
		return epoch, nil
	}
	if len(payload) < 2 {
		return 0, ErrMalformed
	}
	n := int(binary.BigEndian.Uint16(payload))
	payload = payload[2:]
	if len(payload) < n {
		return 0, ErrMalformed
	}
	public, err := crypto.UnmarshalPublicKey(payload[:n])
	if err != nil {
		return 0, ErrMalformed
	}
	id, err := peer.IDFromPublicKey(public)
	if err != nil {
		return 0, ErrMalformed
	}
	if id != h.peer {
		return 0, errPeer
	}
	ok, err := public.Verify(append([]byte(signaturePrefix), h.noise.PeerStatic()...), payload[n:])
	if err != nil || !ok {
		return 0, ErrForged
	}
	return epoch, nil
}
