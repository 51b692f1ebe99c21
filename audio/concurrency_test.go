package audio

import (
	"errors"
	"os"
	"sync"
	"testing"
)

func TestCloseEndsAReadThatWaits(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(form(fmtChunk(1, 1, 48000, 16), chunk("data", make([]byte, 100)))[:60]); err != nil {
		t.Fatal(err)
	}
	s := mustOpen(t, r)
	s.file = r
	done := make(chan error)
	go func() {
		var b Block
		done <- s.ReadBlock(&b) // waits: the pipe has less than a block
	}()
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if err := <-done; !errors.Is(err, ErrClosed) {
		t.Errorf("got %v, want ErrClosed", err)
	}
	if err := errors.Join(s.Close(), w.Close()); err != nil {
		t.Error(err)
	}
}

func TestGainIsSetWhileMixing(t *testing.T) {
	var m Mixer
	var in Input
	var wg sync.WaitGroup
	for g := range 2 {
		wg.Go(func() {
			for i := range 1000 {
				in.SetGain(float32((i+g)%3) / 2)
				in.SetPan(float32(i%3 - 1))
			}
		})
	}
	b := blocks(ones(BlockSamples))[0]
	for range 200 {
		var out StereoBlock
		m.Add(&in, &b)
		m.Mix(&out)
		for i, x := range out {
			if x < 0 || x > 1 {
				t.Fatalf("sample %d is %v", i, x)
			}
		}
		_ = m.Repaired()
	}
	wg.Wait()
	if g := in.Gain(); g != 0 && g != 0.5 && g != 1 {
		t.Errorf("gain %v was never set", g)
	}
}

func TestSinkIsClosedWhileWriting(t *testing.T) {
	f := &memFile{}
	s, err := NewWAVSink(f, WAVConfig{})
	if err != nil {
		t.Fatal(err)
	}
	written := make(chan int)
	go func() {
		n := 0
		for s.WriteBlock(&StereoBlock{}) == nil {
			n++
		}
		written <- n
	}()
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	n := <-written
	if _, data := headerSizes(f.data); int(data) != n*1920 || len(f.data) != wavHeader+n*1920 {
		t.Errorf("%d blocks written, the header says %d bytes of %d", n, data, len(f.data))
	}
}
