package session_test

import (
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/parley-voice/parley/audio"
	"github.com/parley-voice/parley/identity"
	"github.com/parley-voice/parley/session"
	"github.com/parley-voice/parley/session/sessiontest"
	"github.com/parley-voice/parley/session/wire"
)

// What the plaza is made of.
const (
	plazaMembers = 8
	plazaRTT     = 50 * time.Millisecond
	// plazaSlack is how long it may take until a change is heard: the other one
	// is told and its packets come, a round trip; and what its frame, its jitter
	// buffer, which is long at the beginning of a stay, and its fade take, changed or
	// not.
	plazaSlack = plazaRTT + 180*time.Millisecond
	// plazaJoin is the same for who joins: a connection and two hellos come first.
	plazaJoin = plazaSlack + 6*plazaRTT
	// plazaFade is how long it may take until what is changed here alone is in what
	// is heard: a block that is begun, and its fade.
	plazaFade = 30 * time.Millisecond
)

var plazaRooms = []string{"red", "green", "blue", "gold"}

// plazaToken opens the room "gold" at those who decide.
var plazaToken = []byte("golden")

var errNoGold = errors.New("no key to the gold")

// plazaMember is what the simplest words say about one member.
type plazaMember struct {
	muted, deafened, decides bool
	started                  bool
	token                    bool
	named, addressed         bool
	rooms                    map[string]bool
	channels                 []*session.Channel
	joined, blocked          map[int]bool
	silenced                 map[int]bool // here, without telling anybody
}

// plazaEar is what one member should hear of all together.
type plazaEar struct {
	sum      audio.Block               // of the block that comes, without who is silenced
	held     [audio.MixerDelay]float32 // of the block before: the mix is later by that
	settled  time.Time                 // when the mix must be so
	silenced bool                      // somebody is left out who speaks
	blocks   [2]int                    // that were checked: in all, with somebody left out
}

// plaza is eight members in four rooms, with what each should hear of each other.
type plaza struct {
	t   *testing.T
	net *sessiontest.Network
	all []*member

	mu       sync.Mutex // guards what follows
	is       [plazaMembers]plazaMember
	sends    [plazaMembers][plazaMembers]string // from, to: in which ways
	hears    [plazaMembers][plazaMembers]string
	settled  [plazaMembers][plazaMembers]time.Time // when sends and hears must be true
	blocks   [2]int                                // of 10 ms that were checked: silent, heard
	ears     [plazaMembers]plazaEar
	packets  int // that were checked
	failures int
	over     bool
}

// allows is what the members that decide think.
func (p *plaza) allows(decider, of int, action session.Action, to session.Target) bool {
	d := &p.is[decider]
	room, isRoom := to.Room()
	switch {
	case !d.decides:
		return true
	case isRoom:
		return room != "gold" || p.is[of].token
	case action == session.ToSpeak && to == session.Everyone():
		return of != (decider+1)%plazaMembers
	case action == session.ToSpeak:
		return of != (decider+3)%plazaMembers
	}
	return true
}

// waysLocked is in which ways one speaks to another, as far as it should know,
// and which of these the other one takes.
func (p *plaza) waysLocked(from, to int) (sends, hears string) {
	f, l := &p.is[from], &p.is[to]
	if !f.started || !l.started || !f.joined[to] || !l.joined[from] || f.muted || l.deafened || f.blocked[to] || l.blocked[from] {
		return "", ""
	}
	targets := []session.Target{session.Everyone()}
	if f.addressed {
		targets = nil
		for _, c := range f.channels {
			targets = append(targets, c.Target())
		}
	}
	for _, target := range targets {
		room, isRoom := target.Room()
		peer, isPeer := target.Peer()
		var sent, heard bool
		way := target.String() + ";"
		switch {
		case isRoom:
			listens := l.rooms[room] && p.allows(to, from, session.ToSpeak, target)
			sent = (listens || !l.named) && p.allows(from, to, session.ToListen, target)
			heard = sent
			if !l.named {
				way = "in some room;" // what is on its way then isn't known to be in that room
			}
		case isPeer:
			sent = peer == p.all[to].id
			heard = sent && p.allows(to, from, session.ToSpeak, target)
		default:
			sent = p.allows(from, to, session.ToListen, target)
			heard = sent && p.allows(to, from, session.ToSpeak, target)
		}
		if sent {
			sends += way
		}
		if heard {
			hears += way
		}
	}
	return sends, hears
}

// updateLocked notes what changed, and when it must be so at the latest.
func (p *plaza) updateLocked(slack time.Duration) {
	for from := range p.is {
		for to := range p.is {
			if from == to {
				continue
			}
			sends, hears := p.waysLocked(from, to)
			if sends == p.sends[from][to] && hears == p.hears[from][to] {
				continue
			}
			p.sends[from][to], p.hears[from][to] = sends, hears
			if due := time.Now().Add(slack); due.After(p.settled[from][to]) {
				p.settled[from][to] = due
			}
		}
	}
}

