// Package wire is the form in which two sessions talk to each other: voice
// packets, which are hand-made and small, and control messages, which are
// protocol buffers. docs/protocol.md specifies both.
//
// It parses what peers send, so every function takes any input without a
// panic and with bounded work.
package wire
