package chatlab

import (
	"bufio"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"time"
)

// Line is a line of chat's statistics: times in Unix seconds, durations in
// milliseconds.
type Line struct {
	T          float64         `json:"t"`
	Self       string          `json:"self"`
	InT0       float64         `json:"in_t0"`
	OutT0      float64         `json:"out_t0"`
	Peers      map[string]Peer `json:"peers"`
	Underruns  uint64          `json:"underruns"`
	Sent       uint64          `json:"wire_bytes_sent"`
	Received   uint64          `json:"wire_bytes_received"`
	Goroutines int             `json:"goroutines"`
	RSS        uint64          `json:"rss_bytes"`
	CPU        float64         `json:"cpu_s"`
	Final      bool            `json:"final"`
}

// Peer is what a line says of one peer.
type Peer struct {
	Name         string  `json:"name"`
	Path         string  `json:"path"`
	Transport    string  `json:"transport"`
	RTT          float64 `json:"rtt_ms"`
	Lanes        int     `json:"lanes"`
	Sent         uint64  `json:"sent"`
	Received     uint64  `json:"received"`
	Lost         uint64  `json:"lost"`
	Late         uint64  `json:"late"`
	Missing      uint64  `json:"missing"`
	Copies       uint64  `json:"copies"`
	Recovered    uint64  `json:"recovered_copy"`
	Concealed    float64 `json:"concealed_ms"`
	Discarded    float64 `json:"discarded_ms"`
	Played       float64 `json:"played_ms"`
	Stretched    float64 `json:"stretched_ms"`
	ConcealedPct float64 `json:"concealed_pct"`
	Buffer       float64 `json:"buffer_ms"`
	Target       float64 `json:"target_ms"`
	MouthToEar   float64 `json:"mouth_to_ear_ms"`
	BitrateIn    float64 `json:"bitrate_in"`
	Rating       float64 `json:"r_factor"`
	PathChanges  uint64  `json:"path_changes"`
}

// ReadStats reads a file of statistics. A last line that is cut off is left
// out: the process may be writing it.
func ReadStats(path string) ([]Line, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("chatlab: %w", err)
	}
	defer func() { _ = f.Close() }()
	var all []Line
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var l Line
		if json.Unmarshal(lines.Bytes(), &l) != nil {
			continue
		}
		all = append(all, l)
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("chatlab: %s: %w", path, err)
	}
	return all, nil
}

// Final returns the line of the whole call.
func Final(path string) (Line, error) {
	lines, err := ReadStats(path)
	if err != nil {
		return Line{}, err
	}
	if n := len(lines); n > 0 && lines[n-1].Final {
		return lines[n-1], nil
	}
	return Line{}, fmt.Errorf("chatlab: %s has no final line", path)
}

// Unheard is how many frames of a peer's voice a listener counted as never
// played, in packets of 20 ms: given up, or there and discarded. What only came
// late, and was played once it was there, isn't among them. It counts from the last
// line before one time to the first after another: up to two seconds more than
// asked for. A peer that came back counts from zero.
func Unheard(lines []Line, id string, from, to time.Time) int {
	var frames, before float64
	for _, l := range lines {
		p, ok := l.Peers[id]
		if !ok || l.Final {
			continue
		}
		now := float64(p.Missing) + p.Discarded/20
		if now < before {
			before = 0
		}
		if !At(l.T).Before(from) {
			frames += now - before
		}
		before = now
		if !At(l.T).Before(to) {
			break
		}
	}
	return int(math.Ceil(frames - 1e-9))
}

// At turns a time of the statistics into a time.Time.
func At(unix float64) time.Time { return time.UnixMicro(int64(unix * 1e6)) }
