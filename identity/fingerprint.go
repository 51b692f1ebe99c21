package identity

import (
	"crypto/sha512"
	"encoding/binary"
	"fmt"
	"strings"
)

// The making of a fingerprint, after Signal's numeric fingerprints ("safety
// numbers": NumericFingerprintGenerator in libsignal), with 20 digits a peer
// in place of 30.
const (
	fingerprintDomain = "parley fingerprint 1"
	fingerprintRounds = 5200 // of SHA-512, as Signal's
	fingerprintGroups = 4    // of 5 digits
)

// Fingerprint is a short form of a peer ID that a person can read to another:
// 4 groups of 5 digits. It is derived by 5200 rounds of SHA-512, some
// milliseconds of work.
//
// It has 66 bits. To pass for a given peer one has to find a key with the same
// fingerprint: 2^66 keys, and 5200 = 2^12 hashes for each, 2^78 hashes in all.
// No collision of two keys of one's own is of any use for that.
func Fingerprint(id PeerID) string {
	sum := sha512.Sum512([]byte(fingerprintDomain + string(id)))
	b := make([]byte, 0, sha512.Size+len(id))
	for range fingerprintRounds - 1 {
		b = append(append(b[:0], sum[:]...), id...)
		sum = sha512.Sum512(b)
	}
	groups := make([]string, fingerprintGroups)
	for i := range groups {
		// 40 bits each, so that no digits are likelier than others.
		n := binary.BigEndian.Uint64(append([]byte{0, 0, 0}, sum[5*i:5*i+5]...))
		groups[i] = fmt.Sprintf("%05d", n%100000)
	}
	return strings.Join(groups, " ")
}

// PairFingerprint is the number by which two people check that they talk to
// each other and nobody is in between: both read it out, and it must be the
// same. It is both fingerprints, the smaller one first, so 8 groups of 5 digits
// whoever asks. Since each half stands for one peer alone, who is in between
// must find a key for each half; a hash of both IDs of the same length would
// give way to a collision, half as hard.
func PairFingerprint(a, b PeerID) string {
	x, y := Fingerprint(a), Fingerprint(b)
	return min(x, y) + " " + max(x, y)
}
