// Package sessiontest is a network in memory, a codec without C and a
// conformance suite, for tests of conversations and of transports.
//
// A [Network] carries voice and control between [Transport]s, each of which
// implements [link.Transport] as completely as package p2p does: announced
// and unannounced peers, epochs, lost and returning paths. What a link does to
// what it carries (delay, jitter, loss, bursts, duplicates, reordering, a
// bandwidth) is set per direction and drawn from a seed, so that the same
// sends meet the same losses. It runs in real time and in virtual time: inside
// a bubble of testing/synctest every goroutine of a Network waits durably. A
// test closes the Network before its bubble ends.
//
// [TestTransport] is the conformance suite for implementations of
// link.Transport. docs/custom-transport.md is the tutorial that goes with it.
//
// [Codec] is a [codec.Codec] for tests of sessions where no C compiler is.
package sessiontest
