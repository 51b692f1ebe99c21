package session

import (
	"time"

	"github.com/parley-voice/parley/audio/jitter"
	"github.com/parley-voice/parley/p2p/link"
	"github.com/parley-voice/parley/session/wire"
)

// Loss is what the network lost on the first try: lanes bring most of it back, but
// a round trip late.
const (
	lossWeight = 0.1   // of a new report in the smoothed loss; the first ones weigh more
	lossLeast  = 0.002 // what is less is none

	// lossAtFirst is taken for granted until there were surelyReports: the first
	// words should be understood too.
	lossAtFirst   = 0.02
	surelyReports = 2
	// knownReports are needed to tell how much is lost, and so what QUIC will bear.
	knownReports = 10
)

// reportState is the history of reports between us and one peer, both ways.
type reportState struct {
	sentAt time.Time // ours
	before jitter.Stats
	calm   int // reports of ours in a row in which nothing was lost

	reports int
	loss    float64 // smoothed, as the peer reports it
	last    lossReport
	waiting waiting
	carries congestion
	trial   trial     // of whether that is why it loses
	through float64   // kb/s that got through when the trial began
	path    link.Path // now
	start   easyStart
	wants   float64 // kb/s that it would be sent if there was no other
}

// lossReport is what a peer last said of our voice.
type lossReport struct {
	network     float64 // share of packets lost on the first try
	unrecovered float64 // share of packets concealed
	burst       float64 // mean length of a run of losses, in packets
	jitter      time.Duration
}

// calmReports in a row without a loss are followed by half as many as long as
// nothing is lost: with what they cause they are a thirtieth of a clean call's bytes.
const calmReports = 20

// sendReport tells a talker every reportInterval how its voice arrives.
// Silence is not reported.
func (c *conversation) sendReport(p *peer, now time.Time) {
	p.mu.Lock()
	r := &p.report
	if !p.greeting.announced || now.Sub(r.sentAt) < reportInterval {
		p.mu.Unlock()
		return
	}
	st := p.player.jitterStats()
	before := r.before
	lost := st.Lost != before.Lost || st.Missing != before.Missing
	if !lost && r.calm >= calmReports && now.Sub(r.sentAt) < 2*reportInterval {
		p.mu.Unlock()
		return
	}
	expected := st.Expected - before.Expected
	switch {
	case lost:
		r.calm = 0
	case expected > 0:
		r.calm++
	}
	r.sentAt, r.before = now, st
	fixed := p.remote.captureDelay + c.speaker.latency()
	p.mu.Unlock()
	if rtt := c.transport.Path(p.id).RTT; rtt > 0 {
		p.player.setPathDelay(fixed + rtt/2)
	}
	if expected == 0 {
		return
	}
	c.sendControl(p, &wire.Control{Kind: &wire.Control_Report{Report: &wire.Report{
		Expected:       uint32(expected),
		NetworkLost:    uint32(st.Lost - before.Lost),
		Unrecovered:    uint32(st.Missing - before.Missing),
		BurstLengthX10: uint32(st.Burst*10 + 0.5),
		JitterUs:       uint32(st.Jitter / time.Microsecond),
		BufferUs:       uint32(st.Delay / time.Microsecond),
	}}})
}

