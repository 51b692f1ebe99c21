// Package ownsession holds the examples of docs/own-session.md: voice that follows an
// application's own session, and rides on its messages.
package ownsession