// settle notes that what is heard here changes, in that time at the latest.
func (e *plazaEar) settle(slack time.Duration) {
	if due := time.Now().Add(slack); due.After(e.settled) {
		e.settled = due
	}
}

func (p *plaza) failLocked(format string, args ...any) {
	if p.failures++; p.failures <= 10 {
		p.t.Errorf(format, args...)
	}
}

func (p *plaza) failed() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.failures > 0
}

// heard checks 10 ms of what one hears of another.
func (p *plaza) heard(to, from int, b *audio.Block) {
	does := slices.ContainsFunc(b[:], func(x float32) bool { return x > 0.001 })
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	if ear := &p.ears[to]; p.is[to].silenced[from] {
		ear.silenced = ear.silenced || does
	} else {
		for i, x := range b {
			ear.sum[i] += x
		}
	}
	if p.over || now.Before(p.settled[from][to]) || !p.is[to].started {
		return
	}
	should := p.hears[from][to] != ""
	if should {
		p.blocks[1]++
	} else {
		p.blocks[0]++
	}
	if should != does {
		p.failLocked("%v after the last change %d hears %d: %t, want %t (%q)", now.Sub(p.settled[from][to])+plazaSlack, to, from, does, should, p.hears[from][to])
	}
}

// mixed checks 10 ms of all that one hears: it is the sum of what is heard of those
// who aren't silenced, to the bit.
func (p *plaza) mixed(to int, b *audio.StereoBlock) {
	p.mu.Lock()
	defer p.mu.Unlock()
	ear := &p.ears[to]
	want := append(ear.held[:], ear.sum[:]...)
	copy(ear.held[:], want[audio.BlockSamples:])
	leftOut := ear.silenced
	ear.sum, ear.silenced = audio.Block{}, false
	if p.over || time.Now().Before(ear.settled) || !p.is[to].started {
		return
	}
	ear.blocks[0]++
	if leftOut {
		ear.blocks[1]++
	}
	if p.is[to].deafened {
		clear(want)
	}
	for i := range audio.BlockSamples {
		if b[2*i] != want[i] || b[2*i+1] != want[i] {
			p.failLocked("%d hears %v and %v at sample %d of a block, want %v; silenced are %v", to, b[2*i], b[2*i+1], i, want[i], p.is[to].silenced)
			return
		}
	}
}

// wiretap sees what a member sends.
type wiretap struct {
	*sessiontest.Transport
	sends func(to identity.PeerID, b []byte)
}

func (w *wiretap) SendVoice(to identity.PeerID, b []byte) error {
	w.sends(to, b)
	return w.Transport.SendVoice(to, b)
}

// sent checks that nothing goes to somebody who is not to get it.
func (p *plaza) sent(from int, id identity.PeerID, b []byte) {
	to := slices.IndexFunc(p.all, func(m *member) bool { return m.id == id })
	var v wire.Voice
	if err := v.Parse(b); err != nil || len(v.Payload) == 0 {
		return // the end of a spurt tells nothing
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if time.Now().Before(p.settled[from][to]) {
		return
	}
	p.packets++
	if p.sends[from][to] == "" {
		p.failLocked("a packet of %d leaked to %d", from, to)
	}
}

func newPlaza(t *testing.T, net *sessiontest.Network) *plaza {
	p := &plaza{t: t, net: net}
	for n := range plazaMembers {
		p.is[n] = plazaMember{decides: n%2 == 1, rooms: map[string]bool{}, joined: map[int]bool{}, blocked: map[int]bool{}, silenced: map[int]bool{}}
		p.is[n].named = p.is[n].decides
		m := newMember(t, net, n, tone(300+100*float64(n), 0.05), func(c *session.Config) {
			c.Transport = &wiretap{net.Transport(sessiontest.PeerID(n)), func(to identity.PeerID, b []byte) { p.sent(n, to, b) }}
			c.OpenSink = nil
			if p.is[n].decides {
				c.Authorize = func(claim session.Claim) error { return p.authorize(n, claim) }
			}
		})
		p.all = append(p.all, m)
	}
	for n, m := range p.all {
		for k, o := range p.all {
			if n != k {
				m.TapPeer(o.id, func(b *audio.Block) { p.heard(n, k, b) })
			}
		}
		m.Tap(session.Taps{Mix: func(b *audio.StereoBlock, _ time.Time) { p.mixed(n, b) }})
	}
	return p
}

// authorize decides by what is shown, as an application does.
func (p *plaza) authorize(n int, claim session.Claim) error {
	of := slices.IndexFunc(p.all, func(m *member) bool { return m.id == claim.Peer })
	if room, ok := claim.To.Room(); ok && room == "gold" {
		if string(claim.Token) != string(plazaToken) {
			return errNoGold
		}
		return nil
	}
	if !p.allows(n, of, claim.Action, claim.To) {
		return errors.New("not you")
	}
	return nil
}
