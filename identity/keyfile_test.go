package identity

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/libp2p/go-libp2p/core/crypto"
)

func marshalled(tb testing.TB, key crypto.PrivKey, err error) []byte {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
	b, err := crypto.MarshalPrivateKey(key)
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

func ed25519File(tb testing.TB) []byte {
	tb.Helper()
	key, err := crypto.UnmarshalEd25519PrivateKey(ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, 32)))
	return marshalled(tb, key, err)
}

func TestAKeyIsMadeOnceAndKept(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a", "b", "identity.key")
	if _, err := LoadKey(path); !errors.Is(err, fs.ErrNotExist) || !errors.Is(err, ErrKeyFile) {
		t.Fatalf("%v, want fs.ErrNotExist", err)
	}
	made, err := LoadOrCreateKey(path)
	if err != nil {
		t.Fatal(err)
	}
	for name, load := range map[string]func(string) (crypto.PrivKey, error){"LoadKey": LoadKey, "LoadOrCreateKey": LoadOrCreateKey} {
		if key, err := load(path); err != nil || !key.Equals(made) {
			t.Errorf("%s: %v, or another key", name, err)
		}
	}
	data, err := os.ReadFile(path)
	if err != nil || len(data) != 68 || !bytes.Equal(data, marshalled(t, made, nil)) {
		t.Errorf("%d bytes, %v; want libp2p's 68", len(data), err)
	}
	other, err := LoadOrCreateKey(filepath.Join(dir, "other.key"))
	if err != nil || other.Equals(made) {
		t.Errorf("%v, or the same key in another file", err)
	}
	if runtime.GOOS != "windows" {
		for name, want := range map[string]fs.FileMode{"a": 0o700, "a/b": 0o700, "a/b/identity.key": 0o600} {
			if info, err := os.Stat(filepath.Join(dir, name)); err != nil || info.Mode().Perm() != want {
				t.Errorf("%s: mode %v, %v; want %v", name, info.Mode(), err, want)
			}
		}
	}
	left, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(left) != 1 {
		t.Errorf("%v is left in the directory, %v", left, err)
	}
}

func TestProgramsThatStartAtOnceGetTheSameKey(t *testing.T) {
	for range 20 {
		path := filepath.Join(t.TempDir(), "new", "identity.key")
		var keys [8]crypto.PrivKey
		var errs [8]error
		var wg sync.WaitGroup
		for i := range keys {
			wg.Go(func() { keys[i], errs[i] = LoadOrCreateKey(path) })
		}
		wg.Wait()
		for i, key := range keys {
			if errs[i] != nil || !key.Equals(keys[0]) {
				t.Fatalf("%v, or another key", errs[i])
			}
		}
	}
}

func TestWhereLinksAreUnknownNothingIsOverwritten(t *testing.T) {
	path := filepath.Join(t.TempDir(), "identity.key")
	if err := writeExclusive(path, []byte("one")); err != nil {
		t.Fatal(err)
	}
	if err := writeExclusive(path, []byte("two")); !errors.Is(err, fs.ErrExist) {
		t.Errorf("%v, want fs.ErrExist", err)
	}
	if data, err := os.ReadFile(path); err != nil || string(data) != "one" {
		t.Errorf("%q, %v", data, err)
	}
}

