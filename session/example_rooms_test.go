package session_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/parley-voice/parley/audio"
	"github.com/parley-voice/parley/session"
	"github.com/parley-voice/parley/session/sessiontest"
)

// A captain speaks to the team, and then to the pilot alone, who decides that only
// who shows the password of the day may do so.
func ExampleSession_Speak() {
	net := sessiontest.NewNetwork(sessiontest.Config{})
	defer net.Close()
	captain, err := session.New(session.Config{
		Transport:  net.Transport(sessiontest.PeerID(1)),
		Codec:      &sessiontest.Codec{},
		OpenSource: func() (audio.Source, error) { return audio.NewTone(440, -20), nil },
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer captain.Close()
	pilot, err := session.New(session.Config{
		Transport: net.Transport(sessiontest.PeerID(2)),
		Codec:     &sessiontest.Codec{},
		Authorize: func(c session.Claim) error {
			if _, whisper := c.To.Peer(); whisper && string(c.Token) != "swordfish" {
				return errors.New("it doesn't know the password of the day")
			}
			return nil
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer pilot.Close()

	team, err := captain.Speak(session.Room("team"))
	if err != nil {
		fmt.Println(err)
		return
	}
	team.SetPriority(session.High)
	err = errors.Join(
		captain.SetToken([]byte("swordfish")),
		pilot.Listen("team"),
		captain.Start(context.Background()), pilot.Start(context.Background()),
		captain.PeerJoined(pilot.Self()), pilot.PeerJoined(captain.Self()),
	)
	if err != nil {
		fmt.Println(err)
		return
	}
	speaks := func() session.Heard {
		for e := range pilot.Events() {
			if s, ok := e.(session.Speaking); ok && s.Active {
				break
			}
		}
		return pilot.Stats().Peers[0].Heard
	}
	fmt.Println(speaks().Through)

	team.Close()
	for e := range pilot.Events() {
		if s, ok := e.(session.Speaking); ok && !s.Active {
			break
		}
	}
	if _, err := captain.Speak(session.Whisper(pilot.Self())); err != nil {
		fmt.Println(err)
		return
	}
	if to, ok := speaks().Through[0].Peer(); ok {
		fmt.Println("to the pilot alone:", to == pilot.Self())
	}
	// Output:
	// [in room "team"]
	// to the pilot alone: true
}
