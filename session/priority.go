package session

import (
	"fmt"
	"math"
)

const (
	defaultAttenuation = 12 // dB
	silencedFrom       = 60 // dB: what is to be quieter is silent
	// How many blocks it takes until a voice has made way, and until it is back.
	yieldBlocks  = 10
	returnBlocks = 30
)

func (c Config) checkAttenuation() error {
	if math.IsNaN(c.PriorityAttenuation) {
		return fmt.Errorf("%w: priority attenuation is not a number", ErrConfig)
	}
	return nil
}

// lowered is the gain of a voice while one of a higher priority is heard.
func (c Config) lowered() float32 {
	switch dB := c.PriorityAttenuation; {
	case dB == 0:
		return float32(math.Pow(10, -defaultAttenuation/20.))
	case dB < 0:
		return 1
	default:
		return gainOf(dB)
	}
}

// yielding is how far a voice has made way for more important ones: from 0, not at
// all, to 1.
type yielding float32

// next moves a voice of some priority by one block, while one of priority top is
// heard, and returns its gain.
func (y *yielding) next(own, top Priority, cfg *Config) float32 {
	low := y.move(own < top)
	if low == 0 {
		return 1
	}
	return 1 - low*(1-cfg.lowered())
}

// move goes on by one block, one way or the other, and returns how far it has come.
func (y *yielding) move(makesWay bool) float32 {
	if makesWay {
		*y = min(1, *y+1./yieldBlocks)
	} else if *y > 0 {
		*y = max(0, *y-1./returnBlocks)
	}
	return float32(*y)
}

// priority is that of what the peer says.
func (h *hearing) priority() Priority {
	if t := h.through.Load(); t != nil {
		return t.priority
	}
	return Normal
}
