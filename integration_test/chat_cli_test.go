package integration_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/parley-voice/parley/identity"
)

// command runs a chat that ends by itself and returns what it printed and its
// exit status. One that is still there after 10 s is killed.
func command(t *testing.T, args ...string) (stdout, stderr string, status int) {
	t.Helper()
	var out, problems bytes.Buffer
	cmd := exec.CommandContext(t.Context(), chatProgram(t), args...)
	cmd.Stdout, cmd.Stderr = &out, &problems
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	late := time.AfterFunc(10*time.Second, func() { _ = cmd.Process.Kill() })
	err := cmd.Wait()
	if !late.Stop() {
		t.Errorf("chat %v did not end", args)
	}
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return out.String(), problems.String(), cmd.ProcessState.ExitCode()
}

func TestChatIDMakesAKeyOnceAndPrintsItsPeerID(t *testing.T) {
	t.Parallel()
	key := filepath.Join(t.TempDir(), "new", "key")
	first, problems, status := command(t, "id", "--key", key)
	if status != 0 || problems != "" {
		t.Fatalf("status %d, %s", status, problems)
	}
	id, err := identity.ParsePeerID(strings.TrimSuffix(first, "\n"))
	if err != nil {
		t.Fatalf("printed %q: %v", first, err)
	}
	if again, _, status := command(t, "id", "--key", key); again != first || status != 0 {
		t.Errorf("printed %q at first, then %q with status %d", first, again, status)
	}
	other, _, _ := command(t, "id", "--key", filepath.Join(t.TempDir(), "key"))
	if other == first {
		t.Errorf("two keys have the ID %s", id)
	}
	if info, err := os.Stat(key); err != nil || info.Mode().Perm()&0o077 != 0 {
		t.Errorf("others may read the key: %v, %v", info.Mode(), err)
	}
}

// Only who asks for it has standard input read, which may belong to a script; and its
// end isn't the conversation's.
func TestCommandsAreReadWhereThatIsAsked(t *testing.T) {
	t.Parallel()
	const answer = `["red team"]`
	for _, c := range []struct {
		name, input  string
		args         []string
		answer, quit bool
	}{
		{"quit", "hear red team\nquit\n", []string{"--stdin"}, true, true},
		{"the end of input", "hear red team\n", []string{"--stdin"}, true, false},
		{"not asked for", "hear red team\nquit\n", nil, false, false},
	} {
		cmd := exec.CommandContext(t.Context(), chatProgram(t), append([]string{
			"--headless", "--key", filepath.Join(t.TempDir(), "key"), "--listen", "/ip4/127.0.0.1/udp/0/quic-v1", "--duration", "3s",
		}, c.args...)...)
		cmd.Stdin = strings.NewReader(c.input)
		began := time.Now()
		out, err := cmd.CombinedOutput()
		took := time.Since(began)
		if err != nil || strings.Contains(string(out), answer) != c.answer {
			t.Errorf("%s: %v, printed %q", c.name, err, out)
		}
		if took < 2900*time.Millisecond != c.quit {
			t.Errorf("%s: it took %v of 3 s", c.name, took)
		}
	}
}

func TestHelpGoesToStandardOutput(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"--help"}, {"-h"}, {"id", "--help"}} {
		stdout, stderr, status := command(t, args...)
		if status != 0 || stderr != "" {
			t.Errorf("%v: status %d, %q", args, status, stderr)
		}
		if !strings.Contains(stdout, "-key") || len(args) == 1 && !strings.Contains(stdout, "-peer") {
			t.Errorf("%v printed %q", args, stdout)
		}
	}
}

