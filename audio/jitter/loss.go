package jitter

// lossMeter judges which packets the network lost. Lanes that retransmit hide
// losses, so what isn't there when the packet two after it arrives is lost,
// though it may come later.
type lossMeter struct {
	judged   int64 // highest sequence number judged
	expected uint64
	lost     uint64
	bursts   uint64
	run      int     // present run of lost packets
	burst    float64 // mean length of recent runs
}

// reorderDistance is how many packets may overtake one that isn't lost.
const reorderDistance = 2

// begin starts judging at seq.
func (l *lossMeter) begin(seq int64) {
	l.endRun()
	l.judged = seq - 1
}

// arrived judges what the arrival of seq by itself allows to judge.
func (l *lossMeter) arrived(seq int64, history *[historyLen]trace) {
	for l.judged < seq-reorderDistance {
		l.judged++
		l.expected++
		h := &history[l.judged&(historyLen-1)]
		if h.known && h.seq == l.judged && h.own {
			l.endRun()
			continue
		}
		l.lost++
		if l.run == 0 {
			l.bursts++
		}
		l.run++
	}
}

// forget keeps the totals only.
func (l *lossMeter) forget() {
	l.run = 0
	l.burst = 0
}

// endRun ends a run of lost packets.
func (l *lossMeter) endRun() {
	if l.run == 0 {
		return
	}
	const memory = 16 // runs
	if l.burst == 0 {
		l.burst = float64(l.run)
	}
	l.burst += (float64(l.run) - l.burst) / memory
	l.run = 0
}

// interarrival is the jitter of RFC 3550 section 6.4.1 and appendix A.8, in
// samples.
type interarrival struct {
	transit int64
	known   bool
	value   float64
}

func (j *interarrival) arrived(transit int64) {
	if j.known {
		d := transit - j.transit
		if d < 0 {
			d = -d
		}
		// A jump of the clock isn't jitter that should be reported for long.
		j.value += (float64(min(d, second)) - j.value) / 16
	}
	j.transit, j.known = transit, true
}

func (j *interarrival) forgetTransit() { j.known = false }
