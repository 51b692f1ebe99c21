package p2p

import (
	"errors"
	"strings"
	"testing"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/multiformats/go-multihash"

	"github.com/parley-voice/parley/p2p/link"
	"github.com/parley-voice/parley/p2p/p2ptest"
)

func TestMalformedPeersAreRefusedAndLeaveNothing(t *testing.T) {
	sum := func(data string, code uint64, length int) string {
		h, err := multihash.Sum([]byte(data), code, length)
		if err != nil {
			t.Fatal(err)
		}
		return string(h)
	}
	ids := map[string]string{
		"empty":               "",
		"text":                "12D3KooWGarbage",
		"garbage":             "\xff\x00\x17\x80\x80\x80",
		"a hash cut short":    sum("key", multihash.SHA2_256, -1)[:20],
		"a hash of few bytes": sum("key", multihash.SHA2_256, 4),
		"another hash":        sum("key", multihash.SHA2_512, -1),
		"no key":              sum("nonsense", multihash.IDENTITY, -1),
		"an empty key":        sum("", multihash.IDENTITY, -1),
		"much that is no key": sum(strings.Repeat("k", 1<<20), multihash.IDENTITY, -1),
		"a megabyte":          strings.Repeat("x", 1<<20),
	}
	inBubble(t, p2ptest.Config{}, Config{}, func(t *testing.T, _ *p2ptest.Network, e []*end) {
		for name, id := range ids {
			err := e[0].Join(peer.ID(id))
			if !errors.Is(err, link.ErrInvalidPeer) {
				t.Errorf("%s: Join = %v, want ErrInvalidPeer", name, err)
			} else if len(err.Error()) > 500 {
				t.Errorf("%s: an error of %d bytes", name, len(err.Error()))
			}
		}
		e[0].Transport.mu.Lock()
		defer e[0].Transport.mu.Unlock()
		if n := len(e[0].pairs) + len(e[0].leaving); n != 0 {
			t.Errorf("%d pairs are left", n)
		}
	})
}
