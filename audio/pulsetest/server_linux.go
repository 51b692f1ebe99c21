package pulsetest

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// patience bounds how long the server may take to start or to end.
const patience = 10 * time.Second

// Server is a running PulseAudio, private to one test. Its methods are called
// from the test's goroutine only.
type Server struct {
	t    testing.TB
	cfg  Config
	dir  string
	away map[int]bool  // machines that are unplugged
	hid  map[int]bool  // machines that ALSA doesn't list
	proc *exec.Cmd     // nil while killed
	done chan struct{} // closed when proc has ended
}

// Start starts a server and waits until it answers. The test is skipped if
// PulseAudio isn't installed. The server ends with the test.
func Start(t testing.TB, cfg Config) *Server {
	t.Helper()
	requireInstalled(t)
	s := &Server{t: t, cfg: cfg.withDefaults(), dir: shortTempDir(t), away: map[int]bool{}, hid: map[int]bool{}}
	s.write("asound.conf", alsaConfig(s.cfg, s.hid))
	s.write("none.conf", "")
	t.Cleanup(s.Kill)
	s.Restart()
	return s
}

// requireInstalled skips the test, loudly, if something is missing.
func requireInstalled(t testing.TB) {
	t.Helper()
	for _, program := range []string{"pulseaudio", "pactl"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("pulsetest: SKIPPED, %s is not installed (Debian: apt-get install pulseaudio pulseaudio-utils libasound2-plugins)", program)
		}
	}
	for _, pattern := range []string{"/usr/lib/*/alsa-lib", "/usr/lib/alsa-lib", "/usr/lib64/alsa-lib"} {
		if found, _ := filepath.Glob(pattern + "/libasound_module_pcm_pulse.so"); len(found) > 0 {
			return
		}
	}
	t.Skip("pulsetest: SKIPPED, ALSA's plug-in for PulseAudio is not installed (Debian: apt-get install libasound2-plugins)")
}

// shortTempDir is t.TempDir with a short name: the path of a unix socket is at
// most 107 bytes.
func shortTempDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "pulse") //nolint:usetesting // a name of t.TempDir may be too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

func (s *Server) write(name, text string) {
	s.t.Helper()
	if err := os.WriteFile(filepath.Join(s.dir, name), []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

func (s *Server) socket() string { return filepath.Join(s.dir, "sock") }

// Address is the server's address, for another server's Config.ExtraALSA.
func (s *Server) Address() string { return "unix:" + s.socket() }

// Machine names the devices of machine i, counted from 0.
func (s *Server) Machine(i int) Machine { return machine(i) }

// PID is the server's process id, 0 while it is killed.
func (s *Server) PID() int {
	if s.proc == nil {
		return 0
	}
	return s.proc.Process.Pid
}

// Env is what a program needs in its environment, as "NAME=value", to see this
// server's devices and no others.
func (s *Server) Env() []string {
	env := make([]string, 0, 3)
	for name, value := range s.environment("asound.conf") {
		env = append(env, name+"="+value)
	}
	return env
}

// Setenv makes this server's devices the ones that the test's own process sees,
// until the test ends.
func (s *Server) Setenv() { s.setenv("asound.conf") }

// SetenvNoDevices makes the test's own process see no sound device at all,
// until the test ends.
func (s *Server) SetenvNoDevices() { s.setenv("none.conf") }

func (s *Server) setenv(alsa string) {
	s.t.Helper()
	for name, value := range s.environment(alsa) {
		s.t.Setenv(name, value)
	}
}

func (s *Server) environment(alsa string) map[string]string {
	return map[string]string{
		"PULSE_SERVER":         s.Address(),
		"ALSA_CONFIG_PATH":     filepath.Join(s.dir, alsa),
		"JACK_NO_START_SERVER": "1",
	}
}

// Command prepares a program with this server's environment, paplay or parec
// for example. It is killed when the test ends, if it still runs then.
func (s *Server) Command(name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(s.t.Context(), name, args...)
	cmd.Env = append(os.Environ(), s.Env()...)
	return cmd
}

// Restart starts the server again after Kill, with the same devices, and waits
// until it answers.
func (s *Server) Restart() {
	s.t.Helper()
	if s.proc != nil {
		s.t.Fatal("pulsetest: Restart of a server that runs")
	}
	_ = os.Remove(s.socket())
	s.start()
	s.await()
}

func (s *Server) start() {
	s.t.Helper()
	args := []string{
		"-n", "--daemonize=no", "--use-pid-file=no", "--exit-idle-time=-1", "--disable-shm=yes",
		"--realtime=yes", "--high-priority=yes", // as desktops run it, where it may
		"--log-target=file:" + filepath.Join(s.dir, "log"), "--log-level=info",
		"-L", "module-native-protocol-unix socket=" + s.socket() + " auth-anonymous=1",
	}
	for _, sink := range s.sinks() {
		args = append(args, "-L", "module-null-sink "+sink)
	}
	s.write("cmds", s.defaults())
	args = append(args, "-F", filepath.Join(s.dir, "cmds"))
	proc := exec.Command("pulseaudio", args...)
	proc.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + s.dir, "XDG_RUNTIME_DIR=" + s.dir, "XDG_CONFIG_HOME=" + s.dir}
	proc.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} // a test that crashes leaves no server behind
	if err := proc.Start(); err != nil {
		s.t.Fatalf("pulsetest: %v", err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = proc.Wait()
	}()
	s.proc, s.done = proc, done
}

// sinks are the arguments of the modules that make the null sinks there are.
func (s *Server) sinks() []string {
	var sinks []string
	for i := range s.cfg.Machines {
		if !s.away[i] {
			sinks = append(sinks, s.sinksOf(i)...)
		}
	}
	return sinks
}

// sinksOf are those of one machine. Without norewinds a null sink sleeps up to
// 2 s, and the first audio of a stream is lost.
func (s *Server) sinksOf(i int) []string {
	m := machine(i)
	sink := func(name string, channels int) string {
		return fmt.Sprintf("sink_name=%s rate=%d channels=%d format=float32le norewinds=1", name, s.cfg.Rate, channels)
	}
	return []string{sink(m.SpeakerSink, s.cfg.SpeakerChannels), sink(m.MouthSink, s.cfg.MicrophoneChannels)}
}

// defaults are the commands that make the first machine there is the default one.
func (s *Server) defaults() string {
	for i := range s.cfg.Machines {
		if !s.away[i] {
			m := machine(i)
			return fmt.Sprintf("set-default-sink %s\nset-default-source %s\n", m.SpeakerSink, m.MicrophoneSource)
		}
	}
	return ""
}

// await returns when the server answers and has its devices.
func (s *Server) await() {
	s.t.Helper()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		select {
		case <-s.done:
			s.t.Fatalf("pulsetest: the server ended at once: %s", s.log())
		default:
		}
		conn, err := net.Dial("unix", s.socket())
		if err != nil {
			continue
		}
		_ = conn.Close()
		out, err := s.Command("pactl", "list", "short", "sinks").Output()
		if err == nil && strings.Count(string(out), "\n") >= len(s.sinks()) {
			return
		}
	}
	s.t.Fatalf("pulsetest: the server doesn't answer: %s", s.log())
}

