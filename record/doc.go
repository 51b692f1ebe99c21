// Package record writes a conversation to files: a track per participant, all
// on one time line, or everything mixed.
//
// A [Recorder] taps a [session.Session] and needs nothing else: who comes, goes
// and comes back while it records is found in its track. In the format OggOpus
// the packets of each participant are written as they were received, without
// decoding or encoding; in WAV what was heard of it is. Every file begins when the
// recording began, with silence until its participant said something, so that
// players and editors align them by laying them side by side.
//
// The others are told that they are recorded: see [Config].Unannounced.
//
// A process that is killed leaves files that play, up to a second or two before
// its end. A file that can't be written any more, because the disk is full for
// example, is given up, and the others go on.
//
// # Goroutines
//
// The taps copy what they are given into a queue and return. One goroutine writes
// the files; it ends before Stop returns. When it can't keep up, what there is no
// room for is left out and counted, and what follows stays at its time.
package record
