package session

import (
	"fmt"
	"sync/atomic"

	"github.com/parley-voice/parley/audio"
)

// talking is when this side talks, as the application wants it now.
type talking struct {
	mode              atomic.Uint32 // a Mode
	threshold, margin atomicLevel   // of VoiceActivation; dBFS and dB
	key               atomic.Bool   // of PushToTalk
}

func (t *talking) configure(c Config) error {
	if err := t.setMode(c.Mode); err != nil {
		return err
	}
	if err := t.setThreshold(c.VoiceThreshold); err != nil {
		return err
	}
	return t.setMargin(c.VoiceMargin)
}

func (t *talking) setMode(mode Mode) error {
	if mode > PushToTalk {
		return fmt.Errorf("%w: unknown mode %d", ErrConfig, mode)
	}
	t.mode.Store(uint32(mode))
	return nil
}

func (t *talking) setThreshold(dbfs float64) error {
	if dbfs == 0 {
		dbfs = defaultVoiceThreshold
	}
	if !(dbfs >= audio.FloorDBFS && dbfs < 0) {
		return fmt.Errorf("%w: voice threshold %g dBFS, want %g to 0", ErrConfig, dbfs, audio.FloorDBFS)
	}
	t.threshold.store(dbfs)
	return nil
}

func (t *talking) setMargin(db float64) error {
	if db == 0 {
		db = defaultVoiceMargin
	}
	if !(db > 0 && db <= maxVoiceMargin) {
		return fmt.Errorf("%w: voice margin %g dB, want 0 to %d", ErrConfig, db, maxVoiceMargin)
	}
	t.margin.store(db)
	return nil
}

// SetMode says when this side talks, from the next 10 ms on and across Stop and
// Start. What VoiceActivation still held back isn't said any more. It fails with
// ErrConfig for a mode that there isn't.
func (s *Session) SetMode(mode Mode) error {
	if err := s.talking.setMode(mode); err != nil {
		return err
	}
	s.stateChanged() // the delay is another one
	return nil
}

// Mode is when this side talks.
func (s *Session) Mode() Mode { return Mode(s.talking.mode.Load()) }

// SetVoiceThreshold changes the level in dBFS (RMS of 10 ms, after Config.Chain)
// from which what is recorded may be a voice, from the next 10 ms on and across
// Stop and Start. 0 means the default. It fails with ErrConfig.
//
// VoiceActivation opens for what reaches this threshold and, over the background
// (see audio.NoiseFloor), the margin. It closes after 300 ms in which the level was
// lower than 6 dB below the threshold, or than half the margin above the
// background. What was recorded in the 80 ms before it opened is said as well, and
// so everything is said that much later. To help people to choose, show them
// Stats.Level beside it.
func (s *Session) SetVoiceThreshold(dbfs float64) error { return s.talking.setThreshold(dbfs) }

// VoiceThreshold is the threshold of VoiceActivation in dBFS.
func (s *Session) VoiceThreshold() float64 { return s.talking.threshold.load() }

// SetVoiceMargin changes by how many dB a voice is above the background, which is
// the sensitivity of VoiceActivation: the lower the more sensitive. It does so from
// the next 10 ms on and across Stop and Start. 0 means the default. It fails with
// ErrConfig.
func (s *Session) SetVoiceMargin(db float64) error { return s.talking.setMargin(db) }

// VoiceMargin is by how many dB a voice is above the background.
func (s *Session) VoiceMargin() float64 { return s.talking.margin.load() }

// SetTalking is the key of PushToTalk; the other modes ignore it. What is said in
// the 100 ms after it is released is said as well.
func (s *Session) SetTalking(talking bool) { s.talking.key.Store(talking) }

// Talking reports whether the key of PushToTalk is down.
func (s *Session) Talking() bool { return s.talking.key.Load() }
