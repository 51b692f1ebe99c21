package session

import (
	"math"
	"time"

	"github.com/parley-voice/parley/audio/emodel"
	"github.com/parley-voice/parley/codec"
	"github.com/parley-voice/parley/p2p/link"
	"github.com/parley-voice/parley/session/wire"
)

// plan is what one listener gets of our voice.
type plan struct {
	encoding encoding
	twins    int     // frames that travel with the next: one less than there are in a packet
	copies   offsets // of earlier frames
	light    bool    // copies beyond the nearest are spare
}

// bare is the plan without copies.
func (p plan) bare() plan { return plan{encoding: p.encoding, twins: p.twins} }

// copyIn is the encoding of copies that reach so many frames back.
func (p plan) copyIn(offset int) encoding {
	if p.light && offset > p.copies.nearest() {
		return spare
	}
	return p.encoding
}

// little is what is sent as long as more may be too much: at the start of some ways,
// and until a queue has gone. Where even that is, less can be.
var little = plan{encoding: lean, twins: 1}

// offsets are how many frames back the copies in a packet reach: bit n-1 stands
// for n.
type offsets uint8

func back(frames ...int) (o offsets) {
	for _, n := range frames {
		o |= 1 << (n - 1)
	}
	return o
}

func (o offsets) has(frames int) bool { return o&(1<<(frames-1)) != 0 }

// nearest is the smallest offset, 0 for none.
func (o offsets) nearest() int { return o.nth(1) }

// nth is the n-th offset, from 1, 0 if there are less.
func (o offsets) nth(n int) int {
	for frames := 1; frames <= 8; frames++ {
		if o.has(frames) {
			if n--; n == 0 {
				return frames
			}
		}
	}
	return 0
}

func (o offsets) count() (n int) {
	for ; o != 0; o &= o - 1 {
		n++
	}
	return n
}

// pack makes a plan fit an atomic number; 0 is the plan of somebody who loses
// nothing.
func (p plan) pack() uint32 {
	n := uint32(p.copies) | uint32(p.encoding)<<8 | uint32(p.twins)<<16
	if p.light {
		n |= 1 << 24
	}
	return n
}

func unpackPlan(n uint32) plan {
	return plan{encoding: encoding(n >> 8 & 0xff), twins: int(n >> 16 & 0xff), copies: offsets(n), light: n>>24 != 0}
}

// plans are all that are considered. A second copy that is light is heard as seldom as
// two packets are lost, and comes behind most bursts if both reach farther back. Copies of a pair of frames are of the pair
// before: one packet lost costs nothing then. Of more there is no room for copies, and
// before frames wait for two others they are made smaller.
var plans = func() (list []plan) {
	sets := []offsets{0, back(1), back(2), back(3), back(4), back(1, 2), back(1, 3), back(2, 4)}
	list = append(list, plan{encoding: guarded})
	list = append(list, plan{copies: back(1, 2), light: true}, plan{copies: back(2, 4), light: true})
	for _, e := range []encoding{whole, lean, thin} {
		for _, copies := range sets {
			list = append(list, plan{encoding: e, copies: copies})
		}
		list = append(list, plan{encoding: e, twins: 1}, plan{encoding: e, twins: 1, copies: back(2, 3)})
		for twins := 2; twins <= wire.MaxCopies && e != whole; twins++ {
			list = append(list, plan{encoding: e, twins: twins})
		}
	}
	return list
}()

// voiceFormat is how our voice is encoded.
type voiceFormat struct {
	frame     time.Duration
	bitrate   [numEncodings]float64 // kb/s
	beside    float64               // bytes that a packet costs beside packetOverhead, on this way
	guards    bool                  // there is the guarded encoding
	elsewhere bool                  // it was encoded elsewhere: all that is sent is whole
	twins     int                   // frames that may travel with the next, on this way
}

// longestBundle is how much speech a packet carries where it carries more than two
// frames.
const longestBundle = 60 * time.Millisecond

func formatOf(cfg codec.Config) voiceFormat {
	f := voiceFormat{frame: cfg.FrameDuration, guards: guards(cfg), twins: 1}
	for e := range numEncodings {
		f.bitrate[e] = float64(e.bitrate(cfg)) / 1000
	}
	return f
}