func (s *Server) log() string {
	text, err := os.ReadFile(filepath.Join(s.dir, "log"))
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// Kill ends the server at once, as a crash does, and waits for its end. It
// does nothing if the server was killed before.
func (s *Server) Kill() {
	if s.proc == nil {
		return
	}
	if err := s.proc.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		s.t.Errorf("pulsetest: %v", err)
	}
	<-s.done
	s.proc = nil
}

// Suspend stops the server without ending it (SIGSTOP): it keeps its
// connections and answers nothing.
func (s *Server) Suspend() { s.signal(syscall.SIGSTOP) }

// Resume lets a suspended server run on (SIGCONT).
func (s *Server) Resume() { s.signal(syscall.SIGCONT) }

func (s *Server) signal(sig syscall.Signal) {
	s.t.Helper()
	if s.proc == nil {
		s.t.Fatalf("pulsetest: %v to a server that is killed", sig)
	}
	if err := s.proc.Process.Signal(sig); err != nil {
		s.t.Fatalf("pulsetest: %v", err)
	}
}

// Unplug takes away the devices of machine i. A stream on them is moved to
// another device by PulseAudio; while the server is killed they will be missing
// when it is back. ALSA still lists them, and they can't be opened.
func (s *Server) Unplug(i int) {
	s.t.Helper()
	s.away[i] = true
	if s.proc == nil {
		return
	}
	for line := range strings.Lines(s.pactl("list", "short", "modules")) {
		for _, sink := range s.sinksOf(i) {
			if strings.Contains(line, sink) {
				s.pactl("unload-module", strings.Fields(line)[0])
			}
		}
	}
}

// Plug gives back the devices of machine i after Unplug.
func (s *Server) Plug(i int) {
	s.t.Helper()
	delete(s.away, i)
	if s.proc == nil {
		return
	}
	for _, sink := range s.sinksOf(i) {
		s.pactl(append([]string{"load-module", "module-null-sink"}, strings.Fields(sink)...)...)
	}
}

// SetDefault makes speaker and microphone of machine i the default ones, as a
// person does in the system's settings, until the server is killed.
func (s *Server) SetDefault(i int) {
	s.t.Helper()
	m := machine(i)
	s.pactl("set-default-sink", m.SpeakerSink)
	s.pactl("set-default-source", m.MicrophoneSource)
}

// Hide takes the devices of machine i off ALSA's list, and Show puts them back.
// A program sees that when it reads the list anew.
func (s *Server) Hide(i int) {
	s.t.Helper()
	s.hid[i] = true
	s.write("asound.conf", alsaConfig(s.cfg, s.hid))
}

// Show undoes Hide.
func (s *Server) Show(i int) {
	s.t.Helper()
	delete(s.hid, i)
	s.write("asound.conf", alsaConfig(s.cfg, s.hid))
}

func (s *Server) pactl(args ...string) string {
	s.t.Helper()
	out, err := s.Command("pactl", args...).Output()
	if err != nil {
		s.t.Fatalf("pulsetest: pactl %s: %v", strings.Join(args, " "), err)
	}
	return string(out)
}
