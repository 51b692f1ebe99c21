package codec_test

import (
	"errors"
	"testing"
	"time"

	"github.com/parley-voice/parley/codec"
)

func TestResolveFillsInTheDefaults(t *testing.T) {
	got, err := codec.Config{}.Resolve()
	want := codec.Config{FrameDuration: 20 * time.Millisecond, Bitrate: 26000, Complexity: 9}
	if err != nil || got != want {
		t.Fatalf("%+v, %v; want %+v", got, err, want)
	}
	all := codec.Config{FrameDuration: 60 * time.Millisecond, Bitrate: 6000, Constant: true, Complexity: 1, NoDTX: true, LowDelay: true}
	if got, err := all.Resolve(); err != nil || got != all {
		t.Fatalf("%+v, %v; want %+v as it is", got, err, all)
	}
}

func TestResolveRefusesWhatIsOutOfRange(t *testing.T) {
	tests := map[string]struct {
		config codec.Config
		ok     bool
	}{
		"bitrate least":         {codec.Config{Bitrate: 6000}, true},
		"bitrate below":         {codec.Config{Bitrate: 5999}, false},
		"bitrate most":          {codec.Config{Bitrate: 128000}, true},
		"bitrate above":         {codec.Config{Bitrate: 128001}, false},
		"bitrate negative":      {codec.Config{Bitrate: -1}, false},
		"10 ms":                 {codec.Config{FrameDuration: 10 * time.Millisecond}, true},
		"40 ms":                 {codec.Config{FrameDuration: 40 * time.Millisecond}, true},
		"5 ms":                  {codec.Config{FrameDuration: 5 * time.Millisecond}, false},
		"30 ms":                 {codec.Config{FrameDuration: 30 * time.Millisecond}, false},
		"120 ms":                {codec.Config{FrameDuration: 120 * time.Millisecond}, false},
		"almost 20 ms":          {codec.Config{FrameDuration: 20*time.Millisecond + 1}, false},
		"negative duration":     {codec.Config{FrameDuration: -20 * time.Millisecond}, false},
		"complexity most":       {codec.Config{Complexity: 10}, true},
		"complexity above":      {codec.Config{Complexity: 11}, false},
		"complexity below zero": {codec.Config{Complexity: -1}, false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := test.config.Resolve()
			if test.ok && err != nil || !test.ok && !errors.Is(err, codec.ErrConfig) {
				t.Fatalf("%v, want accepted: %v", err, test.ok)
			}
		})
	}
}
