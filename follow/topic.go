package follow

import (
	"context"
	"fmt"

	"github.com/parley-voice/parley/identity"
)

// TopicMembers is the part of a gossipsub topic that Topic needs. *pubsub.Topic of
// go-libp2p-pubsub has it.
type TopicMembers interface {
	// ListPeers returns the peers that have subscribed and that this host is
	// connected to.
	ListPeers() []identity.PeerID
}

// TopicEvents is what tells that the members of a topic changed.
// *pubsub.TopicEventHandler has it, with pubsub.PeerEvent as E, which isn't looked at.
type TopicEvents[E any] interface {
	NextPeerEvent(ctx context.Context) (E, error)
}

// Topic follows the members of a gossipsub topic: those who have subscribed and are
// connected to this host. For go-libp2p-pubsub:
//
//	topic, err := ps.Join("my-game/room-7")
//	subscription, err := topic.Subscribe() // we are in
//	events, err := topic.EventHandler()
//	err = follow.Follow(ctx, voice, follow.Topic(topic, events), follow.Config{})
//
// A member that this host isn't connected to isn't seen; in rooms that are small
// enough to talk, everybody is connected to everybody as a rule. The application closes
// what it opened. The events must be nobody else's: each is told once.
func Topic[E any](topic TopicMembers, events TopicEvents[E]) Source {
	return topicSource[E]{topic, events}
}

type topicSource[E any] struct {
	topic  TopicMembers
	events TopicEvents[E]
}

func (t topicSource[E]) Members() []identity.PeerID { return t.topic.ListPeers() }

func (t topicSource[E]) Wait(ctx context.Context) error {
	if _, err := t.events.NextPeerEvent(ctx); err != nil {
		return fmt.Errorf("topic: %w", err)
	}
	return nil
}
