package session_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/parley-voice/parley/audio"
	"github.com/parley-voice/parley/audio/spatial"
	"github.com/parley-voice/parley/session"
	"github.com/parley-voice/parley/session/sessiontest"
)

// Two players of a game, one of whom speaks to whoever is near. Both games know where
// everybody is; none of that goes over the wire.
func ExampleSession_SetPose() {
	net := sessiontest.NewNetwork(sessiontest.Config{})
	defer net.Close()
	anna, err := session.New(session.Config{
		Transport:  net.Transport(sessiontest.PeerID(1)),
		Codec:      &sessiontest.Codec{},
		OpenSource: func() (audio.Source, error) { return audio.NewTone(440, -20), nil },
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer anna.Close()
	ben, err := session.New(session.Config{
		Transport: net.Transport(sessiontest.PeerID(2)),
		Codec:     &sessiontest.Codec{},
		Distance:  spatial.Model{Min: 2, Max: 30}, // metres
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer ben.Close()

	// Anna is heard up to 20 m away, from where she is.
	near, err := anna.Speak(session.Everyone().Within(20))
	if err != nil {
		fmt.Println(err)
		return
	}
	near.SetPositional(true)

	// Each game says where the players are, whenever it draws: Anna is three metres
	// to the right of Ben, who looks north.
	here := spatial.Pose{Position: spatial.Vec{X: 100, Z: 40}, Forward: spatial.Vec{Z: -1}}
	there := spatial.Pose{Position: spatial.Vec{X: 103, Z: 40}}
	err = errors.Join(
		anna.SetPose(there), anna.SetPeerPose(ben.Self(), here),
		ben.SetPose(here), ben.SetPeerPose(anna.Self(), there),
		anna.Start(context.Background()), ben.Start(context.Background()),
		anna.PeerJoined(ben.Self()), ben.PeerJoined(anna.Self()),
	)
	if err != nil {
		fmt.Println(err)
		return
	}
	onTheRight := make(chan bool, 1)
	defer ben.Tap(session.Taps{Mix: func(b *audio.StereoBlock, _ time.Time) {
		left, right := 0.0, 0.0
		for i := 0; i < len(b); i += 2 {
			left += float64(b[i] * b[i])
			right += float64(b[i+1] * b[i+1])
		}
		if left+right > 0.01 { // she is heard
			select {
			case onTheRight <- right > 10*left:
			default:
			}
		}
	}})()
	fmt.Println("Anna is on the right:", <-onTheRight)
	// Output:
	// Anna is on the right: true
}

// A game plays a peer's voice through its own audio engine, which takes an io.Reader:
// players of Oto and Ebitengine are given it as it is.
func ExampleSession_OpenPeerPCM() {
	net := sessiontest.NewNetwork(sessiontest.Config{})
	defer net.Close()
	voice, err := session.New(session.Config{Transport: net.Transport(sessiontest.PeerID(1)), Codec: &sessiontest.Codec{}})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer voice.Close()
	pcm, err := voice.OpenPeerPCM(sessiontest.PeerID(2), session.PCMConfig{Exclusive: true})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer pcm.Close()
	play := func(r io.Reader) { // player := context.NewPlayer(pcm); player.Play()
		n, err := r.Read(make([]byte, 1920))
		fmt.Println(n, err)
	}
	play(pcm)
	// Output:
	// 1920 <nil>
}

// A game turns down its music while people talk.
func ExampleSession_NewDucker() {
	net := sessiontest.NewNetwork(sessiontest.Config{})
	defer net.Close()
	voice, err := session.New(session.Config{Transport: net.Transport(sessiontest.PeerID(1)), Codec: &sessiontest.Codec{}})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer voice.Close()
	ducker, err := voice.NewDucker(session.DuckerConfig{Attenuation: 15})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer ducker.Close()
	music := []float32{0.5, 0.5, -0.5, -0.5}
	ducker.Apply(music, 2) // each piece, before it is played
	fmt.Println(music, ducker.Gain())
	// Output:
	// [0.5 0.5 -0.5 -0.5] 1
}
