package main

import (
	"fmt"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/relay"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/parley-voice/parley/p2p"
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

// relayResources are what voice needs, within the limits of the command line.
func relayResources(opt *options) relay.Resources {
	r := p2p.RelayResources()
	r.Limit = &relay.RelayLimit{Duration: opt.relayDuration, Data: opt.relayData}
	return r
}
