package oggopus_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/iotest"

	"github.com/parley-voice/parley/audio/oggopus"
	"github.com/parley-voice/parley/codec"
)

// aPage makes a page by hand: RFC 3533 section 6. open says that its last packet
// goes on in the next one, which must then be a multiple of 255 bytes.
func aPage(flags byte, serial, number uint32, open bool, packets ...[]byte) []byte {
	var table, body []byte
	for i, p := range packets {
		body = append(body, p...)
		left := len(p)
		for ; left >= 255; left -= 255 {
			table = append(table, 255)
		}
		if !open || i < len(packets)-1 {
			table = append(table, byte(left))
		}
	}
	le := binary.LittleEndian
	b := append([]byte("OggS\x00"), flags)
	b = le.AppendUint64(b, 0)
	b = le.AppendUint32(b, serial)
	b = le.AppendUint32(b, number)
	b = append(b, 0, 0, 0, 0, byte(len(table)))
	b = append(append(b, table...), body...)
	le.PutUint32(b[22:], crc(b))
	return b
}

func aHead(version, channels, family byte) []byte {
	return []byte("OpusHead" + string(version) + string(channels) + "\x38\x01\x44\xac\x00\x00\x00\xfe" + string(family))
}

var someTags = append([]byte("OpusTags\x00\x00\x00\x00\x01\x00\x00\x00"), make([]byte, 90000)...)

// foreign is a file as other programs make them: a video in between, a picture in
// the comments, a packet over three pages, and the packets that it holds.
func foreign() (file []byte, packets [][]byte) {
	video := func(n uint32, flags byte) []byte { return aPage(flags, 5, n, false, []byte("frame of a video")) }
	// A frame of full band CELT in 100 bytes, and all the rest is padding, the length
	// of which takes 157 bytes: 2+157+100+254*156+117 = 40000.
	long := packet(40000, 3)
	copy(long, []byte{31<<3 | 3, 0x40 | 1})
	copy(long[2:], bytes.Repeat([]byte{255}, 156))
	long[158] = 117
	tags := someTags
	packets = [][]byte{packet(80, 1), packet(255, 2), long, packet(1, 4), packet(510, 5)}
	file = slices.Concat(
		video(0, 2), aPage(2, 77, 0, false, aHead(1, 2, 0)), video(1, 0),
		aPage(0, 77, 1, true, tags[:255*255]), aPage(1, 77, 2, false, tags[255*255:]),
		aPage(0, 77, 3, true, packets[0], packets[1], long[:255*100]), video(2, 0),
		aPage(1, 77, 4, true, long[255*100:255*120]), aPage(1, 77, 5, false, long[255*120:], packets[3]),
		aPage(4, 77, 6, false, packets[4]), video(3, 4),
	)
	return file, packets
}

// readAll reads all packets and the error in the end.
func readAll(r io.Reader) (packets [][]byte, head oggopus.Head, err error) {
	s, err := oggopus.NewReader(r)
	if err != nil {
		return nil, head, err
	}
	dst := make([]byte, 1<<16)
	for {
		p, err := s.ReadPacket(dst)
		switch {
		case errors.Is(err, codec.ErrPacket):
			continue
		case err != nil:
			return packets, s.Head(), err
		}
		packets = append(packets, slices.Clone(p))
	}
}

func TestForeignStreamIsRead(t *testing.T) {
	file, want := foreign()
	for name, r := range map[string]io.Reader{"whole": bytes.NewReader(file), "byte by byte": iotest.OneByteReader(bytes.NewReader(file))} {
		got, head, err := readAll(r)
		if !errors.Is(err, io.EOF) || !slices.EqualFunc(got, want, bytes.Equal) {
			t.Errorf("%s: %d packets of %d, and %v", name, len(got), len(want), err)
		}
		if head != (oggopus.Head{Channels: 2, PreSkip: 312, Rate: 44100, Gain: -2}) {
			t.Errorf("%s: head %+v", name, head)
		}
	}
}

