package main

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/parley-voice/parley/audio"
	"github.com/parley-voice/parley/examples/chat/tui"
	"github.com/parley-voice/parley/identity"
	"github.com/parley-voice/parley/session"
)

// whoHears says which of the visitors hear the host after a while.
func (h *house) whoHears(visitors ...*session.Session) (hear []bool) {
	h.passes(2 * time.Second)
	for _, v := range visitors {
		hear = append(hear, v.Stats().Peers[0].Speaking)
	}
	return hear
}

func TestRoomsAndWhispersAreTyped(t *testing.T) {
	visit(t, options{accept: "any"}, func(t *testing.T, h *house) {
		ben, clara := h.comes(t, 1, "ben"), h.comes(t, 2, "clara")
		for s, room := range map[*session.Session]string{ben: "red", clara: "blue"} {
			if err := s.Listen(room); err != nil {
				t.Fatal(err)
			}
		}
		for _, c := range []struct {
			line, answer string
			ben, clara   bool
		}{
			{"rooms", "you hear what is said to everyone and to you alone, and in any room; you speak to everyone", true, true},
			{"speak red", `you speak in room "red"`, true, false},
			{"speak blue", `you speak in room "red" and in room "blue"`, true, true},
			{"speak red", `you speak in room "blue"`, false, true},
			{"whisper ben", "you speak to \"ben\"", true, false},
			{"whisper clara", "you speak to \"clara\"", false, true},
			{"whisper clara", `you speak in room "blue"`, false, true},
			{"whisper clara", "you speak to \"clara\"", false, true},
			{"speak blue", "you speak to everyone", true, true},
			{"hear red", `and in ["red"]; you speak`, true, true},
			{"hear green room", `and in ["red" "green room"]; you speak`, true, true},
			{"leave red", `and in ["green room"]; you speak`, true, true},
			{"hear all", "and in any room; you speak", true, true},
			{"speak " + strings.Repeat("x", session.MaxRoomName+1), session.ErrTarget.Error(), true, true},
			{"hear " + strings.Repeat("x", session.MaxRoomName+1), session.ErrTarget.Error(), true, true},
			{"whisper nobody", "nobody here is called", true, true},
			{"block ben", "blocked", false, true},
			{"block ben", "no longer blocked", true, true},
		} {
			if got := h.command(c.line); !strings.Contains(got, c.answer) {
				t.Errorf("%s: %q, want %q", c.line, got, c.answer)
			}
			if got, want := h.whoHears(ben, clara), []bool{c.ben, c.clara}; !slices.Equal(got, want) {
				t.Errorf("after %s ben and clara hear it: %v, want %v", c.line, got, want)
			}
		}
	})
}

// What was meant for one peer doesn't reach the others when that one leaves.
func TestAWhisperOutlivesWhoItIsFor(t *testing.T) {
	visit(t, options{accept: "any"}, func(t *testing.T, h *house) {
		ben, clara := h.comes(t, 1, "ben"), h.comes(t, 2, "clara")
		h.command("whisper ben")
		_ = ben.Stop()
		h.passes(time.Second)
		if h.wantPeers(t, 1); h.whoHears(clara)[0] {
			t.Error("clara hears what was for ben")
		}
	})
}

func TestTextsGoWhereTheVoiceGoes(t *testing.T) {
	visit(t, options{accept: "any"}, func(t *testing.T, h *house) {
		ben, clara := h.comes(t, 1, "ben"), h.comes(t, 2, "clara")
		for _, line := range []string{"say to all", "whisper ben", "say  to ben ", "say"} {
			h.command(line)
		}
		h.passes(time.Second)
		for s, want := range map[*session.Session][]string{ben: {"to all", "to ben"}, clara: {"to all"}} {
			if got := textsOf(s); !slices.Equal(got, want) {
				t.Errorf("%v got %q, want %q", s.Self(), got, want)
			}
		}
		for to, text := range map[session.Target]string{
			session.Everyone():              "two\nlines \u202eevil",
			session.Room("red"):             "in a room",
			session.Whisper(h.voice.Self()): "alone",
		} {
			if err := ben.SendText(to, text); err != nil {
				t.Fatal(err)
			}
		}
		h.passes(time.Second)
		tail := tail(ben.Self())
		for _, want := range []string{`"ben" (…` + tail + "): two\n", `"ben" (…` + tail + "): lines ", `) in "red": in a room`, ") to you alone: alone\n"} {
			if !strings.Contains(h.said.String(), want) {
				t.Errorf("%q isn't shown:\n%s", want, h.said)
			}
		}
		if strings.ContainsRune(h.said.String(), '\u202e') {
			t.Errorf("a text can turn the line around: %q", h.said)
		}
	})
}

// textsOf reads the texts that a session was sent.
func textsOf(s *session.Session) (texts []string) {
	for {
		select {
		case e := <-s.Events():
			if text, ok := e.(session.TextReceived); ok {
				texts = append(texts, text.Text)
			}
		default:
			return texts
		}
	}
}

func TestRoomsOfTheCommandLine(t *testing.T) {
	opt, err := parseOptions(strings.Fields("--hear red --hear blue --speak red --plain"))
	if err != nil {
		t.Fatal(err)
	}
	if opt.screen {
		t.Error("the screen is used with --plain")
	}
	opt.accept = "any"
	visit(t, *opt, func(t *testing.T, h *house) {
		if err := h.enterRooms(); err != nil {
			t.Fatal(err)
		}
		if got, want := h.rooms(), `you hear what is said to everyone and to you alone, and in ["red" "blue"]; you speak in room "red"`; got != want {
			t.Errorf("%s, want %s", got, want)
		}
		h.opt.hear = []string{strings.Repeat("x", 1000)}
		if err := h.enterRooms(); err == nil || !strings.Contains(err.Error(), "--hear") {
			t.Errorf("of a room that can't be, it says %v", err)
		}
	})
}

