// Package lobbywire is the form in which a lobby and its members talk to each
// other: frames of protocol buffers, and in them the records that peers sign.
// docs/lobby-protocol.md specifies both.
//
// It parses what strangers send, so every function takes any input without a
// panic and with bounded work.
package lobbywire