// heardReport takes note of how our voice arrives.
func (c *conversation) heardReport(p *peer, r *wire.Report) {
	expected := r.GetExpected()
	if expected == 0 || r.GetNetworkLost() > expected {
		c.control.malformed.Add(1)
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.report.heard(lossReport{
		network:     float64(r.GetNetworkLost()) / float64(expected),
		unrecovered: min(1, float64(r.GetUnrecovered())/float64(expected)),
		burst:       float64(r.GetBurstLengthX10()) / 10,
		jitter:      time.Duration(r.GetJitterUs()) * time.Microsecond,
	})
}

func (st *reportState) heard(last lossReport) {
	st.last = last
	st.waiting.report(last.jitter)
	st.reports++
	st.loss += max(lossWeight, 1/float64(st.reports+1)) * (st.last.network - st.loss)
}

// adapt decides what every listener gets from now on. What is in the way of one is
// no reason to give another one less, but what is in the way of all is.
func (c *conversation) adapt(now time.Time) {
	speaking := c.capture.speaking.Load()
	c.uplink.begin()
	for _, p := range c.roster.list() {
		c.look(p, now, speaking)
	}
	c.uplink.look(now, speaking)
	for _, p := range c.roster.list() {
		c.replan(p, now)
	}
}

// look takes note of how packets get to a listener. Where all wait, it is not for
// this one to send less.
func (c *conversation) look(p *peer, now time.Time, speaking bool) {
	path, queue := c.transport.Path(p.id), c.transport.Stats(p.id).Queue
	p.mu.Lock()
	defer p.mu.Unlock()
	st := &p.report
	st.path = path
	if !p.greeting.announced || p.listener.wants.Load() != wantsVoice {
		return
	}
	f := c.capture.format.on(path, p.remote.bundles)
	r := f.rates(unpackPlan(p.listener.plan.Load()))
	r.loss = st.loss
	waits := st.waiting.queue(now, path, queue, p.player.jitterStats().Jitter)
	if speaking {
		st.hear(now, max(0, waits-c.uplink.queue), r)
	}
	st.begins(now, waits, speaking, r)
	// The jitter that one reports must not hide the queue that all share.
	c.uplink.add(member{queue: queue, rtt: path.RTT, loss: st.last.network, rates: r, wants: st.wants})
}

// hear looks at what is lost on a way, and at how long it waits there beyond what all do.
// In a trial half is sent, with copies if they fit in: losses may have other reasons.
func (st *reportState) hear(now time.Time, queue time.Duration, r rates) {
	if st.trial.underway() {
		switch st.trial.goOn(now, trialLonger, st.last.network) {
		case trialGoesOn:
			return
		case trialShowed:
			r.sending = st.through
			st.carries.fall(now, queue, r)
			return
		case trialDisproved: // all is as it was
		}
	}
	known := !st.path.Ordered && st.start.over && st.reports >= knownReports && r.sending > r.little
	raised := st.trial.showed && st.carries.raisedLately(now)
	suspicious := known && st.trial.suspects(now, queue, raised, st.loss)
	if st.trial.begins(now, suspicious, raised, st.loss) {
		st.through = r.sending * (1 - st.loss)
	}
	st.carries.look(now, queue, st.path.RTT, r)
}

// moved forgets what was found out about the way of before.
func (st *reportState) moved() {
	st.carries, st.trial, st.waiting = newCongestion(), trial{}, waiting{}
}

// begins looks at how a start with little goes. After a queue what was lost until
// then was too much, and tells nothing of the way.
func (st *reportState) begins(now time.Time, queue time.Duration, speaking bool, r rates) {
	if !st.start.look(now, st.path, queue, speaking) {
		return
	}
	if st.start.hard {
		st.carries.climb(now, r.sending)
	} else {
		st.carries.raisedFrom(now, r.sending)
	}
	if st.start.waited {
		st.loss, st.carries.cut = 0, now
	}
}

// replan decides what a listener gets from now on.
func (c *conversation) replan(p *peer, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	st := &p.report
	present := unpackPlan(p.listener.plan.Load())
	f := c.capture.format.on(st.path, p.remote.bundles)
	n := st.network(now, f.rate(little), c.uplink.shared.suspected(now))
	next := f.choose(n, present)
	st.wants = f.rate(next)
	if c.uplink.share < st.wants {
		n.limit = c.uplink.share
		next = f.choose(n, present)
	}
	if c.cfg.NoCopies {
		next = next.bare()
	}
	p.listener.plan.Store(next.pack())
}

// network is what is known of the way to a listener, to whom no more than little kb/s
// are sent at first. full says that our own link may be the reason of losses.
func (st *reportState) network(now time.Time, little float64, full bool) network {
	n := network{loss: st.loss, burst: st.last.burst, rtt: st.path.RTT, limit: st.carries.allowed(), young: st.reports < knownReports}
	if !st.start.over {
		n.limit = min(n.limit, little)
	}
	if st.trial.underway() {
		n.limit = min(n.limit, max(trialShare*st.through, little))
	}
	switch {
	case full, st.carries.suspected(now):
		n.loss = 0 // copies would make it worse
	case st.path.Ordered:
		n.loss = 0 // what the network lost comes before any copy, and what we didn't send was too much
	case st.reports < surelyReports:
		n.loss = max(n.loss, lossAtFirst)
	case n.loss < lossLeast:
		n.loss = 0
	}
	return n
}

// easyStart has as little as possible sent at first where more might be too much:
// through a relay, where what was written to a circuit can't be taken back, and where
// the round trip is long, which may be for a queue that the start of the connection
// left on a narrow link. How long it is without a queue, by which a queue is known,
// shows only while there is none.
type easyStart struct {
	over  bool
	hard  bool      // a direct way whose round trip is long
	relay bool      // it is that of a way through a relay
	since time.Time // since when we speak and nothing waits; zero if something does

	began  time.Time     // when it was looked at first while we spoke
	rtt    time.Duration // the shortest round trip since; 0 until one is known
	waited bool          // there was a queue before it was over
}

const (
	// quickRTT is the round trip up to which nothing of note waits on a direct way: a
	// queue of ten packets takes as long at 200 kb/s.
	quickRTT = 80 * time.Millisecond
	// clearRTT is the same once it was longer, as it is where the first answer had to
	// be sent twice: of few small packets none waits so little on a narrow link.
	clearRTT = 75 * time.Millisecond
	// easyProof is how long nothing must wait on one whose round trip is longer: for
	// it to be known whether anything gets lost too.
	easyProof = 1500 * time.Millisecond
	// easyShorter is by how much a round trip gets shorter while a queue goes that
	// was there before the first one was measured.
	easyShorter = 10 * time.Millisecond
	// easyUnknown is how long the first round trip is waited for: one who never
	// answers should be heard well too.
	easyUnknown = 3 * time.Second
)

// look takes note of how long packets wait, and whether we speak, and reports whether
// this ends an easy start.
func (e *easyStart) look(now time.Time, path link.Path, queue time.Duration, speaking bool) (ends bool) {
	relayed := path.Kind == link.Relayed
	known := path.RTT > 0
	if relayed && !e.relay {
		*e = easyStart{relay: true} // whatever the direct way was like
	}
	proof, quick := uplinkProof, quickRTT
	if !relayed && known {
		proof = easyProof
	}
	if e.began.IsZero() && speaking {
		e.began = now
	}
	shorter := known && path.RTT < e.rtt-easyShorter
	if shorter || e.rtt == 0 {
		e.rtt = path.RTT
	}
	if e.hard {
		quick = clearRTT
	}
	e.waited = e.waited || !e.over && queue > queueMost
	switch {
	case e.over:
	case !relayed && known && path.RTT <= quick:
		e.over = true
	case !speaking, relayed && !known, !known && now.Sub(e.began) < easyUnknown, shorter && !relayed, queue > queueMost/2:
		e.since = time.Time{}
	case e.since.IsZero():
		e.since, e.hard = now, known && !relayed
	case now.Sub(e.since) >= proof:
		e.over, ends = true, true
	}
	return ends
}
