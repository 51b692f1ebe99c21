package session

import (
	"time"

	"github.com/parley-voice/parley/audio"
	"github.com/parley-voice/parley/audio/emodel"
	"github.com/parley-voice/parley/audio/jitter"
	"github.com/parley-voice/parley/identity"
	"github.com/parley-voice/parley/p2p/link"
)

// Stats is what a session knows of itself at one moment. Counters are totals
// since Start.
type Stats struct {
	Started        bool
	Self           identity.PeerID
	Microphone     EndpointStats
	Speaker        EndpointStats
	Level          float64     // of the microphone: RMS in dBFS, released over 300 ms
	Recording      bool        // peers are told that this side records
	Moderated      bool        // a moderator muted this side for all: nothing is said; see Moderated
	Speaking       bool        // a talk spurt of ours is under way
	PacketsSpoken  uint64      // packets that our voice made, however many listened
	ReadErrors     uint64      // blocks that the source or the encoder failed to give
	BlocksSkipped  uint64      // blocks of 10 ms not recorded because this process was suspended
	Malformed      uint64      // control messages that made no sense
	RoomsRefused   uint64      // rooms that peers listen to beyond MaxRooms, not taken note of
	RulingsRefused uint64      // rulings that no moderator signed for this session, out of time, or too many
	EventsDropped  uint64      // events that nobody read in time, since New
	Peers          []PeerStats // in the order in which they joined
}

// EndpointStats describes the microphone or the speaker.
type EndpointStats struct {
	Open    bool          // there is one, or was since Start
	Reason  string        // why it doesn't work; empty if it does
	Start   time.Time     // when its first sample was spoken or heard; zero before that
	Latency time.Duration // of the device; 0 without one
	Faults  audio.Faults  // of the device; zero without one
}

// PeerStats is what is known of one peer. Counters are totals since it joined.
type PeerStats struct {
	ID        identity.PeerID
	Name      string // as it calls itself; not verified
	Path      link.Path
	Link      link.Stats
	Reachable bool    // both sides greeted and there is a path
	Muted     bool    // it muted itself
	Deafened  bool    // it deafened itself
	Recording bool    // it records what it hears, as it says
	Moderated bool    // a moderator muted it for all: it isn't heard
	Speaking  bool    // it is heard now
	Level     float64 // of its voice: RMS in dBFS
	Joined    time.Time

	ModeratedBy     identity.PeerID // which moderator; empty if none
	ModeratedReason string          // as the moderator gives it

	Messages MessageStats // texts and data, both ways

	// What it hears of us.
	Addressed           bool    // what is said goes to it: a channel reaches it, and it isn't blocked or refused
	Sent                uint64  // packets given to the link
	SendDropped         uint64  // packets that the link could not send in time
	Copies              uint64  // copies of earlier packets sent along
	CopyOffset          int     // how many packets back a copy is sent now, the nearest of several; 0 for none
	Lean                bool    // it gets an encoding with a lower bitrate, since the link carries no more
	Thin                bool    // and it is the one with the lowest
	FEC                 bool    // it gets in-band FEC: it loses packets, and its link carries no copies
	FramesPerPacket     int     // that it gets: more than one where the link carries little
	BytesOut            uint64  // of voice packets
	ReportedLoss        float64 // share of packets lost by the network on the first try, as it last reported
	ReportedUnrecovered float64 // share of packets it had to conceal, as it last reported

	// What we hear of it.
	Heard        Heard         // in which ways
	Refused      uint64        // voice packets that were not looked at: it is blocked, may not speak, or spoke where we don't listen
	Jitter       jitter.Stats  // received, lost, late, concealed, delays
	BytesIn      uint64        // of voice packets, but for those Refused
	Malformed    uint64        // voice packets that made no sense
	DecodeFailed uint64        // packets that the decoder refused
	FixedDelay   time.Duration // its device, gate, frame and codec, and our device: what of MouthToEar neither network nor jitter buffer changes
	MouthToEar   time.Duration // estimated, from its microphone to our speaker, of what was heard last: FixedDelay, half the RTT and Jitter.Wait; 0 until known
	Rating       float64       // estimated R of G.107, from delay and concealment so far; 0 until it was heard
	MOS          float64       // estimated mean opinion score; 0 until it was heard
}

