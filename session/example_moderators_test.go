package session_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/parley-voice/parley/identity"
	"github.com/parley-voice/parley/session"
	"github.com/parley-voice/parley/session/sessiontest"
)

// Everybody's application names the same moderator, who mutes somebody for all.
func ExampleSession_MuteForAll() {
	net := sessiontest.NewNetwork(sessiontest.Config{})
	defer net.Close()
	var members [3]*session.Session
	for i := range members {
		s, err := session.New(session.Config{
			Transport:  net.Transport(sessiontest.PeerID(i)),
			Codec:      &sessiontest.Codec{},
			Session:    "game 4711",
			Moderators: []identity.PeerID{sessiontest.PeerID(0)},
			Sign:       sessiontest.Sign(i), // parley.New takes the host's key
		})
		if err != nil {
			fmt.Println(err)
			return
		}
		defer s.Close()
		members[i] = s
	}
	moderator, loud, other := members[0], members[1], members[2]
	var err error
	for _, s := range members {
		err = errors.Join(err, s.Start(context.Background()))
	}
	for _, s := range members {
		for _, o := range members {
			err = errors.Join(err, s.PeerJoined(o.Self()))
		}
	}
	err = errors.Join(err, moderator.MuteForAll(loud.Self(), "music"))
	if err != nil {
		fmt.Println(err)
		return
	}
	for e := range other.Events() {
		if m, ok := e.(session.Moderated); ok {
			fmt.Println(m.Peer == loud.Self(), m.By == moderator.Self(), m.Muted, m.Reason)
			break
		}
	}
	fmt.Println(loud.MuteForAll(other.Self(), "revenge"))
	// Output:
	// true true true music
	// session: this side is no moderator: it isn't among those that SetModerators names
}
