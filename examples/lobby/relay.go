package main

import (
	"fmt"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/relay"
	"github.com/prometheus/client_golang/prometheus"
)

// newRelay relays on the lobby's host. Reservations name all of the host's
// addresses, private ones too: a lobby may serve a local network.
func newRelay(opt *options, h host.Host, registry prometheus.Registerer) (*relay.Relay, error) {
	r, err := relay.New(h,
		relay.WithResources(relayResources(opt)),
		relay.WithReservationAddressFilter(notNarrow(h)),
		relay.WithMetricsTracer(relay.NewMetricsTracer(relay.WithRegisterer(registry))))
	if err != nil {
		return nil, fmt.Errorf("start the relay: %w", err)
	}
	return r, nil
}

// relayResources are what voice needs: libp2p's defaults end a relayed
// connection after 128 KiB, 22 s of speech, and let 16 of a peer be. There is a
// limit still, so that libp2p on both ends knows it for a relayed connection.
func relayResources(opt *options) relay.Resources {
	r := relay.DefaultResources()
	r.Limit = &relay.RelayLimit{Duration: opt.relayDuration, Data: opt.relayData}
	r.MaxCircuits = 64
	r.MaxReservations = 4096
	r.MaxReservationsPerIP = 64
	r.MaxReservationsPerASN = 1024
	return r
}
