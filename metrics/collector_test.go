package metrics

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/parley-voice/parley/audio"
	"github.com/parley-voice/parley/p2p/link"
	"github.com/parley-voice/parley/session"
	"github.com/parley-voice/parley/session/sessiontest"
)

var update = flag.Bool("metrics.update", false, "write docs/metrics.md anew")

// fixed is a session that knows always the same.
type fixed session.Stats

func (f *fixed) Stats() session.Stats { return session.Stats(*f) }

func newFixed() *fixed {
	return &fixed{Peers: []session.PeerStats{{ID: sessiontest.PeerID(1), Path: link.Path{Kind: link.Direct}}}}
}

func text(t *testing.T, c prometheus.Collector) string {
	t.Helper()
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(c)
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, f := range families {
		fmt.Fprintln(&b, f.String())
	}
	return b.String()
}

// told are the fields of the statistics that no metric shows: texts, and what
// tells nothing by itself.
var told = []string{
	"Self", "Peers", "Peers.ID", "Peers.Name", "Peers.Heard.Through",
	"Peers.Path.Security", "Peers.Path.Remote", "Peers.Path.Epoch", "Peers.Path.Since", "Peers.Path.Reason",
	"Microphone.Faults.Lost", "Microphone.Faults.Reason", "Speaker.Faults.Lost", "Speaker.Faults.Reason",
}

// Each number that a session knows is in a metric: who adds one to the statistics
// adds it here.
func TestEachStatisticIsShown(t *testing.T) {
	before := text(t, NewCollector(newFixed(), nil))
	seen := 0
	var visit func(path string, find func(*fixed) reflect.Value)
	visit = func(path string, find func(*fixed) reflect.Value) {
		if path != "" && slices.Contains(told, path) && path != "Peers" {
			return
		}
		f := newFixed()
		v := find(f)
		switch {
		case v.Type() == reflect.TypeFor[time.Time]():
			v.Set(reflect.ValueOf(time.Unix(1e9, 0)))
		case v.Kind() == reflect.Struct:
			for i := range v.NumField() {
				name := strings.TrimPrefix(path+"."+v.Type().Field(i).Name, ".")
				visit(name, func(f *fixed) reflect.Value { return find(f).Field(i) })
			}
			return
		case v.Kind() == reflect.Slice && path != "Peers":
			t.Errorf("no metric shows %s: add one, or name it in told", path)
			return
		case v.Kind() == reflect.Slice:
			visit(path+"[]", func(f *fixed) reflect.Value { return find(f).Index(0) })
			return
		case v.Kind() == reflect.Bool:
			v.SetBool(true)
		case v.Kind() == reflect.String:
			v.SetString("x")
		case v.CanInt() && v.OverflowInt(int64(time.Hour)):
			v.SetInt(1)
		case v.CanInt():
			v.SetInt(int64(time.Hour))
		case v.CanUint():
			v.SetUint(v.Uint() + 1)
		case v.CanFloat():
			v.SetFloat(0.5)
		default:
			t.Fatalf("%s is a %v", path, v.Type())
		}
		if strings.HasSuffix(path, "Microphone.Reason") || strings.HasSuffix(path, "Speaker.Reason") {
			device, _, _ := strings.Cut(path, ".")
			reflect.ValueOf(f).Elem().FieldByName(device).FieldByName("Open").SetBool(true)
			g := newFixed()
			reflect.ValueOf(g).Elem().FieldByName(device).FieldByName("Open").SetBool(true)
			if text(t, NewCollector(f, nil)) == text(t, NewCollector(g, nil)) {
				t.Errorf("no metric shows %s", path)
			}
			return
		}
		seen++
		if text(t, NewCollector(f, nil)) == before {
			t.Errorf("no metric shows %s", path)
		}
	}
	for i, name := range told {
		told[i] = strings.Replace(name, "Peers.", "Peers[].", 1)
	}
	visit("", func(f *fixed) reflect.Value { return reflect.ValueOf(f).Elem() })
	if seen < 60 {
		t.Errorf("only %d fields were looked at", seen)
	}
}

