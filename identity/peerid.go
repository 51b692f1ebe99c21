package identity

import (
	"fmt"
	"strings"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/multiformats/go-multihash"
)

// PeerID identifies a peer: the hash of its public key, or the key itself. It
// is libp2p's peer.ID, so an application passes what it has. It is comparable
// and opaque; its bytes are not text, use String.
type PeerID = peer.ID

// maxPeerIDText is more than any peer ID's text has, in bytes: 52 to 65.
const maxPeerIDText = 128

// ParsePeerID reads a peer ID in each of the forms in which libp2p writes it:
// base58 (12D3..., Qm...) and CIDv1 (bafz..., k51... and other bases). Space
// around it is ignored. Any other text is an error that wraps ErrPeerID.
func ParsePeerID(text string) (PeerID, error) {
	text = strings.TrimSpace(text)
	switch {
	case text == "":
		return "", fmt.Errorf("%w: no text", ErrPeerID)
	case len(text) > maxPeerIDText:
		return "", fmt.Errorf("%w: %d bytes of text, at most %d", ErrPeerID, len(text), maxPeerIDText)
	case text[0] == '/':
		return "", fmt.Errorf("%w: %q is an address", ErrPeerID, text)
	}
	id, err := peer.Decode(text)
	if err != nil {
		return "", fmt.Errorf("%w: %q: %s", ErrPeerID, text, err.Error())
	}
	if err := checkPeerID(id); err != nil {
		return "", fmt.Errorf("%q: %w", text, err)
	}
	return id, nil
}

// Text is the usual form of a peer ID, base58: 12D3... for an Ed25519 key. It
// is what ID.String returns. ParsePeerID reads it.
func Text(id PeerID) string { return id.String() }

// CID is a peer ID as a CIDv1 in base32, bafz...: it survives where upper and
// lower case are not told apart, in a host name for example. It is empty if id
// is no peer ID. ParsePeerID reads it.
func CID(id PeerID) string {
	c := peer.ToCid(id)
	if !c.Defined() {
		return ""
	}
	return c.String()
}

// checkPeerID checks what the peer-ids specification of libp2p says of an ID:
// a key itself if that has at most 42 bytes, else the SHA-256 of one.
func checkPeerID(id PeerID) error {
	m, err := multihash.Decode([]byte(id))
	if err != nil {
		return fmt.Errorf("%w: %s", ErrPeerID, err.Error())
	}
	switch m.Code {
	case multihash.SHA2_256:
		if m.Length != 32 {
			return fmt.Errorf("%w: SHA-256 of %d bytes", ErrPeerID, m.Length)
		}
	case multihash.IDENTITY:
		key, err := id.ExtractPublicKey()
		if err != nil {
			return fmt.Errorf("%w: no public key in it: %s", ErrPeerID, err.Error())
		}
		if !id.MatchesPublicKey(key) {
			return fmt.Errorf("%w: its public key has another ID", ErrPeerID)
		}
	default:
		return fmt.Errorf("%w: made by hash %#x", ErrPeerID, m.Code)
	}
	return nil
}
