package integration_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/parley-voice/parley/audio"
	"github.com/parley-voice/parley/audio/audiotest"
	"github.com/parley-voice/parley/integration_test/chatlab"
)

var chatDir string // where the program is, for removeChat

var buildChat = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "parley-chat-")
	if err != nil {
		return "", err
	}
	chatDir = dir
	return chatlab.Build(context.Background(), dir)
})

func removeChat() {
	if chatDir != "" {
		_ = os.RemoveAll(chatDir)
	}
}

// chatProgram is the path of the chat example, built once for all tests.
func chatProgram(t *testing.T) string {
	t.Helper()
	path, err := buildChat()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// chatter is somebody with a key, and a chat process once it was started.
type chatter struct {
	*chatlab.Process

	name, id, dir, speech string
}

// newChatter makes a key for anna, ben or clara, who have a file of speech.
func newChatter(t *testing.T, name string) *chatter {
	t.Helper()
	c := &chatter{name: name, dir: t.TempDir(), speech: filepath.Join("..", "testdata", "speech", name+".wav")}
	id, err := chatlab.ID(t.Context(), chatProgram(t), c.key())
	if err != nil {
		t.Fatal(err)
	}
	c.id = id
	return c
}

func (c *chatter) key() string   { return filepath.Join(c.dir, "key") }
func (c *chatter) out() string   { return filepath.Join(c.dir, "heard.wav") }
func (c *chatter) stats() string { return filepath.Join(c.dir, "stats.jsonl") }
func (c *chatter) log() string   { return filepath.Join(c.dir, "log") }

// command returns the arguments of a headless chat that writes what it hears
// and its statistics, and args after them.
func (c *chatter) command(args ...string) []string {
	return append([]string{
		"--headless", "--name", c.name, "--key", c.key(), "--out", c.out(), "--stats", c.stats(), "--log", c.log(),
	}, args...)
}

// says are the arguments of somebody who talks all the time.
func (c *chatter) says() []string { return []string{"--in", c.speech, "--loop"} }

// start runs a chat until the test ends at the latest.
func (c *chatter) start(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	p, err := chatlab.Start(cmd)
	if err != nil {
		t.Fatal(err)
	}
	c.Process = p
	t.Cleanup(func() {
		p.Kill()
		if t.Failed() {
			t.Logf("%s printed:\n%s", c.name, p.Output())
		}
	})
}

// talk runs a chat on this machine, on the loopback interface.
func (c *chatter) talk(t *testing.T, args ...string) {
	t.Helper()
	c.start(t, exec.Command(chatProgram(t), c.command(append([]string{"--listen", "/ip4/127.0.0.1/udp/0/quic-v1"}, args...)...)...))
}

// address waits until the chat listens and returns where.
func (c *chatter) address(t *testing.T) string {
	t.Helper()
	list := c.listens(t)
	if len(list) == 0 {
		t.Fatalf("%s listens nowhere", c.name)
	}
	return list[0]
}

// listens waits until the chat has said where it can be reached, which may be
// nowhere.
func (c *chatter) listens(t *testing.T) []string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	list, err := c.Addresses(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// invite waits until the chat listens and returns its invite.
func (c *chatter) invite(t *testing.T) string {
	t.Helper()
	c.address(t)
	_, after, _ := strings.Cut(c.Output(), "\ninvite ")
	invite, _, _ := strings.Cut(after, "\n")
	return invite
}

// prints waits until the chat has printed something.
func (c *chatter) prints(t *testing.T, text string, patience time.Duration) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for over := time.Now().Add(patience); !strings.Contains(c.Output(), text); <-tick.C {
		if time.Now().After(over) {
			t.Fatalf("%s did not print %q within %v", c.name, text, patience)
		}
	}
}

// end asks chats to end, all at the same time, and fails if one went wrong.
func end(t *testing.T, chatters ...*chatter) {
	t.Helper()
	var stopping sync.WaitGroup
	for _, c := range chatters {
		stopping.Go(func() {
			if err := c.Stop(); err != nil {
				t.Errorf("%s: %v", c.name, err)
			}
		})
	}
	stopping.Wait()
}

// lines are the statistics so far; the last line is the final one once the
// chat has ended.
func (c *chatter) lines(t *testing.T) []chatlab.Line {
	t.Helper()
	lines, err := chatlab.ReadStats(c.stats())
	if err != nil {
		t.Fatal(err)
	}
	return lines
}

func (c *chatter) final(t *testing.T) chatlab.Line {
	t.Helper()
	l, err := chatlab.Final(c.stats())
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// until waits until a line of c's statistics satisfies a condition, and
// returns it.
func (c *chatter) until(t *testing.T, what string, patience time.Duration, ok func(chatlab.Line) bool) chatlab.Line {
	t.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	over := time.NewTimer(patience)
	defer over.Stop()
	for {
		if _, err := os.Stat(c.stats()); err == nil {
			for _, l := range slices.Backward(c.lines(t)) {
				if ok(l) {
					return l
				}
			}
		}
		select {
		case <-tick.C:
		case <-over.C:
			t.Fatalf("%s: not within %v: %s", c.name, patience, what)
		case <-c.Exited():
			t.Fatalf("%s: ended before: %s", c.name, what)
		}
	}
}

// hears waits until c has played that much speech of another.
func (c *chatter) hears(t *testing.T, other *chatter, atLeast, patience time.Duration) {
	t.Helper()
	c.until(t, fmt.Sprintf("%v of %s's speech played", atLeast, other.name), patience, func(l chatlab.Line) bool {
		p := l.Peers[other.id]
		return p.Played-p.Concealed >= float64(atLeast.Milliseconds())
	})
}

// spoken is what somebody who loops its speech has said in a time.
func (c *chatter) spoken(t *testing.T, d time.Duration) []float32 {
	t.Helper()
	src, err := audio.OpenWAV(c.speech)
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	if err = src.SetLoop(true); err != nil {
		t.Fatal(err)
	}
	pcm := make([]float32, 0, audiotest.Samples(d)+audio.BlockSamples)
	var block audio.Block
	for len(pcm) < audiotest.Samples(d) {
		if err = src.ReadBlock(&block); err != nil {
			t.Fatal(err)
		}
		pcm = append(pcm, block[:]...)
	}
	return pcm
}

// sentence is what somebody says in one round.
func (c *chatter) sentence(t *testing.T) []float32 {
	t.Helper()
	pcm, err := audiotest.LoadWAV(c.speech)
	if err != nil {
		t.Fatal(err)
	}
	return pcm
}

// recording is what somebody has heard.
func (c *chatter) recording(t *testing.T) []float32 {
	t.Helper()
	pcm, err := audiotest.LoadWAV(c.out())
	if err != nil {
		t.Fatal(err)
	}
	return pcm
}
