package session_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/parley-voice/parley/audio"
	"github.com/parley-voice/parley/audio/audiotest"
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
	speaker := &audiotest.Sink{}
	ben, err := session.New(session.Config{
		Transport: net.Transport(sessiontest.PeerID(2)),
		Codec:     &sessiontest.Codec{},
		OpenSink:  func() (audio.Sink, error) { return speaker, nil },
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
	for e := range ben.Events() {
		if s, ok := e.(session.Speaking); ok && s.Active {
			break
		}
	}
	for speaker.Blocks() < 100 {
		time.Sleep(10 * time.Millisecond)
	}
	left, right := 0.0, 0.0
	for i, x := range speaker.Stereo() {
		if i%2 == 0 {
			left += float64(x * x)
		} else {
			right += float64(x * x)
		}
	}
	fmt.Println("Anna is on the right:", right > 10*left)
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
