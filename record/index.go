package record

import (
	"encoding/json"
	"path/filepath"
	"time"
)

// IndexFile is the name of the file that says what the others are: an Index as
// JSON.
const IndexFile = "index.json"

// Index says what a recording consists of. It is written whenever a track begins,
// and at the end.
type Index struct {
	Version    int          `json:"version"` // 1
	Started    time.Time    `json:"started"` // when the files begin, by the clock of this machine
	Format     string       `json:"format"`  // "ogg" or "wav"
	SampleRate int          `json:"sample_rate"`
	Complete   bool         `json:"complete"`   // Stop has closed the files
	Duration   float64      `json:"duration_s"` // how long they are then, in seconds
	Tracks     []IndexTrack `json:"tracks"`
}

// IndexTrack is a file of a recording.
type IndexTrack struct {
	File  string  `json:"file"`
	Kind  string  `json:"kind"`           // "peer", "self" or "mix"
	Peer  string  `json:"peer,omitempty"` // ID of who is heard in it; none for the mix
	First float64 `json:"first_s"`        // when it begins to be heard, in seconds from the beginning of the file
	Error string  `json:"error,omitempty"`
}

func (w *writer) index(complete bool) error {
	x := Index{
		Version: 1, Started: w.r.in.start.UTC(), Format: w.r.config.Format.String(),
		SampleRate: second, Complete: complete, Tracks: []IndexTrack{},
	}
	for _, t := range w.tracks {
		k := IndexTrack{File: t.name, Kind: "peer", First: durationOf(t.from).Round(time.Millisecond).Seconds()}
		switch t.peer {
		case "":
			k.Kind = "mix"
		case w.r.in.self:
			k.Kind = "self"
		}
		if t.peer != "" {
			k.Peer = nameOf(t.peer)
		}
		if t.err != nil {
			k.Error = t.err.Error()
		}
		if complete {
			x.Duration = max(x.Duration, t.stats().Length.Seconds())
		}
		x.Tracks = append(x.Tracks, k)
	}
	b, err := json.MarshalIndent(x, "", "  ")
	if err != nil {
		return err
	}
	return replaceFile(filepath.Join(w.r.dir, IndexFile), append(b, '\n'))
}
