package speex

/*
#cgo pkg-config: speexdsp

#include <stdint.h>
#include <stdlib.h>
#include <speex/speex_echo.h>
#include <speex/speex_preprocess.h>

// One call for a block, whatever is done to it: mic holds n samples in frames,
// and is changed in place. Either state may be NULL. The result is the energy of
// the echo that was taken away.
static double parley_speex_run(SpeexEchoState *echo, SpeexPreprocessState *noise,
		int16_t *mic, const int16_t *mix, int16_t *out, int frame, int n) {
	double taken = 0;
	for (int at = 0; at < n; at += frame) {
		int16_t *done = mic + at;
		if (echo) {
			speex_echo_cancellation(echo, mic + at, mix + at, out);
			for (int i = 0; i < frame; i++) {
				double y = done[i] - out[i];
				taken += y * y;
				done[i] = out[i];
			}
		}
		if (noise)
			speex_preprocess_run(noise, done);
	}
	return taken;
}

// The requests take pointers to int32, spx_int32_t, or the state itself.
static int parley_speex_set_rate(SpeexEchoState *echo, int32_t rate) {
	return speex_echo_ctl(echo, SPEEX_ECHO_SET_SAMPLING_RATE, &rate);
}
static int parley_speex_set(SpeexPreprocessState *noise, int request, int32_t value) {
	return speex_preprocess_ctl(noise, request, &value);
}
static int parley_speex_set_echo(SpeexPreprocessState *noise, SpeexEchoState *echo) {
	return speex_preprocess_ctl(noise, SPEEX_PREPROCESS_SET_ECHO_STATE, echo);
}
*/
import "C"

import "github.com/parley-voice/parley/audio"

// By how many dB what is left of the echo is turned down: while nobody speaks
// here, and while somebody does, when more would take away of the voice.
const (
	residualAlone  = 40
	residualDouble = 6
)

// state is what libspeexdsp keeps, in memory of C.
type state struct {
	echo  *C.SpeexEchoState // nil unless echo is cancelled
	noise *C.SpeexPreprocessState
}

// newState makes what a complete cfg asks for. tail is in samples.
func newState(cfg Config, tail int) (*state, error) {
	s := &state{}
	if !cfg.NoEcho {
		s.echo = C.speex_echo_state_init(frame, C.int(tail))
		if s.echo == nil || C.parley_speex_set_rate(s.echo, audio.SampleRate) != 0 {
			s.free()
			return nil, ErrState
		}
	}
	// What suppresses noise also takes away what is left of the echo, so it is
	// there whichever of the two is wanted.
	s.noise = C.speex_preprocess_state_init(frame, audio.SampleRate)
	if s.noise == nil || !s.set(cfg) {
		s.free()
		return nil, ErrState
	}
	return s, nil
}

// set hands the settings over, and reports whether they were taken.
func (s *state) set(cfg Config) bool {
	depth := -C.int32_t(cfg.NoiseSuppression)
	if cfg.NoNoise {
		depth = 0
	}
	ok := C.parley_speex_set(s.noise, C.SPEEX_PREPROCESS_SET_DENOISE, 1) == 0 &&
		C.parley_speex_set(s.noise, C.SPEEX_PREPROCESS_SET_NOISE_SUPPRESS, depth) == 0
	if s.echo != nil {
		ok = ok && C.parley_speex_set_echo(s.noise, s.echo) == 0 &&
			C.parley_speex_set(s.noise, C.SPEEX_PREPROCESS_SET_ECHO_SUPPRESS, -residualAlone) == 0 &&
			C.parley_speex_set(s.noise, C.SPEEX_PREPROCESS_SET_ECHO_SUPPRESS_ACTIVE, -residualDouble) == 0
	}
	return ok
}

// run processes a block in place; out is working memory. It returns the energy of
// the echo that was taken away.
func (s *state) run(mic, mix, out *[audio.BlockSamples]int16) (taken float64) {
	return float64(C.parley_speex_run(s.echo, s.noise,
		(*C.int16_t)(&mic[0]), (*C.int16_t)(&mix[0]), (*C.int16_t)(&out[0]), frame, audio.BlockSamples))
}

// free gives everything back. The preprocessor goes first: it knows the echo
// canceller.
func (s *state) free() {
	if s.noise != nil {
		C.speex_preprocess_state_destroy(s.noise)
	}
	if s.echo != nil {
		C.speex_echo_state_destroy(s.echo)
	}
	s.noise, s.echo = nil, nil
}
