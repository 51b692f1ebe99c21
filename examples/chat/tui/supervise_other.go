//go:build !unix

package tui

// Supervise does nothing where there is no way to do it: see the one for Unix.
func Supervise() (done bool, err error) { return false, nil }
