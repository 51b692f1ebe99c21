package lobbywire

import (
	"errors"
	"fmt"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/record"
	ma "github.com/multiformats/go-multiaddr"
)

// ErrRecord is the error of a record that isn't signed by whom it is about, or
// can't be read. It is wrapped, so compare with errors.Is.
var ErrRecord = errors.New("lobbywire: not a record signed by that peer")

// SealRecord signs who and where a peer is: libp2p's signed peer record. Its
// sequence number is the time, so a later record is newer, also after a
// restart. Addresses beyond MaxAddrs are an error that wraps ErrLimit.
func SealRecord(key crypto.PrivKey, addrs []ma.Multiaddr) ([]byte, error) {
	if len(addrs) > MaxAddrs {
		return nil, fmt.Errorf("%w: %d addresses", ErrLimit, len(addrs))
	}
	id, err := peer.IDFromPrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("lobbywire: peer ID: %w", err)
	}
	rec := peer.PeerRecordFromAddrInfo(peer.AddrInfo{ID: id, Addrs: addrs})
	envelope, err := record.Seal(rec, key)
	if err != nil {
		return nil, fmt.Errorf("lobbywire: sign the record: %w", err)
	}
	b, err := envelope.Marshal()
	if err != nil {
		return nil, fmt.Errorf("lobbywire: encode the record: %w", err)
	}
	return b, within("record", len(b), MaxRecord)
}

// OpenRecord reads a record and checks that it is about the peer id and signed
// with that peer's key. Errors wrap ErrRecord or ErrLimit.
func OpenRecord(id peer.ID, b []byte) (*peer.PeerRecord, error) {
	if err := within("record", len(b), MaxRecord); err != nil {
		return nil, err
	}
	rec := new(peer.PeerRecord)
	envelope, err := record.ConsumeTypedEnvelope(b, rec)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrRecord, err)
	}
	if rec.PeerID != id || !id.MatchesPublicKey(envelope.PublicKey) {
		return nil, fmt.Errorf("%w: it is about %s", ErrRecord, rec.PeerID)
	}
	if len(rec.Addrs) > MaxAddrs {
		return nil, fmt.Errorf("%w: %d addresses", ErrLimit, len(rec.Addrs))
	}
	return rec, nil
}
