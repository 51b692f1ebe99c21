package main

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"runtime"
	"time"

	"github.com/parley-voice/parley"
	"github.com/parley-voice/parley/audio"
	"github.com/parley-voice/parley/audio/emodel"
	"github.com/parley-voice/parley/identity"
	"github.com/parley-voice/parley/p2p/link"
	"github.com/parley-voice/parley/session"
)

// statsLine is one line of --stats. Times are Unix seconds, durations
// milliseconds, rates bits per second. Counters are totals since the peer
// joined. Means are over what was heard in the last second, over the whole call
// in the final line: buffer_ms (W3C webrtc-stats' jitterBufferDelay),
// target_ms, jitter_ms, concealed_pct, mouth_to_ear_ms, r_factor, mos and the
// rates; in the final line rtt_ms is one too.
//
// mouth_to_ear_ms is what --in's and --out's t0 and the files show: device or
// file, frame and codec, half of rtt_ms, and how long packets waited from their
// arrival until their first sample was heard. The last is 5 ms less than
// buffer_ms with packets of 20 ms: see jitter.Stats.
type statsLine struct {
	T          float64              `json:"t"`
	Self       string               `json:"self"`
	InT0       float64              `json:"in_t0"`
	OutT0      float64              `json:"out_t0"`
	Peers      map[string]peerStats `json:"peers"`
	Underruns  uint64               `json:"underruns"`
	Overruns   uint64               `json:"overruns"`
	Sent       uint64               `json:"wire_bytes_sent"`
	Received   uint64               `json:"wire_bytes_received"`
	Goroutines int                  `json:"goroutines"`
	RSS        uint64               `json:"rss_bytes"`
	CPU        float64              `json:"cpu_s"`
	Final      bool                 `json:"final,omitempty"`
}

type peerStats struct {
	Name          string  `json:"name"`
	Path          string  `json:"path"`
	Transport     string  `json:"transport"`
	RTT           float64 `json:"rtt_ms"`
	Lanes         int     `json:"lanes"`
	Sent          uint64  `json:"sent"`
	SendDropped   uint64  `json:"send_dropped"`
	Received      uint64  `json:"received"`
	Lost          uint64  `json:"lost"`
	Late          uint64  `json:"late"`
	Duplicate     uint64  `json:"duplicate"`
	Missing       uint64  `json:"missing"`
	RecoveredCopy uint64  `json:"recovered_copy"`
	RecoveredFEC  uint64  `json:"recovered_fec"`
	Concealed     float64 `json:"concealed_ms"`
	Discarded     float64 `json:"discarded_ms"`
	Stretched     float64 `json:"stretched_ms"`
	Played        float64 `json:"played_ms"`
	ConcealedPct  float64 `json:"concealed_pct"`
	Buffer        float64 `json:"buffer_ms"`
	Target        float64 `json:"target_ms"`
	Jitter        float64 `json:"jitter_ms"`
	MouthToEar    float64 `json:"mouth_to_ear_ms"`
	BitrateOut    float64 `json:"bitrate_out"`
	BitrateIn     float64 `json:"bitrate_in"`
	Copies        uint64  `json:"copies"`
	Rating        float64 `json:"r_factor"`
	MOS           float64 `json:"mos"`
	PathChanges   uint64  `json:"path_changes"`
}

// statsWriter appends a line per second. Without a file it does nothing.
type statsWriter struct {
	voice  *parley.Voice
	file   *os.File
	err    error
	at     time.Time
	before map[identity.PeerID]session.PeerStats
	moment map[identity.PeerID]moments
	gone   map[identity.PeerID]peerStats // who left, for the final line
}

// moments collects what is known of a moment only, for its mean over the call.
type moments struct {
	target, jitter mean // while the peer spoke
	rtt            mean // while there was a path
}

type mean struct {
	sum time.Duration
	n   int
}

func (m *mean) add(d time.Duration) { m.sum, m.n = m.sum+d, m.n+1 }

// or returns the mean, or d if there is none.
func (m *mean) or(d time.Duration) time.Duration {
	if m.n == 0 {
		return d
	}
	return m.sum / time.Duration(m.n)
}

// note takes in a moment.
func (m *moments) note(p *session.PeerStats) {
	if p.Speaking {
		m.target.add(p.Jitter.Target)
		m.jitter.add(p.Jitter.Jitter)
	}
	if p.Path.Kind != link.None && p.Path.RTT > 0 {
		m.rtt.add(p.Path.RTT)
	}
}

func newStatsWriter(path string, voice *parley.Voice) (*statsWriter, error) {
	w := &statsWriter{voice: voice, at: time.Now(), before: map[identity.PeerID]session.PeerStats{}, moment: map[identity.PeerID]moments{}, gone: map[identity.PeerID]peerStats{}}
	if path == "" {
		return w, nil
	}
	file, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return nil, fmt.Errorf("--stats: %w", err)
	}
	w.file = file
	return w, nil
}

// write appends what happened since the line before.
func (w *statsWriter) write(now time.Time) {
	if w.file == nil {
		return
	}
	st := w.voice.Stats()
	line := w.line(st, now)
	for _, p := range st.Peers {
		m := w.moment[p.ID]
		m.note(&p)
		w.moment[p.ID] = m
		line.Peers[p.ID.String()] = toJSON(p, w.before[p.ID], now.Sub(w.at))
		w.before[p.ID] = p
	}
	w.at = now
	w.append(line)
}