func TestValuesHaveTheUnitsOfTheirNames(t *testing.T) {
	f := newFixed()
	f.Started, f.EventsDropped, f.Level = true, 7, -31.5
	f.Speaker = session.EndpointStats{Open: true, Latency: 20 * time.Millisecond, Faults: audio.Faults{Underruns: 3}}
	p := &f.Peers[0]
	p.Path.Transport, p.Path.RTT = "quic-v1", 40*time.Millisecond
	p.Jitter.PlayedSamples, p.Jitter.DelaySum = 10*audio.SampleRate, 10*audio.SampleRate*30*time.Millisecond
	p.BytesIn = 1234
	id := p.ID.String()
	want := fmt.Sprintf(`# HELP parley_device_latency_seconds Its delay; 0 for what is no device.
# TYPE parley_device_latency_seconds gauge
parley_device_latency_seconds{device="microphone",room="a"} 0
parley_device_latency_seconds{device="speaker",room="a"} 0.02
# HELP parley_device_underruns_total Times up to 10 ms of silence were played that nobody asked for.
# TYPE parley_device_underruns_total counter
parley_device_underruns_total{device="microphone",room="a"} 0
parley_device_underruns_total{device="speaker",room="a"} 3
# HELP parley_events_dropped_total Events that nobody read in time.
# TYPE parley_events_dropped_total counter
parley_events_dropped_total{room="a"} 7
# HELP parley_level_dbfs Level of the microphone: RMS in dB below full scale.
# TYPE parley_level_dbfs gauge
parley_level_dbfs{room="a"} -31.5
# HELP parley_peer_buffer_delay_sum_seconds_total Delay in the jitter buffer, added up for each second played: divided by parley_peer_played_seconds_total it is the mean.
# TYPE parley_peer_buffer_delay_sum_seconds_total counter
parley_peer_buffer_delay_sum_seconds_total{peer="%[1]s",room="a"} 0.3
# HELP parley_peer_path_info The way to the peer, by kind (lan, direct, punched, relayed) and transport: 1. None without a way.
# TYPE parley_peer_path_info gauge
parley_peer_path_info{kind="direct",peer="%[1]s",room="a",transport="quic-v1"} 1
# HELP parley_peer_played_seconds_total Speech that was played as it was said.
# TYPE parley_peer_played_seconds_total counter
parley_peer_played_seconds_total{peer="%[1]s",room="a"} 10
# HELP parley_peer_rtt_seconds Round trip to the peer; 0 until measured.
# TYPE parley_peer_rtt_seconds gauge
parley_peer_rtt_seconds{peer="%[1]s",room="a"} 0.04
# HELP parley_peer_voice_received_bytes_total Bytes of voice packets received.
# TYPE parley_peer_voice_received_bytes_total counter
parley_peer_voice_received_bytes_total{peer="%[1]s",room="a"} 1234
`, id)
	c := NewCollector(f, prometheus.Labels{"room": "a"})
	if err := testutil.CollectAndCompare(c, strings.NewReader(want),
		"parley_device_latency_seconds", "parley_device_underruns_total", "parley_events_dropped_total", "parley_level_dbfs",
		"parley_peer_buffer_delay_sum_seconds_total", "parley_peer_path_info", "parley_peer_played_seconds_total", "parley_peer_rtt_seconds",
		"parley_peer_voice_received_bytes_total"); err != nil {
		t.Error(err)
	}
}

func TestNamesAreAsPrometheusWantsThem(t *testing.T) {
	problems, err := testutil.CollectAndLint(NewCollector(newFixed(), nil))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}

