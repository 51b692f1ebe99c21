// Package integration_test holds what only the whole house can show: its
// floors, and conversations over real networks and devices.
package integration_test

import (
	"os"
	"path"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

// module is the import path of the repository's root.
const module = "github.com/parley-voice/parley"

// A floor says what a package may do. Paths are relative to the module; the
// root is ".".
type floor struct {
	level      int      // imports of this module only go to lower levels
	imports    []string // packages of this module that it may import
	thirdParty []string // modules or packages of others that it may import
	pure       bool     // no clock, log, panic, network, goroutine or changing global
	goroutines bool     // it may start goroutines
	cgo        bool     // C may live in it
	test       bool     // support for tests: only tests and other test support import it
}

// floors is the house of docs/architecture.md, from the ground up. A new
// package needs a line here, and one in .golangci.yml.
var floors = map[string]floor{
	"identity": {level: 0, thirdParty: []string{
		"github.com/libp2p/go-libp2p/core",
		"github.com/multiformats/go-multiaddr",
		"github.com/multiformats/go-multihash",
	}},

	"audio":        {level: 1, pure: true},
	"audio/emodel": {level: 1, pure: true},
	"codec":        {level: 1, pure: true},
	"p2p/link":     {level: 1, pure: true, imports: []string{"identity"}},

	"audio/jitter":  {level: 2, pure: true, imports: []string{"audio/emodel"}},
	"audio/oggopus": {level: 2, pure: true, imports: []string{"codec"}},
	"audio/spatial": {level: 2, pure: true},
	"audio/stretch": {level: 2, pure: true},
	"audio/clean":   {level: 2, pure: true, imports: []string{"audio"}},
	"session/wire": {
		level: 2, pure: true,
		imports:    []string{"identity", "codec", "p2p/link"},
		thirdParty: []string{"google.golang.org/protobuf"},
	},

	"codec/opus": {
		level: 3, cgo: true,
		imports:    []string{"codec"},
		thirdParty: []string{"github.com/hraban/opus"},
	},
	"audio/portaudio": {
		level: 3, cgo: true, goroutines: true,
		imports:    []string{"audio"},
		thirdParty: []string{"github.com/gordonklaus/portaudio"},
	},
	"audio/speex": {level: 3, cgo: true, imports: []string{"audio"}},
	"p2p": {
		level: 3, goroutines: true,
		imports: []string{"identity", "p2p/link"},
		thirdParty: []string{
			"github.com/libp2p/go-libp2p",
			"github.com/multiformats/go-multiaddr",
			"github.com/multiformats/go-multistream",
		},
	},

	"pipe": {
		level: 3, goroutines: true,
		imports: []string{"identity", "p2p/link"},
		thirdParty: []string{
			"github.com/flynn/noise",
			"github.com/libp2p/go-libp2p/core",
			"golang.org/x/crypto/chacha20poly1305",
		},
	},
	"follow": {
		level: 3, goroutines: true,
		imports:    []string{"identity", "p2p/link"},
		thirdParty: []string{"github.com/libp2p/go-libp2p/core"},
	},

	"session": {
		level: 4, goroutines: true,
		imports: []string{"identity", "audio", "audio/emodel", "audio/jitter", "audio/spatial", "audio/stretch", "codec", "session/wire", "p2p/link"},
	},

	"metrics": {
		level:      5,
		imports:    []string{"audio", "p2p/link", "session"},
		thirdParty: []string{"github.com/prometheus/client_golang/prometheus"},
	},
	"record": {
		level: 5, goroutines: true,
		imports: []string{"identity", "audio", "audio/oggopus", "codec", "session"},
	},

	".": {
		level:      5,
		imports:    []string{"identity", "audio", "audio/jitter", "audio/spatial", "audio/stretch", "audio/clean", "audio/portaudio", "audio/speex", "codec", "codec/opus", "p2p", "p2p/link", "pipe", "session"},
		thirdParty: []string{"github.com/libp2p/go-libp2p/core"},
	},

	"session/sessiontest": {
		level: 4, test: true, goroutines: true,
		imports: []string{"identity", "audio", "codec", "p2p/link"},
	},
	"audio/audiotest": {level: 4, test: true, goroutines: true, imports: []string{"audio"}},
	"audio/pulsetest": {level: 4, test: true, goroutines: true, imports: []string{"audio"}},
	"p2p/p2ptest": {
		level: 4, test: true, goroutines: true,
		imports: []string{"identity", "p2p", "p2p/link"},
		thirdParty: []string{
			"github.com/libp2p/go-libp2p",
			"github.com/marcopolo/simnet",
			"github.com/multiformats/go-multiaddr",
			"github.com/quic-go/quic-go",
			"go.uber.org/fx",
		},
	},
}

// free are the trees of programs and tests, which may import anything.
// Nothing of the library imports them.
var free = []string{"examples", "integration_test"}

func isFree(dir string) bool {
	return slices.ContainsFunc(free, func(tree string) bool { return within(dir, tree) })
}

// within reports whether the slash-separated path is tree or below it.
func within(path, tree string) bool {
	return path == tree || strings.HasPrefix(path, tree+"/")
}

func TestFloorsHold(t *testing.T) {
	root := os.DirFS("..")
	found, packages := check(root, floors)
	for _, v := range found {
		t.Error(v)
	}
	for _, dir := range []string{"identity", "audio", "codec", "p2p/link"} {
		if !slices.Contains(packages, dir) {
			t.Errorf("package %s was not seen: is this the repository's root? Seen: %v", dir, packages)
		}
	}
}

func TestTheTableItselfGoesDown(t *testing.T) {
	for dir, f := range floors {
		for _, dep := range f.imports {
			below, ok := floors[dep]
			if !ok {
				t.Errorf("%s may import %s, which has no floor", dir, dep)
			}
			if below.level >= f.level {
				t.Errorf("%s (level %d) may import %s (level %d)", dir, f.level, dep, below.level)
			}
			if below.test && !f.test {
				t.Errorf("%s may import %s, which is for tests", dir, dep)
			}
		}
		if f.pure && (f.goroutines || f.cgo) {
			t.Errorf("%s is pure and may start goroutines or hold C", dir)
		}
	}
	for _, f := range []struct{ from, to string }{{"session", "p2p"}, {"p2p", "session"}, {"session", "codec/opus"}, {"session", "audio/portaudio"}} {
		if slices.Contains(floors[f.from].imports, f.to) {
			t.Errorf("%s may import %s", f.from, f.to)
		}
	}
}

// TestTheCheckerSeesViolations breaks every rule once in a small house of its
// own, and sees that the checker says so and says nothing else.
func TestTheCheckerSeesViolations(t *testing.T) {
	for _, tt := range []struct {
		name, file, source string
		want               string // part of the only finding; none if empty
	}{
		{"nothing wrong", "session/a.go", `import ("time"; "` + module + `/p2p/link"); var _ = link.None; func f() { go time.Now() }`, ""},
		{"an import up", "p2p/link/a.go", `import _ "` + module + `/session"`, "may not import session"},
		{"an import sideways", "p2p/a.go", `import _ "` + module + `/session"`, "may not import session"},
		{"session imports an adapter", "session/a.go", `import _ "` + module + `/codec/opus"`, "may not import codec/opus"},
		{"a test of session imports an adapter", "session/a_test.go", `import _ "` + module + `/p2p"`, "may not import p2p"},
		{"a test of session needs C", "session/a_test.go", `import _ "` + module + `/codec/opus"`, "may not import codec/opus"},
		{"a test imports test support", "session/a_test.go", `import _ "` + module + `/session/sessiontest"`, ""},
		{"the library imports test support", "session/a.go", `import _ "` + module + `/session/sessiontest"`, "may not import session/sessiontest"},
		{"the library imports an example", "session/a.go", `import _ "` + module + `/examples/chat"`, "may not import examples/chat"},
		{"a stranger in session", "session/a.go", `import _ "github.com/libp2p/go-libp2p/core/peer"`, "may not import github.com/libp2p/go-libp2p/core/peer"},
		{"a stranger with a known beginning", "p2p/a.go", `import _ "github.com/libp2p/go-libp2p-pubsub"`, "may not import github.com/libp2p/go-libp2p-pubsub"},
		{"a known third party", "p2p/a.go", `import _ "github.com/libp2p/go-libp2p/core/peer"`, ""},
		{"a stranger in an example", "examples/chat/a.go", `import _ "example.com/x"`, ""},
		{"a package without a floor", "voice/a.go", `var x int`, "has no floor"},
		{"C outside the adapters", "session/a.go", `import "C"`, "may not hold C"},
		{"C in an adapter", "codec/opus/a.go", `import "C"`, ""},
		{"a goroutine below", "audio/a.go", `func f() { go f() }`, "starts a goroutine"},
		{"a goroutine by WaitGroup", "codec/opus/a.go", `import "sync"; func f(wg *sync.WaitGroup) { wg.Go(func() {}) }`, "starts a goroutine"},
		{"a goroutine by timer", "identity/a.go", `import "time"; func f() { time.AfterFunc(0, f) }`, "starts a goroutine"},
		{"a clock below", "audio/a.go", `import clock "time"; func f() clock.Time { return clock.Now() }`, "reads the clock"},
		{"a sleep below", "codec/a.go", `import "time"; func f() { time.Sleep(1) }`, "reads the clock"},
		{"a duration below", "codec/a.go", `import "time"; func f(at time.Time) time.Time { return at.Add(time.Second) }`, ""},
		{"a log below", "audio/jitter/a.go", `import "log/slog"; func f(l *slog.Logger) {}`, "may not import log/slog"},
		{"a network below", "audio/a.go", `import _ "net"`, "may not import net"},
		{"a panic below", "audio/a.go", `func f() { panic("no") }`, "panics"},
		{"global chance below", "audio/a.go", `import "math/rand/v2"; func f() int { return rand.Int() }`, "global random"},
		{"seeded chance below", "audio/a.go", `import "math/rand/v2"; var r = rand.New(rand.NewPCG(1, 2))`, ""},
		{"an init below", "audio/a.go", `func init() {}`, "init"},
		{"a global that changes", "audio/a.go", `var n int; func f() { n++ }`, "changes the global n"},
		{"a global table that changes", "audio/a.go", `var n [3]int; func f() { n[1] = 2 }`, "changes the global n"},
		{"a table that stays", "audio/a.go", `var n = [3]int{1}; func f() int { m := n; m[1] = 2; return m[0] }`, ""},
		{"a local of the same name", "audio/a.go", `var n int; func f() { n := 1; n++; _ = n }`, ""},
		{"a clock in a test", "audio/a_test.go", `import "time"; func f() { go time.Now() }`, ""},
		{"a file that is no Go", "audio/a.go", `func {`, "expected"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			source := "package x\n" + strings.ReplaceAll(tt.source, "; ", "\n") + "\n"
			if strings.Contains(tt.source, "import (") {
				source = "package x\n" + tt.source + "\n"
			}
			found, packages := check(fstest.MapFS{tt.file: {Data: []byte(source)}}, floors)
			if want := []string{path.Dir(tt.file)}; !slices.Equal(packages, want) {
				t.Errorf("packages seen: %v, want %v", packages, want)
			}
			switch {
			case tt.want == "" && len(found) > 0:
				t.Errorf("found %v in\n%s", found, source)
			case tt.want != "" && (len(found) != 1 || !strings.Contains(found[0], tt.want)):
				t.Errorf("found %v, want one that says %q, in\n%s", found, tt.want, source)
			}
		})
	}
}
