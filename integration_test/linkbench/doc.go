// Package linkbench is the matrix of bad links on which Parley's sound is
// measured, by make lab-links with programs on an emulated link and by make sim
// in virtual time: the links and the bars, the figures of a call, their means
// over seeds, the table, the baseline of earlier means, and the report with
// plots over time.
package linkbench
