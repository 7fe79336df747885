package interop

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
)

// makeContent is what file number n has in it: the same in every run, and another for each file.
func makeContent(n int, size int64) ([]byte, error) {
	seed := [32]byte([]byte("the matrix fetches this file .. "))
	seed[0], seed[1] = byte(n), byte(n>>8)
	return io.ReadAll(io.LimitReader(rand.NewChaCha8(seed), size))
}

// wantFiles compares what the client saved with what the server had, byte by byte, and wants nothing else.
func (c *cell) wantFiles() error {
	n := 0
	for i, sizes := range c.fetch {
		for j, size := range sizes {
			want, err := makeContent(n, size)
			if err != nil {
				return err
			}
			got, err := os.ReadFile(filepath.Join(c.dir.host, "down", c.names[i][j]))
			if err != nil {
				return fmt.Errorf("file %d: %w", n, err)
			}
			if !bytes.Equal(got, want) {
				return fmt.Errorf("file %d arrived with other content: %d bytes of %d", n, len(got), len(want))
			}
			n++
		}
	}
	saved, err := os.ReadDir(filepath.Join(c.dir.host, "down"))
	if err == nil && len(saved) != n {
		err = fmt.Errorf("%d files were saved, %d asked for", len(saved), n)
	}
	return err
}
