package audio

import (
	"math/rand/v2"
	"slices"
	"testing"
)

func TestRingIsAQueue(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	r := NewRing(97)
	var model []float32
	next := float32(0)
	for range 20000 {
		switch op := rng.IntN(10); {
		case op < 4:
			in := make([]float32, rng.IntN(60))
			for i := range in {
				next++
				in[i] = next
			}
			n := r.Write(in)
			if want := min(len(in), 97-len(model)); n != want {
				t.Fatalf("wrote %d, want %d", n, want)
			}
			model = append(model, in[:n]...)
		case op < 8:
			peek, read := make([]float32, rng.IntN(60)), make([]float32, 60)
			n := r.Peek(peek)
			if m := r.Read(read[:len(peek)]); m != n || n != min(len(peek), len(model)) {
				t.Fatalf("peeked %d and read %d of %d", n, m, len(model))
			}
			if !slices.Equal(peek[:n], model[:n]) || !slices.Equal(read[:n], model[:n]) {
				t.Fatalf("read %v, want %v", read[:n], model[:n])
			}
			model = model[n:]
		case op < 9:
			n := rng.IntN(20) - 2
			if got, want := r.Discard(n), min(max(0, n), len(model)); got != want {
				t.Fatalf("discarded %d, want %d", got, want)
			}
			model = model[min(max(0, n), len(model)):]
		case rng.IntN(100) == 0:
			r.Reset()
			model = nil
		}
		if r.Len() != len(model) || r.Free() != 97-len(model) {
			t.Fatalf("length %d and room %d, want %d", r.Len(), r.Free(), len(model))
		}
	}
}

func TestRingOfNothingHoldsOne(t *testing.T) {
	for _, capacity := range []int{-5, 0, 1} {
		r := NewRing(capacity)
		if n := r.Write([]float32{1, 2}); n != 1 {
			t.Errorf("capacity %d: wrote %d", capacity, n)
		}
	}
}
