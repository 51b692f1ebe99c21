package oggopus

import "encoding/binary"

// The page of RFC 3533 section 6.
//
//	 0                   1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|                             "OggS"                            |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|  version, 0   |     flags     |   granule position, 8 bytes   |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+                               +
//	|                                                               |
//	+                               +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|                               |     serial number, 4 bytes    |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|                               |  page sequence number, 4 bytes|
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|                               |       checksum, 4 bytes       |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|                               |   segments    | segment table |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//
// All numbers are little-endian. A packet takes a segment of 255 bytes after the
// other and ends with a shorter one. A Writer lets no packet go on over two pages.
const (
	pageHead       = 27 // bytes before the segment table
	maxSegments    = 255
	maxSegment     = 255
	serialOffset   = 14
	numberOffset   = 18
	checksumOffset = 22

	pageMagic = "OggS\x00" // and the version

	flagContinued = 1
	flagFirst     = 2
	flagLast      = 4
)

// page is a page in the making.
type page struct {
	table   []byte // sizes of the segments
	body    []byte
	samples int64 // that its packets hold
}

// segmentsOf is how many segments a packet of n bytes takes.
func segmentsOf(n int) int { return n/maxSegment + 1 }

func (p *page) fits(n int) bool { return len(p.table)+segmentsOf(n) <= maxSegments }

func (p *page) add(packet []byte, samples int64) {
	p.body = append(p.body, packet...)
	left := len(packet)
	for ; left >= maxSegment; left -= maxSegment {
		p.table = append(p.table, maxSegment)
	}
	p.table = append(p.table, byte(left))
	p.samples += samples
}

func (p *page) clear() { p.table, p.body, p.samples = p.table[:0], p.body[:0], 0 }

// appendTo appends the finished page to b.
func (p *page) appendTo(b []byte, flags byte, granule int64, serial, number uint32) []byte {
	start := len(b)
	le := binary.LittleEndian
	b = append(b, pageMagic...)
	b = append(b, flags)
	b = le.AppendUint64(b, uint64(granule))
	b = le.AppendUint32(b, serial)
	b = le.AppendUint32(b, number)
	b = le.AppendUint32(b, 0)
	b = append(b, byte(len(p.table)))
	b = append(b, p.table...)
	b = append(b, p.body...)
	le.PutUint32(b[start+checksumOffset:], checksum(b[start:]))
	return b
}

// checksumTable is of the polynomial of RFC 3533 section 6, 0x04c11db7, the bits
// of which aren't reversed as those of hash/crc32 are.
var checksumTable = func() (table [256]uint32) {
	for i := range table {
		r := uint32(i) << 24
		for range 8 {
			r = r<<1 ^ r>>31*0x04c11db7
		}
		table[i] = r
	}
	return table
}()

// checksum is that of a page whose own field for it is zero.
func checksum(b []byte) (sum uint32) {
	for _, c := range b {
		sum = sum<<8 ^ checksumTable[byte(sum>>24)^c]
	}
	return sum
}
