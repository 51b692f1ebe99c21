// Package spatial says how a voice sounds that comes from somewhere: how loud, by
// its distance, and how far to the left or the right. It holds the formulas; package
// session applies them to peers.
//
// Positions are in the application's own unit and axes. All that counts is the
// distance between two positions, in that unit, and to which side of the listener
// the voice is. Two ears and a gain don't tell above from below, nor front from
// behind: a voice behind the listener is where its mirror image in front is.
package spatial
