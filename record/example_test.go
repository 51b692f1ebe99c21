package record_test

import (
	"errors"
	"fmt"
	"os"

	"github.com/parley-voice/parley/record"
	"github.com/parley-voice/parley/session"
	"github.com/parley-voice/parley/session/sessiontest"
)

// A recording is begun at any time, and needs no word about who comes and goes.
func ExampleStart() {
	net := sessiontest.NewNetwork(sessiontest.Config{})
	defer net.Close()
	voice, err := session.New(session.Config{Transport: net.Transport(sessiontest.PeerID(1)), Codec: &sessiontest.Codec{}})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer voice.Close()
	dir, err := os.MkdirTemp("", "recording")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)

	r, err := record.Start(voice, dir, record.Config{
		Tracks:    record.PerPeer | record.Mixed,
		Format:    record.WAV,
		OnFailure: func(err error) { fmt.Println("one file less:", err) },
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	// ... voice.Start, PeerJoined, PeerLeft ...
	if err := r.Stop(); err != nil {
		fmt.Println(err)
	}
	_, err = record.Start(voice, dir, record.Config{})
	fmt.Println("nothing is overwritten:", errors.Is(err, record.ErrExists))
	// Output: nothing is overwritten: true
}
