package wire

import (
	"bytes"
	"encoding/binary"
	"fmt"
)

// rulingPrefix keeps what is signed in rulings apart from all else that the same
// key signs.
const rulingPrefix = "parley-ruling:"

// Signed is what the moderator signs of a ruling in the session of a name: a prefix,
// then the name, the two peer IDs and the reason, each after its length in 2
// bytes, then 1 if the peer is muted, else 0, and the time in 8 bytes. So a
// signature says nothing about another session, another peer or another time.
func (r *Ruling) Signed(session string) []byte {
	b := []byte(rulingPrefix)
	for _, field := range [][]byte{[]byte(session), r.GetModerator(), r.GetPeer(), []byte(r.GetReason())} {
		b = binary.BigEndian.AppendUint16(b, uint16(len(field)))
		b = append(b, field...)
	}
	muted := byte(0)
	if r.GetMuted() {
		muted = 1
	}
	return binary.BigEndian.AppendUint64(append(b, muted), r.GetTimeUs())
}

func checkRuling(r *Ruling) error {
	if r == nil {
		return nil
	}
	for _, id := range [][]byte{r.GetModerator(), r.GetPeer()} {
		if len(id) == 0 || len(id) > MaxPeerID {
			return fmt.Errorf("%w: ruling with a peer ID of %d bytes", ErrControlLimit, len(id))
		}
	}
	switch {
	case bytes.Equal(r.GetModerator(), r.GetPeer()):
		return fmt.Errorf("%w: ruling about its moderator", ErrControlLimit)
	case len(r.GetReason()) > MaxReason:
		return fmt.Errorf("%w: reason of %d bytes", ErrControlLimit, len(r.GetReason()))
	case len(r.GetSignature()) == 0 || len(r.GetSignature()) > MaxSignature:
		return fmt.Errorf("%w: signature of %d bytes", ErrControlLimit, len(r.GetSignature()))
	}
	return nil
}
