package session

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/parley-voice/parley/audio"
	"github.com/parley-voice/parley/identity"
	"github.com/parley-voice/parley/p2p/link"
)

// stopPatience is how long a stopping session waits for sources, sinks and
// taps that should return within 100 ms.
const stopPatience = 400 * time.Millisecond

// conversation is what lives between Start and Stop.
type conversation struct {
	s         *Session
	cfg       Config
	log       *slog.Logger
	transport link.Transport
	self      identity.PeerID
	roster    roster
	started   time.Time

	mic     endpoint[audio.Source]
	packets *packetSource // mic's value, if that is one
	speaker endpoint[audio.Sink]
	mix     mixLine // what was played, on its way to the capture chain
	capture captureState
	heard   audio.Block // runPlayback's: what one peer says now
	audible []*peer     // runPlayback's: who was heard in the last block
	top     Priority    // runPlayback's: the highest priority of those
	someone bool        // runPlayback's: there is one of them whom people hear
	tapping []*Taps     // runPlayback's: who taps the block under way
	ducked  yielding    // runPlayback's: how far what is heard makes way for us

	wake    chan struct{} // there is work for runControl
	closing chan struct{} // closed when the conversation is about to end
	done    chan struct{} // closed when it ends
	loops   sync.WaitGroup
	control controlState
	uplink  uplink // runControl's

	ruledSelf *ruling // runControl's: about this side, that the application was told of
}

// prepareConversation opens source and sink, but doesn't say a word to anybody.
func prepareConversation(ctx context.Context, s *Session) (*conversation, error) {
	c := &conversation{
		s:         s,
		cfg:       s.cfg,
		log:       s.log,
		transport: s.cfg.Transport,
		self:      s.cfg.Transport.Self(),
		started:   time.Now(),
		wake:      make(chan struct{}, 1),
		closing:   make(chan struct{}),
		done:      make(chan struct{}),
		uplink:    newUplink(),
	}
	talker, err := newTalker(c.cfg.Codec, c.cfg.Encoding)
	if err != nil {
		return nil, err
	}
	c.capture.init(c, talker)
	if err := c.openEndpoints(ctx); err != nil {
		return nil, err
	}
	return c, nil
}

func (c *conversation) openEndpoints(ctx context.Context) error {
	mic := openLater(c.cfg.OpenSource)
	speaker := openLater(c.cfg.OpenSink)
	leftMic, errMic := c.mic.take(ctx, mic, "no microphone configured")
	c.packets, _ = c.mic.value.(*packetSource)
	c.capture.format.elsewhere = c.packets != nil
	leftSpeaker, errSpeaker := c.speaker.take(ctx, speaker, "no speaker configured")
	if err := stopped(ctx); err != nil {
		c.discard()
		for _, left := range []<-chan struct{}{leftMic, leftSpeaker} {
			if left != nil {
				c.s.abandoned = append(c.s.abandoned, left)
			}
		}
		return err
	}
	if errMic != nil {
		c.emit(DeviceChanged{Device: Microphone, Reason: errMic.Error()})
	}
	if errSpeaker != nil {
		c.emit(DeviceChanged{Device: Speaker, Reason: errSpeaker.Error()})
	}
	return nil
}

// discard gives up a conversation that was prepared and not opened.
func (c *conversation) discard() {
	c.mic.close()
	c.speaker.close()
}

// open opens the transport and starts the three goroutines.
func (c *conversation) open() error {
	c.started = time.Now()
	if err := c.transport.Open(c); err != nil {
		return fmt.Errorf("session: open transport: %w", err)
	}
	c.loops.Go(c.runCapture)
	c.loops.Go(c.runPlayback)
	c.loops.Go(c.runControl)
	return nil
}

// close takes leave and waits until nothing is left. Peers, source and sink
// go at the same time. What is left behind all the same, because it is stuck,
// finds nobody there any more.
func (c *conversation) close() error {
	close(c.closing)
	c.sayBye()
	close(c.done)
	var closing sync.WaitGroup
	for _, f := range []func(){c.mic.close, c.speaker.close, c.loops.Wait} {
		closing.Go(f)
	}
	err := c.transport.Close()
	if err != nil {
		err = fmt.Errorf("session: close transport: %w", err)
	}
	c.roster.clear()
	defer c.endDucking()
	gone := make(chan struct{})
	go func() { // ends with the endpoints, at the latest when the application's code returns
		closing.Wait()
		close(gone)
	}()
	patience := time.NewTimer(stopPatience)
	defer patience.Stop()
	select {
	case <-gone:
	case <-patience.C:
		return ErrStuck
	}
	return err
}

func (c *conversation) join(id identity.PeerID, set *peerSettings) error {
	p, err := newPeer(c, id, set)
	if err != nil {
		return wrapPeer(err, "join", id)
	}
	// First on the list: the transport may deliver before Join returns.
	c.roster.add(p)
	c.readdress(p) // by what changed since it was made, too
	if err := c.transport.Join(id); err != nil {
		c.roster.remove(p)
		return wrapPeer(err, "join", id)
	}
	c.log.Info("peer joined", "peer", id)
	return nil
}

func (c *conversation) leave(id identity.PeerID) error {
	p := c.roster.get(id)
	if p == nil {
		return nil
	}
	c.sendBye(p, "")
	err := c.transport.Leave(id)
	c.roster.remove(p)
	c.log.Info("peer left", "peer", id)
	return wrapPeer(err, "leave", id)
}

// emit tells the application something. When the conversation is over there is
// nothing more to tell: what was stuck in it comes too late.
func (c *conversation) emit(e Event) {
	if !c.isDone() {
		c.s.events.emit(e)
	}
}

func (c *conversation) emitAll(events []Event) {
	for _, e := range events {
		c.emit(e)
	}
}

// wakeControl tells runControl that there is work. It never blocks.
func (c *conversation) wakeControl() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}
