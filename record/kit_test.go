package record

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/parley-voice/parley/audio"
	"github.com/parley-voice/parley/audio/audiotest"
	"github.com/parley-voice/parley/codec"
	"github.com/parley-voice/parley/session"
	"github.com/parley-voice/parley/session/sessiontest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// oggPackets is what an Ogg file holds, without its headers.
func oggPackets(t *testing.T, b []byte) (packets [][]byte) {
	t.Helper()
	for len(b) > 0 {
		if len(b) < 27 || !bytes.HasPrefix(b, []byte("OggS")) {
			t.Fatal("no page")
		}
		table := b[27 : 27+int(b[26])]
		b = b[27+len(table):]
		size := 0
		for _, n := range table {
			if size += int(n); n < 255 {
				packets = append(packets, b[:size])
				b, size = b[size:], 0
			}
		}
	}
	if len(packets) < 2 || !bytes.HasPrefix(packets[0], []byte("OpusHead")) {
		t.Fatal("no Ogg Opus")
	}
	return packets[2:]
}

// piece is a part of an Ogg file.
type piece struct {
	kind    byte // 's'ilence, 'l'oss or 'p'acket
	samples int64
}

// pieces says what follows what in an Ogg file.
func pieces(t *testing.T, b []byte) (out []piece) {
	t.Helper()
	for _, p := range oggPackets(t, b) {
		info, err := codec.Parse(p)
		if err != nil {
			t.Fatal(err)
		}
		kind := byte('p')
		switch {
		case info.CodedBytes == 0:
			kind = 'l'
		case bytes.HasSuffix(p, []byte{0xff, 0xfe}) && p[0]>>3 >= 28 && info.CodedBytes == 2*info.Frames:
			kind = 's'
		}
		if n := len(out); n > 0 && out[n-1].kind == kind {
			out[n-1].samples += int64(info.Samples)
			continue
		}
		out = append(out, piece{kind, int64(info.Samples)})
	}
	return out
}

// member is a session in virtual time that says a tone.
type member struct {
	*session.Session
	n int
}

func newMember(t *testing.T, net *sessiontest.Network, n int, hz float64, edit ...func(*session.Config)) *member {
	t.Helper()
	pcm := make([]float32, audio.SampleRate)
	for i := range pcm {
		pcm[i] = float32(0.3 * math.Sin(2*math.Pi*hz*float64(i)/audio.SampleRate))
	}
	cfg := session.Config{
		Transport:  net.Transport(sessiontest.PeerID(n)),
		Codec:      &sessiontest.Codec{},
		Mode:       session.PushToTalk,
		OpenSource: func() (audio.Source, error) { return audiotest.NewLoop(pcm), nil },
		OpenSink:   func() (audio.Sink, error) { return &audio.Null{}, nil },
	}
	for _, e := range edit {
		e(&cfg)
	}
	s, err := session.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start(context.Background()); err != nil {
		t.Fatal(err)
	}
	return &member{s, n}
}

// meet makes all members join each other, and waits until they have.
func meet(t *testing.T, all ...*member) {
	t.Helper()
	for _, m := range all {
		for _, o := range all {
			if err := m.PeerJoined(o.Self()); err != nil {
				t.Fatal(err)
			}
		}
	}
	time.Sleep(time.Second)
}

// says has a member speak for some time.
func (m *member) says(d time.Duration) {
	m.SetTalking(true)
	time.Sleep(d)
	m.SetTalking(false)
}

// party runs f in virtual time.
func party(t *testing.T, cfg sessiontest.Config, f func(*testing.T, *sessiontest.Network)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		net := sessiontest.NewNetwork(cfg)
		defer net.Close()
		f(t, net)
	})
}

// heardIn is where something is heard in a recording, in tenths of a second.
func heardIn(pcm []float32) string {
	const tenth = audio.SampleRate / 10
	out := make([]byte, 0, len(pcm)/tenth)
	for ; len(pcm) >= tenth; pcm = pcm[tenth:] {
		c := byte('.')
		if audio.Measure(pcm[:tenth]).RMS > -20 {
			c = '#'
		}
		out = append(out, c)
	}
	return string(out)
}

func readIndex(t *testing.T, dir string) (x Index) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, IndexFile))
	if err == nil {
		err = json.Unmarshal(b, &x)
	}
	if err != nil {
		t.Fatal(err)
	}
	return x
}

// memory is a file in memory, or on a disk that is full after limit bytes.
type memory struct {
	bytes.Buffer
	limit int
}

var errFull = errors.New("no room left")

func (m *memory) Write(b []byte) (int, error) {
	if m.limit > 0 && m.Len()+len(b) > m.limit {
		n, _ := m.Buffer.Write(b[:m.limit-m.Len()])
		return n, errFull
	}
	return m.Buffer.Write(b)
}
func (m *memory) Close() error { return nil }

// Seek only goes where a WAV file's header is, and back.
func (m *memory) Seek(offset int64, whence int) (int64, error) {
	if whence == io.SeekCurrent && offset == 0 {
		return int64(m.Len()), nil
	}
	return 0, errors.New("can't seek")
}

// opusPacket is 20 ms of SILK that says its number.
func opusPacket(n int) []byte {
	return binary.BigEndian.AppendUint32([]byte{9 << 3}, uint32(n)|1<<31)
}
