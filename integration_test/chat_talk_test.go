package integration_test

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/parley-voice/parley/audio"
	"github.com/parley-voice/parley/audio/audiotest"
	"github.com/parley-voice/parley/identity"
	"github.com/parley-voice/parley/integration_test/chatlab"
)

// endsWithin asks a chat to end and fails unless it does so in time, with
// status 0 and a final line of statistics.
func endsWithin(t *testing.T, c *chatter, most time.Duration, ask func() error) {
	t.Helper()
	began := time.Now()
	if err := ask(); err != nil {
		t.Errorf("%s: %v", c.name, err)
	}
	if err := c.Wait(); err != nil {
		t.Errorf("%s: %v", c.name, err)
	}
	if took := time.Since(began); took > most {
		t.Errorf("%s took %v to end, want at most %v", c.name, took, most)
	}
	c.final(t)
}

func TestInvitedPeerIsHeardAndRecorded(t *testing.T) {
	t.Parallel()
	anna, ben := newChatter(t, "anna"), newChatter(t, "ben")
	tapes := filepath.Join(t.TempDir(), "tapes")
	anna.talk(t, append(anna.says(), "--peer", ben.id, "--record", tapes)...) // known by its identity alone
	anna.address(t)
	ben.talk(t, append(ben.says(), "--peer", anna.invite(t))...)
	anna.hears(t, ben, 5*time.Second, 20*time.Second)
	ben.hears(t, anna, 4*time.Second, 20*time.Second)
	endsWithin(t, anna, 2*time.Second, anna.Stop)
	endsWithin(t, ben, 2*time.Second, ben.Stop)
	checkKeys(t, anna.stats(), 1)
	checkKeys(t, ben.stats(), 1)
	tape, err := audiotest.LoadWAV(filepath.Join(tapes, ben.id+".wav"))
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range []struct {
		what      string
		talker    *chatter
		recording []float32
	}{
		{"--out of anna", ben, anna.recording(t)},
		{"--record of anna", ben, tape},
		{"--out of ben", anna, ben.recording(t)},
	} {
		if h := hearsSome(t, r.talker, r.recording); !h.Heard {
			t.Errorf("%s doesn't hold %s: similarity %.3f, want %.2f", r.what, r.talker.name, h.Similarity, audiotest.HeardThreshold)
		}
	}
}

// hearsSome looks for two seconds of what somebody said in a recording: for
// those that came through best, whenever they met and whatever a busy machine
// was late with.
func hearsSome(t *testing.T, talker *chatter, recording []float32) (best audiotest.Hearing) {
	t.Helper()
	const second = audio.SampleRate
	said := talker.sentence(t)
	for from := second; from+2*second <= len(said); from += second {
		if h := audiotest.Heard(said[from:from+2*second], recording); h.Similarity > best.Similarity {
			best = h
		}
	}
	return best
}

func TestSignalsEndChatInTime(t *testing.T) {
	t.Parallel()
	nobody := newChatter(t, "clara").id
	cases := []struct {
		name   string
		signal os.Signal
		args   []string
	}{
		{"alone", syscall.SIGTERM, nil},
		{"interrupted", os.Interrupt, nil},
		{"waiting for somebody", syscall.SIGTERM, []string{"--peer", nobody}},
		{"calling where nobody answers", syscall.SIGTERM, []string{"--peer", "/ip4/127.0.0.1/udp/9/quic-v1/p2p/" + nobody}},
		{"calling into the void", syscall.SIGTERM, []string{"--peer", "/ip4/198.51.100.7/tcp/4001/p2p/" + nobody}},
	}
	all := make([]*chatter, len(cases))
	for i, c := range cases {
		all[i] = newChatter(t, "anna")
		all[i].talk(t, append(all[i].says(), c.args...)...)
	}
	for i, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			anna := all[i]
			anna.until(t, "a line", 5*time.Second, func(chatlab.Line) bool { return true })
			endsWithin(t, anna, 2*time.Second, func() error { return anna.Signal(c.signal) })
		})
	}
}

