package identity

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"

	"github.com/libp2p/go-libp2p/core/crypto"
)

// maxKeyFile is the size of the largest file that is read as a key, in bytes.
// An Ed25519 key file has 68; the largest RSA key of libp2p, 8192 bits, about
// 4700, and should be told what it is.
const maxKeyFile = 8192

// LoadOrCreateKey reads the Ed25519 key in the file at path, as LoadKey does.
// If there is no file it makes a key, and the directories to it, for the user
// alone (0600 and 0700). Programs that do so at the same time get the same key.
// A file that is there is never overwritten, whatever it holds.
func LoadOrCreateKey(path string) (crypto.PrivKey, error) {
	key, err := LoadKey(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return key, err
	}
	key, _, err = crypto.GenerateEd25519Key(nil)
	if err != nil {
		return nil, fmt.Errorf("%w: make a key: %w", ErrKeyFile, err)
	}
	err = writeKey(path, key)
	if errors.Is(err, fs.ErrExist) {
		return LoadKey(path) // another program was faster
	}
	if err != nil {
		return nil, err
	}
	return key, nil
}

// LoadKey reads the Ed25519 key in the file at path: libp2p's protobuf form of
// a private key. A missing file is an error that wraps fs.ErrNotExist. A file
// that others than its owner can read (not checked on windows), or that holds
// anything else, is an error that wraps ErrKeyFile.
func LoadKey(path string) (crypto.PrivKey, error) {
	data, err := readKeyFile(path)
	if err != nil {
		return nil, err
	}
	key, err := parseKey(data)
	if err != nil {
		return nil, fmt.Errorf("%w: %s %s; move it away to get a new identity, or name another file", ErrKeyFile, path, err.Error())
	}
	return key, nil
}

// readKeyFile reads the file at path if it looks like a key file. It looks
// before it opens, since opening a pipe would block.
func readKeyFile(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrKeyFile, err)
	}
	if err = checkKeyFile(path, info); err != nil {
		return nil, err
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrKeyFile, err)
	}
	defer f.Close() //nolint:errcheck // nothing was written
	if info, err = f.Stat(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrKeyFile, err)
	}
	if err = checkKeyFile(path, info); err != nil {
		return nil, err
	}
	data, err := io.ReadAll(io.LimitReader(f, maxKeyFile))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrKeyFile, err)
	}
	return data, nil
}

func checkKeyFile(path string, info fs.FileInfo) error {
	switch mode := info.Mode(); {
	case mode.IsDir():
		return fmt.Errorf("%w: %s is a directory; name a file in it", ErrKeyFile, path)
	case !mode.IsRegular():
		return fmt.Errorf("%w: %s is no regular file", ErrKeyFile, path)
	case runtime.GOOS != "windows" && mode.Perm()&0o077 != 0:
		return fmt.Errorf("%w: others than its owner can use %s (mode %#o); run: chmod 600 %s", ErrKeyFile, path, mode.Perm(), path)
	case info.Size() > maxKeyFile:
		return fmt.Errorf("%w: %s has %d bytes, too many for a key; name another file", ErrKeyFile, path, info.Size())
	}
	return nil
}

// parseKey reads libp2p's form of an Ed25519 private key. Its errors continue
// a sentence that begins with the file's name.
func parseKey(data []byte) (crypto.PrivKey, error) {
	if len(data) == 0 {
		return nil, errors.New("is empty")
	}
	key, err := crypto.UnmarshalPrivateKey(data)
	if err != nil {
		return nil, fmt.Errorf("is cut or holds no libp2p key (%w)", err)
	}
	if key.Type() != crypto.Ed25519 {
		return nil, fmt.Errorf("holds a key of type %s, not Ed25519", key.Type())
	}
	// libp2p takes the public half as it finds it.
	raw, err := key.Raw()
	if err != nil || len(raw) != ed25519.PrivateKeySize || !bytes.Equal(ed25519.NewKeyFromSeed(raw[:ed25519.SeedSize]), raw) {
		return nil, errors.New("is damaged: the halves of its key don't match")
	}
	if again, err := crypto.MarshalPrivateKey(key); err != nil || !bytes.Equal(again, data) {
		return nil, errors.New("holds more than a key")
	}
	return key, nil
}

// writeKey puts key into a new file at path, whole or not at all. If there is
// a file already the error wraps fs.ErrExist.
func writeKey(path string, key crypto.PrivKey) error {
	data, err := crypto.MarshalPrivateKey(key)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrKeyFile, err)
	}
	dir := filepath.Dir(path)
	if err = os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("%w: %w", ErrKeyFile, err)
	}
	temp, err := writeTemp(dir, data)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrKeyFile, err)
	}
	defer os.Remove(temp) //nolint:errcheck // a name more or less for the same file
	// A link, unlike a rename, fails if somebody else was here first.
	err = os.Link(temp, path)
	if err != nil && !errors.Is(err, fs.ErrExist) {
		err = writeExclusive(path, data) // no links on this file system
	}
	if err != nil {
		return fmt.Errorf("%w: %w", ErrKeyFile, err)
	}
	syncDir(dir)
	return nil
}

// writeTemp writes data to the disk under a new name in dir. Temporary files
// are made with mode 0600.
func writeTemp(dir string, data []byte) (name string, err error) {
	f, err := os.CreateTemp(dir, ".parley-key-*")
	if err != nil {
		return "", err
	}
	if err := finish(f, data); err != nil {
		return "", errors.Join(err, os.Remove(f.Name()))
	}
	return f.Name(), nil
}

// writeExclusive makes the file at path. A program that starts at the same
// moment may find it empty, and then fails; it overwrites nothing.
func writeExclusive(path string, data []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	if err := finish(f, data); err != nil {
		return errors.Join(err, os.Remove(path))
	}
	return nil
}

// finish writes data to f, down to the disk, and closes f.
func finish(f *os.File, data []byte) error {
	_, err := f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// syncDir makes a new name in dir last through a power cut where the system
// can do that; elsewhere the name is as good as any.
func syncDir(dir string) {
	if d, err := os.Open(dir); err == nil {
		_ = d.Sync()
		_ = d.Close()
	}
}
