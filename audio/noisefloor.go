package audio

// NoiseFloor follows the level of what is there when nobody speaks: the lowest
// level, smoothed over some blocks, of the last 3 s. Speech of that length has
// pauses; what sounds on and on without any is noise to it. The zero value is
// ready. It is not safe for concurrent use, and allocates nothing.
type NoiseFloor struct {
	smooth  float64 // dBFS
	lowest  [floorParts]float64
	part    int // that is under way
	blocks  int // of it that are over
	started bool
}

const (
	floorParts  = 4
	floorPart   = 75  // blocks
	floorFollow = 0.2 // share by which the smooth level moves towards that of a block
)

// Push takes the level of the next 10 ms in dBFS and returns that of the noise.
func (n *NoiseFloor) Push(level float64) float64 {
	if !n.started {
		n.started, n.smooth = true, level
		for i := range n.lowest {
			n.lowest[i] = level
		}
	}
	n.smooth += floorFollow * (level - n.smooth)
	if n.blocks++; n.blocks > floorPart {
		n.blocks = 1
		n.part = (n.part + 1) % floorParts
		n.lowest[n.part] = n.smooth
	}
	n.lowest[n.part] = min(n.lowest[n.part], n.smooth)
	return min(n.lowest[0], n.lowest[1], n.lowest[2], n.lowest[3])
}
