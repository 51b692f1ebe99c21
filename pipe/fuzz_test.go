package pipe

import (
	"testing"

	"github.com/parley-voice/parley/identity"
)

// FuzzReceive gives what an attacker in the pipe makes up to a transport that talks to
// a peer, as by the peer and as by a stranger: with the encryption; without it, where
// the inside of messages is the attacker's too; and sealed by the peer itself.
func FuzzReceive(f *testing.F) {
	sealed, far, _, _ := met(f, Config{}, true)
	responder, near, _, _ := met(f, Config{}, false)
	plain, other, _, _ := met(f, Config{Insecure: true}, true)
	plainResponder, another, _, _ := met(f, Config{Insecure: true}, false)
	for _, fr := range frames {
		f.Add(fr.appendTo(nil))
		f.Add(other.forge(plain.Self(), fr.appendTo(nil)))
		f.Add(far.forge(sealed.Self(), fr.appendTo(nil)))
	}
	for kind := range kindData + 1 {
		f.Add(append([]byte{sealedMode | kind}, make([]byte, 100)...))
		f.Add(append([]byte{openMode | kind}, make([]byte, 20)...))
	}
	const stranger = identity.PeerID("stranger")
	f.Fuzz(func(t *testing.T, b []byte) {
		before := string(b)
		for _, way := range [][2]*Transport{{sealed, far}, {responder, near}, {plain, other}, {plainResponder, another}} {
			_ = way[0].Receive(way[1].Self(), b)
			_ = way[0].Receive(stranger, b)
			if len(b) > 0 && len(b) <= maxPlain {
				if way[1].Path(way[0].Self()).Lanes > 0 { // it has keys
					_ = way[0].Receive(way[1].Self(), way[1].forge(way[0].Self(), b))
				}
			}
			queued, held, _, free := way[0].waiting()
			if queued > mostQueued || held > maxHeld || free > maxFree {
				t.Fatalf("%d calls wait, %d peers are held, %d buffers are kept", queued, held, free)
			}
		}
		if string(b) != before {
			t.Fatal("the message was changed")
		}
	})
}
