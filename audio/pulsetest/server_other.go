//go:build !linux

package pulsetest

import (
	"os/exec"
	"testing"
)

// Server exists on Linux only. Elsewhere there never is one, and its methods are
// there for tests to compile.
type Server struct{}

// Start skips the test: virtual devices exist on Linux only.
func Start(t testing.TB, _ Config) *Server {
	t.Helper()
	t.Skip("pulsetest: SKIPPED, virtual sound devices need Linux")
	return nil
}

// Address is the server's address.
func (s *Server) Address() string { return "" }

// Machine names the devices of machine i.
func (s *Server) Machine(i int) Machine { return machine(i) }

// PID is 0.
func (s *Server) PID() int { return 0 }

// Env is empty.
func (s *Server) Env() []string { return nil }

// Command prepares a program.
func (s *Server) Command(name string, args ...string) *exec.Cmd { return exec.Command(name, args...) }

// Setenv does nothing.
func (s *Server) Setenv() {}

// SetenvNoDevices does nothing.
func (s *Server) SetenvNoDevices() {}

// Restart does nothing.
func (s *Server) Restart() {}

// Kill does nothing.
func (s *Server) Kill() {}

// Suspend does nothing.
func (s *Server) Suspend() {}

// Resume does nothing.
func (s *Server) Resume() {}

// Unplug does nothing.
func (s *Server) Unplug(int) {}

// Plug does nothing.
func (s *Server) Plug(int) {}

// SetDefault does nothing.
func (s *Server) SetDefault(int) {}

// Hide does nothing.
func (s *Server) Hide(int) {}

// Show does nothing.
func (s *Server) Show(int) {}