// Two sessions in one registry, one of them stopped, are told apart by labels; who
// left isn't shown any more.
func TestRealSessionsAreWatched(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := sessiontest.NewNetwork(sessiontest.Config{Link: sessiontest.LinkConfig{Delay: 20 * time.Millisecond}})
		defer net.Close()
		registry := prometheus.NewPedanticRegistry()
		var sessions []*session.Session
		for n := range 2 {
			s, err := session.New(session.Config{
				Transport: net.Transport(sessiontest.PeerID(n)), Codec: &sessiontest.Codec{},
				OpenSource: func() (audio.Source, error) { return audio.NewTone(440, 0.5), nil },
			})
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			sessions = append(sessions, s)
			registry.MustRegister(NewCollector(s, prometheus.Labels{"session": fmt.Sprint(n)}))
			if err := s.Start(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		for n, s := range sessions {
			if err := s.PeerJoined(sessions[1-n].Self()); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(5 * time.Second)
		value := func(name string) (values []float64) {
			families, err := registry.Gather()
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range families {
				for _, m := range f.GetMetric() {
					if f.GetName() == name {
						values = append(values, m.GetGauge().GetValue()+m.GetCounter().GetValue())
					}
				}
			}
			return values
		}
		if v := value("parley_peer_played_seconds_total"); len(v) != 2 || min(v[0], v[1]) < 4 || max(v[0], v[1]) > 5 {
			t.Errorf("played %v", v)
		}
		if v := value("parley_peer_rtt_seconds"); len(v) != 2 || min(v[0], v[1]) < 0.03 || max(v[0], v[1]) > 0.06 {
			t.Errorf("round trips %v", v)
		}
		if err := sessions[0].PeerLeft(sessions[1].Self()); err != nil {
			t.Fatal(err)
		}
		if err := sessions[1].Stop(); err != nil {
			t.Fatal(err)
		}
		if v := value("parley_peer_reachable"); len(v) != 0 {
			t.Errorf("peers who left: %v", v)
		}
		if v := value("parley_started"); !slices.Equal(v, []float64{1, 0}) {
			t.Errorf("started: %v", v)
		}
	})
}

// docs/metrics.md is made of the tables: go test ./metrics -metrics.update.
func TestTheDocumentListsAllNames(t *testing.T) {
	const path = "../docs/metrics.md"
	var b bytes.Buffer
	b.WriteString(head)
	section := func(title string) { fmt.Fprintf(&b, "\n## %s\n\n| name | kind | |\n|---|---|---|\n", title) }
	section("The session")
	rows(&b, ofSession)
	section("Microphone and speaker, by `device`")
	rows(&b, ofDevices)
	for _, list := range []struct {
		title   string
		metrics []metric[session.PeerStats]
	}{
		{"Each peer, by `peer`, its ID", aboutPeers},
		{"Texts and data, both ways", aboutMessages},
		{"What a peer hears of this side", whatPeersHear},
		{"What this side hears of a peer", whatIsHeard},
		{"The link to a peer", aboutLinks},
	} {
		section(list.title)
		rows(&b, list.metrics)
		if list.metrics[0].name == aboutPeers[0].name {
			fmt.Fprintf(&b, "| `%s` | gauge | %s |\n", pathName, pathHelp)
		}
	}
	if *update {
		if err := os.WriteFile(path, b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, b.Bytes()) {
		t.Errorf("%s isn't what the tables say: go test ./metrics -metrics.update", path)
	}
}

func rows[T any](b *bytes.Buffer, list []metric[T]) {
	for _, m := range list {
		kind := "gauge"
		if m.kind == prometheus.CounterValue {
			kind = "counter"
		}
		fmt.Fprintf(b, "| `%s` | %s | %s |\n", m.name, kind, m.help)
	}
}

const head = "# Metrics\n\n" +
	"A `metrics.Collector` gives what `session.Stats` holds to Prometheus:\n\n" +
	"```go\nregistry.MustRegister(metrics.NewCollector(voice, nil))\n```\n\n" +
	"`voice` is a `*parley.Voice` or a `*session.Session`. Nothing is counted for it:\n" +
	"the session is asked when Prometheus asks. Several sessions in one registry need\n" +
	"labels of their own, the second argument.\n\n" +
	"Units are in the names: seconds, bytes, dB below full scale, shares of 0 to 1.\n" +
	"Counters end in `_total`; those of a peer count from its `PeerJoined` on, and are\n" +
	"gone when it left. There are as many series of each name as there are peers. Names\n" +
	"that peers give themselves are in none: they may be anything.\n\n" +
	"| to know | ask |\n|---|---|\n" +
	"| share of speech that was a guess | `rate(parley_peer_concealed_seconds_total[1m]) / (rate(parley_peer_played_seconds_total[1m]) + rate(parley_peer_concealed_seconds_total[1m]))` |\n" +
	"| mean delay in the jitter buffer | `rate(parley_peer_buffer_delay_sum_seconds_total[1m]) / rate(parley_peer_played_seconds_total[1m])` |\n" +
	"| loss on the network | `rate(parley_peer_packets_lost_total[1m]) / rate(parley_peer_packets_expected_total[1m])` |\n" +
	"| bitrate sent, b/s | `8 * rate(parley_peer_voice_sent_bytes_total[1m])` |\n" +
	"| who is relayed | `parley_peer_path_info{kind=\"relayed\"}` |\n"