func TestWhatIsWrittenIsRead(t *testing.T) {
	var file bytes.Buffer
	s := newWriter(t, &file)
	var want [][]byte
	for n := 1; n < 1275; n += 7 {
		want = append(want, packet(n, byte(n)))
		if err := s.WritePacket(want[len(want)-1]); err != nil {
			t.Fatal(err)
		}
	}
	killed := slices.Clone(file.Bytes()) // what is left of a process that was killed
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	got, head, err := readAll(&file)
	if !errors.Is(err, io.EOF) || !slices.EqualFunc(got, want, bytes.Equal) {
		t.Errorf("%d packets of %d, and %v", len(got), len(want), err)
	}
	if head != (oggopus.Head{Channels: 1, PreSkip: oggopus.DefaultPreSkip, Rate: 48000}) {
		t.Errorf("head %+v", head)
	}
	got, _, err = readAll(bytes.NewReader(killed))
	if !errors.Is(err, io.EOF) || len(got) < len(want)/2 || !slices.EqualFunc(got, want[:len(got)], bytes.Equal) {
		t.Errorf("of a file without an end %d packets of %d, and %v", len(got), len(want), err)
	}
}

func TestWhatIsNoStreamIsRefused(t *testing.T) {
	head, tags := aPage(2, 1, 0, false, aHead(1, 1, 0)), aPage(0, 1, 1, false, []byte("OpusTags and no more"))
	huge := slices.Concat(head, tags)
	for n := range uint32(2) {
		huge = append(huge, aPage(byte(min(n, 1)), 1, 2+n, true, make([]byte, 255*255))...)
	}
	endless := slices.Clone(head)
	for n := range uint32(300) {
		part := make([]byte, 255*255)
		copy(part, "OpusTags")
		endless = append(endless, aPage(byte(min(n, 1)), 1, 1+n, true, part)...)
	}
	damaged := slices.Concat(head, tags, aPage(0, 1, 2, false, packet(80, 1)))
	damaged[len(damaged)-7] ^= 1
	for name, file := range map[string][]byte{
		"nothing":                     nil,
		"text":                        []byte("this is no sound at all, but a text of more than 27 bytes"),
		"only a video":                slices.Concat(aPage(2, 5, 0, false, []byte("video")), aPage(0, 5, 1, false, []byte("video"))),
		"not from its beginning":      slices.Concat(tags, aPage(0, 1, 2, false, packet(80, 1))),
		"a short head":                aPage(2, 1, 0, false, []byte("OpusHead\x01")),
		"a version to come":           slices.Concat(aPage(2, 1, 0, false, aHead(16, 1, 0)), tags),
		"six channels":                slices.Concat(aPage(2, 1, 0, false, aHead(1, 6, 1)), tags),
		"no channel":                  slices.Concat(aPage(2, 1, 0, false, aHead(1, 0, 0)), tags),
		"a head alone":                head,
		"no comments":                 slices.Concat(head, aPage(0, 1, 1, false, packet(80, 1))),
		"endless comments":            endless,
		"a packet without an end":     huge,
		"a missing page":              slices.Concat(head, tags, aPage(0, 1, 3, false, packet(80, 1))),
		"a beginning without an end":  slices.Concat(head, tags, aPage(0, 1, 2, true, make([]byte, 255)), aPage(0, 1, 3, false, packet(80, 1))),
		"an end without a beginning":  slices.Concat(head, tags, aPage(1, 1, 2, false, packet(80, 1))),
		"a packet that ends too soon": slices.Concat(head, tags, aPage(4, 1, 2, true, make([]byte, 255))),
		"a damaged page":              damaged,
		"text behind it":              slices.Concat(head, tags, []byte("and now for something completely different")),
	} {
		if packets, _, err := readAll(bytes.NewReader(file)); !errors.Is(err, oggopus.ErrStream) || len(packets) > 0 {
			t.Errorf("%s: %d packets, and %v", name, len(packets), err)
		}
	}
	if _, err := oggopus.NewReader(iotest.ErrReader(errDisk)); !errors.Is(err, errDisk) {
		t.Errorf("a disk that fails: %v", err)
	}
}

var errDisk = errors.New("disk on fire")

