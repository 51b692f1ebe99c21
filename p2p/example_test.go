package p2p_test

import (
	"fmt"
	"time"

	"github.com/libp2p/go-libp2p"

	"github.com/parley-voice/parley/identity"
	"github.com/parley-voice/parley/p2p"
	"github.com/parley-voice/parley/p2p/link"
)

// printer is a Handler that prints what it is told.
type printer struct{}

func (printer) Voice(_ identity.PeerID, b []byte, _ time.Time) {
	fmt.Println("voice of", len(b), "bytes")
}
func (printer) Control(_ identity.PeerID, b []byte)        { fmt.Printf("control %q\n", b) }
func (printer) PathChanged(_ identity.PeerID, p link.Path) { fmt.Println("path", p.Kind) }
func (printer) Knock(p identity.PeerID)                    { fmt.Println("knock of", p) }

// A transport of its own, without the session on top.
func ExampleNew() {
	host, err := libp2p.New(libp2p.NoListenAddrs, libp2p.DisableMetrics())
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = host.Close() }()
	node, err := p2p.New(host, p2p.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = node.Close() }()
	transport, err := node.Session("lobby")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("open:", transport.Open(printer{}))
	fmt.Println("join oneself:", transport.Join(host.ID()))
	// Output:
	// open: <nil>
	// join oneself: link: peer is this host itself
}
