package session_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/parley-voice/parley/session"
	"github.com/parley-voice/parley/session/sessiontest"
)

// A player writes to the team before the other one can be reached, and sends the
// application's own data.
func ExampleSession_SendText() {
	net := sessiontest.NewNetwork(sessiontest.Config{})
	defer net.Close()
	var members [2]*session.Session
	for i := range members {
		s, err := session.New(session.Config{Transport: net.Transport(sessiontest.PeerID(i)), Codec: &sessiontest.Codec{}})
		if err != nil {
			fmt.Println(err)
			return
		}
		defer s.Close()
		members[i] = s
	}
	anna, ben := members[0], members[1]
	err := errors.Join(
		ben.Listen("team"),
		anna.Start(context.Background()), ben.Start(context.Background()),
		anna.PeerJoined(ben.Self()),
		anna.SendText(session.Room("team"), "Anybody here?"),
		anna.SendText(session.Room("spectators"), "Ben doesn't listen there."),
		anna.SendData(session.Whisper(ben.Self()), "move", []byte{4, 2}),
		ben.PeerJoined(anna.Self()),
	)
	if err != nil {
		fmt.Println(err)
		return
	}
	for e := range ben.Events() {
		switch e := e.(type) {
		case session.TextReceived:
			fmt.Println("said", e.To, "by Anna:", e.Peer == anna.Self(), e.Text)
		case session.DataReceived:
			fmt.Printf("%s %d\n", e.Topic, e.Data)
			return
		}
	}
	// Output:
	// said in room "team" by Anna: true Anybody here?
	// move [4 2]
}
