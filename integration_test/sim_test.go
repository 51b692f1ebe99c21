package integration_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parley-voice/parley/audio"
	"github.com/parley-voice/parley/audio/audiotest"
	"github.com/parley-voice/parley/integration_test/linkbench"
	"github.com/parley-voice/parley/integration_test/linkem"
	"github.com/parley-voice/parley/p2p"
	"github.com/parley-voice/parley/p2p/p2ptest"
)

var (
	simSeeds  = flag.Int("sim.seeds", 5, "how many seeds make sim simulates each link with")
	simTime   = flag.Duration("sim.time", time.Minute, "how long a call of make sim takes, in virtual time, that isn't longer or shorter by itself")
	simLinks  = flag.String("sim.links", "", "make sim simulates other links, and judges nothing: far ones of 200 to 400 ms there and back that lose 1 to 20 %, full ones with short queues, or ones with jitter")
	simUpdate = flag.Bool("sim.update", false, "make the means of make sim the baseline")
)

var simBaseline = filepath.Join("testdata", "sim.json")

// TestSim is the matrix of links in virtual time: two sessions on the real QUIC
// stack talk through each. It fails where a figure is worse than the baseline's by
// more than noise, and where a bar is missed by more than that.
func TestSim(t *testing.T) {
	if os.Getenv("PARLEY_LAB") != "sim" {
		t.Skip("SKIPPED, nothing was tested: run by make sim")
	}
	cases := append(linkbench.Cases(), linkbench.RelayedCases()...)
	switch *simLinks {
	case "":
	case "far":
		cases = linkbench.FarCases()
	case "full":
		cases = linkbench.FullCases()
	case "jitter":
		cases = linkbench.JitterCases()
	default:
		t.Fatalf("no links are called %q: far, full or jitter", *simLinks)
	}
	rows := make([]linkbench.Row, len(cases))
	t.Run("links", func(t *testing.T) {
		for i, c := range cases {
			rows[i].Case = c
			t.Run(c.Name, func(t *testing.T) {
				t.Parallel()
				for seed := range *simSeeds {
					synctest.Test(t, func(t *testing.T) {
						rows[i].Calls = append(rows[i].Calls, simulate(t, c, uint64(seed+1))...)
					})
				}
			})
		}
	})
	fmt.Println()
	if err := linkbench.WriteTable(os.Stdout, rows); err != nil {
		t.Fatal(err)
	}
	about := fmt.Sprintf("Two sessions on the real QUIC stack in virtual time, means of %d seeds, %v, both directions.", *simSeeds, *simTime)
	fmt.Println(about)
	writeReport(t, "sim.html", linkbench.Report{Title: "Parley on bad links, simulated", About: about, Rows: rows})
	if *simLinks == "" {
		compare(t, rows)
	}
}

// compare judges the rows by the baseline, or makes them that.
func compare(t *testing.T, rows []linkbench.Row) {
	t.Helper()
	b, err := linkbench.LoadBaseline(simBaseline)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range rows {
		if len(r.Calls) == 0 {
			continue // left out by the command line
		}
		if *simUpdate {
			b[r.Name] = linkbench.Summarise(r.Calls)
			continue
		}
		for _, miss := range r.JudgePastDoubt(r.Calls) {
			t.Errorf("%s: a bar is missed by more than chance explains: %s", r.Name, miss)
		}
		for _, worse := range b.Worse(r.Name, linkbench.Summarise(r.Calls)) {
			t.Errorf("worse than the baseline: %s", worse)
		}
	}
	if *simUpdate {
		if err := b.Save(simBaseline); err != nil {
			t.Fatal(err)
		}
	}
}

// impaired is a link between two hosts in virtual time.
type impaired struct {
	mu   sync.Mutex
	ways [2]*linkem.Model
}

func newImpaired(imp linkem.Impairment, seed uint64) *impaired {
	return &impaired{ways: [2]*linkem.Model{
		linkem.NewModel(imp, seed, linkem.A), linkem.NewModel(imp, seed, linkem.B),
	}}
}

