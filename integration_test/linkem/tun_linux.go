package linkem

import (
	"fmt"
	"net"
	"net/netip"
	"os"

	"golang.org/x/sys/unix"
)

// openTUN makes the TUN device of one side, up and with its address, if the
// link has any, and returns its non-blocking descriptor.
func openTUN(ns *Namespace, cfg Config, side Side) (int, error) {
	fd := -1
	err := ns.Do(func() (err error) {
		fd, err = unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
		if err != nil {
			return os.NewSyscallError("open /dev/net/tun", err)
		}
		request, err := unix.NewIfreq(cfg.Device[side])
		if err != nil {
			return err
		}
		request.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI)
		if err := unix.IoctlIfreq(fd, unix.TUNSETIFF, request); err != nil {
			return os.NewSyscallError("TUNSETIFF", err)
		}
		return configure(cfg, side)
	})
	if err != nil && fd >= 0 {
		_ = unix.Close(fd)
	}
	return fd, err
}

// step is one setting of a device.
type step struct {
	name, device string
	request      uint
	set          func(*unix.Ifreq) error
}

// configure brings the loopback and TUN devices of the current namespace up.
func configure(cfg Config, side Side) error {
	device := cfg.Device[side]
	up := func(r *unix.Ifreq) error { r.SetUint16(unix.IFF_UP); return nil }
	steps := []step{
		{"MTU", device, unix.SIOCSIFMTU, func(r *unix.Ifreq) error { r.SetUint32(uint32(cfg.MTU)); return nil }},
		{"up", device, unix.SIOCSIFFLAGS, up},
		{"up", "lo", unix.SIOCSIFFLAGS, up},
	}
	if !cfg.Unnumbered {
		// Without IPv6 nothing but what is asked for crosses the link. A
		// kernel without IPv6 has no such file.
		_ = os.WriteFile("/proc/sys/net/ipv6/conf/"+device+"/disable_ipv6", []byte("1"), 0)
		steps = append(numbers(device, cfg.Addr[side]), steps...)
	}
	sock, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return os.NewSyscallError("socket", err)
	}
	defer unix.Close(sock) //nolint:errcheck // nothing was written

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

// numbers are the steps that give a device its address.
func numbers(device string, addr netip.Prefix) []step {
	mask := net.CIDRMask(addr.Bits(), 32)
	return []step{
		{"address", device, unix.SIOCSIFADDR, func(r *unix.Ifreq) error { return r.SetInet4Addr(addr.Addr().AsSlice()) }},
		{"netmask", device, unix.SIOCSIFNETMASK, func(r *unix.Ifreq) error { return r.SetInet4Addr(mask) }},
	}
}
