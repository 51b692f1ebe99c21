package parley

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/parley-voice/parley/audio"
	"github.com/parley-voice/parley/audio/portaudio"
	"github.com/parley-voice/parley/session"
)

// Limits of a microphone check.
const (
	leastCheck = time.Second
	mostCheck  = time.Minute
)

// CheckMicrophone judges the microphone of cfg, the device or what OpenSource gives,
// by what it records in a time of 1 to 60 s: is it loud enough, too loud, is there
// noise? Somebody should speak meanwhile, with a pause. Nothing is done to what is
// recorded before, not what Config.Clean says either. A file may end earlier, and is
// read as fast as it can be. It fails with ErrNoMicrophone, session.ErrConfig, or ctx's
// error.
func CheckMicrophone(ctx context.Context, cfg Config, d time.Duration) (audio.MicrophoneReport, error) {
	if d < leastCheck || d > mostCheck {
		return audio.MicrophoneReport{}, fmt.Errorf("parley: %w: a microphone check of %v, want %v to %v", session.ErrConfig, d, leastCheck, mostCheck)
	}
	open := cfg.OpenSource
	if open == nil {
		open = func() (audio.Source, error) {
			return portaudio.OpenSource(portaudio.Config{Device: cfg.Microphone, Logger: cfg.Logger})
		}
	}
	source, err := open()
	switch {
	case err != nil:
		return audio.MicrophoneReport{}, fmt.Errorf("%w: %w", ErrNoMicrophone, err)
	case source == nil:
		return audio.MicrophoneReport{}, fmt.Errorf("%w: there is no source", ErrNoMicrophone)
	}
	defer source.Close() //nolint:errcheck // all has been read by then
	var check audio.MicrophoneCheck
	for range d / audio.BlockDuration {
		if err := ctx.Err(); err != nil {
			return audio.MicrophoneReport{}, fmt.Errorf("parley: %w", err)
		}
		var b audio.Block
		if err := source.ReadBlock(&b); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return audio.MicrophoneReport{}, fmt.Errorf("%w: %w", ErrNoMicrophone, err)
		}
		check.Push(&b)
	}
	if device, ok := source.(audio.Device); ok {
		if f := device.Faults(); f.Lost { // and has not come back meanwhile
			return audio.MicrophoneReport{}, fmt.Errorf("%w: %s", ErrNoMicrophone, f.Reason)
		}
	}
	return check.Report(), nil
}
