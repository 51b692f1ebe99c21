// Package tui is the screen of the chat program: who is here, who speaks, how
// well, a log with a line to write, and a key for everything.
//
// The screen knows no network and no sound. It is given a Chat, asks it ten
// times a second for its State, and calls it for each key:
//
//	keys ── Update ──> Chat        what the keys do
//	        Update <── Chat.State  what is drawn
//	        Do, Print <── the program's own goroutines
//
// All of Chat but Devices and Use is called by the one goroutine of Run, and so
// is what Do is given: who implements Chat needs no lock.
//
// Whatever comes from others (names, texts, reasons, rooms) goes through Clean
// before it is drawn.
package tui
