package identity

import (
	"fmt"
	"slices"
	"strings"

	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
)

// Bounds of what is parsed.
const (
	MaxPeers       = 1024 // peers that ParsePeers returns
	MaxAddrs       = 32   // addresses of a peer
	maxAddrBytes   = 512  // an address in binary form
	maxAddressText = 1024 // an address as text
)

// Peer is who and where: an ID and the addresses it is known at. An address
// doesn't end in /p2p/ID; one through a relay ends in /p2p-circuit. Without
// addresses a peer can only be waited for.
type Peer struct {
	ID    PeerID
	Addrs []ma.Multiaddr
}

// Texts is the peer as ParsePeers reads it: each address with /p2p/ID at its
// end, or the bare ID if there are no addresses.
func (p Peer) Texts() []string {
	if len(p.Addrs) == 0 {
		return []string{Text(p.ID)}
	}
	texts := make([]string, 0, len(p.Addrs))
	for _, a := range p.Addrs {
		texts = append(texts, a.String()+"/p2p/"+Text(p.ID))
	}
	return texts
}

// ParsePeers reads peers, each text being an address with /p2p/ID at its end,
// an invite, or a bare peer ID. An address through a relay, .../p2p/RELAY/
// p2p-circuit/p2p/ID, belongs to ID. What several texts say of one peer comes
// together in one Peer, each address once; peers and addresses keep their
// order. Errors wrap ErrAddress, ErrPeerID, ErrTooMany or those of ParseInvite.
func ParsePeers(texts ...string) ([]Peer, error) {
	var peers []Peer
	index := make(map[PeerID]int)
	for _, text := range texts {
		p, err := parsePeer(strings.TrimSpace(text))
		if err != nil {
			return nil, err
		}
		i, known := index[p.ID]
		if !known {
			if i = len(peers); i == MaxPeers {
				return nil, fmt.Errorf("%w: at most %d peers", ErrTooMany, MaxPeers)
			}
			index[p.ID] = i
			peers = append(peers, Peer{ID: p.ID})
		}
		if err := peers[i].add(p.Addrs...); err != nil {
			return nil, err
		}
	}
	return peers, nil
}

// parsePeer reads one text of those that ParsePeers takes.
func parsePeer(text string) (Peer, error) {
	switch {
	case strings.HasPrefix(text, "/"):
		return parseAddress(text)
	case looksLikeInvite(text):
		return ParseInvite(text)
	}
	id, err := ParsePeerID(text)
	return Peer{ID: id}, err
}

// add appends addresses that p hasn't yet.
func (p *Peer) add(addrs ...ma.Multiaddr) error {
	for _, a := range addrs {
		if slices.ContainsFunc(p.Addrs, a.Equal) {
			continue
		}
		if len(p.Addrs) == MaxAddrs {
			return fmt.Errorf("%w: at most %d addresses of %s", ErrTooMany, MaxAddrs, p.ID)
		}
		p.Addrs = append(p.Addrs, a)
	}
	return nil
}

// parseAddress reads an address that ends in /p2p/ID.
func parseAddress(text string) (Peer, error) {
	if len(text) > maxAddressText {
		return Peer{}, fmt.Errorf("%w: %d bytes of text, at most %d", ErrAddress, len(text), maxAddressText)
	}
	a, err := ma.NewMultiaddr(text)
	if err != nil {
		return Peer{}, fmt.Errorf("%w: %q: %s", ErrAddress, text, err.Error())
	}
	addr, id := peer.SplitAddr(a)
	if id == "" {
		return Peer{}, fmt.Errorf("%w: %q doesn't end in /p2p/ID", ErrAddress, text)
	}
	if err := checkPeerID(id); err != nil {
		return Peer{}, fmt.Errorf("%w: %q: %w", ErrAddress, text, err)
	}
	if len(addr) == 0 {
		return Peer{ID: id}, nil
	}
	if err := checkAddr(addr); err != nil {
		return Peer{}, fmt.Errorf("%q: %w", text, err)
	}
	return Peer{ID: id, Addrs: []ma.Multiaddr{addr}}, nil
}

// checkAddr checks an address without /p2p/ID at its end: a peer in the midst
// of it is a relay, with /p2p-circuit behind it.
func checkAddr(addr ma.Multiaddr) error {
	if n := len(addr.Bytes()); n == 0 || n > maxAddrBytes {
		return fmt.Errorf("%w: %d bytes, want 1 to %d", ErrAddress, n, maxAddrBytes)
	}
	for i, c := range addr {
		if c.Code() != ma.P_P2P {
			continue
		}
		if i == len(addr)-1 || addr[i+1].Code() != ma.P_CIRCUIT {
			return fmt.Errorf("%w: another peer in it, which is no relay", ErrAddress)
		}
		if err := checkPeerID(PeerID(c.RawValue())); err != nil {
			return fmt.Errorf("%w: the relay: %w", ErrAddress, err)
		}
	}
	return nil
}
