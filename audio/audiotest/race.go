package audiotest

import (
	"runtime/debug"
	"slices"
)

// UnderRaceDetector says whether the race detector is built in, and everything
// takes several times as long.
func UnderRaceDetector() bool {
	info, ok := debug.ReadBuildInfo()
	return ok && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"})
}
