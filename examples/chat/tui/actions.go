package tui

import (
	"fmt"
	"math"
	"slices"
	"strings"

	tea "charm.land/bubbletea/v2"

	"github.com/parley-voice/parley/audio"
	"github.com/parley-voice/parley/identity"
	"github.com/parley-voice/parley/session"
)

func (m *Model) toggleTalk() tea.Cmd {
	if m.state.Mode != session.PushToTalk {
		m.pressTalk(false) // which says why not
		return nil
	}
	m.talk.toggle()
	m.passOn()
	return nil
}

// suspend puts the program to sleep, and doesn't wake up talking.
func (m *Model) suspend() tea.Cmd {
	m.talk.off()
	m.passOn()
	return tea.Suspend
}

func (m *Model) toggleMuted() tea.Cmd {
	m.cfg.Chat.SetMuted(!m.state.Muted)
	m.say(either(m.state.Muted, "no longer muted", "muted: nobody hears you"))
	return nil
}

func (m *Model) toggleDeafened() tea.Cmd {
	m.cfg.Chat.SetDeafened(!m.state.Deafened)
	m.say(either(m.state.Deafened, "no longer deafened", "deafened: you hear nobody, and they see it"))
	return nil
}

func (m *Model) nextMode() tea.Cmd {
	mode := map[session.Mode]session.Mode{
		session.Open: session.VoiceActivation, session.VoiceActivation: session.PushToTalk, session.PushToTalk: session.Open,
	}[m.state.Mode]
	m.talk.off()
	m.passOn()
	if err := m.cfg.Chat.SetMode(mode); err != nil {
		m.fail(err)
		return nil
	}
	m.say("you are heard " + modeWords(mode))
	return nil
}

// turnThreshold changes how loud a voice is, in dB.
func (m *Model) turnThreshold(by float64) tea.Cmd {
	threshold := math.Round(m.state.Threshold + by)
	if threshold >= 0 || threshold < thresholdMin {
		return nil
	}
	if err := m.cfg.Chat.SetThreshold(threshold); err != nil {
		m.fail(err)
		return nil
	}
	m.say(fmt.Sprintf("a voice is from %.0f dB on", threshold))
	return nil
}

func modeWords(mode session.Mode) string {
	switch mode {
	case session.Open:
		return "always"
	case session.VoiceActivation:
		return "when you speak"
	case session.PushToTalk:
		return "while you hold space"
	}
	return mode.String()
}

func (m *Model) write() tea.Cmd {
	m.typed("to "+m.audience()+": ", func(text string) tea.Cmd {
		to := m.audience()
		if err := m.cfg.Chat.Say(text); err != nil {
			m.fail(err)
			m.write() // what was written isn't lost
			m.input.insert(text)
			return nil
		}
		m.add(ours, "you to "+to, text)
		m.log.back = 0
		return nil
	})
	return nil
}

func (m *Model) typeCommand() tea.Cmd {
	m.typed("/", func(line string) tea.Cmd {
		switch strings.Fields(line)[0] {
		case "quit":
			return tea.Quit
		case "talk":
			return m.toggleTalk() // which must not get out of step with the key
		}
		if text := m.cfg.Chat.Command(line); text != "" {
			m.add(answer, "", text)
			m.log.back = 0
		}
		return nil
	})
	return nil
}

func (m *Model) choose(by int) tea.Cmd {
	if n := len(m.state.Peers); n > 0 {
		m.selected = m.state.Peers[min(max(m.selectedIndex()+by, 0), n-1)].ID
	}
	return nil
}

// chosen is the chosen peer for an action that needs one who is let in.
func (m *Model) chosen() *Peer {
	p := m.selectedPeer()
	switch {
	case p == nil:
		m.say("nobody is here yet")
		return nil
	case p.Knocks:
		m.say(nameOf(p) + " is not let in yet: " + keyOf("let in") + " does that")
		return nil
	}
	return p
}

func (m *Model) turn(by float32) tea.Cmd {
	if p := m.chosen(); p != nil {
		volume := float32(math.Round(10*float64(p.Volume+by))) / 10
		volume = min(max(volume, 0), audio.MaxGain)
		m.cfg.Chat.SetVolume(p.ID, volume)
		m.say(fmt.Sprintf("%s: %.0f %%", nameOf(p), 100*volume))
	}
	return nil
}

