package codec

// PacketReader gives packets that exist already, from a file for example. It is
// used by one goroutine at a time.
type PacketReader interface {
	// ReadPacket writes the next packet to dst, which has at least MaxPacketBytes,
	// and returns the part of dst that it used. An empty packet says that there is
	// nothing for 10 ms, io.EOF that there is nothing more.
	ReadPacket(dst []byte) ([]byte, error)
}
