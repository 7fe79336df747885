package tunnel

import (
	"bytes"
	"crypto/sha256"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
)

// A key file is one PEM block of this type. Its content is a version byte, the seed of the Ed25519 key (RFC 8032), the
// secret, and the first four bytes of the SHA-256 hash of all that: a changed character must not become another exit.
const (
	keyFileType    = "GODWIT TUNNEL EXIT KEY"
	keyFileVersion = 1
)

// A KeyFileError says what is wrong with a key file, and what to do. It is one line.
type KeyFileError struct {
	Path string
	Why  string
	Err  error // of the system, if that is why
}

// Error returns the line.
func (e *KeyFileError) Error() string { return fmt.Sprintf("key file %s: %s", e.Path, e.Why) }

// Unwrap returns the system's error.
func (e *KeyFileError) Unwrap() error { return e.Err }

// DefaultKeyFile returns where an exit keeps its key when nobody says otherwise: in the user's directory for configuration
// (os.UserConfigDir). A user without one is an error.
func DefaultKeyFile() (string, error) {
	dir, err := os.UserConfigDir()
	if err != nil {
		return "", fmt.Errorf("there is no directory for the exit's key: %w", err)
	}
	return filepath.Join(dir, "godwit", "tunnel-exit.key"), nil
}

// LoadOrCreateKey reads the key file at path, or makes a new Key and the file, readable by its owner alone, when there is
// none. Errors are of type *KeyFileError.
func LoadOrCreateKey(path string) (k *Key, created bool, err error) {
	k, err = LoadKey(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return k, false, err
	}
	k = NewKey()
	if err = k.create(path); errors.Is(err, fs.ErrExist) {
		// Another exit was a moment faster.
		k, err = LoadKey(path)
		return k, false, err
	}
	if err != nil {
		return nil, false, &KeyFileError{path, fmt.Sprintf("it cannot be made: %v", cause(err)), err}
	}
	return k, true, nil
}

// LoadKey reads the key file at path. A file that others than its owner may read or write is refused, as its secret is
// one no more. Errors are of type *KeyFileError; one for a file that is not there is fs.ErrNotExist, too.
func LoadKey(path string) (*Key, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, &KeyFileError{path, fmt.Sprintf("it cannot be read: %v", cause(err)), err}
	}
	defer f.Close()
	// The file that was opened is looked at, not the one that the path names by now.
	info, err := f.Stat()
	if err != nil {
		return nil, &KeyFileError{path, fmt.Sprintf("it cannot be read: %v", cause(err)), err}
	}
	if !info.Mode().IsRegular() {
		return nil, &KeyFileError{Path: path, Why: "it is not a file"}
	}
	// On Windows the mode says nothing about who may read: the user's directory is private there by inheritance.
	if mode := info.Mode().Perm(); mode&0o077 != 0 && runtime.GOOS != "windows" {
		return nil, &KeyFileError{Path: path, Why: fmt.Sprintf("others may read or write it (mode %04o): chmod 600 it, or remove it if they did, for a new key and token", mode)}
	}
	text, err := io.ReadAll(io.LimitReader(f, maxKeyFile+1))
	if err != nil {
		return nil, &KeyFileError{path, fmt.Sprintf("it cannot be read: %v", cause(err)), err}
	}
	k, why := parseKey(text)
	if why != "" {
		return nil, &KeyFileError{Path: path, Why: why}
	}
	return k, nil
}

// create writes a key file where none may be.
func (k *Key) create(path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(k.text())
	err = errors.Join(err, f.Sync(), f.Close())
	if err != nil {
		os.Remove(path)
	}
	return err
}

// text is the content of the key file.
func (k *Key) text() []byte {
	b := append([]byte{keyFileVersion}, k.seed[:]...)
	b = append(b, k.secret[:]...)
	sum := sha256.Sum256(b)
	return pem.EncodeToMemory(&pem.Block{Type: keyFileType, Bytes: append(b, sum[:4]...)})
}

// parseKey undoes text, or says why it cannot.
func parseKey(text []byte) (k *Key, why string) {
	const damaged = "it is damaged: restore it, or remove it for a new key and token"
	if len(text) > maxKeyFile {
		return nil, "it is too large for a tunnel key"
	}
	block, rest := pem.Decode(text)
	if block == nil || block.Type != keyFileType {
		if bytes.Contains(text, []byte(keyFileType)) || len(bytes.TrimSpace(text)) == 0 {
			return nil, damaged
		}
		return nil, "it is not a tunnel key: name another with --key"
	}
	b := block.Bytes
	if len(b) > 0 && b[0] > keyFileVersion {
		return nil, "it is of a newer version than this program knows"
	}
	k = new(Key)
	if len(b) != 1+len(k.seed)+len(k.secret)+4 || b[0] != keyFileVersion || len(bytes.TrimSpace(rest)) > 0 {
		return nil, damaged
	}
	body := b[:len(b)-4]
	if sum := sha256.Sum256(body); !bytes.Equal(sum[:4], b[len(body):]) {
		return nil, damaged
	}
	body = body[1:]
	copy(k.secret[:], body[copy(k.seed[:], body):])
	return k, ""
}

// cause is the system's error without the account of the call, which repeats the path.
func cause(err error) error {
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		return e.Err
	}
	return err
}
