package portaudio

import (
	"testing"
	"time"
)

// fakeDevice hands out pieces at a pace, or says nothing of what it has.
type fakeDevice struct {
	now    time.Duration
	due    time.Duration // when a piece is there
	silent bool
	looks  int
}

func (d *fakeDevice) wait(w *poller, piece time.Duration) (took time.Duration) {
	began := d.now
	d.looks = 0
	w.wait(piece, func() (part, whole bool) {
		d.looks++
		there := !d.silent && d.now >= d.due
		return there, there
	}, func(t time.Duration) { d.now += t })
	return d.now - began
}

func TestPollerWaitsForAPiece(t *testing.T) {
	const piece = 5 * time.Millisecond
	var w poller
	d := &fakeDevice{}
	if took := d.wait(&w, piece); took != 0 || d.looks != 1 {
		t.Errorf("%v and %d looks for what is there", took, d.looks)
	}
	for range 100 {
		d.due = d.now + piece
		if took := d.wait(&w, piece); took < piece || took > piece+piece/4 {
			t.Fatalf("%v for a piece that comes after %v", took, piece)
		}
	}
	// One that stalls is left to PortAudio, which tells what is wrong, and is waited for
	// again when it has come back.
	d.due = d.now + time.Second
	if took := d.wait(&w, piece); took != pollPieces*piece {
		t.Errorf("a device that stalls was waited for for %v", took)
	}
	d.now = d.due
	d.wait(&w, piece)
	d.due = d.now + 2*piece
	if took := d.wait(&w, piece); took != 2*piece {
		t.Errorf("%v after a stall, want %v", took, 2*piece)
	}
}

func TestPollerLeavesASilentDeviceToPortAudio(t *testing.T) {
	const piece = 5 * time.Millisecond
	var w poller
	d := &fakeDevice{silent: true}
	for range pollSilent {
		if took := d.wait(&w, piece); took != pollPieces*piece {
			t.Fatalf("waited for %v", took)
		}
	}
	if took := d.wait(&w, piece); took != 0 || d.looks != 1 {
		t.Errorf("%v and %d looks for a device that never says what it has", took, d.looks)
	}
	d.silent = false
	d.wait(&w, piece)
	d.due = d.now + piece
	if took := d.wait(&w, piece); took != piece {
		t.Errorf("%v for one that says it after all, want %v", took, piece)
	}
}
