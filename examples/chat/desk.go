package main

import (
	"slices"
	"time"

	"github.com/parley-voice/parley/audio"
	"github.com/parley-voice/parley/audio/jitter"
	"github.com/parley-voice/parley/audio/portaudio"
	"github.com/parley-voice/parley/examples/chat/tui"
	"github.com/parley-voice/parley/identity"
	"github.com/parley-voice/parley/session"
)

// desk is the conversation as the screen sees it: a tui.Chat. All but Devices
// and Use is called by the goroutine of the screen, which owns the door then.
type desk struct {
	*door

	windows map[identity.PeerID]*window
}

func newDesk(d *door) *desk {
	return &desk{door: d, windows: map[identity.PeerID]*window{}}
}

// State is what is drawn.
func (d *desk) State(now time.Time, selected identity.PeerID) tui.State {
	v := d.voice
	st := v.Stats()
	s := tui.State{
		Name:       d.opt.name,
		Lobby:      d.opt.room,
		Level:      st.Level,
		Threshold:  v.VoiceThreshold(),
		Mode:       v.Mode(),
		Speaking:   st.Speaking,
		Talking:    v.Talking(),
		Muted:      v.Muted(),
		Deafened:   v.Deafened(),
		Recording:  st.Recording,
		Microphone: failure(st.Microphone),
		Speaker:    failure(st.Speaker),
		Whisper:    d.speech.whisper,
	}
	for _, id := range d.knocks {
		p := tui.Peer{ID: id, Name: d.names[id], Knocks: true}
		if id == selected {
			p.Why, p.Number = "It knocks, and isn't on the list.", d.number(id)
		}
		s.Peers = append(s.Peers, p)
	}
	here := map[identity.PeerID]bool{}
	for i := range st.Peers {
		here[st.Peers[i].ID] = true
		s.Peers = append(s.Peers, d.peer(&st.Peers[i], now, selected))
	}
	for id := range d.windows {
		if !here[id] {
			delete(d.windows, id)
		}
	}
	s.Rooms, s.AllHear = d.roomList(s.Peers)
	return s
}

// failure is why a device doesn't work.
func failure(e session.EndpointStats) string {
	switch {
	case e.Reason != "":
		return e.Reason
	case !e.Open:
		return "none"
	}
	return ""
}

// peer describes somebody who is here.
func (d *desk) peer(p *session.PeerStats, now time.Time, selected identity.PeerID) tui.Peer {
	w := d.windows[p.ID]
	if w == nil || !w.joined.Equal(p.Joined) {
		w = &window{joined: p.Joined}
		d.windows[p.ID] = w
	}
	w.add(p, now)
	v := d.voice
	out := tui.Peer{
		ID:         p.ID,
		Name:       d.names[p.ID],
		Reachable:  p.Reachable,
		Speaking:   p.Speaking,
		Level:      p.Level,
		Muted:      p.Muted,
		Deafened:   p.Deafened,
		Recording:  p.Recording,
		Silenced:   v.PeerMuted(p.ID),
		Blocked:    v.PeerBlocked(p.ID),
		Whispers:   slices.Contains(p.Heard.Through, session.Whisper(v.Self())),
		Volume:     v.PeerVolume(p.ID),
		Path:       p.Path.Kind.String(),
		Transport:  p.Path.Transport,
		RTT:        p.Path.RTT,
		Delay:      w.delay,
		Target:     p.Jitter.Target,
		Jitter:     p.Jitter.Jitter,
		MouthToEar: p.MouthToEar,
		Loss:       w.loss,
		Concealed:  w.concealed,
		MOS:        p.MOS,
		BitsIn:     w.bitsIn,
		BitsOut:    w.bitsOut,
	}
	out.Rooms, out.AllRooms = v.PeerRooms(p.ID)
	if p.ID == selected {
		out.Why, out.Number = v.Why(p.ID), d.number(p.ID)
	}
	return out
}

// roomList is every room that somebody here has to do with, in order of names.
func (d *desk) roomList(peers []tui.Peer) (rooms []tui.Room, allHear bool) {
	heard, allHear := d.voice.Rooms()
	names := slices.Concat(heard, d.speech.rooms)
	for i := range peers {
		names = append(names, peers[i].Rooms...)
	}
	slices.Sort(names)
	for _, name := range slices.Compact(names) {
		r := tui.Room{Name: name, Heard: slices.Contains(heard, name), Spoken: slices.Contains(d.speech.rooms, name)}
		for i := range peers {
			if peers[i].AllRooms || slices.Contains(peers[i].Rooms, name) {
				r.Others++
			}
		}
		rooms = append(rooms, r)
	}
	return rooms, allHear
}

