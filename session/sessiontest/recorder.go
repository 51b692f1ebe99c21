package sessiontest

import (
	"bytes"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/parley-voice/parley/identity"
	"github.com/parley-voice/parley/p2p/link"
)

// Sentences of the contract that more than one check relies on.
const (
	sayIntact   = "SendVoice: sends b; copies b"
	sayOnce     = "Handler.Voice: a message is delivered at most once"
	saySerial   = "Handler: calls that concern one peer are serial"
	sayFirst    = "Handler.PathChanged: no Voice or Control precedes the first PathChanged with a path"
	sayReason   = "Path.Reason: always set when Kind is None"
	sayEpoch    = "Path.Epoch: identifies the far end's join; changes when it joined anew"
	sayNewEpoch = "Handler.PathChanged: when the epoch differs, nothing that was received or sent before counts any more"
	sayLeft     = "Transport.Leave: after it returned nothing of that peer is delivered"
	sayClosed   = "Transport.Close: nothing is delivered after it returned"
	sayOrder    = "Handler.Control: in the order in which the peer sent them, none missing within one epoch"
	sayNoWait   = "Transport: none of the methods waits for the network"
	sayJoined   = "Handler.Voice, Control: of a joined peer"
	sayVoiceNow = "Transport.SendVoice: sends as soon as possible or not at all"
	sayPath     = "Transport.Join: a path to it is kept as well as the network allows"
)

// message is a voice or control message that was received.
type message struct {
	text  string
	epoch uint64 // of the path at that time
}

// recorder is the Handler of the suite. It writes down what it is told and
// judges what can be judged at once.
type recorder struct {
	mu       sync.Mutex
	peers    map[identity.PeerID]*heard
	silence  map[identity.PeerID]string // the sentence that a call would break now
	problems []string
	hook     func(identity.PeerID) // called within every call, without mu
}

// heard is what was told of one peer.
type heard struct {
	inCall         bool
	voice, control []message
	voices         map[string]bool
	paths          []link.Path
	path           link.Path
	had            bool // there was a path
	knocks         int
}

func newRecorder() *recorder {
	return &recorder{peers: make(map[identity.PeerID]*heard), silence: make(map[identity.PeerID]string)}
}

func (r *recorder) ofLocked(p identity.PeerID) *heard {
	h := r.peers[p]
	if h == nil {
		h = &heard{voices: make(map[string]bool)}
		r.peers[p] = h
	}
	return h
}

func (r *recorder) violateLocked(sentence, format string, args ...any) {
	if len(r.problems) < 5 {
		r.problems = append(r.problems, sentence+"\n\t"+fmt.Sprintf(format, args...))
	}
}

// enter begins a call, note says what it is told, and leave ends it.
func (r *recorder) call(p identity.PeerID, name string, note func(*heard)) {
	r.mu.Lock()
	h := r.ofLocked(p)
	if h.inCall {
		r.violateLocked(saySerial, "%s while another call for that peer was under way", name)
	}
	h.inCall = true
	r.judgeLocked(p, name)
	note(h)
	hook := r.hook
	r.mu.Unlock()
	if hook != nil {
		hook(p)
	}
	r.mu.Lock()
	h.inCall = false
	r.judgeLocked(p, name)
	r.mu.Unlock()
}

// judgeLocked reports a call where there must be silence.
func (r *recorder) judgeLocked(p identity.PeerID, name string) {
	if sentence := r.silence[p]; sentence != "" && (name != "Knock" || sentence == sayClosed) {
		r.violateLocked(sentence, "%s was called, or still ran", name)
	}
}

// Voice implements link.Handler.
func (r *recorder) Voice(p identity.PeerID, b []byte, at time.Time) {
	text := string(b)
	r.call(p, "Voice", func(h *heard) {
		if !h.had {
			r.violateLocked(sayFirst, "Voice of %d bytes before it", len(text))
		}
		if len(text) >= tagBytes && h.voices[text] {
			r.violateLocked(sayOnce, "%.40q came twice", text)
		}
		if age := time.Since(at); at.IsZero() || age < 0 || age > time.Hour {
			r.violateLocked("Handler.Voice: at is the time of arrival", "it is %v, %v ago", at, age)
		}
		h.voices[text] = true
		h.voice = append(h.voice, message{text, h.path.Epoch})
	})
	if !bytes.Equal(b, []byte(text)) {
		r.mu.Lock()
		r.violateLocked("Handler: bytes are valid during the call", "they changed in a call of Voice")
		r.mu.Unlock()
	}
}

// Control implements link.Handler.
func (r *recorder) Control(p identity.PeerID, b []byte) {
	text := string(b)
	r.call(p, "Control", func(h *heard) {
		if !h.had {
			r.violateLocked(sayFirst, "Control of %d bytes before it", len(text))
		}
		h.control = append(h.control, message{text, h.path.Epoch})
	})
	if !bytes.Equal(b, []byte(text)) {
		r.mu.Lock()
		r.violateLocked("Handler: bytes are valid during the call", "they changed in a call of Control")
		r.mu.Unlock()
	}
}

// PathChanged implements link.Handler.
func (r *recorder) PathChanged(p identity.PeerID, path link.Path) {
	r.call(p, "PathChanged", func(h *heard) {
		switch {
		case path.Kind == link.None && path.Reason == "":
			r.violateLocked(sayReason, "%+v", path)
		case path.Kind != link.None && path.Epoch == 0:
			r.violateLocked(sayEpoch, "a path without one: %+v", path)
		}
		h.had = h.had || path.Kind != link.None
		h.path = path
		h.paths = append(h.paths, path)
	})
}

// Knock implements link.Handler.
func (r *recorder) Knock(p identity.PeerID) {
	r.call(p, "Knock", func(h *heard) { h.knocks++ })
}

// mute makes every further call for the peer a violation of sentence, until
// unmute. A knock is none after Leave: whoever left isn't joined.
func (r *recorder) mute(p identity.PeerID, sentence string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.silence[p] = sentence
	if h := r.ofLocked(p); h.inCall {
		r.violateLocked(sentence, "a call for that peer is still under way")
	}
}

// unmute forgets what was told of a peer: it is about to be joined again.
func (r *recorder) unmute(p identity.PeerID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.silence, p)
	h := r.ofLocked(p)
	*h = heard{voices: h.voices, inCall: h.inCall}
}

func (r *recorder) setHook(hook func(identity.PeerID)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.hook = hook
}

// see returns a copy of what was told of a peer.
func (r *recorder) see(p identity.PeerID) heard {
	r.mu.Lock()
	defer r.mu.Unlock()
	h := *r.ofLocked(p)
	h.voices = nil
	h.voice, h.control, h.paths = slices.Clone(h.voice), slices.Clone(h.control), slices.Clone(h.paths)
	return h
}

// path returns the path that was told last.
func (r *recorder) path(p identity.PeerID) link.Path {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.ofLocked(p).path
}

// controls returns how many control messages were received.
func (r *recorder) controls(p identity.PeerID) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.ofLocked(p).control)
}

// heardAny reports whether one of these voice messages was received.
func (r *recorder) heardAny(p identity.PeerID, texts []string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	voices := r.ofLocked(p).voices
	return slices.ContainsFunc(texts, func(text string) bool { return voices[text] })
}

// has reports whether a message is among what was received.
func has(received []message, text string) bool {
	return slices.ContainsFunc(received, func(m message) bool { return m.text == text })
}

func (r *recorder) violations() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.problems)
}