// on is the format on a way to a listener, who takes more than two frames in a packet
// or not.
func (f voiceFormat) on(path link.Path, bundles bool) voiceFormat {
	if path.Kind == link.Relayed {
		f.beside = relayedOverhead
	}
	if bundles {
		f.twins = max(1, min(wire.MaxCopies, int(longestBundle/f.frame)-1))
	}
	return f
}

// What a packet costs beside its frames, in bytes: lane and voice headers, QUIC's
// short header, seal and stream frame, UDP and IPv4, and its share of the far
// end's acknowledgements. Measured by make sim: clean, IP kb/s less payload.
const (
	packetOverhead = 92
	copyOverhead   = 2
	// relayedOverhead is what one through a relay costs beside that: headers and
	// seals of the connection within the connection, yamux's and TLS's, 34 bytes for
	// a packet, and those of its share of acknowledgements. Measured by make sim.
	relayedOverhead = 42
	// outsideWindow is what of it QUIC's congestion window doesn't count: UDP, IPv4
	// and acknowledgements.
	outsideWindow = 40
)

// rate is what a plan takes of the link, in kb/s of IP packets.
func (f voiceFormat) rate(p plan) float64 {
	frames := 1 / f.frame.Seconds()
	copies := float64(p.copies.count())
	if p.twins > 0 {
		copies /= 2 // each frame travels once more
	}
	speech := f.bitrate[p.encoding] * (1 + copies)
	if others := copies - 1; p.light && others > 0 {
		speech -= others * (f.bitrate[p.encoding] - f.bitrate[spare])
	}
	return f.packets(p)*(packetOverhead+f.beside)*8/1000 + speech + frames*copies*copyOverhead*8/1000
}

// packets is how many there are in a second.
func (f voiceFormat) packets(p plan) float64 {
	return 1 / f.frame.Seconds() / float64(1+p.twins)
}

// thriftiest is the plan that takes least.
func (f voiceFormat) thriftiest() plan { return plan{encoding: thin, twins: f.twins} }

// rates is what a plan takes, and what the plans there are do.
func (f voiceFormat) rates(p plan) rates {
	return rates{sending: f.rate(p), least: f.rate(f.thriftiest()), little: f.rate(little), most: f.rate(plan{copies: back(1, 2)})}
}

// network is what is known of the way to a listener.
type network struct {
	loss  float64 // share of frames lost on the first try
	burst float64 // mean number of them in a row
	rtt   time.Duration
	limit float64 // kb/s of IP packets that it carries; +Inf if unknown
	young bool    // little is known of its losses yet
}

const (
	leanCosts = 3    // R: Ie of the lean encoding, our estimate; G.113 has none for Opus
	thinCosts = 12   // the same of the thin one
	fecMisses = 0.11 // share of packets without FEC; TestInBandFECIsForThinLinks prints it
	byteCosts = 0.02 // R per kb/s of copies and FEC: what is not worth more isn't sent
	// restDelay is what a conversation has beside the link and the buffer.
	restDelay = 40 * time.Millisecond
	// resendExtra is how much longer than 1.5 round trips a retransmission
	// takes: loss is seen by what arrives after it.
	resendExtra = 40 * time.Millisecond
	resendLost  = 0.5 // share of what is lost that isn't there then either
	bufferMost  = 250 * time.Millisecond
)

// impairment is by how much R of G.107 is expected to fall with a plan, at the
// delay that the listener's jitter buffer then chooses.
func (f voiceFormat) impairment(p plan, n network) float64 {
	base := n.rtt/2 + restDelay
	at := func(wait time.Duration, lost float64) float64 {
		wait += time.Duration(p.twins) * f.frame
		return emodel.DelayCost(base+wait) + emodel.Loss(lost)
	}
	resend := n.rtt*3/2 + resendExtra
	best, lost, before := at(0, n.loss), n.loss, 0 // with what is in hand at once
	early := lost                                  // with the copies that come before what is sent again
	for i := 1; i <= p.copies.count(); i++ {
		if p.twins > 0 && i > 1 {
			break // the second copy is of the other frame
		}
		frames := p.copies.nth(i)
		lost *= n.again(frames - before)
		before = frames
		if wait := time.Duration(frames) * f.frame; wait <= resend {
			early, best = lost, min(best, at(wait, lost))
		} else {
			best = min(best, at(wait, lost*resendLost))
		}
	}
	if p.encoding == guarded {
		again := n.again(1)
		lost *= again + (1-again)*fecMisses
		early, best = lost, min(best, at(f.frame, lost))
	}
	if resend <= bufferMost {
		best = min(best, at(resend, early*resendLost))
	}
	bare := p.bare()
	if p.encoding == guarded {
		bare.encoding = whole
	}
	costs := [numEncodings]float64{lean: leanCosts, thin: thinCosts}
	return best + costs[p.encoding] + byteCosts*(f.rate(p)-f.rate(bare))
}

