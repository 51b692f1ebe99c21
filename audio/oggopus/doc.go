// Package oggopus writes Opus packets as they are into an Ogg stream (RFC 3533,
// RFC 7845) that every player knows, and reads them from one: a file made of what
// was received, or said as it is, without decoding or encoding anything.
//
// A [Writer] keeps the time line: where nothing was said it writes packets of
// silence, and where packets were lost it writes such that make a decoder conceal
// them, since RFC 7845 section 4.1 allows no gap in the granule positions. A page
// is complete once a second, so what a killed process leaves behind is a file
// that plays up to there.
//
// A [Reader] gives back the packets of any such file, to be said with
// session.Packets for example.
//
// It starts no goroutine and reads no clock: time is what the packets say.
package oggopus