// What the keys do.

func (d *desk) SetMuted(muted bool)             { d.voice.SetMuted(muted) }
func (d *desk) SetDeafened(deafened bool)       { d.voice.SetDeafened(deafened) }
func (d *desk) SetTalking(talking bool)         { d.voice.SetTalking(talking) }
func (d *desk) SetMode(mode session.Mode) error { return d.voice.SetMode(mode) }

func (d *desk) SetThreshold(dbfs float64) error { return d.voice.SetVoiceThreshold(dbfs) }

func (d *desk) SetVolume(id identity.PeerID, volume float32) { d.voice.SetPeerVolume(id, volume) }
func (d *desk) SetSilenced(id identity.PeerID, on bool)      { d.voice.SetPeerMuted(id, on) }
func (d *desk) SetBlocked(id identity.PeerID, on bool) {
	d.forgetKnock(id)
	d.voice.SetPeerBlocked(id, on)
}

func (d *desk) LetIn(id identity.PeerID) error   { return d.admit(id) }
func (d *desk) Whisper(id identity.PeerID) error { return d.speech.setWhisper(id) }
func (d *desk) Hear(room string, on bool) error  { return d.hear(room, on) }
func (d *desk) Speak(room string, on bool) error { return d.speech.setRoom(room, on) }
func (d *desk) Say(text string) error            { return d.say(text) }
func (d *desk) Command(line string) string       { return d.command(line) }
func (d *desk) HearAll() error                   { d.voice.ListenToAll(); return nil }

// Devices lists what sound can come from and go to.
func (d *desk) Devices() ([]tui.Device, error) {
	all, err := portaudio.Devices()
	if err != nil {
		return nil, err
	}
	microphones, speakers := []tui.Device{{Microphone: true}}, []tui.Device{{}} // the system's, whatever they are
	for _, dev := range all {
		if dev.Inputs > 0 {
			microphones = append(microphones, tui.Device{Name: dev.Key(), Microphone: true, Default: dev.DefaultInput})
		}
		if dev.Outputs > 0 {
			speakers = append(speakers, tui.Device{Name: dev.Key(), Default: dev.DefaultOutput})
		}
	}
	return slices.Concat(microphones, speakers), nil
}

// Use switches to a device; an empty name means the system's.
func (d *desk) Use(dev tui.Device) error {
	if dev.Microphone {
		return d.voice.SetMicrophone(dev.Name)
	}
	return d.voice.SetSpeaker(dev.Name)
}

// windowLength is over how long the figures on the screen are taken, and
// windowStep how often they are.
const (
	windowLength = 5 * time.Second
	windowStep   = 500 * time.Millisecond
)

// window is what came of a peer lately.
type window struct {
	joined  time.Time
	moments []moment

	delay           time.Duration // of the voice that was heard last, in the jitter buffer
	loss, concealed float64       // shares; negative where there was nothing
	bitsIn, bitsOut float64       // per second
}

// moment is what had come of a peer at one moment.
type moment struct {
	at                time.Time
	jitter            jitter.Stats
	bytesIn, bytesOut uint64
}

// add takes a look, and says what changed since one of five seconds ago.
func (w *window) add(p *session.PeerStats, now time.Time) {
	m := moment{now, p.Jitter, p.BytesIn, p.BytesOut}
	if n := len(w.moments); n == 0 || now.Sub(w.moments[n-1].at) >= windowStep {
		w.moments = append(w.moments, m)
	}
	for len(w.moments) > 1 && now.Sub(w.moments[1].at) >= windowLength {
		w.moments = w.moments[1:]
	}
	first := w.moments[0]
	j, f := m.jitter, first.jitter
	w.loss = ratio(j.Lost-f.Lost, j.Expected-f.Expected)
	played, concealed := j.PlayedSamples-f.PlayedSamples, j.ConcealedSamples-f.ConcealedSamples
	w.concealed = min(1, ratio(concealed+j.DiscardedSamples-f.DiscardedSamples, played+concealed))
	if played >= audio.SampleRate/10 {
		w.delay = (j.DelaySum - f.DelaySum) / time.Duration(played)
	}
	if s := now.Sub(first.at).Seconds(); s >= windowStep.Seconds() {
		w.bitsIn, w.bitsOut = 8*float64(m.bytesIn-first.bytesIn)/s, 8*float64(m.bytesOut-first.bytesOut)/s
	}
}

// ratio is a share; negative if there is nothing to have a share of.
func ratio(part, whole uint64) float64 {
	if whole == 0 {
		return -1
	}
	return float64(part) / float64(whole)
}
