package session

import (
	"sync"
	"time"

	"github.com/parley-voice/parley/audio"
	"github.com/parley-voice/parley/identity"
	"github.com/parley-voice/parley/p2p/link"
)

// peer is one other participant, from PeerJoined to PeerLeft.
type peer struct {
	id       identity.PeerID
	joined   time.Time
	settings *peerSettings
	listener listener    // as one who hears us
	input    audio.Input // its place in the mix
	player   *player     // as one whom we hear; has a lock of its own
	hearing  hearing     // runPlayback's
	inbox    inbox       // the transport's
	outbox   outbox      // messages to it; has a lock of its own, and mu

	mu       sync.Mutex // guards what follows
	path     link.Path
	epoch    uint64 // that greeting is of
	greeting greeting
	remote   remoteState
	report   reportState
	rooms    peerRooms
	near     nearness
	shared   sharing
	verdicts verdicts
	rulings  rulings   // what it knows of what moderators decided
	letters  letters   // what it sends of messages
	reached  bool      // what we say goes to it, if it can
	gone     string    // why it took leave; empty if it didn't
	told     PeerState // what the application was last told of it
	toldRec  bool      // and that it records
	sought   bool      // the application knows whether it was reached
}

// greeting is how far the two hellos of the present epoch have come.
type greeting struct {
	helloDue     bool // ours is to be sent
	stateDue     bool // our state changed after it
	sent         bool
	received     bool
	incompatible string // why we can't talk; empty if we can
	announced    bool   // PeerReachable was sent, and no PeerUnreachable since
	over         bool   // it took leave: nothing more of this epoch counts
}

// remoteState is what the peer says of itself.
type remoteState struct {
	name         string
	muted        bool
	deafened     bool
	captureDelay time.Duration
	recording    bool
	messages     bool // it takes texts and data
	bundles      bool // and more than two frames in a voice packet
}

func newPeer(c *conversation, id identity.PeerID, set *peerSettings) (*peer, error) {
	pl, err := newPlayer(c.cfg.Codec, c.cfg.Jitter)
	if err != nil {
		return nil, err
	}
	p := &peer{
		id:       id,
		joined:   time.Now(),
		settings: set,
		player:   pl,
		path:     link.Path{Reason: "not connected"},
		told:     PeerState{Peer: id},
		report:   reportState{carries: newCongestion()},
	}
	c.readdress(p)
	return p, nil
}

func (p *peer) tookLeave() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.greeting.over
}

// upLocked tells whether we can talk to the peer: both sides greeted, understand
// each other, and there is a way.
func (p *peer) upLocked() bool {
	g := &p.greeting
	return g.sent && g.received && g.incompatible == "" && p.path.Kind != link.None
}

// wantsLocked decides what the peer is sent of our voice.
func (p *peer) wantsLocked() int32 {
	switch {
	case !p.upLocked():
		return wantsNothing
	case p.remote.deafened, !p.reached:
		return wantsEnd
	}
	return wantsVoice
}

// seekPatience is for how long a peer is looked for until the application is told
// that it can't be reached: longer than hole punching takes.
const seekPatience = 10 * time.Second

// missed reports, once, that the peer could not be reached in that time.
func (p *peer) missed(now time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.sought || now.Sub(p.joined) < seekPatience {
		return false
	}
	p.sought = true
	return p.path.Kind == link.None && !p.greeting.over
}

// updateLocked sets what follows from greeting, path and state, and returns
// the events to send, if any, once the lock is gone.
func (p *peer) updateLocked() (events []Event) {
	g := &p.greeting
	up := p.upLocked()
	p.listener.wants.Store(p.wantsLocked())
	switch {
	case up && !g.announced:
		g.announced, p.sought = true, true
		p.gone = ""
		events = append(events, PeerReachable{Peer: p.id, Name: p.remote.name, Path: p.path})
	case !up && g.announced:
		g.announced = false
		if p.path.Kind == link.None {
			events = append(events, PeerUnreachable{Peer: p.id, Reason: p.path.Reason})
		}
	}
	now := PeerState{Peer: p.id, Muted: p.remote.muted, Deafened: p.remote.deafened}
	if g.announced && now != p.told {
		p.told = now
		events = append(events, now)
	}
	if g.announced && p.remote.recording != p.toldRec {
		p.toldRec = p.remote.recording
		events = append(events, PeerRecording{Peer: p.id, Recording: p.toldRec})
	}
	p.hearing.understood.Store(g.received && g.incompatible == "")
	if g.received {
		p.hearing.ungreeted.Store(0)
	}
	p.hearing.announced.Store(g.announced)
	return events
}
