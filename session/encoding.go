package session

import "github.com/parley-voice/parley/codec"

// encoding is one of those that our voice has at a time: what a listener's link
// carries decides which of them it gets. Later ones take less.
type encoding uint8

const (
	whole encoding = iota // as the application asks for
	lean                  // wideband speech
	thin                  // what makes itself understood
	numEncodings
)

// encodings is a set of them.
type encodings [numEncodings]bool

// bitrate is that of an encoding, in b/s. What is asked for may be as little as the
// others are.
func (e encoding) bitrate(cfg codec.Config) int {
	const (
		usualLean, usualThin = 17000, 11000
		share                = 0.65 // of the one before, at most
	)
	bitrate := cfg.Bitrate
	if bitrate == 0 {
		bitrate = codec.DefaultBitrate
	}
	if e >= lean {
		bitrate = max(min(usualLean, int(share*float64(bitrate))), codec.MinBitrate)
	}
	if e >= thin {
		bitrate = max(min(usualThin, int(share*float64(bitrate))), codec.MinBitrate)
	}
	return bitrate
}

// config is that of its encoder. Where bytes are what is short, a loud syllable must
// not take twice as many.
func (e encoding) config(cfg codec.Config) codec.Config {
	if e != whole {
		cfg.Bitrate, cfg.Constant = e.bitrate(cfg), true
	}
	return cfg
}
