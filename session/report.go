package session

import (
	"time"

	"github.com/parley-voice/parley/audio/jitter"
	"github.com/parley-voice/parley/session/wire"
)

// When copies are sent. Loss is what the network lost on the first try: lanes
// bring most of it back, but a round trip late.
const (
	copiesFrom  = 0.01             // reported loss from which one copy is sent along
	copiesUntil = 0.005            // smoothed loss below which it is left out again,
	copiesHold  = 10 * time.Second // if it has been so for this long
	lossWeight  = 0.1              // of a new report in the smoothed loss; the first ones weigh more
)

// reportState is the history of reports between us and one peer, both ways.
type reportState struct {
	sentAt time.Time // ours
	before jitter.Stats

	reports  int
	loss     float64   // smoothed, as the peer reports it
	lowSince time.Time // since when loss is below copiesUntil; zero if it isn't
	last     lossReport
}

// lossReport is what a peer last said of our voice.
type lossReport struct {
	network     float64 // share of packets lost on the first try
	unrecovered float64 // share of packets concealed
	burst       float64 // mean length of a run of losses, in packets
	jitter      time.Duration
}

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
	r.sentAt, r.before = now, st
	fixed := p.remote.captureDelay + c.speaker.latency()
	p.mu.Unlock()
	if rtt := c.transport.Path(p.id).RTT; rtt > 0 {
		p.player.setPathDelay(fixed + rtt/2)
	}
	expected := st.Expected - before.Expected
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

// heardReport decides what this one listener gets from now on.
func (c *conversation) heardReport(p *peer, r *wire.Report) {
	expected := r.GetExpected()
	if expected == 0 || r.GetNetworkLost() > expected {
		c.control.malformed.Add(1)
		return
	}
	now := time.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	st := &p.report
	st.last = lossReport{
		network:     float64(r.GetNetworkLost()) / float64(expected),
		unrecovered: min(1, float64(r.GetUnrecovered())/float64(expected)),
		burst:       float64(r.GetBurstLengthX10()) / 10,
		jitter:      time.Duration(r.GetJitterUs()) * time.Microsecond,
	}
	st.reports++
	st.loss += max(lossWeight, 1/float64(st.reports+1)) * (st.last.network - st.loss)
	if c.cfg.NoCopies {
		return
	}
	p.listener.copies.Store(st.copyOffset(now, p.listener.copies.Load()))
}

// copyOffset returns how many packets back the copy should reach, 0 for no
// copy. The offset follows the burst length, so that one burst seldom takes a
// packet and its copy.
func (st *reportState) copyOffset(now time.Time, present int32) int32 {
	if st.loss >= copiesUntil {
		st.lowSince = time.Time{}
	} else if st.lowSince.IsZero() {
		st.lowSince = now
	}
	switch {
	case st.loss >= copiesFrom:
	case present == 0:
		return 0
	case !st.lowSince.IsZero() && now.Sub(st.lowSince) >= copiesHold:
		return 0
	}
	return int32(min(max(st.last.burst+0.5, 1), wire.MaxOffset))
}
