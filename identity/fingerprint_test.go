package identity_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/parley-voice/parley/identity"
)

// Computed by another program from the description in fingerprint.go.
func TestFingerprintIsAsSpecified(t *testing.T) {
	for b, want := range map[byte]string{1: "27014 64929 78303 50727", 2: "71688 92607 48399 15690"} {
		if got := identity.Fingerprint(testID(t, b)); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

func TestPairFingerprintIsTheSameOnBothSides(t *testing.T) {
	a, b, c := testID(t, 1), testID(t, 2), testID(t, 3)
	ab := identity.PairFingerprint(a, b)
	if ab != identity.PairFingerprint(b, a) {
		t.Error("it depends on who asks")
	}
	if ab == identity.PairFingerprint(a, c) || ab == identity.PairFingerprint(c, b) {
		t.Error("another peer has the same")
	}
	if !regexp.MustCompile(`^\d{5}( \d{5}){7}$`).MatchString(ab) {
		t.Errorf("%q, want 8 groups of 5 digits", ab)
	}
	for _, id := range []identity.PeerID{a, b} {
		if !strings.Contains(ab, identity.Fingerprint(id)) {
			t.Errorf("%s is not in %s", identity.Fingerprint(id), ab)
		}
	}
}

func BenchmarkFingerprint(b *testing.B) {
	id := testID(b, 1)
	b.ReportAllocs()
	for b.Loop() {
		identity.Fingerprint(id)
	}
}
