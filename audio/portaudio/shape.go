package portaudio

import "github.com/parley-voice/parley/audio"

// shaper turns audio of a device into that of this package, or the other way
// round: channels and sample rate. It allocates nothing after newShaper.
type shaper struct {
	from, to int    // channels; to is from or 1
	rates    []lane // one per channel of to; none if the rates are equal
	mixed    []float32
	out      []float32
}

// lane converts the rate of one channel.
type lane struct {
	*audio.Resampler
	in, out []float32
}

// newShaper makes a shaper for at most most frames at a time. One channel comes
// of several by their mean.
func newShaper(from, to, fromRate, toRate, most int) (*shaper, error) {
	s := &shaper{from: from, to: to, mixed: make([]float32, 0, most*to)}
	if fromRate == toRate {
		return s, nil
	}
	longest := most*toRate/fromRate + 2
	s.out = make([]float32, 0, longest*to)
	for range to {
		r, err := audio.NewResampler(fromRate, toRate)
		if err != nil {
			return nil, err
		}
		s.rates = append(s.rates, lane{r, make([]float32, most), make([]float32, longest)})
	}
	return s, nil
}

// delay is by how many frames, at the rate that audio comes in, it is late.
func (s *shaper) delay() int {
	if len(s.rates) == 0 {
		return 0
	}
	return s.rates[0].Lookahead()
}

// shape converts interleaved audio. The result is valid until the next call, and
// may be the argument itself.
func (s *shaper) shape(pcm []float32) []float32 {
	if s.from != s.to {
		pcm = mono(s.mixed[:0], pcm, s.from)
	}
	if len(s.rates) == 0 {
		return pcm
	}
	n := 0
	for c, l := range s.rates {
		in := l.in[:len(pcm)/s.to]
		for i := range in {
			in[i] = pcm[i*s.to+c]
		}
		_, n = l.Process(l.out, in)
	}
	s.out = s.out[:n*s.to]
	for c, l := range s.rates {
		for i, x := range l.out[:n] {
			s.out[i*s.to+c] = x
		}
	}
	return s.out
}

// mono appends the mean of the channels of interleaved audio to dst.
func mono(dst, pcm []float32, channels int) []float32 {
	for ; len(pcm) >= channels; pcm = pcm[channels:] {
		sum := float32(0)
		for _, x := range pcm[:channels] {
			sum += x
		}
		dst = append(dst, sum/float32(channels))
	}
	return dst
}