// burstDoubt is how much longer bursts look by chance: few of them are remembered.
const burstDoubt = 0.15

// again is the chance that a frame is lost if one so many frames before it was,
// after Gilbert's model of bursts.
func (n network) again(frames int) float64 {
	if n.loss >= 1 {
		return 1
	}
	burst := max(n.burst-burstDoubt, 1/(1-n.loss)) // at least as chance has it
	stay := 1 - 1/burst - n.loss/(burst*(1-n.loss))
	return n.loss + (1-n.loss)*math.Pow(max(stay, 0), float64(frames))
}

// QUIC's congestion window where packets are lost, in bytes: what may be on its way at
// once. quic-go's NewReno cuts it to windowKept with a loss, but once in a round trip,
// and raises it by a datagram after as many packets as there are datagrams in it were
// acknowledged, however small they are. Between two losses that are 1/loss packets, so
// that it rests at √(1/((1-windowKept)·loss)) datagrams, or at its floor of two.
const (
	datagram    = 1280
	windowFloor = 2 * datagram
	windowKept  = 0.7
	// windowShare of it is what we keep to, since it goes up and down and grows only
	// while it is used, and floorShare of its floor. A lost packet takes lostTakes
	// times as much of it as another: it counts until it is missed, and is sent again.
	// All three measured by make sim SIM=-sim.links=far.
	windowShare = 0.375
	floorShare  = 0.75
	lostTakes   = 6.2
)

// window is how many bytes of QUIC's congestion window can be counted on.
func (n network) window() float64 {
	if n.young {
		return floorShare * windowFloor // what was too much takes long to get over
	}
	losses := n.loss / max(n.burst*(1-n.loss), 1) // those in a row are one
	rests := datagram * math.Sqrt(1/((1-windowKept)*losses))
	return max(floorShare*windowFloor, windowShare*rests/(1+lostTakes*n.loss))
}

const (
	// resent is how many bytes are sent again for each that is lost:
	// retransmissions, of retransmissions too, and acknowledgements. Measured by
	// make sim.
	resent = 1.6
	// mostTimes as much as on a clean link goes to one who loses, all told.
	mostTimes = 2
)

// carries tells whether a plan fits what the network carries, and what may be
// spent.
func (f voiceFormat) carries(n network, p plan) bool {
	switch {
	case p.twins > f.twins:
		return false
	case p.light && (f.elsewhere || f.bitrate[spare] >= f.bitrate[p.encoding]):
		return false
	case p.encoding == guarded && (!f.guards || f.carries(n, plan{copies: back(1)})):
		return false // copies leave less to be concealed
	}
	rate := f.rate(p)
	all := rate * (1 + resent*n.loss)
	if p == little {
		all = rate // what is allowed where little is counts nothing else
	}
	if all > n.limit || all > mostTimes*f.rate(plan{}) {
		return false
	}
	if n.loss <= 0 || n.rtt <= 0 {
		return true
	}
	inside := rate*1000/8 - f.packets(p)*outsideWindow // bytes a second
	return inside*n.rtt.Seconds() <= n.window()
}

// planSticks is by how much another plan must be better, in R.
const planSticks = 0.4

// choose returns the plan with the least impairment among those that the network
// carries, or the thriftiest of all. The present one stays if it is hardly worse.
func (f voiceFormat) choose(n network, present plan) plan {
	best, least := f.thriftiest(), math.Inf(1)
	for _, p := range plans {
		if !f.carries(n, p) || (p.copies != 0 || p.encoding == guarded) && n.loss == 0 {
			continue
		}
		cost := f.impairment(p, n)
		if p == present && (p.twins == 0 || p.copies != 0) { // more in a packet is for want of a better link
			cost -= planSticks
		}
		if cost < least {
			best, least = p, cost
		}
	}
	return best
}
