package follow_test

import (
	"context"
	"fmt"

	"github.com/parley-voice/parley/follow"
	"github.com/parley-voice/parley/identity"
)

// printer stands for a session.Session or a parley.Voice.
type printer struct{ left context.CancelFunc }

func (printer) Start(context.Context) error { fmt.Println("start"); return nil }
func (printer) Stop() error                 { fmt.Println("stop"); return nil }

func (printer) PeerJoined(id identity.PeerID) error {
	fmt.Println("joined:", string(id))
	return nil
}

func (p printer) PeerLeft(id identity.PeerID) error {
	fmt.Println("left:", string(id))
	p.left()
	return nil
}

// room stands for *pubsub.Topic and *pubsub.TopicEventHandler: Anna is a member, and goes.
type room struct{ members []identity.PeerID }

func (r *room) ListPeers() []identity.PeerID { return r.members }

func (r *room) NextPeerEvent(ctx context.Context) (struct{}, error) {
	if r.members != nil {
		r.members = nil
		return struct{}{}, nil
	}
	<-ctx.Done()
	return struct{}{}, ctx.Err()
}

func ExampleTopic() {
	ctx, cancel := context.WithCancel(context.Background())
	topic := &room{members: []identity.PeerID{"Anna"}} // with pubsub: the topic, and its event handler

	err := follow.Follow(ctx, printer{cancel}, follow.Topic(topic, topic), follow.Config{Grace: -1})
	fmt.Println(err)
	// Output:
	// start
	// joined: Anna
	// left: Anna
	// stop
	// <nil>
}
