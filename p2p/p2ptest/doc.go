// Package p2ptest builds networks of real libp2p hosts for tests.
//
// [NewNetwork] makes hosts that speak real QUIC over a simulated network, with
// delay, loss and black holes, in the virtual time of testing/synctest: a
// minute of conversation takes a fraction of a second. [Loopback] makes hosts
// on real sockets.
package p2ptest
