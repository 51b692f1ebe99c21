package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/parley-voice/parley/audio"
	"github.com/parley-voice/parley/audio/audiotest"
	"github.com/parley-voice/parley/integration_test/chatlab"
	"github.com/parley-voice/parley/record"
)

// evidence is what one of the three left behind.
type evidence struct {
	*speaker

	final        chatlab.Line
	said, played []float32

	began  time.Time            // of the tracks
	tracks map[string][]float32 // of the others, by ID
}

func gather(speakers []*speaker) (all []evidence, err error) {
	for _, s := range speakers {
		e := evidence{speaker: s}
		if e.final, err = chatlab.Final(s.stats); err != nil {
			return nil, err
		}
		if e.played, err = audiotest.LoadWAV(s.heard); err != nil {
			return nil, err
		}
		if e.said, err = audiotest.LoadWAV(s.speech); err != nil {
			return nil, err
		}
		if err = e.listen(s.tracks); err != nil {
			return nil, err
		}
		all = append(all, e)
	}
	return all, nil
}

// listen reads the tracks of a recording.
func (e *evidence) listen(dir string) error {
	text, err := os.ReadFile(filepath.Join(dir, record.IndexFile))
	if err != nil {
		return err
	}
	var index record.Index
	if err = json.Unmarshal(text, &index); err != nil {
		return err
	}
	e.began, e.tracks = index.Started, map[string][]float32{}
	for _, t := range index.Tracks {
		if t.Kind != "peer" {
			continue
		}
		if e.tracks[t.Peer], err = audiotest.LoadWAV(filepath.Join(dir, t.File)); err != nil {
			return err
		}
	}
	return nil
}

// sounds is for how long a voice could be heard in a time.
func (e *evidence) sounds(talker string, when span) time.Duration {
	track := e.tracks[talker]
	n := 0
	for at := audiotest.Samples(when.from.Sub(e.began)); at < audiotest.Samples(when.to.Sub(e.began)); at += audio.BlockSamples {
		if at >= 0 && at+audio.BlockSamples <= len(track) && audio.Measure(track[at:at+audio.BlockSamples]).Peak > silent {
			n++
		}
	}
	return time.Duration(n) * audio.BlockDuration
}

// silent is below what is heard, in dBFS.
const silent = -60

// printTable prints a row for each pair, and fails if somebody went unheard, or was
// heard and should not have been.
func printTable(speakers []*speaker, spans []span) error {
	all, err := gather(speakers)
	if err != nil {
		return err
	}
	fmt.Printf("\n%-6s %-7s", "who", "heard")
	for _, p := range parts {
		fmt.Printf(" %-9s", p.name)
	}
	fmt.Printf(" %9s %9s %10s %6s  %s\n", "latency", "buffer", "concealed", "lanes", "path")
	var wrong []string
	for _, listener := range all {
		for _, talker := range all {
			if talker.speaker == listener.speaker {
				continue
			}
			row, problems, err := judge(listener, talker, spans)
			if err != nil {
				return err
			}
			fmt.Println(row)
			wrong = append(wrong, problems...)
		}
	}
	fmt.Println("\nLatency is found in the recordings: from the talker's file to the listener's, packets of 20 ms and the codec's 6 ms included.")
	if len(wrong) > 0 {
		return fmt.Errorf("%s", strings.Join(wrong, "; "))
	}
	return nil
}

// judge makes the row of a pair, and says what is wrong in it. Of the latency it is
// that of the first part, in which all talk.
func judge(listener, talker evidence, spans []span) (row string, wrong []string, err error) {
	row = fmt.Sprintf("%-6s %-7s", listener.name, talker.name)
	late := "-"
	for i, p := range parts {
		latency, f := measure(talker.said, chatlab.At(talker.final.InT0), listener.played, chatlab.At(listener.final.OutT0), spans[i])
		f.sounds = listener.sounds(talker.id, spans[i])
		want, what := "no", "should not have heard"
		if slices.Contains(p.hears[listener.name], talker.name) {
			want, what = "yes", "should have heard"
		}
		verdict := f.verdict()
		if verdict != want {
			verdict = strings.ToUpper(verdict)
			wrong = append(wrong, fmt.Sprintf("in part %d %s %s %s: %d of %d pieces are in the recording, its voice sounds for %v", i+1, listener.name, what, talker.name, f.pieces, f.of, f.sounds))
		}
		if i == 0 && f.pieces > 0 {
			late = fmt.Sprintf("%.0f ms", float64(latency)/1e6)
		}
		row += fmt.Sprintf(" %-9s", verdict)
	}
	st, err := during(listener.stats, talker.id)
	if err != nil {
		return "", nil, err
	}
	whole := listener.final.Peers[talker.id]
	row += fmt.Sprintf(" %9s %6.0f ms %8.2f %% %6d  %s, %s", late, whole.Buffer, whole.ConcealedPct, st.Lanes, st.Path, st.Transport)
	return row, wrong, nil
}

// during returns what a listener last said of a talker while it was there: the
// final line may be written after the others have gone.
func during(stats, talker string) (chatlab.Peer, error) {
	lines, err := chatlab.ReadStats(stats)
	if err != nil {
		return chatlab.Peer{}, err
	}
	for _, line := range slices.Backward(lines) {
		if p := line.Peers[talker]; p.Path != "none" && !line.Final {
			return p, nil
		}
	}
	return chatlab.Peer{}, nil
}

// found is how much of what was said is in a recording.
type found struct {
	pieces, of int           // half seconds, of the mix
	sounds     time.Duration // of the voice's own track that isn't silent
}

// verdict is yes if most of it is there, and no if nothing is: not 10 ms of the track,
// nor more of the mix than looks by chance like what it isn't.
func (f found) verdict() string {
	switch {
	case f.of > 0 && 2*f.pieces > f.of:
		return "yes"
	case f.of > 0 && 5*f.pieces <= f.of && f.sounds == 0:
		return "no"
	}
	return "partly"
}

// lookFor is how late speech is looked for.
const lookFor = time.Second

// measure looks in a recording for what the talker, who says the same again and
// again, said in a time. It looks for half seconds, each by itself: a jitter buffer
// that stretches speech changes the delay within a sentence. The latency is the median
// of those found.
func measure(voice []float32, spoken time.Time, recording []float32, heard time.Time, when span) (latency time.Duration, f found) {
	at := audiotest.Samples(when.from.Sub(spoken))
	begin, end := audiotest.Samples(when.from.Sub(heard)), audiotest.Samples(when.to.Sub(heard))
	if at < 0 || begin < 0 || begin >= len(recording) || len(voice) == 0 {
		return 0, f
	}
	// What is said last may be heard in the next part only.
	said := make([]float32, max(0, end-begin-audiotest.Samples(lookFor/2)))
	for i := range said {
		said[i] = voice[(at+i)%len(voice)]
	}
	var late []time.Duration
	for _, p := range audiotest.Offsets(said, recording[begin:min(end, len(recording))], audiotest.OffsetsConfig{From: 1, To: lookFor}) {
		if f.of++; p.Confidence > enough {
			late = append(late, p.Offset)
		}
	}
	f.pieces = len(late)
	if len(late) == 0 {
		return 0, f
	}
	slices.Sort(late)
	return late[len(late)/2], f
}

// enough is the correlation from which on half a second counts as heard although
// another voice speaks at the same time: two voices of equal power leave each
// 0.7, and of what is not there two pieces in a hundred have more.
const enough = 0.35
