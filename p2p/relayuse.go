package p2p

import ma "github.com/multiformats/go-multiaddr"

// relayAddrs are the circuits through which joined peers may be reached: those
// of the relays that answer.
func (n *Node) relayAddrs() []ma.Multiaddr { return nil }

// circuitAddrs are our own addresses through the relays that answer.
func (n *Node) circuitAddrs() []ma.Multiaddr { return nil }

// toldAddrs are our addresses as peers were last told them.
func (n *Node) toldAddrs() []ma.Multiaddr {
	b := n.told.Load()
	if b == nil {
		return nil
	}
	addrs, err := parseAddrs(*b)
	if err != nil {
		return nil
	}
	return addrs
}
