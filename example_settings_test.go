package parley_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/libp2p/go-libp2p"

	"github.com/parley-voice/parley"
	"github.com/parley-voice/parley/audio"
	"github.com/parley-voice/parley/audio/portaudio"
)

// A settings page: what there is, and another choice in the middle of a conversation.
func ExampleVoice_SetMicrophone() {
	host, err := libp2p.New()
	if err != nil {
		fmt.Println(err)
		return
	}
	defer host.Close()
	voice, err := parley.New(host, parley.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer voice.Close()
	if err := voice.Start(context.Background()); err != nil {
		fmt.Println(err)
		return
	}

	devices, err := portaudio.Devices()
	if err != nil {
		fmt.Println(err)
	}
	for _, d := range devices {
		if d.Inputs > 0 {
			fmt.Println(d.Key(), d.DefaultInput)
		}
	}
	// A part of the name will do. A name that isn't there is an error that lists those
	// that are, and the microphone stays.
	if err := voice.SetMicrophone("headset"); err != nil {
		fmt.Println(err)
	}
	if err := voice.SetSpeaker(""); err != nil { // back to the system's default
		fmt.Println(err)
	}
}

// What a person chose is there the next time.
func ExampleLoadSettings() {
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "settings.json")
	for range 2 {
		if err := once(path); err != nil {
			fmt.Println(err)
		}
	}
	// Output:
	// loudness of the peer: 1
	// loudness of the peer: 0.5
}

// once is a program's run.
func once(path string) error {
	host, err := libp2p.New(libp2p.NoListenAddrs)
	if err != nil {
		return err
	}
	defer host.Close()
	voice, err := parley.New(host, quiet(""))
	if err != nil {
		return err
	}
	defer voice.Close()
	settings, err := parley.LoadSettings(path)
	switch {
	case errors.Is(err, fs.ErrNotExist): // a newcomer
	case err != nil: // the file is broken, of somebody else, or of a newer version: it stays as it is
		return err
	default:
		if err := voice.Apply(settings); err != nil {
			fmt.Println(err) // a device that isn't plugged in; all else is applied
		}
	}
	fmt.Println("loudness of the peer:", voice.PeerVolume(friend))
	voice.SetPeerVolume(friend, 0.5)
	return parley.SaveSettings(path, voice.Settings())
}

const friend = "\x00\x24\x08\x01\x12\x20abcdefghijklmnopqrstuvwxyz012345" // a peer ID

// "Do I sound well?" The microphone is judged, and then what was said is played back.
func ExampleEchoTest() {
	ctx, config := context.Background(), parley.Config{}
	fmt.Println("Speak for five seconds ...")
	microphone, err := parley.CheckMicrophone(ctx, config, 5*time.Second)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("The microphone is", microphone)

	echo, err := parley.EchoTest(ctx, config, parley.EchoConfig{
		OnListen: func() { fmt.Println("Say something ...") },
		OnReturn: func() { fmt.Println("... and listen.") },
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("It came back %v later, %.1f %% of it concealed.\n", echo.Delay, 100*echo.Concealed)
}

func ExampleCheckMicrophone() {
	report, err := parley.CheckMicrophone(context.Background(), parley.Config{
		OpenSource: func() (audio.Source, error) { return audio.OpenWAV("testdata/speech/anna.wav") },
	}, 5*time.Second)
	fmt.Println(report.Verdict == audio.Good, err)
	// Output: true <nil>
}
