package record

import (
	"errors"
	"fmt"

	"github.com/parley-voice/parley/codec"
)

// Format is how files are written.
type Format uint8

// The formats.
const (
	OggOpus Format = iota // Ogg Opus, RFC 7845: about 9 MB an hour of speech, 0.6 MB an hour of silence
	WAV                   // 16 bit PCM of 48 kHz: 346 MB an hour of each participant, of which silence takes no room on most disks
)

// String is "ogg" or "wav", which is also how file names end.
func (f Format) String() string {
	if f == WAV {
		return "wav"
	}
	return "ogg"
}

// Tracks says which files there are.
type Tracks uint8

// The kinds of tracks, which may be added.
const (
	PerPeer Tracks = 1 << iota // one of each participant, mono, named by its ID
	Mixed                      // one of all together, as it was heard here, our own voice included
)

// Config says what is recorded. The zero value is a file of Ogg Opus for each
// participant.
type Config struct {
	Format Format // default OggOpus
	Tracks Tracks // PerPeer, Mixed or PerPeer|Mixed; 0 means PerPeer
	NoSelf bool   // our own voice is left out

	// Unannounced leaves it to the application to tell the others that they are
	// recorded, and to ask them where that is the law. Without it the session
	// tells them.
	Unannounced bool

	// Codec codes the mix in the format OggOpus, and must be Opus: opus.Codec{}.
	// Nothing else needs it.
	Codec   codec.Codec
	Bitrate int // of the mix in the format OggOpus, in b/s; 0 means 48000

	// OnFailure is called when a file is given up, by the goroutine that
	// writes. The error is a *TrackError. It must not call Stop.
	OnFailure func(error)
}

const defaultBitrate = 48000

func (c Config) withDefaults() (Config, error) {
	if c.Tracks == 0 {
		c.Tracks = PerPeer
	}
	if c.Bitrate == 0 {
		c.Bitrate = defaultBitrate
	}
	switch {
	case c.Format > WAV:
		return c, fmt.Errorf("%w: format %d", ErrConfig, c.Format)
	case c.Tracks&^(PerPeer|Mixed) != 0:
		return c, fmt.Errorf("%w: tracks %d", ErrConfig, c.Tracks)
	case c.Format == OggOpus && c.Tracks&Mixed != 0:
		if c.Codec == nil {
			return c, fmt.Errorf("%w: a mix in Ogg Opus needs a Codec", ErrConfig)
		}
		if _, err := c.Codec.NewEncoder(codec.Config{Bitrate: c.Bitrate}); err != nil {
			return c, fmt.Errorf("%w: %w", ErrConfig, err)
		}
	}
	return c, nil
}

// Errors of this package. They are wrapped, so compare with errors.Is.
var (
	ErrConfig    = errors.New("record: setting out of range")
	ErrExists    = errors.New("record: there is a recording already")
	ErrManyFiles = errors.New("record: too many files")
)

// TrackError says that a file was given up.
type TrackError struct {
	File string // its name in the directory
	Err  error
}

// Error implements error.
func (e *TrackError) Error() string { return "record: " + e.File + ": " + e.Err.Error() }

// Unwrap returns the reason.
func (e *TrackError) Unwrap() error { return e.Err }