func TestWhoKnocksIsLetInByAcceptAnyAndNotByListed(t *testing.T) {
	t.Parallel()
	t.Run("any", func(t *testing.T) {
		anna, ben := newChatter(t, "anna"), newChatter(t, "ben")
		anna.talk(t, append(anna.says(), "--accept", "any")...)
		ben.talk(t, append(ben.says(), "--peer", anna.address(t))...)
		anna.hears(t, ben, time.Second, 10*time.Second)
		ben.hears(t, anna, time.Second, 10*time.Second)
		end(t, anna, ben)
	})
	t.Run("listed", func(t *testing.T) {
		anna, ben, clara := newChatter(t, "anna"), newChatter(t, "ben"), newChatter(t, "clara")
		anna.talk(t, append(anna.says(), "--accept", "listed", "--peer", clara.id)...)
		ben.talk(t, append(ben.says(), "--peer", anna.address(t))...)
		clara.talk(t, append(clara.says(), "--peer", anna.address(t))...)
		anna.hears(t, clara, 2*time.Second, 10*time.Second)
		anna.prints(t, ben.id+" knocked and isn't listed", 5*time.Second)
		end(t, anna, ben, clara)
		if l := anna.final(t); len(l.Peers) != 1 {
			t.Errorf("anna has %d peers, want clara alone", len(l.Peers))
		}
		if p := ben.final(t).Peers[anna.id]; p.Received > 0 || p.Sent > 0 || p.Played > 0 {
			t.Errorf("ben, who is not listed, was sent %d packets and sent %d", p.Received, p.Sent)
		}
	})
}

// Somebody at a terminal is shown what to compare, and lets in by the end of an
// ID who knocks; who takes leave has to knock again.
func TestWhoKnocksAtATerminalIsLetInByTheEndOfAnID(t *testing.T) {
	t.Parallel()
	anna, ben := newChatter(t, "anna"), newChatter(t, "ben")
	cmd := exec.Command(chatProgram(t), "--name", "anna", "--key", anna.key(), "--in", anna.speech, "--loop",
		"--out", anna.out(), "--stats", anna.stats(), "--listen", "/ip4/127.0.0.1/udp/0/quic-v1", "--no-settings")
	keyboard, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	anna.start(t, cmd)
	types := func(line string) {
		if _, err := io.WriteString(keyboard, line+"\n"); err != nil {
			t.Fatal(err)
		}
	}
	annas, bens := chatID(t, anna), chatID(t, ben)
	anna.prints(t, "Your fingerprint: "+identity.Fingerprint(annas), 10*time.Second)
	ben.talk(t, append(ben.says(), "--peer", anna.address(t))...)
	anna.prints(t, "let "+ben.id[len(ben.id)-6:], 10*time.Second)
	anna.prints(t, identity.PairFingerprint(annas, bens), time.Second)
	types("let " + ben.id[len(ben.id)-6:])
	anna.hears(t, ben, time.Second, 15*time.Second)
	types("who")
	anna.prints(t, "numbers of you both: "+identity.PairFingerprint(bens, annas), 5*time.Second)
	end(t, ben)
	anna.prints(t, "took leave", 5*time.Second)
	left := float64(time.Now().UnixMilli()) / 1000
	anna.until(t, "a line without ben", 5*time.Second, func(l chatlab.Line) bool { return len(l.Peers) == 0 && l.T > left })
	types("quit")
	if err := anna.Wait(); err != nil {
		t.Error(err)
	}
	if l := anna.final(t); l.Peers[ben.id].Received == 0 {
		t.Errorf("the final line doesn't tell of ben, who has left: %+v", l.Peers)
	}
}

