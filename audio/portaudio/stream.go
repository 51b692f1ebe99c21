package portaudio

import (
	"errors"
	"fmt"
	"time"

	pa "github.com/gordonklaus/portaudio"

	"github.com/parley-voice/parley/audio"
)

// request is what is asked of a device.
type request struct {
	rate    float64 // in Hz; a device that refuses it is opened at the rate it prefers
	latency time.Duration
}

// stream is a running blocking stream. All of it belongs to the goroutine that
// opened it.
type stream struct {
	pa       *pa.Stream
	dir      direction
	device   Device
	fallback bool          // not the device that was asked for
	rate     float64       // the device's, in Hz
	channels int           // the device's
	buf      []float32     // what Read fills and Write takes; interleaved, as the device has it
	shaper   *shaper       // between buf and audio as this package has it
	piece    []float32     // what a writer fills; interleaved stereo at 48 kHz
	latency  time.Duration // from the device to this package or back
	poller   poller
}

// openStream opens a device at the rate asked for, or at the one it prefers.
func openStream(sys system, dir direction, name string, req request) (*stream, error) {
	info, err := sys.choose(dir, name)
	if err != nil {
		return nil, err
	}
	s := &stream{dir: dir, device: sys.describe(info)}
	if err = probe(dir, info); err != nil {
		return nil, fmt.Errorf("%w: %s %q: %w", ErrUnavailable, dir.noun(), s.device.Key(), err)
	}
	defer shared.gate.close()()
	for _, rate := range []float64{req.rate, info.DefaultSampleRate} {
		for _, channels := range dir.layouts(info) {
			if err = s.open(info, rate, channels, req.latency); err == nil {
				return s, nil
			}
			if !errors.Is(err, pa.InvalidSampleRate) && !errors.Is(err, pa.InvalidChannelCount) {
				return nil, fmt.Errorf("%w: %s %q: %w", ErrUnavailable, dir.noun(), s.device.Key(), describe(err))
			}
		}
	}
	return nil, fmt.Errorf("%w: %s %q: %w", ErrUnavailable, dir.noun(), s.device.Key(), describe(err))
}

// layouts are the numbers of channels to ask a device for, the best one first:
// a microphone in mono, a speaker in stereo.
func (d direction) layouts(info *pa.DeviceInfo) []int {
	switch {
	case d.channels(info) < 2:
		return []int{1}
	case d == input:
		return []int{1, 2}
	default:
		return []int{2, 1}
	}
}

// open opens and starts a device with a buffer of the given latency, which is
// read or written in halves. A speaker plays from the first write on.
func (s *stream) open(info *pa.DeviceInfo, rate float64, channels int, latency time.Duration) error {
	half := latency.Seconds() / 2
	frames := int(half * rate)
	s.rate, s.channels = rate, channels
	s.buf = make([]float32, frames*channels)
	s.piece = make([]float32, 2*pieceFrames(latency))
	end := pa.StreamDeviceParameters{Device: info, Channels: channels, Latency: bufferFor(s.dir, latency)}
	p := pa.StreamParameters{SampleRate: rate, FramesPerBuffer: frames}
	var err error
	if s.dir == input {
		p.Input = end
		s.shaper, err = newShaper(channels, 1, int(rate), audio.SampleRate, frames)
	} else {
		p.Output = end
		s.shaper, err = newShaper(2, channels, audio.SampleRate, int(rate), len(s.piece)/2)
	}
	if err != nil {
		return pa.InvalidSampleRate
	}
	if s.pa, err = pa.OpenStream(p, &s.buf); err != nil {
		return err
	}
	if err = s.pa.Start(); err != nil { // a device may be gone and known only by name
		_ = s.pa.Close() // the first error says more
		return err
	}
	s.latency = s.delay(info, latency)
	return nil
}

// pieceFrames is how many frames at 48 kHz a device with a buffer of the given
// latency moves at once.
func pieceFrames(latency time.Duration) int {
	return int(latency.Seconds() / 2 * audio.SampleRate)
}

// delay is how long audio takes from the device to this package or back.
func (s *stream) delay(info *pa.DeviceInfo, asked time.Duration) time.Duration {
	delay := asked
	if i := s.pa.Info(); i != nil {
		delay = i.InputLatency + i.OutputLatency // one of them is zero
	}
	if s.dir == output {
		return delay + duration(s.shaper.delay())
	}
	if info.HostApi != nil && info.HostApi.Type == pa.ALSA {
		delay = s.lasts(len(s.buf)) // ALSA's is that of a full buffer, and it is read piece by piece
	}
	return delay + s.lasts(s.shaper.delay()*s.channels)
}

// lasts is how long a number of the device's samples, of all channels, lasts.
func (s *stream) lasts(samples int) time.Duration {
	return time.Duration(float64(samples/s.channels) / s.rate * float64(time.Second))
}

// describe makes an error of PortAudio readable: that of a host API may have no text.
func describe(err error) error {
	if err.Error() == "" {
		return errors.New("the sound system reports an error")
	}
	return err
}

// read waits for a piece of audio and returns it as mono at 48 kHz, valid until
// the next call. overrun says that audio was lost before it.
func (s *stream) read(p *pump) (pcm []float32, overrun bool, err error) {
	s.await(p)
	shared.gate.enter()
	err = s.pa.Read()
	shared.gate.leave()
	if errors.Is(err, pa.InputOverflowed) {
		overrun, err = true, nil
	}
	if err != nil {
		return nil, false, err
	}
	return s.shaper.shape(s.buf), overrun, nil
}

// write waits for room and plays a piece of stereo audio at 48 kHz. underrun
// says that the device had run dry before it.
func (s *stream) write(pcm []float32) (underrun bool, err error) {
	s.buf = s.shaper.shape(pcm)
	if len(s.buf) == 0 {
		return false, nil // a converter may hold everything back at first
	}
	shared.gate.enter()
	err = s.pa.Write()
	shared.gate.leave()
	if errors.Is(err, pa.OutputUnderflowed) {
		return true, nil
	}
	return false, err
}

// await waits until a piece can be moved at once, or until moving it is to tell what
// is wrong.
func (s *stream) await(p *pump) {
	s.poller.wait(s.lasts(len(s.buf)), func() (part, whole bool) {
		frames, err := s.available()
		return frames > 0, err != nil || frames*s.channels >= len(s.buf) || p.stopped()
	}, p.sleep)
}

// available is how many frames could be moved now without waiting.
func (s *stream) available() (int, error) {
	if s.dir == output {
		return s.room()
	}
	shared.gate.enter()
	defer shared.gate.leave()
	return s.pa.AvailableToRead()
}

// prime fills a speaker's buffer with silence: as long as it isn't full there is
// no reserve, and a writer would seem late.
func (s *stream) prime() error {
	clear(s.piece)
	for filled := time.Duration(0); filled <= s.latency; filled += s.lasts(len(s.buf)) {
		if room, err := s.room(); err != nil || room < len(s.piece)/2 {
			return nil // a device that fails fails at the next write too
		}
		if _, err := s.write(s.piece); err != nil {
			return err
		}
	}
	return nil
}

// room is how many frames could be written now without waiting.
func (s *stream) room() (int, error) {
	shared.gate.enter()
	defer shared.gate.leave()
	return s.pa.AvailableToWrite()
}

// reserve is for how long the device can go on without being written to.
func (s *stream) reserve() time.Duration {
	room, err := s.room()
	if err != nil {
		return 0 // the next write tells
	}
	return max(0, s.latency-s.lasts(room*s.channels))
}
