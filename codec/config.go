package codec

import (
	"fmt"
	"time"
)

// The defaults and limits of Config.
const (
	DefaultFrameDuration = 20 * time.Millisecond
	DefaultBitrate       = 26000 // speech at full bandwidth, and little more on the wire than what surrounds it
	MinBitrate           = 6000
	MaxBitrate           = 128000
	DefaultComplexity    = 9
	MaxComplexity        = 10
)

// Resolve returns c with its defaults filled in. A setting out of range is an
// error that wraps ErrConfig.
func (c Config) Resolve() (Config, error) {
	if c.FrameDuration == 0 {
		c.FrameDuration = DefaultFrameDuration
	}
	if c.Bitrate == 0 {
		c.Bitrate = DefaultBitrate
	}
	if c.Complexity == 0 {
		c.Complexity = DefaultComplexity
	}
	switch c.FrameDuration {
	case 10 * time.Millisecond, 20 * time.Millisecond, 40 * time.Millisecond, 60 * time.Millisecond:
	default:
		return Config{}, fmt.Errorf("%w: frame duration %v, want 10, 20, 40 or 60 ms", ErrConfig, c.FrameDuration)
	}
	if err := CheckBitrate(c.Bitrate); err != nil {
		return Config{}, err
	}
	if c.Complexity < 1 || c.Complexity > MaxComplexity {
		return Config{}, fmt.Errorf("%w: complexity %d, want 1 to %d", ErrConfig, c.Complexity, MaxComplexity)
	}
	return c, nil
}

// CheckBitrate returns an error that wraps ErrConfig unless bps, in bits per
// second, is a bitrate that an Encoder takes.
func CheckBitrate(bps int) error {
	if bps < MinBitrate || bps > MaxBitrate {
		return fmt.Errorf("%w: bitrate %d b/s, want %d to %d", ErrConfig, bps, MinBitrate, MaxBitrate)
	}
	return nil
}