// maxGone is how many peers that left are remembered for the final line.
const maxGone = 1024

// left keeps for the final line what is known of a peer, who leaves now.
func (w *statsWriter) left(id identity.PeerID) {
	if w.file == nil {
		return
	}
	for _, p := range w.voice.Stats().Peers {
		if p.ID == id && (len(w.gone) < maxGone || w.gone[id] != (peerStats{})) {
			w.gone[id] = w.whole(p)
		}
	}
	delete(w.before, id)
	delete(w.moment, id)
}

// whole describes a peer's whole stay.
func (w *statsWriter) whole(p session.PeerStats) peerStats {
	m := w.moment[p.ID]
	p.Path.RTT = m.rtt.or(p.Path.RTT)
	p.Jitter.Target, p.Jitter.Jitter = m.target.or(p.Jitter.Target), m.jitter.or(p.Jitter.Jitter)
	return toJSON(p, session.PeerStats{}, time.Since(p.Joined))
}

// final appends the line for the whole call. Of somebody who left and came back
// it holds the last stay.
func (w *statsWriter) final() error {
	if w.file == nil {
		return nil
	}
	st := w.voice.Stats()
	line := w.line(st, time.Now())
	line.Final = true
	for id, p := range w.gone {
		line.Peers[id.String()] = p
	}
	for _, p := range st.Peers {
		line.Peers[p.ID.String()] = w.whole(p)
	}
	w.append(line)
	return w.err
}

func (w *statsWriter) close() error {
	if w.file == nil {
		return nil
	}
	if err := w.file.Close(); err != nil {
		return fmt.Errorf("--stats: %w", err)
	}
	return nil
}

func (w *statsWriter) append(line statsLine) {
	b, err := json.Marshal(line)
	if err == nil {
		_, err = w.file.Write(append(b, '\n'))
	}
	if err != nil && w.err == nil {
		w.err = fmt.Errorf("--stats: %w", err)
	}
}

func (w *statsWriter) line(st session.Stats, now time.Time) statsLine {
	line := statsLine{
		T:          unix(now),
		Self:       st.Self.String(),
		InT0:       unix(st.Microphone.Start),
		OutT0:      unix(st.Speaker.Start),
		Peers:      map[string]peerStats{},
		Underruns:  st.Speaker.Faults.Underruns,
		Overruns:   st.Microphone.Faults.Overruns,
		Goroutines: runtime.NumGoroutine(),
		RSS:        residentBytes(),
		CPU:        cpuSeconds(),
	}
	for _, p := range st.Peers {
		line.Sent += p.Link.BytesSent
		line.Received += p.Link.BytesReceived
	}
	return line
}

// toJSON describes a peer, and the time since before where that is said.
func toJSON(p, before session.PeerStats, span time.Duration) peerStats {
	j, b := p.Jitter, before.Jitter
	played, concealed := j.PlayedSamples-b.PlayedSamples, j.ConcealedSamples-b.ConcealedSamples
	discarded := j.DiscardedSamples - b.DiscardedSamples
	out := peerStats{
		Name:          p.Name,
		Path:          p.Path.Kind.String(),
		Transport:     p.Path.Transport,
		RTT:           ms(p.Path.RTT),
		Lanes:         p.Path.Lanes,
		Sent:          p.Sent,
		SendDropped:   p.Link.VoiceDropped,
		Received:      p.Link.VoiceReceived,
		Lost:          j.Lost,
		Late:          j.Late,
		Duplicate:     p.Link.VoiceDuplicate,
		Missing:       j.Missing,
		RecoveredCopy: j.RecoveredCopy,
		RecoveredFEC:  j.RecoveredFEC,
		Concealed:     samplesMS(j.ConcealedSamples),
		Discarded:     samplesMS(j.DiscardedSamples),
		Stretched:     samplesMS(j.InsertedSamples + j.RemovedSamples),
		Played:        samplesMS(j.PlayedSamples + j.ConcealedSamples),
		Target:        ms(j.Target),
		Jitter:        ms(j.Jitter),
		MouthToEar:    ms(p.MouthToEar),
		Copies:        p.Copies,
		Rating:        p.Rating,
		MOS:           p.MOS,
		PathChanges:   p.Link.PathChanges,
	}
	if played > 0 {
		out.Buffer = ms((j.DelaySum - b.DelaySum) / time.Duration(played))
	}
	if played+concealed > 0 {
		out.ConcealedPct = min(100, 100*float64(concealed+discarded)/float64(played+concealed))
	}
	if played > 0 && p.Path.RTT > 0 {
		late := p.FixedDelay + p.Path.RTT/2 + (j.WaitSum-b.WaitSum)/time.Duration(played)
		out.MouthToEar = ms(late)
		out.Rating = emodel.Rating(late, out.ConcealedPct/100)
		out.MOS = emodel.MOS(out.Rating)
	}
	if s := span.Seconds(); s > 0 {
		out.BitrateOut = math.Round(8 * float64(p.BytesOut-before.BytesOut) / s)
		out.BitrateIn = math.Round(8 * float64(p.BytesIn-before.BytesIn) / s)
	}
	return out
}

func samplesMS(n uint64) float64 { return float64(n) * 1000 / audio.SampleRate }

// unix is a wall-clock time in seconds, to the microsecond; 0 for none.
func unix(t time.Time) float64 {
	if t.IsZero() {
		return 0
	}
	return float64(t.UnixMicro()) / 1e6
}
