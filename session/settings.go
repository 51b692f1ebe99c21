package session

import (
	"cmp"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/parley-voice/parley/audio"
	"github.com/parley-voice/parley/audio/spatial"
	"github.com/parley-voice/parley/identity"
)

// Tap takes the audio of one peer as it was decoded, before volume and mute,
// 10 ms at a time for as long as the peer takes part, silence included. The
// block is valid during the call only. It is called from the playback
// goroutine and must return quickly.
type Tap func(*audio.Block)

// peerSettings is what the application wants of a peer. It outlives the peer's
// stay: a peer that comes back is as loud as it was.
type peerSettings struct {
	present bool // the peer takes part; guarded by Session.mu
	blocked atomic.Bool

	mu      sync.Mutex // guards what follows
	muted   bool
	volume  float32
	taps    []*Tap     // replaced, never changed in place
	readers []*PeerPCM // replaced, never changed in place

	// What follows ends with the stay.
	placed bool
	pose   spatial.Pose // as the application says, if placed
	told   claimed      // as the peer says
}

// change makes f change the settings of a peer.
func (s *Session) change(id identity.PeerID, f func(*peerSettings)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	set := s.settingsLocked(id)
	set.mu.Lock()
	f(set)
	set.mu.Unlock()
	s.forgetLocked(id)
}

// enlist returns the settings of a peer that takes part from now on.
func (s *Session) enlist(id identity.PeerID) *peerSettings {
	s.mu.Lock()
	defer s.mu.Unlock()
	set := s.settingsLocked(id)
	set.present = true
	return set
}

// delist notes that peers take part no more.
func (s *Session) delist(ids ...identity.PeerID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, id := range ids {
		if set := s.settings[id]; set != nil {
			set.leave()
			s.forgetLocked(id)
		}
	}
}

// leave ends the peer's stay.
func (set *peerSettings) leave() {
	set.present = false
	set.mu.Lock()
	defer set.mu.Unlock()
	set.placed, set.pose, set.told = false, spatial.Pose{}, claimed{}
}

func (s *Session) settingsLocked(id identity.PeerID) *peerSettings {
	set := s.settings[id]
	if set == nil {
		set = &peerSettings{volume: 1}
		s.settings[id] = set
	}
	return set
}

// forgetLocked keeps nothing of a peer that is away and that the application
// has no wish for.
func (s *Session) forgetLocked(id identity.PeerID) {
	set := s.settings[id]
	set.mu.Lock()
	defer set.mu.Unlock()
	if !set.present && !set.muted && !set.blocked.Load() && set.volume == 1 && len(set.taps) == 0 && !set.placed && len(set.readers) == 0 {
		delete(s.settings, id)
	}
}

// wanted returns whether a peer is silenced here, and its volume.
func (s *Session) wanted(id identity.PeerID) (muted bool, volume float32) {
	s.mu.Lock()
	defer s.mu.Unlock()
	set := s.settings[id]
	if set == nil {
		return false, 1
	}
	set.mu.Lock()
	defer set.mu.Unlock()
	return set.muted, set.volume
}

// SetPeerMuted silences one peer here, without telling anybody. It holds until
// it is taken back, also while the peer is away.
func (s *Session) SetPeerMuted(id identity.PeerID, muted bool) {
	s.change(id, func(set *peerSettings) { set.muted = muted })
}

// PeerMuted reports whether a peer is silenced here.
func (s *Session) PeerMuted(id identity.PeerID) bool {
	muted, _ := s.wanted(id)
	return muted
}

// SetPeerVolume sets how loud one peer is here, 0 to audio.MaxGain (2); 1 is as
// it speaks. It holds until it is changed, also while the peer is away.
func (s *Session) SetPeerVolume(id identity.PeerID, volume float32) {
	if volume != volume {
		return
	}
	s.change(id, func(set *peerSettings) { set.volume = min(max(volume, 0), audio.MaxGain) })
}

// PeerVolume is the volume of a peer as set.
func (s *Session) PeerVolume(id identity.PeerID) float32 {
	_, volume := s.wanted(id)
	return volume
}

// PeerSetting is what is set for one peer, whether it takes part or not.
type PeerSetting struct {
	ID      identity.PeerID
	Volume  float32 // 0 to audio.MaxGain; 1 is as it speaks
	Muted   bool
	Blocked bool
}

// PeerSettings returns what is set for all peers for whom that isn't the default,
// which are as many as the application has set, in order of their IDs.
func (s *Session) PeerSettings() (list []PeerSetting) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, set := range s.settings {
		set.mu.Lock()
		p := PeerSetting{ID: id, Volume: set.volume, Muted: set.muted, Blocked: set.blocked.Load()}
		set.mu.Unlock()
		if p != (PeerSetting{ID: id, Volume: 1}) {
			list = append(list, p)
		}
	}
	slices.SortFunc(list, func(a, b PeerSetting) int { return cmp.Compare(a.ID, b.ID) })
	return list
}

// TapPeer calls tap with all audio of a peer from now on, until the returned
// function is called, across Stop and Start. A call of tap may still be under
// way when that function returns.
func (s *Session) TapPeer(id identity.PeerID, tap Tap) (remove func()) {
	entry := &tap
	s.change(id, func(set *peerSettings) {
		set.taps = append(set.taps[:len(set.taps):len(set.taps)], entry)
	})
	return func() {
		s.change(id, func(set *peerSettings) {
			set.taps = slices.DeleteFunc(slices.Clone(set.taps), func(t *Tap) bool { return t == entry })
		})
	}
}

// playWish is how a peer is to be played.
type playWish struct {
	gain     float32
	taps     []*Tap
	readers  []*PeerPCM
	apart    bool // one of them has the voice for itself
	placed   bool
	position spatial.Vec // if placed
}

// now returns how the peer is to be played.
func (set *peerSettings) now() playWish {
	set.mu.Lock()
	defer set.mu.Unlock()
	w := playWish{gain: set.volume, taps: set.taps, readers: set.readers}
	w.position, w.placed = set.positionLocked()
	if set.muted || set.blocked.Load() {
		w.gain = 0
	}
	for _, r := range set.readers {
		w.apart = w.apart || r.exclusive
	}
	return w
}

// position is where the peer is, if that is known.
func (set *peerSettings) position() (at spatial.Vec, known bool) {
	set.mu.Lock()
	defer set.mu.Unlock()
	return set.positionLocked()
}

// positionLocked is where the application says that the peer is, or else where the
// peer does.
func (set *peerSettings) positionLocked() (at spatial.Vec, known bool) {
	if set.placed {
		return set.pose.Position, true
	}
	return set.told.at, set.told.known
}
