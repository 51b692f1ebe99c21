// Package linkem emulates an IP link: two network namespaces, each with a TUN
// device, and between them a loop that loses, delays, paces and holds every
// packet as an [Impairment] says. Programs and sockets on either side see an
// ordinary network interface, so what is measured is the real stack.
//
//	lab := linkem.Start(t, linkem.Config{
//		Impairment: linkem.Impairment{Delay: 25 * time.Millisecond, Loss: 0.05},
//		Seed:       7,
//	})
//	chat := lab.Command(linkem.A, "bin/chat", "--headless", "--listen", ...)
//
// It is Linux only, needs root and /dev/net/tun, and no kernel module for
// impairment (netem). The namespaces of [New] have no name: they are held by
// file descriptors alone and go with the process, however it ends. A [Namespace]
// is one of these without a link: several links can end in it, which is how
// package natlab builds an internet of them.
//
// The command in cmd/linkem does the same between named namespaces.
package linkem
