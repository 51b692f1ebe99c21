//go:build linux

package natlab

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	patience = 2 * time.Second        // for what must come
	grace    = 200 * time.Millisecond // for what must not: the longest way is 80 ms
)

// socket is a UDP socket on a host.
type socket struct {
	*net.UDPConn

	host *Host
}

// udp opens a UDP socket on a host, until the test ends. Port 0 is any.
func udp(t *testing.T, h *Host, port int) *socket {
	t.Helper()
	var conn *net.UDPConn
	err := h.Do(func() (err error) {
		conn, err = net.ListenUDP("udp", &net.UDPAddr{Port: port})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return &socket{conn, h}
}

func (s *socket) port() uint16 { return uint16(s.LocalAddr().(*net.UDPAddr).Port) }

// to sends a packet.
func (s *socket) to(t *testing.T, to netip.AddrPort, text string) {
	t.Helper()
	if _, err := s.WriteToUDPAddrPort([]byte(text), to); err != nil {
		t.Fatalf("%s: %v", s.host.Name, err)
	}
}

// from receives a packet, or returns nothing after a while.
func (s *socket) from(wait time.Duration) (text string, from netip.AddrPort) {
	buf := make([]byte, 2000)
	_ = s.SetReadDeadline(time.Now().Add(wait))
	n, from, err := s.ReadFromUDPAddrPort(buf)
	if err != nil {
		return "", netip.AddrPort{}
	}
	return string(buf[:n]), netip.AddrPortFrom(from.Addr().Unmap(), from.Port())
}

// mirror answers every packet with where it came from, until the test ends.
func mirror(t *testing.T, h *Host) netip.AddrPort {
	t.Helper()
	s := udp(t, h, 0)
	var done sync.WaitGroup
	done.Go(func() {
		buf := make([]byte, 2000)
		for {
			_, from, err := s.ReadFromUDPAddrPort(buf)
			if errors.Is(err, net.ErrClosed) {
				return
			}
			if err == nil {
				_, _ = s.WriteToUDPAddrPort([]byte(netip.AddrPortFrom(from.Addr().Unmap(), from.Port()).String()), from)
			}
		}
	})
	t.Cleanup(func() { s.Close(); done.Wait() })
	return netip.AddrPortFrom(h.Addr4, s.port())
}

// ask asks a mirror, and returns what it sees and how long it took. Invalid if
// no answer came.
func (s *socket) ask(mirror netip.AddrPort, wait time.Duration) (seen netip.AddrPort, took time.Duration) {
	began := time.Now()
	if _, err := s.WriteToUDPAddrPort([]byte("?"), mirror); err != nil {
		return seen, 0
	}
	text, _ := s.from(wait)
	seen, _ = netip.ParseAddrPort(text)
	return seen, time.Since(began)
}

// seen is ask that must be answered.
func (s *socket) seen(t *testing.T, mirror netip.AddrPort) netip.AddrPort {
	t.Helper()
	seen, _ := s.ask(mirror, patience)
	if !seen.IsValid() {
		t.Fatalf("%s: no answer from %v", s.host.Name, mirror)
	}
	return seen
}

// tcpTime is how long it takes from one host to open a connection to another.
func tcpTime(t *testing.T, from, to *Host) time.Duration {
	t.Helper()
	var listener net.Listener
	err := to.Do(func() (err error) {
		listener, err = net.Listen("tcp4", fmt.Sprintf("%v:0", to.Addr4))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	began := time.Now()
	err = from.Do(func() error {
		conn, err := net.DialTimeout("tcp4", listener.Addr().String(), patience)
		if err == nil {
			err = conn.Close()
		}
		return err
	})
	if err != nil {
		t.Fatalf("%s to %s: %v", from.Name, to.Name, err)
	}
	return time.Since(began)
}

// between fails if a duration isn't.
func between(t *testing.T, what string, got, low, high time.Duration) {
	t.Helper()
	if got < low || got > high {
		t.Errorf("%s took %v, want %v to %v", what, got, low, high)
	}
}

// openFiles counts this process's namespaces and TUN devices.
func openFiles(t *testing.T) (count int) {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skip(err)
	}
	for _, entry := range entries {
		target, _ := os.Readlink("/proc/self/fd/" + entry.Name())
		if len(target) > 4 && target[:4] == "net:" || target == "/dev/net/tun" {
			count++
		}
	}
	return count
}
