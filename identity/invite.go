package identity

import (
	"crypto/sha256"
	"encoding/base32"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"

	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"
)

// The form of an invite: invitePrefix, then in base32 (RFC 4648, lower case, no
// padding) these bytes:
//
//	version   1 byte: 1
//	ID        uvarint length and multihash; length 0: 32 bytes, an Ed25519 key
//	addresses each uvarint length and binary multiaddr, up to the checksum
//	checksum  4 bytes, in every version: the first of
//	          SHA-256("parley invite" and all bytes before)
const (
	invitePrefix    = "parley:"
	inviteVersion   = 1
	inviteDomain    = "parley invite"
	checksumBytes   = 4
	maxInviteAddrs  = 16
	maxInviteText   = 16384 // with what stands around it
	ed25519IDPrefix = "\x00\x24\x08\x01\x12\x20"
)

const base32Alphabet = "abcdefghijklmnopqrstuvwxyz234567"

var base32Lower = base32.NewEncoding(base32Alphabet).WithPadding(base32.NoPadding)

// NewInvite makes one line of text out of a peer's ID and addresses, for
// another person to be given and ParseInvite to read: parley: and some 100
// letters and digits. It has a checksum, and may be written in capitals.
//
// Private addresses are in it, for those on the same network. Left out, unless
// there are no others, are addresses that only this machine or this link can
// use, and those of browsers' transports; and more than 16. An address may end
// in /p2p/ID or not. It fails if p.ID or an address is none.
func NewInvite(p Peer) (string, error) {
	if err := checkPeerID(p.ID); err != nil {
		return "", err
	}
	addrs, err := inviteAddrs(p)
	if err != nil {
		return "", err
	}
	b := []byte{inviteVersion}
	if key, ok := strings.CutPrefix(string(p.ID), ed25519IDPrefix); ok {
		b = append(append(b, 0), key...)
	} else {
		b = appendBytes(b, []byte(p.ID))
	}
	for _, a := range addrs {
		b = appendBytes(b, a.Bytes())
	}
	b = append(b, inviteChecksum(b)...)
	return invitePrefix + base32Lower.EncodeToString(b), nil
}

// inviteAddrs chooses the addresses that go into an invite.
func inviteAddrs(p Peer) ([]ma.Multiaddr, error) {
	var all Peer
	for _, a := range p.Addrs {
		if addr, id := peer.SplitAddr(a); id == p.ID {
			a = addr
		}
		if len(a) == 0 {
			continue
		}
		if err := checkAddr(a); err != nil {
			return nil, err
		}
		if !slices.ContainsFunc(all.Addrs, a.Equal) {
			all.Addrs = append(all.Addrs, a)
		}
	}
	addrs := slices.DeleteFunc(slices.Clone(all.Addrs), isNarrow)
	if len(addrs) == 0 {
		addrs = all.Addrs
	}
	return addrs[:min(len(addrs), maxInviteAddrs)], nil
}

// isNarrow reports whether an address is of use to few: on this machine, on
// this link, or to browsers (certhash, 40 bytes of it).
func isNarrow(a ma.Multiaddr) bool {
	if manet.IsIPLoopback(a) || manet.IsIP6LinkLocal(a) || manet.IsIPUnspecified(a) {
		return true
	}
	return slices.ContainsFunc(a, func(c ma.Component) bool {
		switch c.Code() {
		case ma.P_WEBTRANSPORT, ma.P_WEBRTC_DIRECT, ma.P_CERTHASH:
			return true
		}
		return false
	})
}

