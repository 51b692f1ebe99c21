// Package clean makes what a microphone recorded fit to be heard, without C: each
// type is an [audio.Processor] for the chain of a session. Their zero values are
// ready, they allocate nothing, and none of them is safe for concurrent use.
//
// Samples that are no numbers are silence to them, and what is beyond
// [audio.MaxSample] is cut.
package clean
