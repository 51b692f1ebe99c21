package oggopus_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"slices"
	"testing"

	"github.com/parley-voice/parley/audio/oggopus"
	"github.com/parley-voice/parley/codec"
)

// read is what a stream holds, as RFC 3533 and RFC 7845 have it.
type read struct {
	packets  [][]byte
	granules []int64 // of the pages, headers included
	flags    []byte
}

// parse reads whole pages and reports where they contradict the RFCs.
func parse(t *testing.T, b []byte) (r read) {
	t.Helper()
	le := binary.LittleEndian
	for number := uint32(0); len(b) > 0; number++ {
		if len(b) < 27 || len(b) < 27+int(b[26]) || string(b[:5]) != "OggS\x00" {
			t.Fatalf("page %d: no page: %x", number, b[:min(len(b), 27)])
		}
		table := b[27 : 27+int(b[26])]
		size := 27 + len(table)
		for _, n := range table {
			size += int(n)
		}
		if len(b) < size {
			t.Fatalf("page %d of %d bytes is cut after %d", number, size, len(b))
		}
		page := slices.Clone(b[:size])
		sum := le.Uint32(page[22:])
		copy(page[22:26], []byte{0, 0, 0, 0})
		if got := crc(page); got != sum || le.Uint32(page[18:]) != number || le.Uint32(page[14:]) != 77 {
			t.Fatalf("page %d: checksum %x, want %x; number %d, serial %d", number, sum, got, le.Uint32(page[18:]), le.Uint32(page[14:]))
		}
		r.granules = append(r.granules, int64(le.Uint64(page[6:])))
		r.flags = append(r.flags, page[5])
		body, packet := page[27+len(table):], []byte(nil)
		for i, n := range table {
			packet = append(packet, body[:n]...)
			body = body[n:]
			switch {
			case n < 255:
				r.packets, packet = append(r.packets, packet), nil
			case i == len(table)-1:
				t.Fatalf("page %d: a packet goes on over its end", number)
			}
		}
		b = b[size:]
	}
	return r
}

// crc divides by the polynomial bit by bit.
func crc(b []byte) (r uint32) {
	for _, c := range b {
		for bit := 7; bit >= 0; bit-- {
			in := uint32(c>>bit) & 1
			out := r >> 31
			r <<= 1
			if in != out {
				r ^= 0x04c11db7
			}
		}
	}
	return r
}

