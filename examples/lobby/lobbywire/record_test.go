package lobbywire

import (
	"bytes"
	"errors"
	"testing"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/record"
	ma "github.com/multiformats/go-multiaddr"
)

func TestRecordsOfOthersAreRefused(t *testing.T) {
	key, id := testKey(t, 1)
	_, other := testKey(t, 2)
	good := testRecord(t, 1, lanAndRelay...)
	rec, err := OpenRecord(id, good)
	if err != nil || len(rec.Addrs) != 2 || rec.Addrs[0].String() != lanAndRelay[0] || rec.Addrs[1].String() != lanAndRelay[1] {
		t.Fatalf("%v, %v", rec, err)
	}
	forged, err := record.Seal(&peer.PeerRecord{PeerID: other, Seq: 1}, key)
	if err != nil {
		t.Fatal(err)
	}
	aboutOther, err := forged.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	bad := map[string][]byte{
		"of another peer":          testRecord(t, 2),
		"about another, signed me": aboutOther,
		"none":                     nil,
		"garbage":                  []byte("garbage"),
		"cut":                      good[:len(good)-1],
	}
	for i := range good {
		damaged := bytes.Clone(good)
		damaged[i] ^= 1
		if rec, err := OpenRecord(id, damaged); err == nil {
			t.Errorf("bit flipped in byte %d: %v", i, rec)
		}
	}
	for name, b := range bad {
		if _, err := OpenRecord(id, b); !errors.Is(err, ErrRecord) {
			t.Errorf("%s: %v, want ErrRecord", name, err)
		}
	}
	if _, err := OpenRecord(other, aboutOther); !errors.Is(err, ErrRecord) {
		t.Errorf("somebody else's key under the right ID: %v", err)
	}
	many := make([]ma.Multiaddr, MaxAddrs+1)
	for i := range many {
		many[i] = ma.StringCast("/ip4/1.2.3.4/tcp/1")
	}
	if _, err := SealRecord(key, many); !errors.Is(err, ErrLimit) {
		t.Errorf("sealing 33 addresses: %v", err)
	}
	if _, err := SealRecord(key, many[:MaxAddrs]); err != nil {
		t.Errorf("sealing 32 addresses: %v", err)
	}
	texts := make([]string, MaxAddrs+1)
	for i := range texts {
		texts[i] = "/ip4/1.2.3.4/tcp/1"
	}
	if _, err := OpenRecord(id, testRecord(t, 1, texts...)); !errors.Is(err, ErrLimit) {
		t.Errorf("opening 33 addresses: %v", err)
	}
	if _, err := OpenRecord(id, make([]byte, MaxRecord+1)); !errors.Is(err, ErrLimit) {
		t.Errorf("a long record: %v", err)
	}
}

func TestALaterRecordIsNewer(t *testing.T) {
	key, id := testKey(t, 1)
	var before uint64
	for range 3 {
		b, err := SealRecord(key, nil)
		if err != nil {
			t.Fatal(err)
		}
		rec, err := OpenRecord(id, b)
		if err != nil || rec.Seq <= before {
			t.Fatalf("%v after %d, %v", rec, before, err)
		}
		before = rec.Seq
	}
}

func FuzzOpenRecord(f *testing.F) {
	_, id := testKey(f, 1)
	f.Add(testRecord(f, 1, lanAndRelay...))
	f.Add(testRecord(f, 2))
	f.Fuzz(func(t *testing.T, b []byte) {
		rec, err := OpenRecord(id, b)
		if err == nil && (rec.PeerID != id || len(rec.Addrs) > MaxAddrs) {
			t.Fatalf("accepted %v", rec)
		}
	})
}