func TestMistakesAreSaidInOneLineWithAStatus(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	key, garbage, text := filepath.Join(dir, "key"), filepath.Join(dir, "garbage"), filepath.Join(dir, "text.wav")
	own, _, _ := command(t, "id", "--key", key)
	own = strings.TrimSpace(own)
	for path, content := range map[string]string{garbage: "this is no key", text: "and this no sound"} {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	headless := []string{"--headless", "--key", key, "--duration", "5s"}
	for _, c := range []struct {
		name string
		args []string
		says string
	}{
		{"unknown flag", []string{"--loud"}, "-loud"},
		{"unknown flag of id", []string{"id", "--loud"}, "-loud"},
		{"stray argument", []string{"anna"}, `"anna"`},
		{"stray argument of id", []string{"id", "anna"}, `"anna"`},
		{"no duration", []string{"--duration", "soon"}, "duration"},
		{"negative duration", []string{"--duration", "-1s"}, "negative"},
		{"unknown mode", []string{"--mode", "loud"}, "--mode loud"},
		{"unknown echo", []string{"--echo", "loud"}, "--echo loud"},
		{"unknown noise", []string{"--noise", "loud"}, "--noise loud"},
		{"unknown agc", []string{"--agc", "loud"}, "--agc loud"},
		{"unknown preset", []string{"--preset", "loud"}, "--preset loud"},
		{"room without a lobby", []string{"--room", "lusab-babad-gutih"}, "--lobby"},
		{"lobby without a room", []string{"--lobby", "/ip4/127.0.0.1/tcp/9/p2p/12D3KooWFUqMkS8tCnDBsxMVG4KAZbF3RunjdDRLVGfeFZJ3MJ4s"}, "--room"},
		{"lobby without an ID", []string{"--lobby", "/ip4/127.0.0.1/tcp/9", "--room", "abcd"}, "/p2p/"},
		{"relay that is none", []string{"--relay", "nowhere"}, "--relay"},
		{"unknown policy", []string{"--relay-policy", "sometimes"}, "--relay-policy sometimes"},
		{"a room to hear without a name", []string{"--hear", ""}, "--hear"},
		{"a room to speak in without a name", []string{"--speak", ""}, "--speak"},
		{"short room code", []string{"--lobby", "/ip4/127.0.0.1/tcp/9/p2p/12D3KooWFUqMkS8tCnDBsxMVG4KAZbF3RunjdDRLVGfeFZJ3MJ4s", "--room", "abc"}, "--room"},
		{"unknown answer to knocks", []string{"--accept", "some"}, "--accept some"},
		{"input of a terminal", []string{"--headless=false", "--stdin"}, "--stdin"},
		{"nobody to ask", []string{"--accept", "ask"}, "terminal"},
		{"no peer", []string{"--peer", "anna"}, "--peer"},
		{"an address without a peer", []string{"--peer", "/ip4/127.0.0.1/udp/4001/quic-v1"}, "--peer"},
		{"an invite cut short", []string{"--peer", "parley:aeanz5wc62xv"}, "--peer"},
		{"oneself", []string{"--peer", own}, "another --key"},
		{"oneself by address", []string{"--peer", "/ip4/127.0.0.1/udp/4001/quic-v1/p2p/" + own}, "another --key"},
		{"no such file to say", []string{"--in", filepath.Join(dir, "none.wav")}, "none.wav"},
		{"a file without sound", []string{"--in", text}, "text.wav"},
		{"no folder for what is heard", []string{"--out", filepath.Join(dir, "none", "heard.wav")}, "--out"},
		{"no room for what is heard", []string{"--out", "/dev/full"}, "no space left"},
		{"no folder for statistics", []string{"--stats", filepath.Join(dir, "none", "stats")}, "--stats"},
		{"a key that is none", []string{"--key", garbage}, "garbage"},
		{"a folder as key", []string{"--key", dir}, "directory"},
		{"no address", []string{"--listen", "here"}, "here"},
		{"an address of others", []string{"--listen", "/ip4/198.51.100.7/udp/4001/quic-v1"}, "198.51.100.7"},
	} {
		args := append(slices.Clone(headless), c.args...)
		switch c.args[0] {
		case "id":
			args = c.args
		case "--listen":
		default:
			args = append(args, "--listen", "/ip4/127.0.0.1/udp/0/quic-v1")
		}
		stdout, stderr, status := command(t, args...)
		if status != 1 {
			t.Errorf("%s: status %d, want 1", c.name, status)
		}
		if !strings.HasPrefix(stderr, "chat: ") || strings.Count(stderr, "\n") != 1 || !strings.Contains(stderr, c.says) {
			t.Errorf("%s: said %q, want one line with %q", c.name, stderr, c.says)
		}
		if strings.Contains(stdout, "Usage") {
			t.Errorf("%s: printed %q", c.name, stdout)
		}
	}
	if content, err := os.ReadFile(garbage); err != nil || string(content) != "this is no key" {
		t.Errorf("the file that was no key now holds %q, %v", content, err)
	}
}

// What scripts can rely on, as does whatever measures with them.
var (
	lineKeys = []string{
		"t", "self", "in_t0", "out_t0", "peers", "underruns", "wire_bytes_sent", "wire_bytes_received",
		"goroutines", "rss_bytes", "cpu_s",
	}
	peerKeys = []string{
		"name", "path", "transport", "rtt_ms", "lanes", "sent", "send_dropped", "received", "lost", "late",
		"duplicate", "recovered_copy", "recovered_fec", "concealed_ms", "discarded_ms", "stretched_ms",
		"played_ms", "concealed_pct", "buffer_ms", "target_ms", "jitter_ms", "mouth_to_ear_ms",
		"bitrate_out", "bitrate_in", "copies", "r_factor", "mos", "path_changes",
	}
)

// checkKeys fails unless each line of statistics is an object with all keys,
// and the last one alone is final.
func checkKeys(t *testing.T, path string, peers int) {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSuffix(string(content), "\n"), "\n")
	for i, text := range lines {
		var line map[string]any
		if err := json.Unmarshal([]byte(text), &line); err != nil {
			t.Fatalf("line %d: %v", i, err)
		}
		for _, key := range lineKeys {
			if _, ok := line[key]; !ok {
				t.Errorf("line %d has no %s", i, key)
			}
		}
		if final, _ := line["final"].(bool); final != (i == len(lines)-1) {
			t.Errorf("line %d of %d: final is %t", i, len(lines), final)
		}
		list, _ := line["peers"].(map[string]any)
		if len(list) != peers {
			t.Errorf("line %d is about %d peers, want %d", i, len(list), peers)
		}
		for id, p := range list {
			for _, key := range peerKeys {
				if _, ok := p.(map[string]any)[key]; !ok {
					t.Errorf("line %d has no %s of %s", i, key, id)
				}
			}
		}
	}
}

