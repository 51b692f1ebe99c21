package pipe

import (
	"bytes"
	"encoding/hex"
	"os"
	"strings"
	"testing"
)

// A data message whose key is 32 times 0x42: key ID 0x01020304, counter 2^32 + 5, a
// voice message. testdata/data.hex has it as the doc comment of the package says it.
func TestDataMessagesAreTheGoldenBytes(t *testing.T) {
	text, err := os.ReadFile("testdata/data.hex")
	if err != nil {
		t.Fatal(err)
	}
	golden, err := hex.DecodeString(strings.ReplaceAll(strings.TrimSpace(string(text)), " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	key := [32]byte(bytes.Repeat([]byte{0x42}, 32))
	k, err := newKeys(0x01020304, &key, &key, epoch)
	if err != nil {
		t.Fatal(err)
	}
	const counter = 1<<32 + 5
	header := golden[:dataHeader]
	plain := frame{body: bodyVoice, data: []byte("voice")}
	if got := k.seal(bytes.Clone(header), counter, plain.appendTo(nil)); !bytes.Equal(got, golden) {
		t.Errorf("it is % x, want % x", got, golden)
	}
	opened, ok := k.open(nil, counter, header, golden[dataHeader:])
	if !ok || !bytes.Equal(opened, plain.appendTo(nil)) {
		t.Errorf("it is opened as % x, %v", opened, ok)
	}
	for n := range golden[dataHeader:] {
		if _, ok := k.open(nil, counter, header, golden[dataHeader:dataHeader+n]); ok {
			t.Errorf("it is opened when cut to %d bytes", dataHeader+n)
		}
	}
	for i := range golden {
		changed := bytes.Clone(golden)
		changed[i] ^= 1
		if _, ok := k.open(nil, counter, changed[:dataHeader], changed[dataHeader:]); ok {
			t.Errorf("it is opened with another byte %d", i)
		}
	}
	if _, ok := k.open(nil, 5, header, golden[dataHeader:]); ok {
		t.Error("it is opened with the low bits of the counter alone")
	}
}
