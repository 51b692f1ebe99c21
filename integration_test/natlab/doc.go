// Package natlab builds a small internet out of network namespaces: public
// servers, and households behind home routers with real network address
// translation, each 20 ms away over an emulated link (package linkem).
//
//	lab := natlab.Start(t, natlab.Config{})
//	relay := lab.Server(t, "relay")
//	home := lab.Household(t, natlab.Home{NAT: natlab.Symmetric})
//	anna := home.Host(t, "anna")
//	chat := anna.Command("bin/chat", "--headless", ...)
//
// The internet is 11.0.0.0/8 and 2a0e:b000::/32, which libp2p takes for public, as
// it doesn't the ranges for private use and documentation. Servers are in
// 11.0.0.0/24, household number n has its public address in 11.0.n.0/24 and
// 192.168.n.0/24 behind it.
//
//	server ─┐                                        ┌─ host 192.168.1.2
//	server ─┴─ internet ══ emulated link ══ router ──┴─ host 192.168.1.3
//	              ║
//	              ╚═══════ emulated link ══ router ──── host 192.168.2.2
//
// A router lets in what belongs to a connection that began inside, and nothing
// else; it answers nobody, and doesn't send what a host says to the router's
// public address back inside (no hairpin). IPv6 is not translated, but filtered
// alike.
//
// It is Linux only, needs root, /dev/net/tun, ip (iproute2), nft (nftables) and
// nsenter (util-linux). Namespaces are held by file descriptors alone: they go
// with the process, and with them devices, addresses and rules, however it
// ends.
package natlab
