// Package hearing compares what somebody said with what somebody else recorded of
// it, moment by moment: when the first word came, which 20 ms of speech were
// never heard, and how long the gaps were.
//
// It knows both only from outside, as PCM and the wall-clock time of its first
// sample, so it doesn't depend on what a program says of itself. Speech that
// was replaced by a good imitation, as a codec conceals a packet or two, can't
// be told from speech that was heard: for these, see what the listener counted.
//
// A Recogniser tells what is said in it, for somebody who doesn't know.
//
// One talker is compared with one recording. Others that are audible at the
// same time hide it. A gap may seem up to 40 ms shorter than it was, and 60 ms
// if what is left of the speech follows without silence.
package hearing
