package main

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// byteSize is a number of bytes that is written with a binary unit: 1GiB, 64MiB, 16KiB, 1000.
type byteSize int64

var units = []struct {
	name string
	size byteSize
}{{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}, {"B", 1}}

func (s *byteSize) String() string {
	if *s == 0 {
		return ""
	}
	for _, u := range units {
		if *s%u.size == 0 {
			return strconv.FormatInt(int64(*s/u.size), 10) + u.name
		}
	}
	return ""
}

// Set implements flag.Value.
func (s *byteSize) Set(text string) error {
	unit := byteSize(1)
	for _, u := range units {
		if number, ok := strings.CutSuffix(text, u.name); ok {
			text, unit = number, u.size
			break
		}
	}
	n, err := strconv.ParseInt(strings.TrimSpace(text), 10, 64)
	if err != nil || n < 0 || n > math.MaxInt64/int64(unit) {
		return fmt.Errorf("%q is no size: write 1GiB, 64MiB, 16KiB or a number of bytes", text)
	}
	*s = byteSize(n) * unit
	return nil
}
