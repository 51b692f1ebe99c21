package session

import (
	"fmt"

	"github.com/parley-voice/parley/codec"
)

// encoding is one of those that our voice has at a time: what a listener's link
// carries decides which of them it gets.
type encoding uint8

const (
	whole   encoding = iota // as the application asks for
	guarded                 // the same with in-band FEC: each packet says roughly what was in the one before
	lean                    // wideband speech
	thin                    // what makes itself understood
	spare                   // the same with the least effort: of copies that are heard seldom
	numEncodings
)

// encodings is a set of them.
type encodings [numEncodings]bool

const (
	// guardedBitrate is the lowest at which libopus spares the bits for FEC whatever
	// loss it is told to expect, and keeps the whole band, in b/s.
	guardedBitrate = 32000
	// guardedLoss is what it is told: how good FEC is hardly depends on it then, but
	// all the rest is worse where it is more.
	guardedLoss = 0.05
	// leastComplexity takes about a tenth of the time that the usual one takes at the
	// bitrate of spare: BenchmarkEncode.
	leastComplexity = 1
)

// guards tells whether there is a guarded encoding: not where the codec has no FEC, or
// less is asked for than what it needs, by much.
func guards(cfg codec.Config) bool {
	return !cfg.LowDelay && whole.bitrate(cfg) >= codec.DefaultBitrate
}

// bitrate is that of an encoding, in b/s. What is asked for may be as little as the
// others are.
func (e encoding) bitrate(cfg codec.Config) int {
	const (
		usualLean, usualThin = 17000, 11000
		share                = 0.65 // of the one that takes more, at most
	)
	asked := cfg.Bitrate
	if asked == 0 {
		asked = codec.DefaultBitrate
	}
	switch e {
	case guarded:
		return max(asked, guardedBitrate)
	case lean:
		return max(min(usualLean, int(share*float64(asked))), codec.MinBitrate)
	case thin, spare:
		return max(min(usualThin, int(share*float64(lean.bitrate(cfg)))), codec.MinBitrate)
	default:
		return asked
	}
}

// encoder makes one. Where bytes are what is short, a loud syllable must not take
// twice as many.
func (e encoding) encoder(c codec.Codec, cfg codec.Config) (codec.Encoder, error) {
	if e != whole {
		cfg.Bitrate = e.bitrate(cfg)
	}
	cfg.Constant = cfg.Constant || e >= lean
	if e == spare {
		cfg.Complexity = leastComplexity
	}
	enc, err := c.NewEncoder(cfg)
	if err == nil && e == guarded {
		err = enc.SetExpectedLoss(guardedLoss, true)
	}
	if err != nil {
		return nil, fmt.Errorf("session: %w", err)
	}
	return enc, nil
}
