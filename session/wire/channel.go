package wire

import (
	"encoding/binary"
	"math"
)

// Limits of the list of channels in a voice packet.
const (
	MaxChannels     = 34        // in one packet: 32 rooms, everyone, and the listener
	MaxChannelBytes = 136       // of them all
	MaxRoomNumber   = 1<<24 - 1 // highest number of a room
)

// To whom a channel goes. What is at least TargetRooms is a room that the
// listener numbered so, less TargetRooms.
const (
	TargetWhisper  = 0 // the listener alone
	TargetEveryone = 1
	TargetUnnamed  = 2 // a room; the listener hears all, and has named none
	TargetRooms    = 3
)

const (
	channelMore    = 1 << 0 // another one follows
	channelOptions = 1 << 1 // a byte of options follows
	targetShift    = 2

	// The byte of options: priority, two bits; gain, five; positional, one.
	prioritySteps = 4
	gainSteps     = 32
	gainUnity     = 27
	gainStepDB    = 1.5

	defaultPriority = 1
	defaultOptions  = defaultPriority<<6 | gainUnity<<1
)

// Channel is one of the ways in which a talker speaks to the listener of a voice
// packet:
//
//	+-----------------------+-+-+---------------------------+
//	|   target (uvarint)    |O|M| options, if O: pri|gain|pos|
//	+-----------------------+-+-+---------------------------+
//
// Target and both flags are one uvarint. M says that another channel follows.
// Without options priority is 0, gain 1, and the voice not positional.
type Channel struct {
	Target     uint32
	Priority   int     // -1 to 2
	Gain       float32 // linear, 0 to 2; on the wire in steps of 1.5 dB down to -39 dB, and 0
	Positional bool
}

// AppendChannels appends a list of channels to b, which is then what Voice takes
// as Channels. It leaves out what is beyond MaxChannels and MaxChannelBytes.
func AppendChannels(b []byte, list []Channel) []byte {
	start, last := len(b), -1
	for _, c := range list[:min(len(list), MaxChannels)] {
		at := len(b)
		if last >= 0 {
			b[last] |= channelMore
		}
		key, options := uint64(c.Target)<<targetShift, c.options()
		if options != defaultOptions {
			key |= channelOptions
		}
		b = binary.AppendUvarint(b, key)
		if options != defaultOptions {
			b = append(b, options)
		}
		if len(b)-start > MaxChannelBytes {
			b[last] &^= channelMore
			return b[:at]
		}
		last = at // the flags are in the first byte of an uvarint
	}
	return b
}

// NextChannel reads the first channel of a list and returns the rest; more tells
// whether that holds another one. It fails for what no list begins with.
func NextChannel(b []byte) (c Channel, rest []byte, more bool, err error) {
	key, options, rest, err := readChannel(b)
	if err != nil {
		return c, nil, false, err
	}
	return Channel{
		Target:     uint32(key >> targetShift),
		Priority:   int(options>>6) - defaultPriority,
		Gain:       gainOf(options >> 1 % gainSteps),
		Positional: options&1 != 0,
	}, rest, key&channelMore != 0, nil
}

func readChannel(b []byte) (key uint64, options byte, rest []byte, err error) {
	key, n := binary.Uvarint(b)
	if n <= 0 || n != uvarintLen(key) || key>>targetShift > TargetRooms+MaxRoomNumber {
		return 0, 0, nil, ErrVoiceFormat
	}
	b = b[n:]
	if key&channelOptions == 0 {
		return key, defaultOptions, b, nil
	}
	if len(b) == 0 {
		return 0, 0, nil, ErrVoiceFormat
	}
	return key, b[0], b[1:], nil
}

// cutChannels returns the list of channels at the beginning of b.
func cutChannels(b []byte) ([]byte, error) {
	rest, key := b, uint64(channelMore)
	var err error
	for n := 0; key&channelMore != 0; n++ {
		if n == MaxChannels {
			return nil, ErrVoiceFormat
		}
		if key, _, rest, err = readChannel(rest); err != nil {
			return nil, err
		}
	}
	size := len(b) - len(rest)
	if size > MaxChannelBytes {
		return nil, ErrVoiceFormat
	}
	return b[:size:size], nil
}

func (c Channel) options() byte {
	priority := min(max(c.Priority+defaultPriority, 0), prioritySteps-1)
	options := byte(priority)<<6 | gainStep(c.Gain)<<1
	if c.Positional {
		options |= 1
	}
	return options
}

// gainStep is the step nearest to a linear gain; 0 is silence.
func gainStep(gain float32) byte {
	if !(gain > 0) {
		return 0
	}
	step := math.Round(gainUnity + 20*math.Log10(float64(gain))/gainStepDB)
	return byte(min(max(step, 1), gainSteps-1))
}

func gainOf(step byte) float32 {
	switch step {
	case 0:
		return 0
	case gainUnity:
		return 1
	}
	return float32(math.Pow(10, gainStepDB*(float64(step)-gainUnity)/20))
}

// Channels returns the list of channels of a voice packet, none for one that is
// said to everyone. It fails for what Voice.Parse would refuse before it comes to
// the list, or because of it.
func Channels(b []byte) ([]byte, error) {
	switch {
	case len(b) < voiceHeader:
		return nil, ErrVoiceFormat
	case b[0]>>4 == withChannels:
		return cutChannels(b[voiceHeader:])
	case b[0]>>4 != voiceVersion:
		return nil, ErrVoiceVersion
	}
	return nil, nil
}