// The screen shows what is so, and its keys do what they say.
func TestTheDesk(t *testing.T) {
	visit(t, options{accept: "ask", name: "anna"}, func(t *testing.T, h *house) {
		desk := newDesk(h.door)
		ben, clara := h.comes(t, 1, "ben"), h.comes(t, 2, "clara")
		look := func() tui.State { return desk.State(time.Now(), ben.Self()) }
		st := look()
		if len(st.Peers) != 2 || !st.Peers[0].Knocks || st.Peers[0].Number == "" || st.Peers[1].Number != "" {
			t.Fatalf("both knock, and the first is chosen: %+v", st.Peers)
		}
		for _, id := range []identity.PeerID{ben.Self(), clara.Self()} {
			if err := desk.LetIn(id); err != nil {
				t.Fatal(err)
			}
		}
		if err := ben.Listen("red"); err != nil {
			t.Fatal(err)
		}
		for range 70 {
			h.passes(100 * time.Millisecond)
			st = look()
		}
		p := st.Peers[0]
		if st.Name != "anna" || !st.Speaking || st.Level < -40 || st.Microphone != "" || st.Speaker != "no speaker configured" || !st.AllHear {
			t.Errorf("of ourselves it shows %+v", st)
		}
		if !p.Reachable || !p.Speaking || p.Loss != 0 || p.Concealed != 0 || p.Delay <= 0 || p.BitsIn < 1000 || p.BitsOut < 1000 || p.Volume != 1 || p.Name != "ben" || p.Why == "" || p.AllRooms {
			t.Errorf("of ben it shows %+v", p)
		}
		if want := []tui.Room{{Name: "red", Others: 2}}; !slices.Equal(st.Rooms, want) {
			t.Errorf("rooms: %+v, want %+v", st.Rooms, want)
		}
		desk.SetMuted(true)
		desk.SetDeafened(true)
		desk.SetTalking(true)
		desk.SetVolume(ben.Self(), 0.5)
		desk.SetSilenced(ben.Self(), true)
		desk.SetBlocked(clara.Self(), true)
		for _, err := range []error{desk.SetMode(session.PushToTalk), desk.SetThreshold(-50), desk.Hear("blue", true), desk.Speak("red", true), desk.Whisper(ben.Self())} {
			if err != nil {
				t.Error(err)
			}
		}
		st = look()
		if !st.Muted || !st.Deafened || !st.Talking || st.Mode != session.PushToTalk || st.Threshold != -50 || st.Whisper != ben.Self() || st.AllHear {
			t.Errorf("of ourselves it shows %+v", st)
		}
		if p := st.Peers[0]; p.Volume != 0.5 || !p.Silenced || p.Blocked || !st.Peers[1].Blocked {
			t.Errorf("of the peers it shows %+v", st.Peers)
		}
		if want := []tui.Room{{Name: "blue", Heard: true}, {Name: "red", Spoken: true, Others: 1}}; len(st.Rooms) != 2 || st.Rooms[0].Heard != want[0].Heard || st.Rooms[1].Spoken != want[1].Spoken {
			t.Errorf("rooms: %+v, want %+v", st.Rooms, want)
		}
		if err := desk.Use(tui.Device{}); err == nil {
			t.Error("a device is switched that there isn't")
		}
		dirk := h.comes(t, 3, "dirk")
		if st = look(); !st.Peers[0].Knocks {
			t.Errorf("dirk knocks: %+v", st.Peers)
		}
		desk.SetBlocked(dirk.Self(), true)
		h.knock(dirk.Self())
		if st = look(); st.Peers[0].Knocks {
			t.Errorf("dirk is blocked and knocks: %+v", st.Peers)
		}
		_ = ben.Stop()
		h.passes(time.Second)
		if look(); len(desk.windows) != 1 {
			t.Errorf("of %d peers figures are kept, and one is here", len(desk.windows))
		}
	})
}

// Figures are of the last five seconds, and never of another stay.
func TestTheWindow(t *testing.T) {
	var w window
	p := session.PeerStats{}
	now := time.Unix(1e9, 0)
	second := func(lost, guessed uint64) {
		for range 10 {
			now = now.Add(100 * time.Millisecond)
			p.Jitter.Expected += 5
			p.Jitter.PlayedSamples += audio.SampleRate / 10
			p.Jitter.DelaySum += 40 * time.Millisecond * audio.SampleRate / 10
			p.BytesIn, p.BytesOut = p.BytesIn+300, p.BytesOut+400
			w.add(&p, now)
		}
		p.Jitter.Lost += lost
		p.Jitter.ConcealedSamples += guessed
	}
	if w.add(&p, now); w.loss >= 0 || w.concealed >= 0 {
		t.Errorf("before anything was heard: %+v", w)
	}
	second(5, audio.SampleRate)
	second(0, 0)
	if w.loss != 0.05 || w.concealed < 0.33 || w.concealed > 0.34 || w.delay != 40*time.Millisecond || w.bitsIn != 24000 || w.bitsOut != 32000 {
		t.Errorf("after two seconds: %+v", w)
	}
	for range 6 {
		second(0, 0)
	}
	if w.loss != 0 || w.concealed != 0 || w.delay != 40*time.Millisecond {
		t.Errorf("what was long ago still counts: %+v", w)
	}
	if len(w.moments) > 12 {
		t.Errorf("%d moments are kept", len(w.moments))
	}
}
