package jitter

// lossMeter judges which packets the network lost. Lanes that retransmit hide
// losses, so what isn't there a little after the packet two after it arrived is
// lost, though it may come later. After a stall all come at once, and in any
// order, since each lane is read by itself: nothing is lost then.
type lossMeter struct {
	judged   int64               // highest sequence number judged
	overdue  [overdueLen]overdue // what is soon to be judged, in its order
	waiting  int                 // of overdue
	expected uint64
	lost     uint64
	bursts   uint64
	run      int     // present run of lost packets
	runs     int     // that burst is the mean of
	burst    float64 // mean length of recent runs
}

const (
	reorderDistance = 2                // how many packets may overtake one that isn't lost,
	reorderTime     = 15 * millisecond // and by how much
	overdueLen      = 8
)

// overdue says since when packets up to seq were overtaken by too many.
type overdue struct{ seq, since int64 }

// begin starts judging at seq.
func (l *lossMeter) begin(seq int64) {
	l.endRun()
	l.judged = seq - 1
	l.waiting = 0
}

// settle judges what a packet that arrives at a time is too late for. So does one
// that is far ahead, whatever the time: more isn't remembered.
func (l *lossMeter) settle(seq, t int64, history *[historyLen]trace) {
	for l.waiting > 0 && (t-l.overdue[0].since >= reorderTime || seq-l.judged > historyLen/2) {
		l.judge(l.overdue[0].seq, history)
		l.drop()
	}
}

// arrived notes which packets the arrival of seq by itself makes overdue.
func (l *lossMeter) arrived(seq, t int64, history *[historyLen]trace) {
	last := l.judged
	if l.waiting > 0 {
		last = l.overdue[l.waiting-1].seq
	}
	if seq-reorderDistance <= last {
		return
	}
	if l.waiting == overdueLen {
		l.judge(l.overdue[0].seq, history)
		l.drop()
	}
	l.overdue[l.waiting] = overdue{seq - reorderDistance, t}
	l.waiting++
}

// drop forgets the first of what waits.
func (l *lossMeter) drop() {
	l.waiting--
	copy(l.overdue[:], l.overdue[1:l.waiting+1])
}

// judge judges the packets up to seq.
func (l *lossMeter) judge(seq int64, history *[historyLen]trace) {
	for l.judged < seq {
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
	l.run, l.runs, l.burst = 0, 0, 0
}

// endRun ends a run of lost packets.
func (l *lossMeter) endRun() {
	if l.run == 0 {
		return
	}
	const memory = 16 // runs
	l.runs = min(l.runs+1, memory)
	l.burst += (float64(l.run) - l.burst) / float64(l.runs)
	l.run = 0
}

// interarrival is the jitter of RFC 3550 section 6.4.1 and appendix A.8, in
// samples, but only of packets that no later one overtook: those were lost and sent
// again, or waited for such a one.
type interarrival struct {
	seq, transit int64
	known        bool
	value        float64
}

func (j *interarrival) arrived(seq, transit int64) {
	if j.known {
		if seq < j.seq {
			return
		}
		d := transit - j.transit
		if d < 0 {
			d = -d
		}
		// A jump of the clock isn't jitter that should be reported for long.
		j.value += (float64(min(d, second)) - j.value) / 16
	}
	j.seq, j.transit, j.known = seq, transit, true
}

func (j *interarrival) forgetTransit() { j.known = false }
