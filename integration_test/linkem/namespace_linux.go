package linkem

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

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

// Namespace is a network namespace that a file descriptor holds. All methods
// are safe for concurrent use. There are none but on Linux.
type Namespace struct {
	file *os.File
	path string // where somebody else keeps it; empty for one of our own
}

// NewNamespace makes a network namespace without a name. It goes with Close
// and the last program in it, or with this process, however it ends. Nothing
// is up in it, not even the loopback device.
func NewNamespace() (*Namespace, error) {
	n := &Namespace{}
	err := elsewhere(func() error { return unix.Unshare(unix.CLONE_NEWNET) }, func() (err error) {
		n.file, err = os.Open("/proc/thread-self/ns/net")
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("linkem: new namespace: %w", err)
	}
	return n, nil
}

// openNamespace opens the namespace at path, or makes one if path is empty.
func openNamespace(path string) (*Namespace, error) {
	if path == "" {
		return NewNamespace()
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	return &Namespace{file: file, path: path}, nil
}

// Path returns the path of the namespace, valid until Close and while this
// process lives: for nsenter --net=PATH, ip link set ... netns PATH and
// [Config.Namespace].
func (n *Namespace) Path() string {
	if n.path != "" {
		return n.path
	}
	return "/proc/" + strconv.Itoa(os.Getpid()) + "/fd/" + strconv.Itoa(int(n.file.Fd()))
}

// Do runs f on a thread that is in the namespace: sockets that f makes itself
// live there, and stay there when it returned. Sockets that goroutines started
// by f make don't, so a whole libp2p host needs a process of its own: see
// [Namespace.Command].
func (n *Namespace) Do(f func() error) error {
	return elsewhere(func() error { return unix.Setns(int(n.file.Fd()), unix.CLONE_NEWNET) }, f)
}

// Command returns a command that runs name in the namespace, not started.
// Start it before Close. It is run through nsenter (util-linux), which turns
// into it, so signals and the exit status are the program's own. It is killed
// when this process ends without having waited for it.
func (n *Namespace) Command(name string, args ...string) *exec.Cmd {
	cmd := exec.Command("nsenter", append([]string{"--net=" + n.Path(), "--", name}, args...)...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return cmd
}

// Close lets go of the namespace. A namespace of our own goes once the
// programs that run in it have ended, and with it all that is in it.
func (n *Namespace) Close() error { return n.file.Close() }

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
