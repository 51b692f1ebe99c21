// Package server is a lobby: it tells the members of a room, whom a shared code
// brings together, who else is there, and where. docs/lobby-protocol.md
// specifies how it talks with members.
//
// It runs on an application's libp2p host. The program around it, with flags,
// a relay and metrics, is examples/lobby.
package server
