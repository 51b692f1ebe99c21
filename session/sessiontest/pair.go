package sessiontest

import (
	"time"

	"github.com/parley-voice/parley/identity"
	"github.com/parley-voice/parley/p2p/link"
)

// pair is what a transport knows of a peer that it joined. Guarded by the
// network's mutex.
type pair struct {
	t      *Transport
	peer   identity.PeerID
	remote string
	inbox  *inbox

	mine, far uint64 // epochs; far is 0 before the first contact
	up        bool   // there is a path
	isLeft    bool
	leftAt    time.Time
	since     time.Time
	reason    string // why there is no path
	attempts  int    // refusals in a row
	retrying  bool   // a retry is under way

	pending       []*packet // control that waits for a path
	onTheWay      int       // control messages that were sent and aren't acknowledged
	queuedBytes   int       // of both
	wayBytes      []int     // sizes of those on the way
	number        uint64    // of the voice message sent last
	seen          window
	inflight      []time.Time // when the voice messages on the way will be acknowledged
	lastCongested time.Time   // when a probe was last written through a cut
	stats         link.Stats
}

// retryDelays is how long after each refusal in a row a pair asks again.
var retryDelays = [...]time.Duration{
	500 * time.Millisecond, time.Second, 2 * time.Second, 4 * time.Second, 8 * time.Second, 10 * time.Second,
}

func (t *Transport) newPairLocked(peer identity.PeerID) *pair {
	p := &pair{t: t, peer: peer, remote: "memory/" + peer.String(), since: time.Now(), reason: "no answer yet"}
	for p.mine == 0 {
		p.mine = t.rand.Uint64()
	}
	return p
}

func (p *pair) packetLocked(k kind) *packet {
	m := p.t.net.newPacketLocked(k, p.t.self, p.peer)
	m.src, m.dst, m.pair = p.mine, p.far, p
	return m
}

// sendHelloLocked says who we are and, if there is a path, whom we know there.
// A far end that we don't know, or that left, is asked to answer.
func (p *pair) sendHelloLocked() {
	m := p.packetLocked(kindHello)
	if !p.up {
		m.dst = 0
	}
	p.t.net.sendReliableLocked(m)
}

func (p *pair) retryLocked() {
	if p.retrying {
		return
	}
	p.retrying = true
	delay := retryDelays[min(p.attempts, len(retryDelays)-1)]
	p.attempts++
	p.t.net.afterLocked(delay, func() {
		p.retrying = false
		if !p.up && !p.isLeft {
			p.sendHelloLocked()
		}
	})
}

// upLocked says that there is a path to epoch far.
func (p *pair) upLocked(far uint64) {
	if far != p.far {
		if p.far != 0 {
			p.dropQueuedLocked()
		}
		p.far, p.seen, p.number = far, window{}, 0
	}
	p.up, p.attempts, p.reason = true, 0, ""
	p.inflight = p.inflight[:0]
	p.since = time.Now()
	p.stats.PathChanges++
	p.tellPathLocked()
	pending := p.pending
	p.pending = nil
	// What is sent here follows the hello that the far end needs first,
	// because callers send theirs before or the far end knows us already.
	if len(pending) > 0 {
		p.sendHelloLocked()
	}
	for _, m := range pending {
		p.sendPendingLocked(m)
	}
}

// downLocked says that the path is lost.
func (p *pair) downLocked(reason string) {
	if !p.up && p.reason == reason {
		return
	}
	if p.up {
		p.stats.PathChanges++
	}
	p.up, p.reason = false, reason
	p.since = time.Now()
	p.tellPathLocked()
}

// leaveLocked ends the pair: nothing is delivered from here on but a call that
// is under way.
func (p *pair) leaveLocked(now time.Time) {
	n := p.t.net
	p.isLeft, p.leftAt = true, now
	delete(p.t.pairs, p.peer)
	for _, m := range p.pending {
		n.recycleLocked(m)
	}
	p.pending = nil
	n.sendReliableLocked(p.packetLocked(kindLeave))
	p.up = false
	p.inbox.purgeLocked(p)
}

// flushEndedLocked reports whether what the pair sent before it was left may
// not leave any more.
func (p *pair) flushEndedLocked(now time.Time) bool {
	return p.isLeft && now.Sub(p.leftAt) > link.FlushTimeout
}

func (p *pair) tellPathLocked() {
	path := p.pathLocked()
	p.inbox.putLocked(delivery{pair: p, what: whatPath, path: path})
}

func (p *pair) pathLocked() link.Path {
	path := link.Path{Epoch: p.far, Since: p.since, Reason: p.reason}
	if p.up {
		out, back := p.edgesLocked()
		path.Kind, path.Lanes = out.cfg.Kind, out.cfg.Lanes
		path.Transport = "memory"
		path.Remote = p.remote
		path.RTT = max(out.cfg.Delay+back.cfg.Delay, time.Microsecond) // 0 is unknown
	}
	return path
}

func (p *pair) statsLocked(now time.Time) link.Stats {
	s := p.stats
	s.VoiceUnacked = p.unackedLocked(now)
	return s
}

func (p *pair) edgesLocked() (out, back *edge) {
	n := p.t.net
	return n.edgeLocked(p.t.self, p.peer), n.edgeLocked(p.peer, p.t.self)
}