func (l *impaired) fate(from, _ int, at time.Duration, size int) (time.Duration, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.ways[from].Fate(at, size)
}

func (l *impaired) set(imp linkem.Impairment) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, m := range l.ways {
		m.Set(imp)
	}
}

// simCall is two who talk with each other in virtual time.
type simCall struct {
	net  *p2ptest.Network
	lab  *impaired
	who  [2]*participant
	ways [2]*journeys // of what each says
}

// newSimCall joins two over the link of a case.
func newSimCall(t *testing.T, c linkbench.Case, seed uint64) *simCall {
	t.Helper()
	if c.Relayed {
		return newRelayedCall(t, c, seed)
	}
	p := &simCall{lab: newImpaired(c.Link, seed)}
	p.net = p2ptest.NewNetwork(t, p2ptest.Config{Fate: p.lab.fate, Seed: seed, BitsPerSecond: 1e10})
	p.start(t, p2p.Config{})
	for i := range p.who {
		p.net.Introduce(i, 1-i)
	}
	p.join(t)
	return p
}

// start starts both, on the first two hosts.
func (p *simCall) start(t *testing.T, cfg p2p.Config) {
	t.Helper()
	p.ways = [2]*journeys{newJourneys(), newJourneys()}
	for i, name := range []string{"anna", "ben"} {
		said, err := audiotest.LoadWAV(filepath.Join("..", "testdata", "speech", name+".wav"))
		if err != nil {
			t.Fatal(err)
		}
		p.who[i] = newWatched(t, p.net.Host(i), cfg, audiotest.NewLoop(said), p.ways[i], p.ways[1-i])
	}
}

func (p *simCall) join(t *testing.T) {
	t.Helper()
	for i, one := range p.who {
		if err := one.PeerJoined(p.who[1-i].Self()); err != nil {
			t.Fatal(err)
		}
	}
}

func (p *simCall) close(t *testing.T) {
	t.Helper()
	for _, one := range p.who {
		one.close(t)
	}
}

// simulate has two talk once, in virtual time, and returns both directions.
func simulate(t *testing.T, c linkbench.Case, seed uint64) []linkbench.Call {
	t.Helper()
	p := newSimCall(t, c, seed)
	defer p.close(t)
	for _, next := range c.Then {
		time.AfterFunc(next.At, func() { p.lab.set(legOf(c, next.Link)) })
	}
	calls := make([]linkbench.Call, 2)
	began := time.Now()
	for time.Since(began) < c.Duration(*simTime) {
		time.Sleep(time.Second)
		for i, listener := range p.who {
			talker := p.who[1-i]
			calls[i].Seed, calls[i].OneWay = seed, c.Link.Delay
			calls[i].Samples = append(calls[i].Samples, sampleOf(listener, talker, time.Since(began), p.net.Bytes(1-i).IPBytesSent()))
		}
	}
	for i := range calls {
		calls[i].Age, _ = p.ways[1-i].oldest()
	}
	return calls
}

// sampleOf is what a listener knows of a talker now.
func sampleOf(listener, talker *participant, at time.Duration, bytes uint64) linkbench.Sample {
	st, there := listener.peer(talker.Self()), talker.peer(listener.Self())
	j := st.Jitter
	ms := func(samples uint64) float64 { return float64(samples) * 1000 / audio.SampleRate }
	return linkbench.Sample{
		At:     at,
		Played: ms(j.PlayedSamples), Concealed: ms(j.ConcealedSamples), Discarded: ms(j.DiscardedSamples),
		Stretched: ms(j.InsertedSamples + j.RemovedSamples),
		DelaySum:  millis(j.DelaySum) * 1000 / audio.SampleRate,
		Target:    millis(j.Target), Loss: 100 * there.ReportedLoss, Copies: there.Copies, Bytes: float64(bytes),
	}
}
