package portaudio

import "time"

// How a pump waits for its device.
const (
	pollLeast  = time.Millisecond // between two looks, or a quarter of a piece if that is longer
	pollPieces = 8                // for how many pieces' time it looks
	pollSilent = 10               // a device that said nothing for so many times in a row isn't asked for long
)

// poller waits for a device without being in C meanwhile: a goroutine that waits
// there keeps its processor from other goroutines until the scheduler notices, and two
// devices on a machine with two processors made packets some 20 ms late. A kind of
// device of which PortAudio always says that there is nothing to move is left to
// PortAudio's own waiting. The zero value is ready.
type poller struct {
	silent int // times in a row that the device didn't say what it has
}

// wait looks until a whole piece can be moved, for pollPieces times its length. look
// says whether a part can be moved and whether the whole, or whether there is nothing
// to wait for.
func (w *poller) wait(piece time.Duration, look func() (part, whole bool), sleep func(time.Duration)) {
	step := max(pollLeast, piece/4)
	for waited := time.Duration(0); ; waited += step {
		part, whole := look()
		if part {
			w.silent = 0
		}
		if whole || w.silent >= pollSilent {
			return
		}
		if waited >= pollPieces*piece {
			w.silent++
			return
		}
		sleep(step)
	}
}
