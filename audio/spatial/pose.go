package spatial

import (
	"errors"
	"fmt"
	"math"
)

// Errors of this package. They are wrapped, so compare with errors.Is.
var (
	ErrPose  = errors.New("spatial: no pose")
	ErrModel = errors.New("spatial: no model of distance")
)

// MaxCoordinate is the largest amount of a coordinate. What is computed of smaller
// ones is finite.
const MaxCoordinate = 1e100

// Vec is a position or a direction.
type Vec struct{ X, Y, Z float64 }

// Pose is where somebody is, and which way they face. Of a voice only Position
// counts.
//
// Forward and Up are directions of any length; they need not be at right angles.
// A zero Forward is that of OpenAL and Web Audio, (0, 0, -1), and a zero Up
// (0, 1, 0): then X grows to the right, which suits a game in two dimensions too.
// To somebody who looks straight along Up nothing is left or right: all is in the
// centre.
type Pose struct {
	Position Vec
	Forward  Vec
	Up       Vec
}

// Check returns ErrPose for what has a coordinate that isn't a number, isn't
// finite, or is beyond MaxCoordinate.
func (p Pose) Check() error {
	for _, v := range []struct {
		name string
		vec  Vec
	}{{"position", p.Position}, {"forward", p.Forward}, {"up", p.Up}} {
		if m := v.vec.largest(); !(m <= MaxCoordinate) {
			return fmt.Errorf("%w: %s %v", ErrPose, v.name, v.vec)
		}
	}
	return nil
}

// Distance is how far apart two positions are.
func Distance(a, b Vec) float64 { return b.minus(a).length() }

// right is the direction of the right ear, of length 1; zero if there is none. In
// right-handed axes it is forward × up, in left-handed ones up × forward.
func (p Pose) right(leftHanded bool) Vec {
	forward, up := p.Forward, p.Up
	if forward == (Vec{}) {
		forward = Vec{Z: -1}
		if leftHanded {
			forward.Z = 1
		}
	}
	if up == (Vec{}) {
		up = Vec{Y: 1}
	}
	if leftHanded {
		forward, up = up, forward
	}
	right := forward.unit().cross(up.unit())
	if right.length() < parallel {
		return Vec{}
	}
	return right.unit()
}

// parallel is the sine of an angle below which two directions are taken to be the
// same.
const parallel = 1e-6

func (v Vec) minus(w Vec) Vec   { return Vec{v.X - w.X, v.Y - w.Y, v.Z - w.Z} }
func (v Vec) dot(w Vec) float64 { return v.X*w.X + v.Y*w.Y + v.Z*w.Z }

func (v Vec) cross(w Vec) Vec {
	return Vec{v.Y*w.Z - v.Z*w.Y, v.Z*w.X - v.X*w.Z, v.X*w.Y - v.Y*w.X}
}

func (v Vec) length() float64 { return math.Sqrt(v.dot(v)) }

// unit is the direction of v with length 1, or zero.
func (v Vec) unit() Vec {
	m := v.largest()
	if m == 0 {
		return Vec{}
	}
	v = Vec{v.X / m, v.Y / m, v.Z / m} // so that the squares of tiny ones aren't zero
	n := v.length()
	return Vec{v.X / n, v.Y / n, v.Z / n}
}

// largest is the largest amount of a coordinate, NaN if one is that.
func (v Vec) largest() float64 {
	return max(math.Abs(v.X), math.Abs(v.Y), math.Abs(v.Z))
}
