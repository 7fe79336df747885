package quic

import (
	"time"

	"github.com/godwit-net/godwit/internal/instant"
)

// Stand-ins until the package congestion is there; then these are its types.
type (
	congestionTime       = instant.Time
	congestionController = any
	congestionRTT        = struct{ Latest, Smoothed, Min, Var time.Duration }
)
