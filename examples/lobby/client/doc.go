// Package client joins a room of a lobby and says who else is in it:
//
//	lobby, err := client.Join(ctx, host, client.Config{Lobby: info, Room: "lusab-babad-gutih"})
//	for event := range lobby.Events() {
//		switch e := event.(type) {
//		case client.Joined:
//			err = voice.PeerJoined(e.Peer)
//		case client.Left:
//			err = voice.PeerLeft(e.Peer)
//		}
//	}
//
// The addresses of members are in the host's peerstore when Joined arrives, so
// that the host can connect to them: those that each member signed itself, and
// one through the lobby's relay.
//
// The client comes back to the lobby by itself, and to a lobby that was started
// anew. While the lobby is away nobody is said to have left: a lobby brings
// people together, and they talk on without it.
//
// Presence runs over a TCP connection of its own where one can be had: the
// kernel ends it when the process is killed, at once, and keeps it when the
// process is suspended. Otherwise it is a stream on the host's connection, where
// the lobby notices a killed process by the missing heartbeats, until one can be
// had. The host counts two connections to the lobby's address then, and each
// circuit through its relay as one more: libp2p's default limit is 8.
//
// Codes of rooms are made by [NewCode]. docs/lobby-protocol.md specifies how
// client and lobby talk with each other.
package client
