package client

import (
	"context"
	"errors"
	"sync"
	"time"
)

// errHalfMoved is why a link is lost that was to be left for another one, which
// failed.
var errHalfMoved = errors.New("the lobby moved to a connection that failed")

// upgrade looks for a connection of its own while presence runs on the host's:
// after a disturbance of the network the latter is often the first one up. The
// lobby gives a member's place to its newest stream, and tells nobody.
type upgrade struct {
	found  chan *link // holds the new link when there is one
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu      sync.Mutex    // guards joining
	joining chan struct{} // closed when the join that is under way is over; nil if none was
}

// startUpgrade starts to look, unless the link has what is looked for. stop must
// be called.
func (c *Client) startUpgrade(l *link) *upgrade {
	ctx, cancel := context.WithCancel(c.ctx)
	u := &upgrade{found: make(chan *link, 1), cancel: cancel}
	if l.conn == nil {
		u.wg.Go(func() { c.runUpgrade(ctx, u) })
	}
	return u
}

// runUpgrade tries until it is in the lobby on a connection of its own.
func (c *Client) runUpgrade(ctx context.Context, u *upgrade) {
	for wait := firstUpgrade; ; wait = min(2*wait, maxUpgrade) {
		timer := time.NewTimer(jitter(wait))
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		}
		l, err := c.openTCP(ctx)
		if err == nil {
			err = u.join(ctx, c, l)
		}
		if err == nil {
			return
		}
		c.cfg.Logger.Debug("no connection of its own yet", "error", err)
	}
}

// join joins on a link, which from then on is the one that is found.
func (u *upgrade) join(ctx context.Context, c *Client, l *link) error {
	over := make(chan struct{})
	defer close(over)
	u.mu.Lock()
	u.joining = over
	u.mu.Unlock()
	err := c.settle(ctx, l)
	if err == nil {
		u.found <- l
	}
	return err
}

// replaced is asked when the lobby says that another stream took the link's
// place. If that may be ours it waits until the join is over, and returns the
// new link, or none if the join failed.
func (u *upgrade) replaced() (better *link, ours bool) {
	u.mu.Lock()
	joining := u.joining
	u.mu.Unlock()
	if joining == nil {
		return nil, false
	}
	<-joining
	select {
	case l := <-u.found:
		return l, true
	default:
		return nil, true
	}
}

// stop ends the search. A link that was found and not taken is closed.
func (u *upgrade) stop() {
	u.cancel()
	u.wg.Wait()
	select {
	case l := <-u.found:
		l.close()
	default:
	}
}
