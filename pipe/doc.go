// Package pipe carries voice over any message pipe that an application has
// already: a game server that passes messages on, a web socket, a data channel,
// the game's own network. The application hands in a function that sends a
// message to a peer, and feeds what arrives to [Transport.Receive].
//
// What two peers say to each other is sealed end to end with their libp2p
// identity keys. Who carries the messages can lose, delay and count them. It can
// not read them, make new ones, deliver one twice, or pass one peer off as
// another. Without keys ([Config.Insecure]) everything works the same, and
// [link.Path] says in words that it isn't encrypted.
//
// A knock ([link.Handler]) is by whom the pipe says. It costs nothing but a place among
// those who are held; who it really is shows the handshake, after Join.
//
// # What it needs of the pipe
//
// At best two ways: a reliable one in order, for control, and a fast one that may
// lose, double and reorder messages, for voice. With [UnreliableOnly] control
// goes the fast way too; it is numbered, acknowledged and sent again in any case.
// With [ReliableOnly] voice goes the reliable way; what the far end has not
// acknowledged for a round trip and 300 ms holds further voice back, so that no
// delay builds up in the pipe's queue. Messages have at most [MaxMessage] bytes.
//
// # On the wire
//
// The first byte is 0x10 and the kind; without encryption it is 0x20 and the kind.
// Numbers are big endian.
//
//	1 hello         epoch (8)
//	2 initiation    key ID (4), first message of Noise XX
//	3 response      key ID (4), second message
//	4 confirmation  key ID (4), third message
//	5 data          key ID (4), counter (4), sealed part
//
// The handshake is Noise_XX_25519_ChaChaPoly_SHA256. Its prologue is "parley pipe
// 1", a zero byte, and then the initiator's ID, the responder's ID and the name of
// the session, each after its length (2). The peer with the smaller ID is always
// the initiator; the other one sends a hello when it wants to talk. The payload of
// the second and the third message is the sender's epoch (8), the length of its
// public key (2), the key as libp2p marshals it, and the signature by it of
// "parley-pipe-static-key:" and the sender's static Noise key. Without encryption
// the three messages begin with the first 8 bytes of the prologue's SHA-256, and
// then comes the epoch alone, in the second and the third.
//
// An epoch is a random number that a peer draws when it joins another. A handshake
// that brings the epochs that are known already renews the keys: counters and
// control go on. A new epoch begins everything anew. The initiator renews keys
// every 2 minutes; keys older than 6 minutes are not used any more.
//
// The sealed part of a data message is ChaCha20-Poly1305 with the key that the
// handshake gave for this direction; the message's first 9 bytes are the
// additional data, and the nonce is the counter as in Noise, in 64 bits. The
// counter grows by 1 with each message, also when keys change; its low 32 bits are
// sent. Inside is one byte, an acknowledgement if its bit 0x80 is set, and a body:
//
//	0 nothing
//	1 voice    the voice message
//	2 control  sequence number (4), the control message
//	3 end      sequence number (4): the sender leaves after the control before
//	4 ping     asks for an acknowledgement
//	5 bye      the sender has left
//
// An acknowledgement has 15 bytes: the highest counter received (4); how long ago
// that was, in units of 100 µs (2); the highest sequence number up to which no
// control is missing (4); which of the 32 after the next one are there (4, lowest
// bit first); and how many of those up to that number wait for the receiver (1).
package pipe
