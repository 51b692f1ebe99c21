// Package metrics gives what a session knows of itself to Prometheus.
//
//	registry.MustRegister(metrics.NewCollector(voice, nil))
//
// All names, with their units, are in docs/metrics.md. Counters of a peer count
// from its PeerJoined on; a peer that left has none any more.
package metrics

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/parley-voice/parley/p2p/link"
	"github.com/parley-voice/parley/session"
)

// Source is what is watched: a *session.Session, or a *parley.Voice.
type Source interface{ Stats() session.Stats }

// Collector is a prometheus.Collector of one session. It asks the session when it
// is asked itself, and keeps nothing. It is safe for concurrent use.
type Collector struct {
	source  Source
	session []*prometheus.Desc
	device  []*prometheus.Desc
	peer    []*prometheus.Desc
	path    *prometheus.Desc
}

// NewCollector returns a collector of a session's Stats. labels are added to each
// metric; two collectors in one registry need different ones. nil is none.
func NewCollector(source Source, labels prometheus.Labels) *Collector {
	c := &Collector{source: source}
	for _, m := range ofSession {
		c.session = append(c.session, prometheus.NewDesc(m.name, m.help, nil, labels))
	}
	for _, m := range ofDevices {
		c.device = append(c.device, prometheus.NewDesc(m.name, m.help, []string{"device"}, labels))
	}
	for _, m := range ofPeers {
		c.peer = append(c.peer, prometheus.NewDesc(m.name, m.help, []string{"peer"}, labels))
	}
	c.path = prometheus.NewDesc(pathName, pathHelp, []string{"peer", "kind", "transport"}, labels)
	return c
}

// Describe implements prometheus.Collector.
func (c *Collector) Describe(ch chan<- *prometheus.Desc) {
	for _, list := range [][]*prometheus.Desc{c.session, c.device, c.peer, {c.path}} {
		for _, d := range list {
			ch <- d
		}
	}
}

// Collect implements prometheus.Collector.
func (c *Collector) Collect(ch chan<- prometheus.Metric) {
	st := c.source.Stats()
	send := func(d *prometheus.Desc, kind prometheus.ValueType, value float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, kind, value, labels...)
	}
	for i, m := range ofSession {
		send(c.session[i], m.kind, m.value(&st))
	}
	for i, m := range ofDevices {
		send(c.device[i], m.kind, m.value(&st.Microphone), string(session.Microphone))
		send(c.device[i], m.kind, m.value(&st.Speaker), string(session.Speaker))
	}
	for n := range st.Peers {
		p := &st.Peers[n]
		id := p.ID.String()
		for i, m := range ofPeers {
			send(c.peer[i], m.kind, m.value(p), id)
		}
		if p.Path.Kind != link.None {
			send(c.path, prometheus.GaugeValue, 1, id, p.Path.Kind.String(), p.Path.Transport)
		}
	}
}
