package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/parley-voice/parley/audio"
	"github.com/parley-voice/parley/session"
)

// metric is one name, and how its value is found in what it is of.
type metric[T any] struct {
	name  string
	help  string
	kind  prometheus.ValueType
	value func(*T) float64
}

const (
	counter = prometheus.CounterValue
	gauge   = prometheus.GaugeValue

	pathName = "parley_peer_path_info"
	pathHelp = "The way to the peer, by kind (lan, direct, punched, relayed) and transport: 1. None without a way."
)

func count(n uint64) float64           { return float64(n) }
func seconds(d time.Duration) float64  { return d.Seconds() }
func duration(samples uint64) float64  { return float64(samples) / audio.SampleRate }
func delaySum(d time.Duration) float64 { return d.Seconds() / audio.SampleRate }
func timestamp(t time.Time) float64 {
	if t.IsZero() {
		return 0
	}
	return float64(t.UnixMilli()) / 1000
}

func yes(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

var ofSession = []metric[session.Stats]{
	{"parley_started", "1 while the session is started.", gauge, func(s *session.Stats) float64 { return yes(s.Started) }},
	{"parley_recording", "1 while peers are told that this side records.", gauge, func(s *session.Stats) float64 { return yes(s.Recording) }},
	{"parley_moderated", "1 while a moderator has muted this side for all.", gauge, func(s *session.Stats) float64 { return yes(s.Moderated) }},
	{"parley_speaking", "1 while a talk spurt of this side is under way.", gauge, func(s *session.Stats) float64 { return yes(s.Speaking) }},
	{"parley_level_dbfs", "Level of the microphone: RMS in dB below full scale.", gauge, func(s *session.Stats) float64 { return s.Level }},
	{"parley_packets_spoken_total", "Packets that this side's voice made, however many listened.", counter, func(s *session.Stats) float64 { return count(s.PacketsSpoken) }},
	{"parley_read_errors_total", "Blocks of 10 ms that the source or the encoder failed to give.", counter, func(s *session.Stats) float64 { return count(s.ReadErrors) }},
	{"parley_blocks_skipped_total", "Blocks of 10 ms not recorded because the process was suspended.", counter, func(s *session.Stats) float64 { return count(s.BlocksSkipped) }},
	{"parley_rooms_refused_total", "Rooms of peers beyond those that one may listen to.", counter, func(s *session.Stats) float64 { return count(s.RoomsRefused) }},
	{"parley_rulings_refused_total", "Rulings that no moderator signed for this session, that are out of time, or too many.", counter, func(s *session.Stats) float64 { return count(s.RulingsRefused) }},
	{"parley_control_malformed_total", "Control messages that made no sense.", counter, func(s *session.Stats) float64 { return count(s.Malformed) }},
	{"parley_events_dropped_total", "Events that nobody read in time.", counter, func(s *session.Stats) float64 { return count(s.EventsDropped) }},
	{"parley_peers", "Peers that joined and have not left.", gauge, func(s *session.Stats) float64 { return float64(len(s.Peers)) }},
}

var ofDevices = []metric[session.EndpointStats]{
	{"parley_device_open", "1 if there is such a device, source or sink.", gauge, func(e *session.EndpointStats) float64 { return yes(e.Open) }},
	{"parley_device_working", "1 if it works now.", gauge, func(e *session.EndpointStats) float64 { return yes(e.Open && e.Reason == "") }},
	{"parley_device_start_timestamp_seconds", "When its first sample was spoken or heard, in Unix time; 0 before.", gauge, func(e *session.EndpointStats) float64 { return timestamp(e.Start) }},
	{"parley_device_latency_seconds", "Its delay; 0 for what is no device.", gauge, func(e *session.EndpointStats) float64 { return seconds(e.Latency) }},
	{"parley_device_underruns_total", "Times up to 10 ms of silence were played that nobody asked for.", counter, func(e *session.EndpointStats) float64 { return count(e.Faults.Underruns) }},
	{"parley_device_overruns_total", "Times recorded audio was lost.", counter, func(e *session.EndpointStats) float64 { return count(e.Faults.Overruns) }},
	{"parley_device_losses_total", "Times the device went away.", counter, func(e *session.EndpointStats) float64 { return count(e.Faults.Losses) }},
}
