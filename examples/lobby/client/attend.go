package client

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"
	"unicode"

	ma "github.com/multiformats/go-multiaddr"

	"github.com/parley-voice/parley/examples/lobby/lobbywire"
)

var (
	errSilent = errors.New("nothing heard from the lobby")
	errClosed = errors.New("closed")
)

// attendance is what runs while the client is in the lobby, in ticks.
type attendance struct {
	*Client
	link *link

	silent    int // since the lobby was heard
	unsent    int // since anything was written
	unchecked int // since our addresses were looked at
	unupdated int // since an update was written
	dirty     bool
}

// attend stays in the lobby until it is lost, and returns why, or until the
// client is closed; or until it is in the lobby on a better link, which it
// returns.
func (c *Client) attend(l *link) (better *link, reason error) {
	a := &attendance{Client: c, link: l, unupdated: updateTicks, dirty: true}
	// A write that hangs must not keep Close.
	unblocked := make(chan struct{})
	stop := context.AfterFunc(c.ctx, func() {
		_ = l.stream.SetWriteDeadline(time.Now())
		close(unblocked)
	})
	defer stop()
	search := c.startUpgrade(l)
	defer search.stop()
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	for {
		var err error
		select {
		case m, ok := <-l.in:
			if !ok {
				return nil, l.err
			}
			if m.GetBye().GetCode() == lobbywire.Code_REPLACED {
				var ours bool
				if better, ours = search.replaced(); better != nil {
					return better, nil
				}
				if ours {
					return nil, errHalfMoved
				}
			}
			err = a.handle(m)
		case better = <-search.found:
			return better, nil
		case <-c.changed:
			a.dirty = true
		case <-ticker.C:
			err = a.tick()
		case <-c.ctx.Done():
			if !stop() {
				<-unblocked // or it would end the leave too
			}
			l.leave()
			return nil, errClosed
		}
		if err != nil {
			return nil, err
		}
	}
}

func (a *attendance) handle(m *lobbywire.Message) error {
	a.silent = 0
	if m.GetBye() != nil {
		return &refusal{m.GetBye()}
	}
	a.mu.Lock()
	events := a.roster.handle(m)
	a.mu.Unlock()
	a.announce(a.link, events)
	return nil
}

func (a *attendance) tick() error {
	a.silent++
	a.unsent++
	a.unchecked++
	a.unupdated++
	if a.silent > silenceTicks {
		return errSilent
	}
	a.mu.Lock()
	events := a.roster.tick()
	a.mu.Unlock()
	a.announce(a.link, events)
	if (a.dirty || a.unchecked >= checkTicks) && a.unupdated >= updateTicks {
		a.dirty, a.unchecked = false, 0
		if err := a.update(); err != nil {
			return err
		}
	}
	if a.unsent >= beatTicks {
		return a.write(&lobbywire.Message{Kind: &lobbywire.Message_Beat{Beat: &lobbywire.Beat{}}})
	}
	return nil
}

// update sends a new record if our addresses aren't those of the last one.
func (a *attendance) update() error {
	addrs := a.addrs()
	if sameAddrs(a.link.told, addrs) {
		return nil
	}
	record, err := a.seal(addrs)
	if err != nil {
		a.cfg.Logger.Warn("own addresses not signed", "error", err)
		return nil
	}
	a.mu.Lock()
	a.stats.Updates++
	a.mu.Unlock()
	a.unupdated, a.link.told = 0, addrs
	return a.write(&lobbywire.Message{Kind: &lobbywire.Message_Update{Update: &lobbywire.Update{Record: record}}})
}

func (a *attendance) write(m *lobbywire.Message) error {
	a.unsent = 0
	_ = a.link.stream.SetWriteDeadline(time.Now().Add(writeTimeout))
	if a.ctx.Err() != nil { // whose deadline may have been set before
		return nil
	}
	return a.link.write(m)
}

// addrs are the addresses that others are told, in an order of their own so that
// the same ones are the same.
func (c *Client) addrs() []ma.Multiaddr {
	c.addrsMu.Lock()
	addrs := c.cfg.Addresses()
	c.addrsMu.Unlock()
	sorted := slices.SortedFunc(slices.Values(addrs), func(a, b ma.Multiaddr) int { return a.Compare(b) })
	return choose(c.host.ID(), sorted, c.cfg.HideAddresses)
}

// seal makes a record of addresses.
func (c *Client) seal(addrs []ma.Multiaddr) ([]byte, error) {
	return seal(c.host.Peerstore().PrivKey(c.host.ID()), addrs)
}

// printable makes a text of the lobby's safe to show.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return ' '
	}, text)
}