// Stats returns the session's statistics. It is cheap enough to be called many
// times a second.
func (s *Session) Stats() Stats {
	st := Stats{Self: s.Self(), Recording: s.Recording(), EventsDropped: s.events.droppedCount(), Level: audio.FloorDBFS}
	c := s.current()
	if c == nil {
		return st
	}
	st.Started = true
	st.Microphone, st.Speaker = c.mic.stats(), c.speaker.stats()
	st.Level = c.capture.level.load()
	st.Speaking = c.capture.speaking.Load()
	st.PacketsSpoken = c.capture.spoken.Load()
	st.ReadErrors = c.capture.errs.Load()
	st.BlocksSkipped = c.capture.skipped.Load()
	st.Malformed = c.control.malformed.Load()
	st.RulingsRefused = c.control.rulingsRefused.Load()
	st.Moderated = s.docket.about(c.self).mutes()
	st.RoomsRefused = c.control.roomsRefused.Load()
	for _, p := range c.roster.list() {
		st.Peers = append(st.Peers, c.peerStats(p))
	}
	return st
}

func (c *conversation) peerStats(p *peer) PeerStats {
	// The transport first, with no lock held.
	path, linkStats := cleanPath(c.transport.Path(p.id)), c.transport.Stats(p.id)
	sending := unpackPlan(p.listener.plan.Load())
	st := PeerStats{
		ID:              p.id,
		Path:            path,
		Link:            linkStats,
		Joined:          p.joined,
		Speaking:        p.hearing.speaking.Load(),
		Level:           p.hearing.level.load(),
		Sent:            p.listener.sent.Load(),
		SendDropped:     p.listener.dropped.Load(),
		Copies:          p.listener.copied.Load(),
		CopyOffset:      sending.copies.nearest(),
		Lean:            sending.encoding == lean || sending.encoding == thin,
		Thin:            sending.encoding == thin,
		FEC:             sending.encoding == guarded,
		FramesPerPacket: 1 + sending.twins,
		BytesOut:        p.listener.bytes.Load(),
		Heard:           p.hearing.heard(c),
		Refused:         p.hearing.refused.Load(),
	}
	if r := c.s.docket.about(p.id); r.mutes() {
		st.Moderated, st.ModeratedBy, st.ModeratedReason = true, r.key.by, r.reason
	}
	p.mu.Lock()
	st.Name = p.remote.name
	st.Reachable = p.greeting.announced
	st.Addressed = p.reached
	st.Muted, st.Deafened, st.Recording = p.remote.muted, p.remote.deafened, p.remote.recording
	st.ReportedLoss, st.ReportedUnrecovered = p.report.last.network, p.report.last.unrecovered
	st.FixedDelay = p.remote.captureDelay
	st.Messages = p.messageStatsLocked()
	p.mu.Unlock()
	p.player.stats(&st)
	st.FixedDelay += c.speaker.latency()
	if st.Jitter.PlayedSamples > 0 && st.Path.RTT > 0 {
		// Half the round trip is what the average packet takes, so what is
		// added is how long packets wait, not how much later than the
		// fastest one they are played.
		st.MouthToEar = st.FixedDelay + st.Path.RTT/2 + st.Jitter.Wait
	}
	if st.Jitter.PlayedSamples > 0 {
		st.Rating = emodel.Rating(st.MouthToEar, st.ConcealedShare())
		st.MOS = emodel.MOS(st.Rating)
	}
	return st
}

// ConcealedShare is the share, 0 to 1, of what was played of the peer that was
// not its speech but a guess, or was discarded unheard.
func (st *PeerStats) ConcealedShare() float64 {
	j := &st.Jitter
	all := j.PlayedSamples + j.ConcealedSamples
	if all == 0 {
		return 0
	}
	return min(1, float64(j.ConcealedSamples+j.DiscardedSamples)/float64(all))
}

func (p *player) stats(st *PeerStats) {
	p.mu.Lock()
	defer p.mu.Unlock()
	st.Jitter = p.buffer.Stats()
	st.BytesIn, st.Malformed, st.DecodeFailed = p.bytes, p.malformed, p.failed
}