func newWriter(t *testing.T, w io.Writer) *oggopus.Writer {
	t.Helper()
	s, err := oggopus.NewWriter(w, oggopus.Config{Serial: 77, Comments: []string{"TITLE=a talk"}})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// packet is 20 ms of wideband SILK in n bytes.
func packet(n int, fill byte) []byte {
	return append([]byte{9 << 3}, bytes.Repeat([]byte{fill}, n-1)...)
}

func TestHeadersAreThoseOfTheRFC(t *testing.T) {
	var file bytes.Buffer
	newWriter(t, &file)
	r := parse(t, file.Bytes())
	head := "OpusHead\x01\x01\x38\x01\x80\xbb\x00\x00\x00\x00\x00"
	tags := "OpusTags\x06\x00\x00\x00parley\x01\x00\x00\x00\x0c\x00\x00\x00TITLE=a talk"
	if len(r.packets) != 2 || string(r.packets[0]) != head || string(r.packets[1]) != tags {
		t.Errorf("headers %q", r.packets)
	}
	if !slices.Equal(r.flags, []byte{2, 0}) || !slices.Equal(r.granules, []int64{0, 0}) {
		t.Errorf("flags %v, granules %v", r.flags, r.granules)
	}
}

func TestPacketsArriveAsTheyWere(t *testing.T) {
	var file bytes.Buffer
	s := newWriter(t, &file)
	var want [][]byte
	for _, n := range []int{1, 2, 254, 255, 256, 509, 510, 511, 960, 1275} {
		for range 20 {
			want = append(want, packet(n, byte(n)))
		}
	}
	for _, p := range want {
		if err := s.WritePacket(p); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(s.Close(), s.Close()); err != nil {
		t.Fatal(err)
	}
	r := parse(t, file.Bytes())
	if !slices.EqualFunc(r.packets[2:], want, bytes.Equal) {
		t.Errorf("%d packets arrived otherwise than %d were given", len(r.packets)-2, len(want))
	}
	checkPages(t, r, int64(len(want))*960)
	if err := s.WritePacket(want[0]); !errors.Is(err, oggopus.ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
}

// checkPages checks that granule positions say what the packets hold, that no
// page lasts longer than a second, and that the last one says it is.
func checkPages(t *testing.T, r read, samples int64) {
	t.Helper()
	last := len(r.granules) - 1
	for i := 2; i <= last; i++ {
		if d := r.granules[i] - r.granules[i-1]; d <= 0 || d > oggopus.PageSamples {
			t.Errorf("page %d lasts %d samples", i, d)
		}
		if want := byte(0); i < last && r.flags[i] != want || i == last && r.flags[i] != 4 {
			t.Errorf("page %d of %d has flags %d", i, last, r.flags[i])
		}
	}
	var sum int64
	for _, p := range r.packets[2:] {
		info, err := codec.Parse(p)
		if err != nil {
			t.Fatalf("packet %x: %v", p, err)
		}
		sum += int64(info.Samples)
	}
	if sum != samples || r.granules[last] != samples {
		t.Errorf("packets of %d samples, granule position %d, want %d", sum, r.granules[last], samples)
	}
}

func TestSilenceAndLossLastAsLongAsTheyAreSaidTo(t *testing.T) {
	for _, before := range [][]byte{nil, packet(40, 1), {10 << 3, 1, 2}, {11<<3 | 3, 2, 1, 2}, {28 << 3, 1}} {
		for _, samples := range []int64{0, 120, 240, 360, 480, 840, 960, 1080, 1920, 2880, 5760, 5880, 48000, 10*48000 + 120} {
			for _, lost := range []bool{false, true} {
				var file bytes.Buffer
				s := newWriter(t, &file)
				if before != nil {
					if err := s.WritePacket(before); err != nil {
						t.Fatal(err)
					}
				}
				start, write := s.Position(), s.WriteSilence
				if lost {
					write = s.WriteLoss
				}
				if err := write(samples); err != nil {
					t.Fatal(err)
				}
				if s.Position()-start != samples {
					t.Errorf("%d samples took %d", samples, s.Position()-start)
				}
				total := s.Position()
				if err := s.Close(); err != nil {
					t.Fatal(err)
				}
				checkPages(t, parse(t, file.Bytes()), max(total, oggopus.Grain))
			}
		}
	}
}

func TestLossIsFramesOfNothing(t *testing.T) {
	var file bytes.Buffer
	s := newWriter(t, &file)
	if err := errors.Join(s.WritePacket(packet(40, 1)), s.WriteLoss(960), s.WriteLoss(3*960+120), s.Close()); err != nil {
		t.Fatal(err)
	}
	got := parse(t, file.Bytes()).packets[3:]
	want := [][]byte{{9 << 3}, {9<<3 | 3, 3}, {28 << 3, 0xff, 0xfe}}
	if !slices.EqualFunc(got, want, bytes.Equal) {
		t.Errorf("%x, want %x", got, want)
	}
}

func TestAnHourOfSilenceIsCheap(t *testing.T) {
	var file bytes.Buffer
	s := newWriter(t, &file)
	if err := errors.Join(s.WriteSilence(3600*48000), s.Close()); err != nil {
		t.Fatal(err)
	}
	if got := file.Len(); got > 650_000 {
		t.Errorf("%d bytes", got)
	}
}

func TestWhatIsASecondOldIsWritten(t *testing.T) {
	var file bytes.Buffer
	s := newWriter(t, &file)
	for range 500 {
		if err := s.WritePacket(packet(300, 3)); err != nil {
			t.Fatal(err)
		}
		r := parse(t, file.Bytes()) // whole pages at any time
		if late := s.Position() - r.granules[len(r.granules)-1]; late > oggopus.PageSamples {
			t.Fatalf("%d samples are held back", late)
		}
	}
}

func TestWhatIsNoPacketOrGapIsRefused(t *testing.T) {
	var file bytes.Buffer
	s := newWriter(t, &file)
	for name, err := range map[string]error{"nothing": s.WritePacket(nil), "broken": s.WritePacket([]byte{3})} {
		if !errors.Is(err, codec.ErrPacket) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, n := range []int64{-120, 1, 119, 121} {
		if err := s.WriteSilence(n); !errors.Is(err, oggopus.ErrGap) {
			t.Errorf("silence of %d: %v", n, err)
		}
		if err := s.WriteLoss(n); !errors.Is(err, oggopus.ErrGap) {
			t.Errorf("loss of %d: %v", n, err)
		}
	}
	if s.Position() != 0 {
		t.Errorf("position %d", s.Position())
	}
	for _, c := range []oggopus.Config{{PreSkip: -1}, {PreSkip: 1 << 16}, {Vendor: string(make([]byte, oggopus.MaxTags))}} {
		if _, err := oggopus.NewWriter(io.Discard, c); !errors.Is(err, oggopus.ErrConfig) {
			t.Errorf("config: %v", err)
		}
	}
}

// full is a disk with room for n bytes more.
type full struct{ n int }

var errFull = errors.New("no room")

func (f *full) Write(b []byte) (int, error) {
	n := min(f.n, len(b))
	f.n -= n
	if n < len(b) {
		return n, errFull
	}
	return n, nil
}

func TestAFullDiskIsSaidOnceAndForAll(t *testing.T) {
	for room := range 120 {
		if _, err := oggopus.NewWriter(&full{room}, oggopus.Config{}); room < 47+50 != errors.Is(err, errFull) {
			t.Errorf("room for %d bytes: %v", room, err)
		}
	}
	s, err := oggopus.NewWriter(&full{200}, oggopus.Config{})
	if err != nil {
		t.Fatal(err)
	}
	for range 200 {
		err = errors.Join(err, s.WritePacket(packet(80, 1)))
	}
	if !errors.Is(err, errFull) || !errors.Is(s.WriteSilence(120), errFull) || !errors.Is(s.Close(), errFull) {
		t.Errorf("%v", err)
	}
}

func TestWritingAllocatesNothing(t *testing.T) {
	s := newWriter(t, io.Discard)
	p := packet(80, 1)
	step := func() {
		if err := errors.Join(s.WritePacket(p), s.WriteLoss(960), s.WriteSilence(6000)); err != nil {
			t.Fatal(err)
		}
	}
	for range 100 {
		step()
	}
	if n := testing.AllocsPerRun(1000, step); n != 0 {
		t.Errorf("%v allocations, want 0", n)
	}
}

func FuzzWriter(f *testing.F) {
	f.Add([]byte{0, 4, 9 << 3, 1, 2, 3, 1, 9, 2, 7})
	f.Add([]byte{0, 1, 3, 2, 255, 1, 255})
	f.Fuzz(func(t *testing.T, ops []byte) {
		var file bytes.Buffer
		s := newWriter(t, &file)
		var want [][]byte
		for len(ops) > 1 {
			op, n := ops[0], int(ops[1])
			ops = ops[2:]
			switch op % 3 {
			case 0:
				n = min(n, len(ops))
				if s.WritePacket(ops[:n]) == nil {
					want = append(want, ops[:n])
				}
				ops = ops[n:]
			case 1:
				_ = s.WriteSilence(int64(n) * oggopus.Grain)
			case 2:
				_ = s.WriteLoss(int64(n) * oggopus.Grain)
			}
		}
		total := s.Position()
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		r := parse(t, file.Bytes())
		checkPages(t, r, max(total, oggopus.Grain))
		for _, p := range r.packets[2:] {
			if len(want) > 0 && bytes.Equal(p, want[0]) {
				want = want[1:]
			}
		}
		if len(want) > 0 {
			t.Fatalf("%d packets are missing", len(want))
		}
	})
}

func BenchmarkWritePacket(b *testing.B) {
	s, err := oggopus.NewWriter(io.Discard, oggopus.Config{})
	if err != nil {
		b.Fatal(err)
	}
	p := packet(80, 1)
	b.ReportAllocs()
	for b.Loop() {
		if err := s.WritePacket(p); err != nil {
			b.Fatal(err)
		}
	}
}
