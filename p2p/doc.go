// Package p2p carries voice and control between peers over plain libp2p
// streams. It implements [link.Transport] on a host.Host that the application
// owns.
//
// A [Node] is Parley's presence on a host, a [Transport] one session on it. For
// every joined peer a Transport keeps one control stream per connection and
// deals voice round-robin over several long-lived streams, the lanes. A lost
// packet stalls its own lane only, and is still retransmitted: the timing of
// datagrams on the stable stream API, and late recovery on top.
// docs/protocol.md specifies what goes over the wire.
//
// # Concurrency
//
// All methods are safe for concurrent use. Calls of a Handler that concern one
// peer are serial: they are made under that peer's delivery lock and under no
// other. Join, SendVoice, SendControl, Path and Stats never take a delivery
// lock, so an application may call them under a lock that its Handler takes
// too. Leave and Close wait for a running call of the Handler, which is what
// makes "nothing is delivered afterwards" true: don't call them under such a
// lock.
//
// Inside, the order of locks is: delivery lock of a peer, Transport.mu,
// pair.mu. Nothing that waits for the network runs under Transport.mu or
// pair.mu.
package p2p
