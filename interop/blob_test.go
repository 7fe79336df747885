package interop

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"
)

// MiB is how sizes are given here.
const MiB = 1 << 20

// blob is n pseudo-random bytes, the same in every run and in every process.
func blob(n int64) io.Reader {
	return io.LimitReader(rand.NewChaCha8([32]byte([]byte("the bytes that everybody expects"))), n)
}

var (
	sumsMu sync.Mutex
	sums   = map[int64]string{}
)

// blobSum is the SHA-256 of blob(n), in hexadecimal.
func blobSum(n int64) string {
	sumsMu.Lock()
	defer sumsMu.Unlock()
	if sums[n] == "" {
		sums[n], _, _ = sumOf(blob(n))
	}
	return sums[n]
}

// sumOf reads r to its end and returns SHA-256 and length.
func sumOf(r io.Reader) (sum string, n int64, err error) {
	h := sha256.New()
	n, err = io.Copy(h, r)
	return hex.EncodeToString(h.Sum(nil)), n, err
}

// wantBlob reads r, which must be blob(n).
func wantBlob(t *testing.T, r io.Reader, n int64) {
	t.Helper()
	sum, got, err := sumOf(r)
	if err != nil || got != n || sum != blobSum(n) {
		t.Errorf("read %d bytes with sum %.16s, error %v; want %d with sum %.16s", got, sum, err, n, blobSum(n))
	}
}

// wantBlobFile is wantBlob for a file.
func wantBlobFile(t *testing.T, name string, n int64) {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	wantBlob(t, f, n)
}

// blobFile puts blob(n) into the folder and returns the file's name.
func (s share) blobFile(t *testing.T, n int64) string {
	t.Helper()
	name := fmt.Sprintf("blob-%d", n)
	f, err := os.Create(filepath.Join(s.host, name))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := io.Copy(f, blob(n)); err != nil {
		t.Fatal(err)
	}
	return name
}

func TestBlobsRepeat(t *testing.T) {
	a, _ := io.ReadAll(blob(1000))
	b, _ := io.ReadAll(blob(2000))
	if !bytes.Equal(a, b[:1000]) || bytes.Equal(b[:1000], b[1000:]) {
		t.Error("a longer blob does not begin as a shorter one does")
	}
	wantBlob(t, bytes.NewReader(b), 2000)
}
