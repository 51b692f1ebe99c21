package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"time"

	"github.com/parley-voice/parley"
	"github.com/parley-voice/parley/audio"
)

// selfTest is what "chat doctor" finds out about sound.
type selfTest struct {
	microphone, echo bool // what is asked for
	duration         time.Duration
}

// addFlags adds those of doctor that are about sound.
func (st *selfTest) addFlags(fs *flag.FlagSet, opt *options) {
	fs.BoolVar(&st.microphone, "microphone", false, "judge the microphone while you speak: level, noise, clipping")
	fs.BoolVar(&st.echo, "echo", false, "play back what you say, as others would hear it")
	fs.DurationVar(&st.duration, "for", 5*time.Second, "how `long` to listen, 1s to 60s")
	fs.StringVar(&opt.in, "in", "", "what is said: mic or a WAV `file` (default mic)")
	fs.StringVar(&opt.out, "out", "", "where it is heard: speaker, null or a WAV `file` to write (default speaker)")
	fs.StringVar(&opt.mic, "mic", "", "`name` of the recording device or a part of it (default the system's)")
	fs.StringVar(&opt.speaker, "speaker", "", "`name` of the playback device or a part of it (default the system's)")
}

// asked says whether there is anything to do.
func (st *selfTest) asked() bool { return st.microphone || st.echo }

// run tests the sound and tells what it finds.
func (st *selfTest) run(ctx context.Context, opt *options, out io.Writer) (err error) {
	if opt.in == "silence" {
		return errors.New("--in silence: there is nothing to judge in it")
	}
	if st.microphone {
		if err = st.check(ctx, opt, out); err != nil {
			return err
		}
	}
	if !st.echo {
		return nil
	}
	sound, err := newSound(opt) // files anew: they are played from their beginning
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, sound.err()) }()
	return st.hear(ctx, parley.Config{Microphone: opt.mic, Speaker: opt.speaker, OpenSource: sound.source, OpenSink: sound.sink}, out)
}

// check judges the microphone.
func (st *selfTest) check(ctx context.Context, opt *options, out io.Writer) error {
	silent := *opt
	silent.out = "null"
	sound, err := newSound(&silent)
	if err != nil {
		return err
	}
	if sound.source == nil {
		fmt.Fprintf(out, "Speak for %v, with a pause ...\n", st.duration)
	}
	r, err := parley.CheckMicrophone(ctx, parley.Config{Microphone: opt.mic, OpenSource: sound.source}, st.duration)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "The microphone is %s\n", r)
	fmt.Fprintf(out, "  %.1f s of %.1f s spoken; speech %.0f dBFS, noise %.0f dBFS, peak %.0f dBFS, clipped %.1f %%\n",
		r.Spoken.Seconds(), r.Duration.Seconds(), r.Speech, r.Noise, r.Peak, 100*r.Clipped)
	return nil
}

// hear plays back what is said.
func (st *selfTest) hear(ctx context.Context, cfg parley.Config, out io.Writer) error {
	r, err := parley.EchoTest(ctx, cfg, parley.EchoConfig{
		Duration: st.duration,
		OnListen: func() { fmt.Fprintf(out, "Speak for %v ...\n", st.duration) },
		OnReturn: func() { fmt.Fprintln(out, "... and now listen: this is how others hear you.") },
	})
	if err != nil {
		return err
	}
	if r.Speaker != "" {
		fmt.Fprintf(out, "The speaker doesn't work: %s\n", r.Speaker)
	}
	switch {
	case r.Heard:
		fmt.Fprintf(out, "What you said came back %d ms later, there and back: said at %.0f dBFS, heard at %.0f dBFS, %.1f %% concealed, %d packets lost.\n",
			r.Delay.Milliseconds(), r.Said, r.Back, 100*r.Concealed, r.Lost)
	case r.Said <= audio.FloorDBFS:
		fmt.Fprintln(out, "Nothing was said: try --microphone.")
	default:
		fmt.Fprintf(out, "What came back isn't what was said: similarity %.2f, said at %.0f dBFS, heard at %.0f dBFS.\n", r.Similarity, r.Said, r.Back)
	}
	return nil
}