// A packet that is none, or doesn't fit, is told, and those after it are read.
func TestReadingGoesOnBehindABadPacket(t *testing.T) {
	file := slices.Concat(aPage(2, 1, 0, false, aHead(1, 1, 0)), aPage(0, 1, 1, false, []byte("OpusTags")),
		aPage(4, 1, 2, false, packet(80, 1), nil, packet(200, 2), packet(70, 3)))
	s, err := oggopus.NewReader(bytes.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	var got []int
	for range 4 {
		p, err := s.ReadPacket(make([]byte, 100))
		if err != nil && !errors.Is(err, codec.ErrPacket) {
			t.Error(err)
		}
		got = append(got, len(p))
	}
	if !slices.Equal(got, []int{80, 0, 0, 70}) {
		t.Errorf("packets of %v bytes", got)
	}
	for range 2 {
		if _, err := s.ReadPacket(make([]byte, 100)); !errors.Is(err, io.EOF) {
			t.Errorf("at the end: %v", err)
		}
	}
}

// A file that is cut or damaged anywhere gives what is before that, and says so.
func TestCutAndDamagedStreams(t *testing.T) {
	var file bytes.Buffer
	s := newWriter(t, &file)
	var want [][]byte
	for n := range 120 {
		want = append(want, packet(1+n%50, byte(n)))
		if err := s.WritePacket(want[n]); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	check := func(what string, i int, b []byte, mayEnd bool) {
		got, _, err := readAll(bytes.NewReader(b))
		if len(got) > len(want) || !slices.EqualFunc(got, want[:len(got)], bytes.Equal) {
			t.Fatalf("%s %d: other packets than were written", what, i)
		}
		if !errors.Is(err, oggopus.ErrStream) && (!mayEnd || !errors.Is(err, io.EOF)) {
			t.Fatalf("%s %d: %d packets, and %v", what, i, len(got), err)
		}
	}
	all := file.Bytes()
	ends := 0
	for i := range all {
		between := bytes.HasPrefix(all[i:], []byte("OggS"))
		if between {
			ends++
		}
		check("cut before", i, all[:i], between && ends > 2)
		damaged := slices.Clone(all)
		damaged[i] ^= 0x10
		check("damaged at", i, damaged, false)
	}
}

func TestReadPacketAllocatesNothing(t *testing.T) {
	var file bytes.Buffer
	w := newWriter(t, &file)
	for range 5000 {
		if err := w.WritePacket(packet(80, 1)); err != nil {
			t.Fatal(err)
		}
	}
	s, err := oggopus.NewReader(&file)
	if err != nil {
		t.Fatal(err)
	}
	dst := make([]byte, codec.MaxPacketBytes)
	if n := testing.AllocsPerRun(4000, func() {
		if _, err := s.ReadPacket(dst); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations, want 0", n)
	}
}

func FuzzReader(f *testing.F) {
	file, _ := foreign()
	f.Add(file[:400])
	head, tags := aPage(2, 1, 0, false, aHead(1, 1, 0)), aPage(0, 1, 1, false, []byte("OpusTags"))
	f.Add(slices.Concat(head, tags, aPage(4, 1, 2, false, packet(80, 1), packet(3, 2))))
	f.Fuzz(func(t *testing.T, b []byte) {
		mended := slices.Clone(b) // most of what is foreign would end at the first checksum
		for i := 0; i+27 < len(mended); i++ {
			if string(mended[i:i+5]) != "OggS\x00" || i+27+int(mended[i+26]) > len(mended) {
				continue
			}
			size := 27 + int(mended[i+26])
			for _, n := range mended[i+27 : i+size] {
				size += int(n)
			}
			if i+size <= len(mended) {
				copy(mended[i+22:], []byte{0, 0, 0, 0})
				binary.LittleEndian.PutUint32(mended[i+22:], crc(mended[i:i+size]))
			}
		}
		total := 0
		packets, _, err := readAll(bytes.NewReader(mended))
		for _, p := range packets {
			total += len(p)
			if _, err := codec.Parse(p); err != nil {
				t.Errorf("no packet: %x", p)
			}
		}
		if total > len(b) || !errors.Is(err, io.EOF) && !errors.Is(err, oggopus.ErrStream) {
			t.Errorf("%d bytes of packets from %d, and %v", total, len(b), err)
		}
	})
}

func BenchmarkReadPacket(b *testing.B) {
	var file bytes.Buffer
	w, err := oggopus.NewWriter(&file, oggopus.Config{})
	if err != nil {
		b.Fatal(err)
	}
	random := rand.New(rand.NewPCG(1, 2))
	for range 3000 {
		if err := w.WritePacket(packet(60+random.IntN(40), 1)); err != nil {
			b.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		b.Fatal(err)
	}
	dst := make([]byte, codec.MaxPacketBytes)
	b.ReportAllocs()
	var s *oggopus.Reader
	for n := 0; b.Loop(); n++ {
		if n%3000 == 0 {
			b.StopTimer()
			if s, err = oggopus.NewReader(bytes.NewReader(file.Bytes())); err != nil {
				b.Fatal(err)
			}
			b.StartTimer()
		}
		if _, err := s.ReadPacket(dst); err != nil {
			b.Fatal(err)
		}
	}
}
