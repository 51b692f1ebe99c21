//go:build !linux

package linkem

import "os/exec"

// Link is an emulated link. There are none but on Linux.
type Link struct{}

// Supported returns [ErrUnsupported].
func Supported() error { return ErrUnsupported }

// New returns [ErrUnsupported].
func New(Config) (*Link, error) { return nil, ErrUnsupported }

// Close does nothing.
func (*Link) Close() error { return nil }

// Set returns [ErrUnsupported].
func (*Link) Set(Side, Impairment) error { return ErrUnsupported }

// Addr returns nothing.
func (*Link) Addr(Side) string { return "" }

// Stats returns zeros.
func (*Link) Stats() Stats { return Stats{} }

// Do returns [ErrUnsupported].
func (*Link) Do(Side, func() error) error { return ErrUnsupported }

// Command returns a command that fails to start.
func (*Link) Command(_ Side, name string, args ...string) *exec.Cmd {
	return &exec.Cmd{Path: name, Args: append([]string{name}, args...), Err: ErrUnsupported}
}

// Path returns nothing.
func (*Link) Path(Side) string { return "" }
