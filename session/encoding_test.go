package session

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/parley-voice/parley/codec"
	"github.com/parley-voice/parley/session/sessiontest"
)

func TestEncodingsTakeLess(t *testing.T) {
	for asked, want := range map[int][numEncodings]int{
		0:      {26000, 32000, 16900, 10985, 10985},
		26000:  {26000, 32000, 16900, 10985, 10985},
		64000:  {64000, 64000, 17000, 11000, 11000},
		16000:  {16000, 32000, 10400, 6760, 6760},
		6000:   {6000, 32000, 6000, 6000, 6000},
		128000: {128000, 128000, 17000, 11000, 11000},
	} {
		for e := range numEncodings {
			if got := e.bitrate(codec.Config{Bitrate: asked}); got != want[e] {
				t.Errorf("%d b/s asked for: encoding %d has %d, want %d", asked, e, got, want[e])
			}
		}
	}
	for cfg, want := range map[codec.Config]bool{
		{}: true, {Bitrate: 64000}: true, {Bitrate: 16000}: false, {LowDelay: true}: false,
	} {
		if guards(cfg) != want {
			t.Errorf("%+v: there is FEC: %t", cfg, !want)
		}
	}
}

// Who loses some costs the talker a second encoder: it must not cost much.
func TestSpareIsMadeWithTheLeastEffort(t *testing.T) {
	for e := range numEncodings {
		c := &configured{}
		if _, err := e.encoder(c, codec.Config{}); err != nil {
			t.Fatal(err)
		}
		if effort := c.cfg.Complexity; (e == spare) != (effort == 1) || (e != spare) != (effort == 0) {
			t.Errorf("encoding %d has complexity %d", e, effort)
		}
	}
}

// configured is a codec that notes how its encoder is to be.
type configured struct {
	sessiontest.Codec
	cfg codec.Config
}

func (c *configured) NewEncoder(cfg codec.Config) (codec.Encoder, error) {
	c.cfg = cfg
	return c.Codec.NewEncoder(cfg)
}

// FEC is for a link that loses some and doesn't carry copies.
func TestFECIsSentWhereCopiesAreTooMuch(t *testing.T) {
	n := network{loss: 0.03, rtt: 50 * time.Millisecond, limit: 80}
	f := usualFormat()
	if got := f.choose(n, plan{}); got != (plan{encoding: guarded}) {
		t.Errorf("with 80 kb/s and 3 %% loss %+v is sent", got)
	}
	for name, other := range map[string]func(*voiceFormat, *network){
		"nothing is lost":        func(_ *voiceFormat, n *network) { n.loss = 0 },
		"copies are carried":     func(_ *voiceFormat, n *network) { n.limit = 120 },
		"the link carries less":  func(_ *voiceFormat, n *network) { n.limit = 60 },
		"the codec has no FEC":   func(f *voiceFormat, _ *network) { f.guards = false },
		"more is lost than that": func(_ *voiceFormat, n *network) { n.loss = 0.3 },
	} {
		f, n := f, n
		other(&f, &n)
		if got := f.choose(n, plan{}); got.encoding == guarded {
			t.Errorf("FEC is sent though %s", name)
		}
	}
}

// What FEC says of the frame before is true from the second frame on: the encoder has
// heard nothing since it was wanted last.
func TestTheFirstFrameWithFECIsForNobody(t *testing.T) {
	tk, err := newTalker(&sessiontest.Codec{}, codec.Config{FrameDuration: 20 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	fec := func(s *spoken) bool {
		content, err := (&sessiontest.Codec{}).Inspect(s.payloads.in(guarded))
		if err != nil {
			t.Fatal(err)
		}
		return content.FEC
	}
	for round := range 3 {
		for range 10 {
			tk.wanted = encodings{lean: true}
			lastOf(t, tk, 2)
		}
		tk.wanted = encodings{guarded: true}
		if first := lastOf(t, tk, 2); fec(first) || len(first.payloads[whole]) == 0 {
			t.Errorf("round %d: the first frame has FEC, of a frame that was said long before", round)
		}
		with := 0
		for range 10 {
			if fec(lastOf(t, tk, 2)) {
				with++
			}
		}
		if with < 8 {
			t.Errorf("round %d: of the next 10 frames %d have FEC", round, with)
		}
	}
}

// A listener that loses single packets plays what FEC says of them.
func TestWhatIsLostIsPlayedFromFEC(t *testing.T) {
	missing := map[encoding]float64{}
	for _, e := range []encoding{whole, guarded} {
		c := &tandem{
			says: func(time.Duration) bool { return true }, watch: func(time.Duration, time.Duration) {},
			network: func(*rand.Rand) time.Duration { return 25 * time.Millisecond },
			loss:    0.05, again: func(*rand.Rand) time.Duration { return time.Hour },
			plan: plan{encoding: e},
		}
		c.open(t, 1)
		c.tk.wanted = encodings{}
		c.tk.wanted[e] = true
		c.run(t, time.Minute)
		st := c.pl.jitterStats()
		missing[e] = float64(st.ConcealedSamples) / float64(st.PlayedSamples+st.ConcealedSamples)
		if st.Lost < 100 || (st.RecoveredFEC > 0) != (e == guarded) {
			t.Errorf("encoding %d: %d of %d lost were recovered by FEC", e, st.RecoveredFEC, st.Lost)
		}
	}
	t.Logf("concealed without FEC %.2f %%, with it %.2f %%", 100*missing[whole], 100*missing[guarded])
	if missing[guarded] > missing[whole]/5 {
		t.Errorf("concealed without FEC %.2f %%, with it %.2f %%", 100*missing[whole], 100*missing[guarded])
	}
}