func TestChatSaysWhereItListensAndEndsAfterItsDuration(t *testing.T) {
	t.Parallel()
	c := newChatter(t, "anna")
	began := time.Now()
	stdout, stderr, status := command(t, c.command("--duration", "2300ms",
		"--listen", "/ip4/127.0.0.1/udp/0/quic-v1", "--listen", "/ip4/127.0.0.1/tcp/0")...)
	if took := time.Since(began); status != 0 || stderr != "" || took < 2300*time.Millisecond || took > 5*time.Second {
		t.Errorf("status %d after %v: %s", status, took, stderr)
	}
	listening := regexp.MustCompile(`^listening /ip4/127\.0\.0\.1/(tcp/\d+|udp/\d+/quic-v1)/p2p/` + c.id + `$`)
	lines := strings.Split(strings.TrimSuffix(stdout, "\n"), "\n")
	if len(lines) != 3 || !listening.MatchString(lines[0]) || !listening.MatchString(lines[1]) {
		t.Fatalf("printed %q, want an address of each kind and an invite", lines)
	}
	text, ok := strings.CutPrefix(lines[2], "invite ")
	invited, err := identity.ParsePeers(text)
	if !ok || err != nil || len(invited) != 1 || invited[0].ID.String() != c.id {
		t.Fatalf("%q invites to %v, %v", lines[2], invited, err)
	}
	for _, line := range lines[:2] {
		if address := strings.TrimPrefix(line, "listening "); !slices.Contains(invited[0].Texts(), address) {
			t.Errorf("the invite names %v and not %s", invited[0].Texts(), address)
		}
	}
	checkKeys(t, c.stats(), 0)
	if lines := c.lines(t); len(lines) != 3 {
		t.Errorf("%d lines of statistics in 2.3 s, want 2 and the final one", len(lines))
	}
}

// Whenever the end comes, it is a good one: after --duration, which may be over
// before the devices are open, the final line is written and the status is 0.
func TestChatWhoseTimeIsOverBeforeItStartsEndsWell(t *testing.T) {
	t.Parallel()
	for _, duration := range []string{"1ns", "1ms"} {
		c := newChatter(t, "anna")
		_, stderr, status := command(t, c.command("--duration", duration, "--listen", "/ip4/127.0.0.1/udp/0/quic-v1")...)
		if status != 0 || stderr != "" {
			t.Errorf("--duration %s: status %d: %s", duration, status, stderr)
		}
		checkKeys(t, c.stats(), 0)
		if l := c.final(t); l.Self != c.id {
			t.Errorf("--duration %s: the final line is of %q, want %q", duration, l.Self, c.id)
		}
	}
}
