package linkem

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// listen opens a UDP socket on a side of the link, closed with the test.
func listen(t *testing.T, l *Link, side Side) *net.UDPConn {
	t.Helper()
	var conn net.PacketConn
	err := l.Do(side, func() (err error) {
		conn, err = net.ListenPacket("udp4", l.Addr(side)+":0")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn.(*net.UDPConn)
}

// ping sends numbered packets from side A, one every interval, to an echo on
// side B, and returns the round-trip times of those that came back within the
// grace after the last one, by number; the others are 0.
func ping(t *testing.T, l *Link, count int, interval, grace time.Duration) []time.Duration {
	t.Helper()
	near, far := listen(t, l, A), listen(t, l, B)
	go func() {
		buf := make([]byte, 2000)
		for {
			n, from, err := far.ReadFromUDPAddrPort(buf)
			if err != nil {
				return
			}
			_, _ = far.WriteToUDPAddrPort(buf[:n], from)
		}
	}()
	start := time.Now()
	to := far.LocalAddr().(*net.UDPAddr).AddrPort()
	go func() {
		defer func() { _ = near.SetReadDeadline(time.Now().Add(grace)) }()
		tick := time.NewTicker(interval)
		defer tick.Stop()
		for i := range count {
			<-tick.C
			message := binary.BigEndian.AppendUint32(make([]byte, 0, 100), uint32(i))
			message = binary.BigEndian.AppendUint64(message, uint64(time.Since(start)))
			_, _ = near.WriteToUDPAddrPort(message[:100], to)
		}
	}()
	rtt := make([]time.Duration, count)
	buf := make([]byte, 2000)
	for got := 0; got < count; {
		n, err := near.Read(buf)
		if err != nil {
			break
		}
		if n != 100 {
			t.Fatalf("%d bytes came back, want 100", n)
		}
		number := binary.BigEndian.Uint32(buf)
		rtt[number] = time.Since(start) - time.Duration(binary.BigEndian.Uint64(buf[4:]))
		got++
	}
	return rtt
}

// arrived returns the times that aren't 0, sorted.
func arrived(rtt []time.Duration) []time.Duration {
	out := slices.DeleteFunc(slices.Clone(rtt), func(d time.Duration) bool { return d == 0 })
	slices.Sort(out)
	return out
}

func TestDelayOnRealSocketsIsTheDelayAskedFor(t *testing.T) {
	l := Start(t, Config{Impairment: Impairment{Delay: 30 * time.Millisecond}, Back: &Impairment{Delay: 10 * time.Millisecond}})
	got := arrived(ping(t, l, 300, 3*time.Millisecond, time.Second))
	if len(got) != 300 {
		t.Fatalf("%d of 300 packets came back over a link that loses none", len(got))
	}
	t.Logf("round trip: min %v, median %v, p90 %v, max %v", got[0], got[150], got[270], got[299])
	// Never early; late by no more than a busy machine's scheduler.
	between(t, "shortest round trip in ms", got[0].Seconds()*1000, 40, 43)
	between(t, "median round trip in ms", got[150].Seconds()*1000, 40, 50)
}

func TestLossOnRealSocketsIsTheLossAskedFor(t *testing.T) {
	const packets, loss = 2000, 0.1
	l := Start(t, Config{Impairment: Impairment{Delay: time.Millisecond, Loss: loss, Burst: 2}, Seed: 7})
	got := len(arrived(ping(t, l, packets, time.Millisecond, 500*time.Millisecond)))
	stats := l.Stats()
	if stats.AB.Sent != packets || stats.BA.Sent != stats.AB.Delivered || uint64(got) != stats.BA.Delivered {
		t.Errorf("%d echoes, but the counters say %+v", got, stats)
	}
	if stats.AB.SentBytes != packets*(100+28) {
		t.Errorf("%d bytes sent, want %d packets of 128", stats.AB.SentBytes, packets)
	}
	// Bursts make the variance about (2·burst-1) times that of independent
	// losses; three standard deviations.
	for _, way := range []Counters{stats.AB, stats.BA} {
		margin := 3 * math.Sqrt(3*loss*(1-loss)/float64(way.Sent))
		between(t, "loss", float64(way.Lost)/float64(way.Sent), loss-margin, loss+margin)
	}
	// The same seed loses the same packets whatever the clock does.
	m, want := NewModel(Impairment{Loss: loss, Burst: 2}, 7, A), uint64(0)
	for range packets {
		if _, what := m.schedule(0, 128); what == lost {
			want++
		}
	}
	if stats.AB.Lost != want {
		t.Errorf("%d packets lost, seed 7 says %d", stats.AB.Lost, want)
	}
}

func TestSetCutsAndMendsALinkThatIsUp(t *testing.T) {
	l := Start(t, Config{})
	if got := len(arrived(ping(t, l, 20, time.Millisecond, time.Second))); got != 20 {
		t.Fatalf("%d of 20 packets came back over a perfect link", got)
	}
	if err := l.Set(B, Impairment{Loss: 1}); err != nil {
		t.Fatal(err)
	}
	if got := len(arrived(ping(t, l, 20, time.Millisecond, 100*time.Millisecond))); got != 0 {
		t.Errorf("%d packets came back over a link that is cut one way", got)
	}
	if lost := l.Stats().BA.Lost; lost != 20 {
		t.Errorf("%d packets lost from B, want 20", lost)
	}
	if err := l.Set(B, Impairment{}); err != nil {
		t.Fatal(err)
	}
	if got := len(arrived(ping(t, l, 20, time.Millisecond, time.Second))); got != 20 {
		t.Errorf("%d of 20 packets came back over a link that was mended", got)
	}
	if err := l.Set(A, Impairment{Loss: 2}); !errors.Is(err, ErrConfig) {
		t.Errorf("Set of a bad impairment: %v, want ErrConfig", err)
	}
}

func TestCommandsRunOnTheirSide(t *testing.T) {
	const device = "uplink"
	l := Start(t, Config{MTU: 1400, Device: [2]string{device, device}})
	here, err := os.Readlink("/proc/self/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{here: true}
	for _, side := range []Side{A, B} {
		out, err := l.Command(side, "readlink", "/proc/self/ns/net").Output()
		if err != nil {
			t.Fatal(err)
		}
		name := strings.TrimSpace(string(out))
		if seen[name] {
			t.Errorf("side %v is in namespace %s, as another is", side, name)
		}
		seen[name] = true
		err = l.Do(side, func() error {
			dev, err := net.InterfaceByName(device)
			if err != nil {
				return err
			}
			addrs, err := dev.Addrs()
			if len(addrs) != 1 || addrs[0].String() != l.cfg.Addr[side].String() || dev.MTU != 1400 {
				t.Errorf("side %v: %s has addresses %v and MTU %d", side, device, addrs, dev.MTU)
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
	}
	threads, err := filepath.Glob("/proc/self/task/*/ns/net")
	if err != nil || len(threads) == 0 {
		t.Fatal("no threads to look at", err)
	}
	for _, thread := range threads {
		if now, err := os.Readlink(thread); err == nil && now != here {
			t.Errorf("%s of this process was moved from %s to %s", thread, here, now)
		}
	}
}

func TestCloseLeavesNothing(t *testing.T) {
	before := openFiles(t)
	for range 3 {
		l := Start(t, Config{})
		listen(t, l, A).Close()
		if err := errors.Join(l.Close(), l.Close()); err != nil {
			t.Error(err)
		}
		if err := l.Do(A, func() error { return nil }); !errors.Is(err, ErrClosed) {
			t.Errorf("Do on a closed link: %v, want ErrClosed", err)
		}
	}
	if after := openFiles(t); after > before {
		t.Errorf("%d open files after Close, %d before New", after, before)
	}
}

// openFiles counts this process's namespaces, TUN devices and eventfds.
func openFiles(t *testing.T) (count int) {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skip(err)
	}
	for _, entry := range entries {
		target, _ := os.Readlink("/proc/self/fd/" + entry.Name())
		if strings.HasPrefix(target, "net:") || strings.Contains(target, "tun") || strings.Contains(target, "[eventfd]") {
			count++
		}
	}
	return count
}

func TestBadConfigMakesNothing(t *testing.T) {
	if _, err := New(Config{Impairment: Impairment{Loss: 2}}); !errors.Is(err, ErrConfig) {
		t.Errorf("New: %v, want ErrConfig", err)
	}
	if Supported() != nil {
		return
	}
	before := openFiles(t)
	if _, err := New(Config{Namespace: [2]string{"", "/nonexistent"}}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("New in a namespace that isn't there: %v", err)
	}
	if after := openFiles(t); after > before {
		t.Errorf("a failed New left %d files open", after-before)
	}
}

func TestSeveralUnnumberedLinksEndInOneNamespaceAndCarryIPv6(t *testing.T) {
	if err := Supported(); err != nil {
		t.Skipf("SKIPPED, nothing was tested: %v", err)
	}
	hub, err := NewNamespace()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { hub.Close() })
	for _, name := range []string{"spoke1", "spoke2"} {
		const delay = 10 * time.Millisecond
		l := Start(t, Config{
			Impairment: Impairment{Delay: delay}, Unnumbered: true,
			Device: [2]string{"", name}, Namespace: [2]string{"", hub.Path()},
		})
		for side, dev := range []string{"link0", name} {
			// One address on either side of a prefix of the link's own.
			addr := fmt.Sprintf("fd00:%s::%d/64", name[len(name)-1:], side+1)
			out, err := l.Command(Side(side), "ip", "addr", "add", addr, "dev", dev, "nodad").CombinedOutput()
			if err != nil {
				t.Fatalf("%v: %s", err, out)
			}
		}
		var near, far net.PacketConn
		for side, conn := range []*net.PacketConn{&near, &far} {
			err := l.Do(Side(side), func() (err error) {
				*conn, err = net.ListenPacket("udp6", fmt.Sprintf("[fd00:%s::%d]:0", name[len(name)-1:], side+1))
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { (*conn).Close() })
		}
		began := time.Now()
		if _, err := near.WriteTo([]byte(name), far.LocalAddr()); err != nil {
			t.Fatal(err)
		}
		buf := make([]byte, 100)
		_ = far.SetReadDeadline(began.Add(2 * time.Second))
		n, _, err := far.ReadFrom(buf)
		if err != nil || string(buf[:n]) != name {
			t.Errorf("%q came over %s: %v", buf[:n], name, err)
		}
		if took := time.Since(began); took < delay {
			t.Errorf("%s took %v, want %v and more", name, took, delay)
		}
	}
}
