// Package session is a conversation: who is here, what is said to whom, and
// what is heard.
//
// A [Session] is told by the application who takes part, with Start,
// PeerJoined, PeerLeft and Stop, and does the rest: it records, encodes and
// sends, and for every peer it buffers, decodes and mixes what arrives. It
// knows no network, no codec and no device: these come as a [link.Transport], a
// [codec.Codec], an [audio.Source] and an [audio.Sink].
//
// # A frame's journey
//
// The files are in the order in which a frame meets them. capture.go reads
// the microphone; gate.go decides whether we talk; voice.go encodes, numbers
// and remembers; send.go gives each listener its packet; the link carries it;
// receive.go parses it into the talker's jitter buffer; player.go decodes,
// conceals and stretches; playback.go mixes all talkers for the speaker.
// Beside them control.go exchanges hellos, states and reports, roster.go keeps
// the list of peers, and taps.go gives out what passes. rooms.go and channel.go
// take what the application wants to hear and to whom it wants to speak,
// authorize.go what it allows, and block.go whom it blocks; reach.go works out for
// each peer what follows, and admit.go what of its voice is heard. pose.go places
// voices, nearby.go finds who is near enough to be spoken to, duck.go has what makes
// way, and pcm.go gives a voice to an audio engine of the application's.
//
// # Goroutines
//
// While started a session runs three goroutines: capture, playback and
// control. They end before Stop returns. The application's calls may come
// from any goroutine and are put in order, one after the other (order.go),
// except that only Start waits for devices being opened, and that PeerJoined
// and PeerLeft don't wait for a Stop. Events, taps and the transport's handler
// are never called with a lock held that such a call needs.
package session
