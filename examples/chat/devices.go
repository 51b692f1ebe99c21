package main

import (
	"fmt"
	"strings"

	"github.com/parley-voice/parley/audio/portaudio"
)

// listDevices says which devices there are.
func listDevices() string {
	devices, err := portaudio.Devices()
	if err != nil {
		return err.Error()
	}
	var b strings.Builder
	for _, d := range devices {
		var is []string
		for _, c := range []struct {
			noun    string
			can, is bool
		}{{"microphone", d.Inputs > 0, d.DefaultInput}, {"speaker", d.Outputs > 0, d.DefaultOutput}} {
			switch {
			case c.is:
				is = append(is, c.noun+", the default one")
			case c.can:
				is = append(is, c.noun)
			}
		}
		fmt.Fprintf(&b, "  %s (%s)\n", d.Key(), strings.Join(is, "; "))
	}
	if b.Len() == 0 {
		return "  none"
	}
	return strings.TrimRight(b.String(), "\n")
}

// choose goes on with another device. "default" is the system's.
func choose(name string, set func(string) error) string {
	if name == "default" {
		name = ""
	}
	if err := set(name); err != nil {
		return err.Error()
	}
	return "done"
}
