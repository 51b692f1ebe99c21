package pipe

import (
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/parley-voice/parley/identity"
	"github.com/parley-voice/parley/p2p/link"
)

const (
	unreachableAfter = 2500 * time.Millisecond // without a sign of life

	reasonWaiting  = "no answer yet"
	reasonLeft     = "the peer left"
	reasonSilent   = "no answer for 2.5 s"
	reasonKeys     = "the keys could not be renewed"
	reasonInsecure = "not encrypted: who carries the messages can hear and change them"
)

// pair is what a transport knows of a peer that it joined, from Join to Leave and a
// little longer. The transport's mutex guards it.
type pair struct {
	t     *Transport
	id    identity.PeerID
	inbox *inbox
	wake  chan struct{} // something is to be sent
	done  chan struct{} // closed when runSend has returned

	mine, far uint64 // epochs; far is 0 before the first contact
	up        bool   // there is a path
	ended     bool   // the far end has left this epoch
	left      bool   // by Leave or Close: control is sent until flushBy
	flushBy   time.Time
	kind      link.Kind // of the path when there is one
	remote    string
	since     time.Time
	reason    string    // why there is no path
	heard     time.Time // the last sign of life

	contact

	voice  voiceQueue
	out    outgoing
	in     incoming
	seen   window
	seenAt time.Time // when its top arrived
	flight flight
	stats  link.Stats

	schedule
	plain [maxPlain]byte
	wire  [MaxMessage]byte
}

func (t *Transport) newPair(id identity.PeerID, now time.Time) *pair {
	p := &pair{
		t: t, id: id,
		wake: make(chan struct{}, 1), done: make(chan struct{}),
		kind: t.cfg.Kind, since: now, reason: reasonWaiting,
	}
	p.initiator = t.cfg.Self < id
	p.budget = maxHandshakes
	for p.mine == 0 {
		p.mine = rand.Uint64()
	}
	return p
}

// wakeLocked has runSend look for something to send.
func (p *pair) wakeLocked() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// metLocked says that a handshake showed the far end to be there in this epoch.
func (p *pair) metLocked(far uint64, now time.Time) {
	if far != p.far {
		p.renewLocked(far)
	}
	p.heard, p.greeted, p.ended = now, false, false
	if !p.up {
		p.upLocked(now)
	}
}

// renewLocked begins a new epoch of the far end: nothing of the one before counts.
func (p *pair) renewLocked(far uint64) {
	if p.far != 0 {
		p.out = outgoing{}
	}
	for _, b := range p.in.early {
		p.t.recycleLocked(b)
	}
	p.inbox.purgeLocked(p)
	p.far, p.up = far, false
	p.in, p.seen, p.flight = incoming{}, window{}, flight{}
	p.dropVoiceLocked()
	p.current, p.next, p.previous, p.confirmation = nil, nil, nil, nil
}

func (p *pair) upLocked(now time.Time) {
	p.up, p.reason, p.since = true, "", now
	p.stats.PathChanges++
	p.flight.restart()
	p.out.hurry()
	p.tellPathLocked()
	p.wakeLocked()
}

// downLocked says that the path is lost, or why there is none.
func (p *pair) downLocked(reason string, now time.Time) {
	if !p.up && p.reason == reason {
		return
	}
	if p.up {
		p.stats.PathChanges++
		p.tries, p.tryAt = 0, now
	}
	p.dropVoiceLocked()
	p.up, p.reason, p.since = false, reason, now
	p.tellPathLocked()
	p.wakeLocked()
}

// leaveLocked ends the pair: nothing is delivered from here on but a call that is
// under way. What control was sent before still leaves until flushBy, and then a
// word of leave.
func (p *pair) leaveLocked(now time.Time) {
	t := p.t
	delete(t.pairs, p.id)
	p.left, p.flushBy = true, now.Add(link.FlushTimeout)
	p.voice.count = 0
	p.out.push(nil, true)
	p.out.hurry()
	p.inbox.purgeLocked(p)
	before := t.leaving[p.id]
	if len(before) >= maxLeaving {
		before[0].flushBy = now
		before[0].wakeLocked()
	}
	t.leaving[p.id] = append(before, p)
	p.wakeLocked()
}

// overLocked forgets a left pair that has nothing to say any more.
func (p *pair) overLocked() {
	left := p.t.leaving[p.id]
	for i, other := range left {
		if other == p {
			left = append(left[:i:i], left[i+1:]...)
			break
		}
	}
	if p.t.leaving[p.id] = left; len(left) == 0 {
		delete(p.t.leaving, p.id)
	}
	for _, b := range p.in.early {
		p.t.recycleLocked(b)
	}
	p.in = incoming{}
}

func (p *pair) dropVoiceLocked() {
	p.stats.VoiceDropped += uint64(p.voice.count)
	p.voice.count = 0
}

func (p *pair) tellPathLocked() {
	if !p.left {
		p.inbox.putLocked(delivery{what: tellPath, pair: p, epoch: p.far, path: p.pathLocked()})
	}
}

func (p *pair) pathLocked() link.Path {
	path := link.Path{Epoch: p.far, Since: p.since, Reason: p.reason}
	if !p.up {
		return path
	}
	path.Kind, path.Remote, path.Transport = p.kind, p.remote, p.t.cfg.Name
	path.Lanes, path.RTT = 1, p.flight.srtt
	if p.t.cfg.Insecure {
		path.Reason = reasonInsecure
	} else {
		path.Security = "noise"
	}
	return path
}

// tellingLocked takes account of a call of the Handler that begins.
func (p *pair) tellingLocked(d delivery) {
	switch d.what {
	case tellVoice:
		p.stats.VoiceReceived++
	case tellControl:
		p.stats.ControlReceived++
	case tellPath, tellKnock:
	}
}

// takenLocked says that the Handler has taken a control message: only now does it
// cost the sender nothing any more.
func (p *pair) takenLocked(d delivery) {
	if p.left || d.epoch != p.far {
		return
	}
	p.in.delivered++
	p.ackAt = time.Now()
	p.wakeLocked()
}

func (p *pair) queueVoiceLocked(b []byte, now time.Time) error {
	switch {
	case !p.up:
		return fmt.Errorf("%w: %s", link.ErrNoPath, p.reason)
	case !p.flight.mayTalk(now):
		return link.ErrCongested
	}
	if p.voice.push(b, now) {
		p.stats.VoiceDropped++
	}
	p.wakeLocked()
	return nil
}
