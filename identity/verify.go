package identity

import "fmt"

// Verify returns nil if signature is that of data by the key of a peer. The key is
// taken from the ID, which holds it if it is an Ed25519 key, as those of
// LoadOrCreateKey are. Otherwise, for another key or other data, and for what is no
// peer ID, the error wraps ErrSignature.
func Verify(id PeerID, data, signature []byte) error {
	key, err := id.ExtractPublicKey()
	if err != nil {
		return fmt.Errorf("%w: its key isn't in the peer ID: %w", ErrSignature, err)
	}
	ok, err := key.Verify(data, signature)
	switch {
	case err != nil:
		return fmt.Errorf("%w: %w", ErrSignature, err)
	case !ok:
		return fmt.Errorf("%w: not by the key of %s", ErrSignature, id)
	}
	return nil
}

// HoldsKey tells whether Verify finds the key of a peer in its ID.
func HoldsKey(id PeerID) bool {
	_, err := id.ExtractPublicKey()
	return err == nil
}