func (m *Model) toggleSilenced() tea.Cmd {
	if p := m.chosen(); p != nil {
		m.cfg.Chat.SetSilenced(p.ID, !p.Silenced)
		m.say(nameOf(p) + either(p.Silenced, " is no longer silenced", " is silenced here, and isn't told"))
	}
	return nil
}

func (m *Model) toggleBlocked() tea.Cmd {
	if p := m.selectedPeer(); p != nil {
		m.cfg.Chat.SetBlocked(p.ID, !p.Blocked)
		m.say(nameOf(p) + either(p.Blocked, " is no longer blocked", " is blocked: you don't hear each other"))
	}
	return nil
}

func (m *Model) toggleWhisper() tea.Cmd {
	p := m.selectedPeer()
	switch {
	case m.state.Whisper != "" && (p == nil || p.ID == m.state.Whisper || !m.isHere(m.state.Whisper)):
		if err := m.cfg.Chat.Whisper(""); err != nil {
			m.fail(err)
			return nil
		}
		m.say("no longer whispering")
	case m.chosen() != nil:
		if err := m.cfg.Chat.Whisper(p.ID); err != nil {
			m.fail(err)
			return nil
		}
		m.say("whispering: only " + nameOf(p) + " hears you")
	}
	return nil
}

// isHere tells whether a peer is in the list.
func (m *Model) isHere(id identity.PeerID) bool {
	return slices.ContainsFunc(m.state.Peers, func(p Peer) bool { return p.ID == id })
}

func (m *Model) letIn() tea.Cmd {
	p := m.selectedPeer()
	if p == nil || !p.Knocks {
		m.say("choose somebody who knocks")
		return nil
	}
	m.fail(m.cfg.Chat.LetIn(p.ID))
	return nil
}

func (m *Model) open(to page) tea.Cmd {
	m.page, m.row = to, 0
	if to == soundPage {
		return m.listDevices()
	}
	return nil
}

func (m *Model) scroll(by int) tea.Cmd {
	m.log.scroll(by * max(1, m.h/4))
	return nil
}

// copyInvite asks the terminal to put the invite into the clipboard. Not all do,
// and none says so.
func (m *Model) copyInvite() tea.Cmd {
	m.say("copied, if the terminal allows it")
	return tea.SetClipboard(m.cfg.Copy)
}

// room is the chosen room of the page of rooms; nil if there is none.
func (m *Model) room() *Room {
	if m.row = min(max(m.row, 0), max(0, len(m.state.Rooms)-1)); m.row < len(m.state.Rooms) {
		return &m.state.Rooms[m.row]
	}
	m.say("there is no room yet: n names one")
	return nil
}

func (m *Model) toggleHeard() tea.Cmd {
	if r := m.room(); r != nil {
		m.fail(m.cfg.Chat.Hear(r.Name, !r.Heard))
	}
	return nil
}

func (m *Model) toggleSpoken() tea.Cmd {
	if r := m.room(); r != nil {
		m.fail(m.cfg.Chat.Speak(r.Name, !r.Spoken))
	}
	return nil
}

func (m *Model) nameRoom() tea.Cmd {
	m.typed("hear the room: ", func(name string) tea.Cmd {
		m.fail(m.cfg.Chat.Hear(name, true))
		m.look(m.cfg.Now())
		for i := range m.state.Rooms {
			if m.state.Rooms[i].Name == name {
				m.row = i
			}
		}
		return nil
	})
	return nil
}

func (m *Model) hearAll() tea.Cmd {
	m.fail(m.cfg.Chat.HearAll())
	return nil
}

func (m *Model) listDevices() tea.Cmd {
	if m.listing {
		return nil
	}
	m.listing = true
	chat := m.cfg.Chat
	return func() tea.Msg {
		list, err := chat.Devices()
		return devicesMsg{list, err}
	}
}

func (m *Model) useDevice() tea.Cmd {
	if m.row = min(max(m.row, 0), len(m.devices)-1); m.row < 0 {
		return nil
	}
	chat, device := m.cfg.Chat, m.devices[m.row]
	m.say("switching to " + deviceName(&device))
	return func() tea.Msg { return usedMsg{device, chat.Use(device)} }
}

func deviceName(d *Device) string {
	if d.Name == "" {
		return "the system's default"
	}
	return Clean(d.Name)
}

func either(condition bool, yes, no string) string {
	if condition {
		return yes
	}
	return no
}
