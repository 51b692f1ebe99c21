package session

import (
	"errors"
	"fmt"
	"io"
	"sync/atomic"

	"github.com/parley-voice/parley/audio"
	"github.com/parley-voice/parley/codec"
)

// Packets makes packets that exist already something for Config.OpenSource to
// return: a bot that plays a file of them, or passes on what it received. They are
// of the session's codec and are sent as they are, each once its time is over,
// without being decoded or encoded again. Close closes r, if that is an io.Closer.
//
// A packet lasts 10, 20, 30, 40, 50 or 60 ms and has at most codec.MaxPacketBytes.
// One that doesn't, that is no packet, or that can't be read is left out: it counts
// in Stats.ReadErrors, and what is known of its time passes in silence. io.EOF is
// SourceEnded.
//
// What is read while muted isn't said, nor is it later. In PushToTalk packets are
// said while the key is down, in the other modes always. Config.Chain doesn't see
// them; Taps.Said does, and Taps.Microphone is given silence. A listener whose link
// carries less gets fewer copies of them, and none with a lower bitrate: Config.Encoding
// should say how they were encoded, by which the copies are planned.
//
// r is read by one goroutine, and has to answer at once: what it says later is said
// later. After a suspension of this process it goes on where it was. The source is
// for sessions only; its ReadBlock is an error.
func Packets(r codec.PacketReader) audio.Source { return &packetSource{reader: r} }

// The reasons why a packet isn't said.
var (
	errNoPCM      = fmt.Errorf("%w: a source of packets has no PCM", audio.ErrFormat)
	errTooLarge   = fmt.Errorf("%w: more than %d bytes", codec.ErrPacket, codec.MaxPacketBytes)
	errNotInTicks = fmt.Errorf("%w: not a multiple of 10 ms", codec.ErrPacket)
)

// packetSource is used by runCapture alone, but for Close.
type packetSource struct {
	reader codec.PacketReader
	closed atomic.Bool

	buf    [codec.MaxPacketBytes]byte
	packet []byte // under way; empty if there is none, or if it isn't to be said
	blocks int    // that it lasts
	passed int    // of these
}

// ReadBlock is audio.Source's, which has no use here.
func (p *packetSource) ReadBlock(*audio.Block) error { return errNoPCM }

// Close is audio.Source's.
func (p *packetSource) Close() error {
	if p.closed.Swap(true) {
		return nil
	}
	if c, ok := p.reader.(io.Closer); ok {
		return c.Close()
	}
	return nil
}

// pass lets a block pass, and reports whether what is under way is over with it.
func (p *packetSource) pass(c codec.Codec) (over bool, err error) {
	if p.passed == p.blocks {
		err = p.read(c)
	}
	p.passed++
	return p.passed == p.blocks, err
}

// restart begins what is under way anew, and returns how many blocks of it had passed.
func (p *packetSource) restart() (passed int) {
	if p.passed < p.blocks {
		passed, p.passed = p.passed, 0
	}
	return passed
}

// read reads what comes next. What is no packet lasts a block.
func (p *packetSource) read(c codec.Codec) error {
	p.packet, p.blocks, p.passed = nil, 1, 0
	packet, err := p.reader.ReadPacket(p.buf[:])
	switch {
	case err != nil:
		return err
	case len(packet) == 0:
		return nil
	case len(packet) > codec.MaxPacketBytes:
		return errTooLarge
	}
	content, err := c.Inspect(packet)
	if err != nil {
		return err
	}
	p.blocks = max(1, content.Samples/audio.BlockSamples)
	if content.Samples%audio.BlockSamples != 0 {
		return errNotInTicks
	}
	p.packet = packet
	return nil
}

// runPackets is runCapture as long as a source of packets has something to give. It
// reports false when done is closed.
func (c *conversation) runPackets() bool {
	cs, p := &c.capture, c.packets
	for !cs.ended {
		skipped, ok := cs.pace.wait(c.done)
		if !ok {
			return false
		}
		cs.at = cs.pace.next.Add(-2 * audio.BlockDuration)
		c.mic.began(cs.at)
		if skipped > 0 {
			cs.skipped.Add(uint64(skipped))
			cs.talker.skip(skipped + p.restart())
		}
		c.passPacket(p)
	}
	return true
}

// passPacket lets a block pass, and says the packet that is over with it.
func (c *conversation) passPacket(p *packetSource) {
	cs := &c.capture
	over, err := p.pass(c.cfg.Codec)
	if c.isDone() {
		return
	}
	if errors.Is(err, codec.ErrPacket) {
		cs.errs.Add(1) // the next one may be one
	} else {
		c.readFailed(err)
	}
	cs.mic = audio.Block{}
	c.tapMicrophone(&cs.mic, false)
	if !over {
		return
	}
	keyed := c.s.Mode() != PushToTalk || c.s.Talking()
	if len(p.packet) > 0 && keyed && !c.s.Muted() {
		c.deliver(cs.talker.pushPacket(p.packet, p.blocks*audio.BlockSamples))
	} else {
		for range p.blocks {
			said, _ := cs.talker.push(&cs.mic, false) // nothing is encoded
			c.deliver(said)
		}
	}
	cs.speaking.Store(cs.talker.inSpurt)
}
