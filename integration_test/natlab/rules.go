//go:build linux

package natlab

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/parley-voice/parley/integration_test/linkem"
)

// routerRules are the nft rules of a home router. Unsolicited packets are
// dropped in silence: an answer would make a connection of them, whose port
// the hosts then couldn't have.
func routerRules(home Home) string {
	var forward, input, nat []string
	if home.BlockUDP {
		forward = append(forward, "meta l4proto udp counter name blocked drop")
	}
	if home.NAT != NoNAT {
		forward = append(forward,
			`iifname "wan0" ct state established,related accept`,
			`iifname "wan0" counter name unsolicited drop`)
		input = append(input,
			`iifname "wan0" counter name unsolicited drop`,
			`iifname "lan0" ip daddr 11.0.0.0/8 counter name hairpin drop`)
	}
	switch home.NAT {
	case PortPreserving:
		nat = append(nat, `oifname "wan0" meta nfproto ipv4 masquerade`)
	case Symmetric:
		nat = append(nat, `oifname "wan0" meta nfproto ipv4 masquerade random,fully-random`)
	case NoNAT:
	}
	var b strings.Builder
	b.WriteString("table inet router {\n")
	for _, name := range []string{"unsolicited", "hairpin", "blocked"} {
		fmt.Fprintf(&b, "\tcounter %s {\n\t}\n", name)
	}
	chain := func(name, hook string, rules []string) {
		fmt.Fprintf(&b, "\tchain %s {\n\t\ttype %s; policy accept;\n\t\t%s\n\t}\n", name, hook, strings.Join(rules, "\n\t\t"))
	}
	chain("forward", "filter hook forward priority 0", forward)
	chain("input", "filter hook input priority 0", input)
	if len(nat) > 0 {
		chain("translate", "nat hook postrouting priority 100", nat)
	}
	b.WriteString("}\n")
	return b.String()
}

// internetRules are what the internet does to one household.
func (h *Household) internetRules() string {
	lines := []string{
		fmt.Sprintf("add counter inet internet holed%d", h.number),
		fmt.Sprintf("add counter inet internet broken%d", h.number),
		fmt.Sprintf("add counter inet internet direct%d", h.number),
		fmt.Sprintf("add rule inet internet direct iifname %q oifname \"home*\" counter name direct%d", h.device(), h.number),
	}
	if h.home.Family == BrokenIPv6 {
		for _, way := range []string{"iifname", "oifname"} {
			lines = append(lines, fmt.Sprintf("add rule inet internet broken %s %q meta nfproto ipv6 counter name broken%d drop", way, h.device(), h.number))
		}
	}
	return strings.Join(lines, "\n") + "\n"
}

// Counters returns what happened to the household's packets so far.
func (h *Household) Counters(t testing.TB) Counters {
	t.Helper()
	router, err := readCounters(h.router, "router")
	if err != nil {
		t.Fatalf("natlab: counters of household %d: %v", h.number, err)
	}
	internet, err := readCounters(h.lab.internet, "internet")
	if err != nil {
		t.Fatalf("natlab: counters of the internet: %v", err)
	}
	link := h.link.Stats()
	return Counters{
		Out: link.AB.Delivered, In: link.BA.Delivered,
		Unsolicited: router["unsolicited"], Hairpin: router["hairpin"], UDP: router["blocked"],
		Holed:      internet[fmt.Sprintf("holed%d", h.number)],
		Direct:     internet[fmt.Sprintf("direct%d", h.number)],
		BrokenIPv6: internet[fmt.Sprintf("broken%d", h.number)],
	}
}

// readCounters returns the packets of a table's named counters.
func readCounters(ns *linkem.Namespace, table string) (map[string]uint64, error) {
	out, err := ns.Command("nft", "-j", "list", "counters", "table", "inet", table).Output()
	if err != nil {
		return nil, err
	}
	var list struct {
		Objects []struct {
			Counter struct {
				Name    string `json:"name"`
				Packets uint64 `json:"packets"`
			} `json:"counter"`
		} `json:"nftables"`
	}
	if err := json.Unmarshal(out, &list); err != nil {
		return nil, err
	}
	counts := make(map[string]uint64)
	for _, o := range list.Objects {
		counts[o.Counter.Name] = o.Counter.Packets
	}
	return counts, nil
}