// ParseInvite reads an invite, and passes over what stands around it: space,
// quotes, brackets, a sentence. Without an invite in text the error wraps
// ErrNotInvite; otherwise ErrInviteDamaged if it isn't as it was made, or
// ErrInviteVersion.
func ParseInvite(text string) (Peer, error) {
	if len(text) > maxInviteText {
		return Peer{}, fmt.Errorf("%w: %d bytes of text, at most %d", ErrNotInvite, len(text), maxInviteText)
	}
	first := fmt.Errorf("%w: no %q in it", ErrNotInvite, invitePrefix)
	found := false
	for rest := asciiLower(text); ; {
		_, after, ok := strings.Cut(rest, invitePrefix)
		if !ok {
			return Peer{}, first
		}
		body := after[:len(after)-len(strings.TrimLeft(after, base32Alphabet))]
		p, err := decodeInvite(body)
		if err == nil {
			return p, nil
		}
		if !found {
			first, found = err, true
		}
		rest = after
	}
}

// looksLikeInvite reports whether text is more likely an invite than a peer ID.
func looksLikeInvite(text string) bool {
	return strings.Contains(asciiLower(text), invitePrefix)
}

// asciiLower is strings.ToLower without its surprises: the Kelvin sign stays.
func asciiLower(text string) string {
	b := []byte(text)
	for i, c := range b {
		if c >= 'A' && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return string(b)
}

func decodeInvite(body string) (Peer, error) {
	b, err := base32Lower.DecodeString(body)
	// The last character has unused bits, which the decoder ignores.
	if err != nil || base32Lower.EncodeToString(b) != body || len(b) <= checksumBytes {
		return Peer{}, ErrInviteDamaged
	}
	b, checksum := b[:len(b)-checksumBytes], b[len(b)-checksumBytes:]
	if string(checksum) != string(inviteChecksum(b)) {
		return Peer{}, ErrInviteDamaged
	}
	if b[0] != inviteVersion {
		return Peer{}, fmt.Errorf("%w: %d", ErrInviteVersion, b[0])
	}
	p, err := decodePeer(b[1:])
	if err != nil {
		// Nobody makes such an invite by mistake.
		return Peer{}, fmt.Errorf("%w: %w", ErrInviteDamaged, err)
	}
	return p, nil
}

func decodePeer(b []byte) (Peer, error) {
	id, b, err := cutBytes(b)
	if err != nil {
		return Peer{}, err
	}
	if len(id) == 0 {
		if len(b) < 32 {
			return Peer{}, fmt.Errorf("%w: %d bytes of a key", ErrPeerID, len(b))
		}
		id, b = append([]byte(ed25519IDPrefix), b[:32]...), b[32:]
	}
	p := Peer{ID: PeerID(id)}
	if err = checkPeerID(p.ID); err != nil {
		return Peer{}, err
	}
	for len(b) > 0 {
		var raw []byte
		if raw, b, err = cutBytes(b); err != nil {
			return Peer{}, err
		}
		if err = p.addBytes(raw); err != nil {
			return Peer{}, err
		}
	}
	return p, nil
}

// addBytes adds an address in binary form.
func (p *Peer) addBytes(raw []byte) error {
	if len(raw) > maxAddrBytes {
		return fmt.Errorf("%w: %d bytes, at most %d", ErrAddress, len(raw), maxAddrBytes)
	}
	a, err := ma.NewMultiaddrBytes(raw)
	if err != nil {
		return fmt.Errorf("%w: %s", ErrAddress, err.Error())
	}
	if err = checkAddr(a); err != nil {
		return err
	}
	return p.add(a)
}

func inviteChecksum(b []byte) []byte {
	sum := sha256.Sum256(append([]byte(inviteDomain), b...))
	return sum[:checksumBytes]
}

// appendBytes appends x with its length ahead.
func appendBytes(b, x []byte) []byte {
	return append(binary.AppendUvarint(b, uint64(len(x))), x...)
}

// cutBytes cuts from the front of b what appendBytes put there.
func cutBytes(b []byte) (x, rest []byte, err error) {
	length, n := binary.Uvarint(b)
	if n <= 0 || length > uint64(len(b)-n) {
		return nil, nil, fmt.Errorf("%w: a length beyond its end", ErrAddress)
	}
	return b[n : n+int(length)], b[n+int(length):], nil
}
