//go:build linux

package natlab

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/parley-voice/parley/integration_test/linkem"
)

// setKernel makes the settings of a new namespace, before there are devices.
func setKernel(f Family, routes bool) error {
	settings := map[string]string{
		"ipv4/conf/all/rp_filter":     "0", // the broken and the black-holed go other ways than they came
		"ipv4/conf/default/rp_filter": "0",
		"ipv6/conf/default/accept_ra": "0",
		// Without it an address is of no use for its first second.
		"ipv6/conf/default/accept_dad": "0",
	}
	if routes {
		settings["ipv4/ip_forward"] = "1"
		settings["ipv6/conf/all/forwarding"] = "1"
		// What stays within a bridge is no business of the router's rules.
		settings["bridge/bridge-nf-call-iptables"] = "0"
		settings["bridge/bridge-nf-call-ip6tables"] = "0"
	}
	if !f.has6() {
		settings["ipv6/conf/all/disable_ipv6"] = "1"
		settings["ipv6/conf/default/disable_ipv6"] = "1"
	}
	for name, value := range settings {
		err := os.WriteFile(filepath.Join("/proc/sys/net", name), []byte(value), 0)
		if errors.Is(err, fs.ErrNotExist) && strings.HasPrefix(name, "bridge/") {
			continue // there are no such rules then
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// ipBatch runs lines of ip(8) in a namespace, up to the first that fails.
func ipBatch(ns *linkem.Namespace, lines ...string) error {
	return feed(ns, strings.Join(lines, "\n")+"\n", "ip", "-batch", "-")
}

// nftRun runs a script of nft(8) in a namespace, all of it or nothing.
func nftRun(ns *linkem.Namespace, script string) error {
	return feed(ns, script, "nft", "-f", "-")
}

func feed(ns *linkem.Namespace, input, name string, args ...string) error {
	cmd := ns.Command(name, args...)
	cmd.Stdin = strings.NewReader(input)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s\n%s", name, err, out, input)
	}
	return nil
}

// forgetConnections empties the connection table of this thread's namespace:
// IPCTNL_MSG_CT_DELETE without a filter, over netlink.
func forgetConnections() error {
	const (
		deleteConnections = unix.NFNL_SUBSYS_CTNETLINK<<8 | 2
		headerLen         = unix.SizeofNlMsghdr
		messageLen        = headerLen + 4 // and an nfgenmsg of zeros: any family
	)
	sock, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_NETFILTER)
	if err != nil {
		return os.NewSyscallError("socket", err)
	}
	defer unix.Close(sock) //nolint:errcheck // nothing was written
	message := make([]byte, messageLen)
	binary.NativeEndian.PutUint32(message, messageLen)
	binary.NativeEndian.PutUint16(message[4:], deleteConnections)
	binary.NativeEndian.PutUint16(message[6:], unix.NLM_F_REQUEST|unix.NLM_F_ACK)
	if err = unix.Sendto(sock, message, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return os.NewSyscallError("send to netfilter", err)
	}
	answer := make([]byte, 4096)
	n, _, err := unix.Recvfrom(sock, answer, 0)
	if err != nil {
		return os.NewSyscallError("receive from netfilter", err)
	}
	if n < headerLen+4 || binary.NativeEndian.Uint16(answer[4:]) != unix.NLMSG_ERROR {
		return errors.New("netfilter gave no answer")
	}
	if code := int32(binary.NativeEndian.Uint32(answer[headerLen:])); code != 0 {
		return os.NewSyscallError("forget connections", syscall.Errno(-code))
	}
	return nil
}

// killWithin kills the programs that run in namespaces, and names them in an
// error if there are any.
func killWithin(spaces []*linkem.Namespace) error {
	ours := make(map[uint64]bool)
	for _, ns := range spaces {
		if number, err := inode(ns.Path()); err == nil {
			ours[number] = true
		}
	}
	processes, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return err
	}
	var left []error
	for _, dir := range processes {
		pid, err := strconv.Atoi(filepath.Base(dir))
		if err != nil || pid == os.Getpid() {
			continue
		}
		number, err := inode(filepath.Join(dir, "ns/net"))
		if err != nil || !ours[number] {
			continue // it may have ended meanwhile
		}
		name, _ := os.ReadFile(filepath.Join(dir, "comm"))
		_ = unix.Kill(pid, unix.SIGKILL)
		left = append(left, fmt.Errorf("%s (process %d) was left running and is killed", strings.TrimSpace(string(name)), pid))
	}
	return errors.Join(left...)
}

func inode(path string) (uint64, error) {
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		return 0, err
	}
	return st.Ino, nil
}
