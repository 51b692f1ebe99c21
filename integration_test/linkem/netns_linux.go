package linkem

import (
	"fmt"
	"net/netip"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// device is the name of the TUN device on either side.
const device = "link0"

// Supported returns nil if this machine can make links, and otherwise an
// error that says why it can't.
func Supported() error {
	if os.Geteuid() != 0 {
		return fmt.Errorf("%w: network namespaces need root", ErrUnsupported)
	}
	if _, err := os.Stat("/dev/net/tun"); err != nil {
		return fmt.Errorf("%w: %w", ErrUnsupported, err)
	}
	return nil
}

// namespace opens the network namespace at path, or makes one if path is
// empty.
func namespace(path string) (*os.File, error) {
	if path != "" {
		return os.Open(path)
	}
	var ns *os.File
	err := elsewhere(func() error { return unix.Unshare(unix.CLONE_NEWNET) }, func() (err error) {
		ns, err = os.Open("/proc/thread-self/ns/net")
		return err
	})
	return ns, err
}

// within runs f on a thread that is in the namespace.
func within(ns *os.File, f func() error) error {
	return elsewhere(func() error { return unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET) }, f)
}

// elsewhere runs f on a thread that enter has moved to another namespace. The
// thread is moved back afterwards: were it left to die, and were it the main
// one, /proc/self would show the wrong namespace for the rest of the process.
func elsewhere(enter, f func() error) error {
	done := make(chan error)
	go func() { done <- onThread(enter, f) }()
	return <-done
}

func onThread(enter, f func() error) error {
	runtime.LockOSThread()
	home, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		runtime.UnlockOSThread()
		return err
	}
	defer home.Close() //nolint:errcheck // only read
	if err = enter(); err != nil {
		runtime.UnlockOSThread()
		return os.NewSyscallError("enter namespace", err)
	}
	err = f()
	if back := unix.Setns(int(home.Fd()), unix.CLONE_NEWNET); back == nil {
		runtime.UnlockOSThread() // else the thread ends with its goroutine
	}
	return err
}

// openTUN makes the TUN device of one side, up and with its address, and
// returns its non-blocking descriptor.
func openTUN(ns *os.File, addr netip.Prefix, mtu int) (int, error) {
	fd := -1
	err := within(ns, func() (err error) {
		fd, err = unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
		if err != nil {
			return os.NewSyscallError("open /dev/net/tun", err)
		}
		request, err := unix.NewIfreq(device)
		if err != nil {
			return err
		}
		request.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI)
		if err := unix.IoctlIfreq(fd, unix.TUNSETIFF, request); err != nil {
			return os.NewSyscallError("TUNSETIFF", err)
		}
		return configure(addr, mtu)
	})
	if err != nil && fd >= 0 {
		_ = unix.Close(fd)
	}
	return fd, err
}

// configure brings the loopback and TUN devices of the current namespace up.
func configure(addr netip.Prefix, mtu int) error {
	// Without IPv6 nothing but what is asked for crosses the link. A kernel
	// without IPv6 has no such file.
	_ = os.WriteFile("/proc/sys/net/ipv6/conf/"+device+"/disable_ipv6", []byte("1"), 0)

	sock, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return os.NewSyscallError("socket", err)
	}
	defer unix.Close(sock) //nolint:errcheck // nothing was written

	mask := netip.AddrFrom4([4]byte{255, 255, 255, 255})
	masked, err := mask.Prefix(addr.Bits())
	if err != nil {
		return err
	}
	steps := []struct {
		name, device string
		request      uint
		set          func(*unix.Ifreq) error
	}{
		{"address", device, unix.SIOCSIFADDR, func(r *unix.Ifreq) error { return r.SetInet4Addr(addr.Addr().AsSlice()) }},
		{"netmask", device, unix.SIOCSIFNETMASK, func(r *unix.Ifreq) error { return r.SetInet4Addr(masked.Addr().AsSlice()) }},
		{"MTU", device, unix.SIOCSIFMTU, func(r *unix.Ifreq) error { r.SetUint32(uint32(mtu)); return nil }},
		{"up", device, unix.SIOCSIFFLAGS, func(r *unix.Ifreq) error { r.SetUint16(unix.IFF_UP); return nil }},
		{"up", "lo", unix.SIOCSIFFLAGS, func(r *unix.Ifreq) error { r.SetUint16(unix.IFF_UP); return nil }},
	}
	for _, step := range steps {
		request, err := unix.NewIfreq(step.device)
		if err != nil {
			return err
		}
		if err := step.set(request); err != nil {
			return err
		}
		if err := unix.IoctlIfreq(sock, step.request, request); err != nil {
			return fmt.Errorf("set %s of %s: %w", step.name, step.device, err)
		}
	}
	return nil
}
