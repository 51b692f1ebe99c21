package client

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/parley-voice/parley/examples/lobby/lobbywire"
)

// The form of codes: 16 bits are a word of five letters, consonants for 4 bits
// each and vowels for 2, as Wilkerson's proquints (arXiv 0901.4016). Three of
// them are 48 bits.
const (
	consonants  = "bdfghjklmnprstvz"
	vowels      = "aiou"
	codeWords   = 3
	wordLetters = 5
)

// ErrCode is the error of a text that can't be a room's code. It is wrapped, so
// compare with errors.Is.
var ErrCode = errors.New("client: not a room code")

// NewCode makes a code for a room, "lusab-babad-gutih" for example: 48 random
// bits that one can say on the telephone. Whoever knows a room's code can join
// it, and nobody can guess it.
func NewCode() string {
	var b [2 * codeWords]byte
	_, _ = rand.Read(b[:]) // never fails
	words := make([]string, codeWords)
	for i := range words {
		words[i] = word(binary.BigEndian.Uint16(b[2*i:]))
	}
	return strings.Join(words, "-")
}

func word(n uint16) string {
	return string([]byte{
		consonants[n>>12], vowels[n>>10&3], consonants[n>>6&15], vowels[n>>4&3], consonants[n&15],
	})
}

// NormalizeCode returns the code that a text means: upper and lower case are
// the same, space around it doesn't count, and in a code of NewCode neither do
// the separators, whatever they are. Any other text of 4 to 64 bytes is a code
// too. Errors wrap ErrCode.
func NormalizeCode(text string) (string, error) {
	if len(text) > 4*lobbywire.MaxRoom {
		return "", fmt.Errorf("%w: %d bytes, at most %d", ErrCode, len(text), lobbywire.MaxRoom)
	}
	if !utf8.ValidString(text) {
		return "", fmt.Errorf("%w: not UTF-8", ErrCode)
	}
	text = strings.ToLower(strings.TrimSpace(text))
	if code, ok := pronounceable(text); ok {
		return code, nil
	}
	if n := len(text); n < lobbywire.MinRoom || n > lobbywire.MaxRoom {
		return "", fmt.Errorf("%w: %d bytes, want %d to %d", ErrCode, n, lobbywire.MinRoom, lobbywire.MaxRoom)
	}
	return text, nil
}

// pronounceable reads a code of NewCode, in lower case, with any separators.
func pronounceable(text string) (string, bool) {
	letters := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' {
			return r
		}
		if strings.ContainsRune("-_.,:/ \t", r) {
			return -1
		}
		return '?' // no separator: no such code
	}, text)
	if len(letters) != codeWords*wordLetters {
		return "", false
	}
	words := make([]string, 0, codeWords)
	for i := range letters {
		of := consonants
		if i%wordLetters%2 == 1 {
			of = vowels
		}
		if !strings.Contains(of, letters[i:i+1]) {
			return "", false
		}
		if i%wordLetters == 0 {
			words = append(words, letters[i:i+wordLetters])
		}
	}
	return strings.Join(words, "-"), true
}

// WeakCode reports whether others could guess a code: it is neither one of
// NewCode nor at least 16 bytes long with 8 different ones. A program should
// say so, and may use it nonetheless. It can't know how a code was chosen: a
// long line of a well-known poem is weak, and not found to be.
func WeakCode(code string) bool {
	code, err := NormalizeCode(code)
	if err != nil {
		return true
	}
	different := map[byte]bool{}
	for i := range len(code) {
		different[code[i]] = true
	}
	if _, ok := pronounceable(code); ok {
		return len(different) < 5 // "babab-babab-babab"; 1 in 10^8 of those made
	}
	return len(code) < 16 || len(different) < 8
}
