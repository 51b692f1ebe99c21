package pulsetest_test

import (
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/parley-voice/parley/audio/pulsetest"
)

// sinks are the names of the sinks that the server has.
func sinks(t *testing.T, server *pulsetest.Server) string {
	t.Helper()
	out, err := server.Command("pactl", "list", "short", "sinks").Output()
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for line := range strings.Lines(string(out)) {
		names = append(names, strings.Fields(line)[1])
	}
	return strings.Join(names, " ")
}

func TestServerHasTheMachinesAskedFor(t *testing.T) {
	server := pulsetest.Start(t, pulsetest.Config{Machines: 2})
	const both = "speaker0 microphone0 speaker1 microphone1"
	if got := sinks(t, server); got != both {
		t.Errorf("sinks are %s, want %s", got, both)
	}
	server.Unplug(0)
	if got, want := sinks(t, server), "speaker1 microphone1"; got != want {
		t.Errorf("without machine 0 the sinks are %s, want %s", got, want)
	}
	server.Kill()
	server.Restart()
	if got, want := sinks(t, server), "speaker1 microphone1"; got != want {
		t.Errorf("after a restart the sinks are %s, want %s", got, want)
	}
	server.Plug(0)
	if got, want := sinks(t, server), "speaker1 microphone1 speaker0 microphone0"; got != want {
		t.Errorf("with machine 0 again the sinks are %s, want %s", got, want)
	}
}

func TestKilledServerIsGone(t *testing.T) {
	var pid int
	t.Run("inner", func(t *testing.T) {
		server := pulsetest.Start(t, pulsetest.Config{})
		pid = server.PID()
		server.Kill()
		if err := syscall.Kill(pid, 0); err != syscall.ESRCH {
			t.Errorf("after Kill the process is there: %v", err)
		}
		server.Restart()
		pid = server.PID()
		server.Suspend() // the end of a test ends a suspended server too
	})
	if err := syscall.Kill(pid, 0); err != syscall.ESRCH {
		t.Errorf("after the test the process is there: %v", err)
	}
}

func TestSuspendedServerAnswersAfterResume(t *testing.T) {
	server := pulsetest.Start(t, pulsetest.Config{})
	server.Suspend()
	answer := make(chan error, 1)
	ask := server.Command("pactl", "info")
	go func() { answer <- ask.Run() }()
	select {
	case err := <-answer:
		t.Errorf("a suspended server answered: %v", err)
	case <-time.After(100 * time.Millisecond):
	}
	server.Resume()
	select {
	case err := <-answer:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(5 * time.Second):
		t.Error("no answer after Resume")
	}
}

func TestEnvironmentIsThatOfTheServer(t *testing.T) {
	server := pulsetest.Start(t, pulsetest.Config{})
	env := strings.Join(server.Env(), "\n")
	server.Setenv()
	for _, name := range []string{"PULSE_SERVER", "ALSA_CONFIG_PATH"} {
		if !strings.Contains(env, name+"="+os.Getenv(name)) || os.Getenv(name) == "" {
			t.Errorf("%s is %q in the process and not in\n%s", name, os.Getenv(name), env)
		}
	}
	server.Hide(0)
	config, err := os.ReadFile(os.Getenv("ALSA_CONFIG_PATH"))
	if err != nil || strings.Contains(string(config), "pcm.speaker0") || !strings.Contains(string(config), "pcm.default") {
		t.Errorf("with machine 0 hidden the configuration is %s (%v)", config, err)
	}
}
