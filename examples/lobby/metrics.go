package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/parley-voice/parley/examples/lobby/server"
)

// metrics serves what is counted, on a registry of its own.
type metrics struct {
	registry *prometheus.Registry
	listener net.Listener // nil if they aren't served
	server   *http.Server
	wg       sync.WaitGroup // the server's goroutine
}

// newMetrics serves metrics at an address, or nowhere if it is empty.
func newMetrics(address string, lobby *server.Server, log *slog.Logger) (*metrics, error) {
	m := &metrics{registry: prometheus.NewRegistry()}
	m.registry.MustRegister(
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		collector{lobby})
	if address == "" {
		return m, nil
	}
	var err error
	if m.listener, err = net.Listen("tcp", address); err != nil {
		return nil, fmt.Errorf("--metrics: %w", err)
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{}))
	m.server = &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second, WriteTimeout: 30 * time.Second}
	m.wg.Go(func() {
		if err := m.server.Serve(m.listener); !errors.Is(err, http.ErrServerClosed) {
			log.Error("metrics are no longer served", "error", err)
		}
	})
	return m, nil
}

func (m *metrics) address() string {
	if m.listener == nil {
		return ""
	}
	return m.listener.Addr().String()
}

func (m *metrics) close() error {
	if m.server == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), 500*time.Millisecond)
	defer cancel()
	err := m.server.Shutdown(ctx)
	if err != nil {
		err = m.server.Close()
	}
	m.wg.Wait()
	return err
}

// collector reads the lobby's counters when Prometheus asks.
type collector struct{ lobby *server.Server }

func describe(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("parley_lobby_"+name, help, labels, nil)
}

var (
	descMembers   = describe("members", "Members, each room that a peer is in counted.")
	descRooms     = describe("rooms", "Rooms with somebody in them.")
	descHalfOpen  = describe("half_open_streams", "Streams on which nobody has joined yet.")
	descOwn       = describe("own_connections", "Members whose connection serves the lobby alone.")
	descPeers     = describe("known_peers", "Peers of whom limits are kept.")
	descAddresses = describe("known_addresses", "Addresses of which limits are kept.")
	descJoins     = describe("joins_total", "Members that came.")
	descResumed   = describe("resumed_total", "Members that came back before anybody was told that they were away.")
	descReplaced  = describe("replaced_total", "Streams that another one of the same member replaced.")
	descDepart    = describe("departures_total", "Members that went: they said so (left), their stream ended (vanished) or nothing was heard of them (silent).", "how")
	descUpdates   = describe("updates_total", "New addresses of members.")
	descMessages  = describe("messages_total", "Messages from (in) and to (out) members.", "direction")
	descBytes     = describe("bytes_total", "Bytes of messages from (in) and to (out) members.", "direction")
	descRefused   = describe("refused_total", "What was refused, and who was dropped, by reason.", "reason")
)

// Describe implements prometheus.Collector.
func (c collector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		descMembers, descRooms, descHalfOpen, descOwn, descPeers, descAddresses, descJoins,
		descResumed, descReplaced, descDepart, descUpdates, descMessages, descBytes, descRefused,
	} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (c collector) Collect(ch chan<- prometheus.Metric) {
	s := c.lobby.Stats()
	gauge := func(d *prometheus.Desc, n int) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, float64(n))
	}
	count := func(d *prometheus.Desc, n uint64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(n), labels...)
	}
	gauge(descMembers, s.Members)
	gauge(descRooms, s.Rooms)
	gauge(descHalfOpen, s.HalfOpen)
	gauge(descOwn, s.OwnConnections)
	gauge(descPeers, s.KnownPeers)
	gauge(descAddresses, s.KnownAddress)
	count(descJoins, s.Joins)
	count(descResumed, s.Resumed)
	count(descReplaced, s.Replaced)
	count(descDepart, s.Left, "left")
	count(descDepart, s.Vanished-s.Silent, "vanished")
	count(descDepart, s.Silent, "silent")
	count(descUpdates, s.Updates)
	count(descMessages, s.MessagesIn, "in")
	count(descMessages, s.MessagesOut, "out")
	count(descBytes, s.BytesIn, "in")
	count(descBytes, s.BytesOut, "out")
	for _, r := range server.Reasons() {
		count(descRefused, s.Refused[r], string(r))
	}
}