func TestUnusableKeyFilesAreToldApartAndKept(t *testing.T) {
	good := ed25519File(t)
	rsa, _, err := crypto.GenerateRSAKeyPair(2048, nil)
	rsaFile := marshalled(t, rsa, err)
	secp, _, err := crypto.GenerateSecp256k1Key(nil)
	secpFile := marshalled(t, secp, err)
	flipped := bytes.Clone(good)
	flipped[len(flipped)-1] ^= 1
	tests := []struct {
		name string
		data []byte
		mode fs.FileMode
		want string
	}{
		{"empty", nil, 0o600, "is empty"},
		{"cut", good[:67], 0o600, "is cut or holds no libp2p key"},
		{"half", good[:34], 0o600, "is cut or holds no libp2p key"},
		{"garbage", []byte("correct horse battery staple"), 0o600, "is cut or holds no libp2p key"},
		{"text", []byte(base64.StdEncoding.EncodeToString(good)), 0o600, "is cut or holds no libp2p key"},
		{"flipped bit", flipped, 0o600, "is damaged"},
		{"more than a key", append(bytes.Clone(good), 0x18, 0x01), 0o600, "holds more than a key"},
		{"too large", make([]byte, maxKeyFile+1), 0o600, "too many for a key"},
		{"RSA", rsaFile, 0o600, "of type RSA, not Ed25519"},
		{"secp256k1", secpFile, 0o600, "of type Secp256k1, not Ed25519"},
		{"group may read", good, 0o640, "chmod 600"},
		{"others may read", good, 0o604, "chmod 600"},
		{"group may write", good, 0o620, "chmod 600"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if runtime.GOOS == "windows" && test.mode != 0o600 {
				t.Skip("windows has no such modes")
			}
			path := filepath.Join(t.TempDir(), "identity.key")
			if err := os.WriteFile(path, test.data, 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(path, test.mode); err != nil {
				t.Fatal(err)
			}
			for name, load := range map[string]func(string) (crypto.PrivKey, error){"LoadKey": LoadKey, "LoadOrCreateKey": LoadOrCreateKey} {
				key, err := load(path)
				if key != nil || !errors.Is(err, ErrKeyFile) || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), path) {
					t.Errorf("%s: %v; want an error with %q", name, err, test.want)
				}
			}
			if data, err := os.ReadFile(path); err != nil || !bytes.Equal(data, test.data) {
				t.Errorf("the file was changed, %v", err)
			}
		})
	}
}

func TestWhatIsNoFileIsNoKeyFile(t *testing.T) {
	dir := t.TempDir()
	if _, err := LoadOrCreateKey(dir); !errors.Is(err, ErrKeyFile) || !strings.Contains(err.Error(), "is a directory") {
		t.Errorf("%v, want that it is a directory", err)
	}
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadOrCreateKey(filepath.Join(file, "identity.key")); !errors.Is(err, ErrKeyFile) {
		t.Errorf("in a file instead of a directory: %v", err)
	}
	if runtime.GOOS == "windows" {
		return
	}
	link := filepath.Join(dir, "link")
	if err := os.Symlink(filepath.Join(dir, "nowhere"), link); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadOrCreateKey(link); !errors.Is(err, ErrKeyFile) {
		t.Errorf("a link to nowhere: %v", err)
	}
	if _, err := LoadOrCreateKey(os.DevNull); !errors.Is(err, ErrKeyFile) || !strings.Contains(err.Error(), "no regular file") {
		t.Errorf("%v, want that it is no regular file", err)
	}
}

func FuzzKeyFile(f *testing.F) {
	good := ed25519File(f)
	secp, _, err := crypto.GenerateSecp256k1Key(nil)
	f.Add(good)
	f.Add(good[:40])
	f.Add(marshalled(f, secp, err))
	f.Add(append([]byte{8, 1, 18, 96}, make([]byte, 96)...))
	f.Fuzz(func(t *testing.T, data []byte) {
		key, err := parseKey(data)
		if err != nil {
			if key != nil {
				t.Fatal("a key and an error")
			}
			return
		}
		if key.Type() != crypto.Ed25519 || !bytes.Equal(marshalled(t, key, nil), data) {
			t.Fatalf("%x is not the form of its key", data)
		}
		signature, err := key.Sign(data)
		if err != nil {
			t.Fatal(err)
		}
		if ok, err := key.GetPublic().Verify(data, signature); err != nil || !ok {
			t.Fatal("the key doesn't sign")
		}
	})
}
