package quic

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

// LoadSecret returns the secret, for Config.Secret, that is kept in the file at path: 64 hexadecimal digits and a newline.
// When there is no file it makes a secret and the file, readable by its owner alone, and its folder, if need be. A file that
// others than its owner may read or write is refused, as its secret is one no more. The error names the file.
func LoadSecret(path string) (secret [32]byte, err error) {
	secret, err = readSecret(path)
	if errors.Is(err, fs.ErrNotExist) {
		secret, err = createSecret(path)
		if errors.Is(err, fs.ErrExist) { // another process was a moment faster
			secret, err = readSecret(path)
		}
	}
	if err != nil {
		return [32]byte{}, fmt.Errorf("quic: secret file %s: %w", path, bare(err))
	}
	return secret, nil
}

func readSecret(path string) (secret [32]byte, err error) {
	f, err := os.Open(path)
	if err != nil {
		return secret, err
	}
	defer f.Close()
	info, err := f.Stat() // of the file that was opened, not of the one that the path names by now
	if err != nil {
		return secret, err
	}
	if !info.Mode().IsRegular() {
		return secret, errors.New("it is not a file")
	}
	// On Windows the mode says nothing about who may read.
	if mode := info.Mode().Perm(); mode&0o077 != 0 && runtime.GOOS != "windows" {
		return secret, fmt.Errorf("others may read or write it (mode %04o): chmod 600 it, or remove it if they did, for a new secret", mode)
	}
	text, err := io.ReadAll(io.LimitReader(f, 2*int64(len(secret))+3))
	if err != nil {
		return secret, err
	}
	b, err := hex.DecodeString(strings.TrimSpace(string(text)))
	if err != nil || len(b) != len(secret) {
		return secret, errors.New("it does not hold 64 hexadecimal digits: restore it, or remove it for a new secret")
	}
	return [32]byte(b), nil
}

func createSecret(path string) (secret [32]byte, err error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return secret, err
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return secret, err
	}
	rand.Read(secret[:])
	_, err = fmt.Fprintln(f, hex.EncodeToString(secret[:]))
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		os.Remove(path)
	}
	return secret, err
}

// bare returns the system's error without the account of the call, which repeats the path.
func bare(err error) error {
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		return e.Err
	}
	return err
}
