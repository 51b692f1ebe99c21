package main

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"

	"github.com/parley-voice/parley/examples/lobby/client"
)

// used is what a process has used, from /proc.
type used struct {
	cpu      time.Duration
	rssBytes int
}

func usageOf(b *testing.B, pid int) used {
	b.Helper()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		b.Skip("needs /proc: ", err)
	}
	// After the name, which is in brackets: state is field 3, utime 14, stime
	// 15, in ticks of 10 ms; rss 24, in pages.
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	field := func(n int) int {
		v, err := strconv.Atoi(fields[n-3])
		if err != nil {
			b.Fatal(err)
		}
		return v
	}
	return used{time.Duration(field(14)+field(15)) * 10 * time.Millisecond, field(24) * os.Getpagesize()}
}

// quietHost is a host that costs little: it listens nowhere.
func quietHost(b *testing.B) host.Host {
	b.Helper()
	h, err := libp2p.New(libp2p.NoListenAddrs, libp2p.ResourceManager(&network.NullResourceManager{}), libp2p.DisableMetrics(), libp2p.DisableIdentifyAddressDiscovery())
	if err != nil {
		b.Fatal(err)
	}
	return h
}

// BenchmarkLobby1000 has a thousand members in two hundred rooms on a lobby in a
// process of its own, over real sockets: each with two connections, one for
// presence and its host's. It reports what joining takes, 16 at a time, and
// what the lobby uses: memory for each member, CPU for each join, and the share
// of a core for a thousand members who stay.
func BenchmarkLobby1000(b *testing.B) {
	const members, rooms, atOnce, stay = 1000, 200, 16, 10 * time.Second
	for range b.N {
		p := start(b, keyFile(b), "--address-codes=-1", "--log-level=error")
		pid := p.cmd.Process.Pid
		empty := usageOf(b, pid)
		hosts, clients, took := make([]host.Host, members), make([]*client.Client, members), make([]time.Duration, members)
		for n := range hosts {
			hosts[n] = quietHost(b)
		}
		each := func(f func(n int)) {
			var wg sync.WaitGroup
			slots := make(chan struct{}, atOnce)
			for n := range members {
				slots <- struct{}{}
				wg.Go(func() {
					f(n)
					<-slots
				})
			}
			wg.Wait()
		}
		each(func(n int) {
			begin := time.Now()
			c, err := client.Join(context.Background(), hosts[n], client.Config{Lobby: p.info, Room: fmt.Sprintf("room %03d", n%rooms)})
			if err != nil {
				b.Error(err)
				return
			}
			clients[n], took[n] = c, time.Since(begin)
		})
		if b.Failed() {
			return
		}
		for n, c := range clients {
			waitFor(b, 10*time.Second, "everybody to know everybody", func() bool { return len(c.Members()) == members/rooms-1 })
			waitFor(b, 60*time.Second, "the hosts' connections", func() bool { return hosts[n].Network().Connectedness(p.info.ID) == network.Connected })
		}
		joined := usageOf(b, pid)
		time.Sleep(stay) // what is measured
		after := usageOf(b, pid)
		for _, c := range clients {
			if st := c.Stats(); st.Lost != 0 || len(c.Members()) != members/rooms-1 {
				b.Errorf("%+v, %d members", st, len(c.Members()))
			}
		}
		slices.Sort(took)
		b.ReportMetric(float64(took[members/2])/1e6, "join-p50-ms")
		b.ReportMetric(float64(took[members*99/100])/1e6, "join-p99-ms")
		b.ReportMetric(float64(after.rssBytes-empty.rssBytes)/1024/members, "KiB/member")
		b.ReportMetric(float64((joined.cpu-empty.cpu).Microseconds())/1000/members, "cpu-ms/join")
		b.ReportMetric(100*float64(after.cpu-joined.cpu)/float64(stay), "idle-cpu-%")
		each(func(n int) {
			_ = clients[n].Close()
			_ = hosts[n].Close()
		})
		p.kill()
	}
}