func chatID(t *testing.T, c *chatter) identity.PeerID {
	t.Helper()
	id, err := identity.ParsePeerID(c.id)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func TestRestartedProcessIsHeardAgainThoughTheOtherNoticedNothing(t *testing.T) {
	t.Parallel()
	anna, ben := newChatter(t, "anna"), newChatter(t, "ben")
	anna.talk(t, append(anna.says(), "--peer", ben.id)...)
	call := append(ben.says(), "--peer", anna.address(t))
	ben.talk(t, call...)
	anna.hears(t, ben, time.Second, 10*time.Second)
	ben.hears(t, anna, time.Second, 10*time.Second)
	ben.Kill()
	again := *ben
	again.dir = t.TempDir()
	if err := os.Rename(ben.key(), again.key()); err != nil {
		t.Fatal(err)
	}
	before := anna.lines(t)
	played := before[len(before)-1].Peers[ben.id].Played
	began := time.Now()
	again.talk(t, call...)
	again.hears(t, anna, time.Second, 10*time.Second)
	anna.until(t, "ben is heard again", 10*time.Second, func(l chatlab.Line) bool {
		p := l.Peers[ben.id]
		return p.Played > played+2500 && p.ConcealedPct < 5 && p.Buffer > 0
	})
	t.Logf("both heard each other again, for some seconds, %v after the restart", time.Since(began).Round(time.Millisecond))
	end(t, anna, &again)
	if n := strings.Count(anna.Output(), "is here"); n != 2 {
		t.Errorf("anna was told %d times that ben is here, want once for each of his processes", n)
	}
}

// quiet writes somebody's sentence 40 dB below what it is, and returns the
// file's name.
func quiet(t *testing.T, c *chatter) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "quiet.wav")
	sink, err := audio.CreateWAV(path, audio.WAVConfig{Mono: true, Float: true})
	if err != nil {
		t.Fatal(err)
	}
	pcm := c.sentence(t)
	for len(pcm) >= audio.BlockSamples {
		var b audio.StereoBlock
		for i, x := range pcm[:audio.BlockSamples] {
			b[2*i], b[2*i+1] = x/100, x/100
		}
		if err = sink.WriteBlock(&b); err != nil {
			t.Fatal(err)
		}
		pcm = pcm[audio.BlockSamples:]
	}
	if err = sink.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestModesDecideWhatIsSent(t *testing.T) {
	t.Parallel()
	anna := newChatter(t, "anna")
	anna.talk(t, "--accept", "any")
	cases := []struct {
		mode, loudness string
		heard          bool
	}{
		{"open", "loud", true},
		{"open", "quiet", true},
		{"voice", "loud", true},
		{"voice", "quiet", false},
		{"ptt", "loud", false}, // there is no key without a terminal
	}
	all := make([]*chatter, len(cases))
	for i, c := range cases {
		all[i] = newChatter(t, "ben")
		if c.loudness == "quiet" {
			all[i].speech = quiet(t, all[i])
		}
		all[i].talk(t, append(all[i].says(), "--mode", c.mode, "--peer", anna.address(t))...)
	}
	for i, c := range cases {
		t.Run(c.mode+" and "+c.loudness, func(t *testing.T) {
			ben := all[i]
			sent := ben.until(t, "four seconds with anna", 15*time.Second, func(l chatlab.Line) bool {
				return l.Peers[anna.id].Path == "lan" && l.InT0 > 0 && l.T-l.InT0 > 4
			}).Peers[anna.id].Sent
			end(t, ben)
			if !c.heard && sent > 0 || c.heard && sent < 50 {
				t.Errorf("%d packets sent in 4 s of speech", sent)
			}
			left := float64(time.Now().UnixMilli()) / 1000
			anna.until(t, "ben's end", 5*time.Second, func(l chatlab.Line) bool {
				_, there := l.Peers[ben.id]
				return !there && l.T > left
			})
			p := anna.until(t, "a line about ben", time.Second, func(l chatlab.Line) bool {
				_, there := l.Peers[ben.id]
				return there
			}).Peers[ben.id]
			if c.heard != (p.Played-p.Concealed > 1000) {
				t.Errorf("%.0f ms were heard, %d packets sent", p.Played-p.Concealed, sent)
			}
		})
	}
}

// The file that somebody hears into is full after 2 s: by a limit of its
// process, which needs no root and leaves nothing mounted.
func TestFullDiskUnderOutDisturbsNobodyElse(t *testing.T) {
	t.Parallel()
	shell, err := exec.LookPath("sh")
	if err != nil {
		t.Skipf("SKIPPED, no shell to set a limit: %v", err)
	}
	const limit = 800 // blocks of 512 bytes: 2.1 s of 16 bit stereo
	anna, ben := newChatter(t, "anna"), newChatter(t, "ben")
	args := append([]string{"-c", `ulimit -f 800; exec "$0" "$@"`, chatProgram(t)}, anna.command(append(anna.says(),
		"--listen", "/ip4/127.0.0.1/udp/0/quic-v1", "--peer", ben.id)...)...)
	anna.start(t, exec.Command(shell, args...))
	ben.talk(t, append(ben.says(), "--peer", anna.address(t))...)
	anna.prints(t, "the speaker doesn't work: audio: write "+anna.out(), 10*time.Second)
	full := anna.lines(t)
	ben.until(t, "anna goes on being heard", 10*time.Second, func(l chatlab.Line) bool {
		p := l.Peers[anna.id]
		return p.Buffer > 0 && p.Played-p.Concealed > 4000
	})
	anna.until(t, "anna goes on", 5*time.Second, func(l chatlab.Line) bool { return l.T > full[len(full)-1].T+1.5 })
	end(t, ben)
	status := anna.Stop()
	if status == nil || !strings.Contains(status.Error(), "chat: --out: audio: write "+anna.out()) {
		t.Errorf("anna, whose --out was full, ended with %v", status)
	}
	anna.final(t)
	if pcm := anna.recording(t); len(pcm) < audio.SampleRate*2 || len(pcm) > limit*512/4+audio.BlockSamples {
		t.Errorf("what is left of --out plays for %v, want 2.13 s", audiotest.Duration(float64(len(pcm))))
	}
}
