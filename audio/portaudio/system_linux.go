package portaudio

/*
#cgo LDFLAGS: -ldl
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>

// The libraries that PortAudio is linked with are asked for by name, so that
// neither their headers nor JACK itself need to be installed.
static void alsa_silent(const char *file, int line, const char *function, int err, const char *format, ...) {}
static void jack_silent(const char *text) {}

static void call(const char *setter, void *handler) {
	void (*set)(void *) = (void (*)(void *))dlsym(RTLD_DEFAULT, setter);
	if (set) set(handler);
}

static void silence(void) {
	call("snd_lib_error_set_handler", (void *)alsa_silent);
	call("jack_set_error_function", (void *)jack_silent);
	call("jack_set_info_function", (void *)jack_silent);
}

// set_periods tells PortAudio into how many periods to divide ALSA's buffers,
// for streams opened from now on.
static int set_periods(int n) {
	int (*set)(int) = (int (*)(int))dlsym(RTLD_DEFAULT, "PaAlsa_SetNumPeriods");
	return set && set(n) == 0;
}

// opens tries whether ALSA can open a device, and returns ALSA's error. The
// plug-in for PulseAudio may report success without a device if the server ends
// meanwhile.
static int opens(const char *name, int capture) {
	int (*open)(void **, const char *, int, int) = (int (*)(void **, const char *, int, int))dlsym(RTLD_DEFAULT, "snd_pcm_open");
	int (*close)(void *) = (int (*)(void *))dlsym(RTLD_DEFAULT, "snd_pcm_close");
	void *pcm = NULL;
	if (!open || !close) return 0;
	int err = open(&pcm, name, capture, 1); // SND_PCM_NONBLOCK: an error if it is in use
	if (err < 0) return err;
	if (!pcm) return -EIO;
	return close(pcm);
}

// lists_default says whether ALSA's configuration has one of the devices that
// PortAudio looks at last.
static int lists_default(void) {
	int (*update)(void) = (int (*)(void))dlsym(RTLD_DEFAULT, "snd_config_update");
	int (*search)(void *, const char *, void **) = (int (*)(void *, const char *, void **))dlsym(RTLD_DEFAULT, "snd_config_search");
	void **top = (void **)dlsym(RTLD_DEFAULT, "snd_config");
	void *found;
	if (!update || !search || !top) return 1;
	update();
	return *top && (search(*top, "pcm.default", &found) >= 0 || search(*top, "pcm.dmix", &found) >= 0);
}
*/
import "C"

import (
	"os"
	"strings"
	"syscall"
	"time"
	"unsafe"

	pa "github.com/gordonklaus/portaudio"
)

// preferredHostType is the host API to prefer. On Linux PulseAudio and PipeWire
// are reached through ALSA.
const preferredHostType = pa.ALSA

// quiet keeps ALSA and JACK from writing to standard error: some 80 lines per
// initialisation on a usual system.
func quiet() { C.silence() }

// fixedVersion is PortAudio 19.7.0, as Pa_GetVersion has it.
const fixedVersion = 19<<16 | 7<<8

// hasSound says whether PortAudio may be initialised. Before 19.7 it aborts the
// process if ALSA's configuration has neither a default device nor dmix, as on a
// system without any configuration (an assertion in BuildDeviceList).
func hasSound() bool { return pa.Version() >= fixedVersion || C.lists_default() != 0 }

// devicesStamp changes when a sound card comes or goes.
func devicesStamp() string {
	var b strings.Builder
	if cards, err := os.ReadFile("/proc/asound/cards"); err == nil {
		b.Write(cards)
	}
	if nodes, err := os.ReadDir("/dev/snd"); err == nil {
		for _, node := range nodes {
			b.WriteString(node.Name())
			b.WriteByte('\n')
		}
	}
	return b.String()
}

// Periods of ALSA's buffers. A microphone wakes its reader once per period, so
// that many of them keep what was recorded while the reader was held up, and
// delay nothing. What a speaker has buffered is all delay.
const (
	usualPeriods   = 4 // PortAudio's own choice
	capturePeriods = 12
)

// bufferFor is the size of a device's buffer to ask for, if audio is to be moved
// in pieces of half the given latency. The caller holds the engine.
func bufferFor(dir direction, latency time.Duration) time.Duration {
	if dir == input && C.set_periods(capturePeriods) != 0 {
		return capturePeriods * latency / 2
	}
	C.set_periods(usualPeriods)
	return latency
}

// probe tries to open a device of ALSA's before PortAudio does, whose own way to
// fail is neither safe (see gate) nor quiet. The caller holds the engine.
func probe(dir direction, info *pa.DeviceInfo) error {
	if info.HostApi == nil || info.HostApi.Type != pa.ALSA {
		return nil
	}
	name := C.CString(alsaName(info.Name))
	defer C.free(unsafe.Pointer(name))
	capture := C.int(0)
	if dir == input {
		capture = 1
	}
	if err := C.opens(name, capture); err < 0 {
		return syscall.Errno(-err)
	}
	return nil
}

// alsaName is what ALSA calls a device: PortAudio puts the name of hardware in
// parentheses behind what people call it.
func alsaName(name string) string {
	if at := strings.LastIndexByte(name, '('); at >= 0 && strings.HasSuffix(name, ")") {
		if inner := name[at+1 : len(name)-1]; strings.HasPrefix(inner, "hw:") || strings.HasPrefix(inner, "plughw:") {
			return inner
		}
	}
	return name
}
