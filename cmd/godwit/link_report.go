package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/godwit-net/godwit/internal/link"
	"github.com/godwit-net/godwit/internal/simnet"
)

// linkReport is what a link did.
type linkReport struct {
	Clients int      `json:"clients"`
	Rebinds int      `json:"rebinds"`
	Strays  int      `json:"strays"` // datagrams that were nobody's
	Up      directed `json:"up"`
	Down    directed `json:"down"`
}

// directed is what became of the datagrams of one direction.
type directed struct {
	Entered int   `json:"entered"`
	Arrived int   `json:"arrived"` // twice if duplicated
	Bytes   int64 `json:"bytes"`   // of UDP payload that arrived

	Lost      int `json:"lost"`
	Named     int `json:"dropped_by_number"`
	TooLarge  int `json:"too_large"`
	Outage    int `json:"in_an_outage"`
	QueueFull int `json:"queue_full"`
	Disliked  int `json:"dropped_for_ecn"`
	Stale     int `json:"to_an_old_port"`
	UnderWay  int `json:"under_way"` // when the link ended

	Corrupted  int `json:"corrupted"`
	Late       int `json:"held_back"`
	Duplicated int `json:"duplicated"`
	Marked     int `json:"marked_ce"`
	MaxQueue   int `json:"longest_queue"` // bytes
}

func newLinkReport(s link.Stats) linkReport {
	return linkReport{Clients: s.Clients, Rebinds: s.Rebinds, Strays: s.Strays, Up: newDirected(s.Up), Down: newDirected(s.Down)}
}

func newDirected(s simnet.Stats) directed {
	return directed{
		Entered: s.Sent, Arrived: s.Delivered, Bytes: s.DeliveredBytes,
		Lost: s.Lost + s.BurstLost, Named: s.Masked, TooLarge: s.TooLarge, Outage: s.Outage, QueueFull: s.QueueFull,
		Disliked: s.Disliked, Stale: s.Stale, UnderWay: s.Sent + s.Duplicated - s.Delivered - s.Dropped(),
		Corrupted: s.Corrupted, Late: s.Reordered, Duplicated: s.Duplicated, Marked: s.Marked, MaxQueue: s.MaxQueue,
	}
}

// print writes the report for people: a line for each direction, with what happened and nothing else.
func (r linkReport) print(w io.Writer) {
	fmt.Fprintf(w, "clients %d, rebindings %d, strays %d\n", r.Clients, r.Rebinds, r.Strays)
	fmt.Fprintln(w, "to the server:  ", r.Up)
	fmt.Fprintln(w, "to the clients: ", r.Down)
}

// String is one line.
func (d directed) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d datagrams, %d arrived (%s)", d.Entered, d.Arrived, megabytes(d.Bytes))
	for _, c := range [...]struct {
		name string
		n    int
	}{
		{"lost", d.Lost}, {"dropped by number", d.Named}, {"too large", d.TooLarge}, {"in an outage", d.Outage}, {"queue full", d.QueueFull},
		{"dropped for their ECN mark", d.Disliked}, {"to an old port", d.Stale}, {"under way", d.UnderWay},
		{"corrupted", d.Corrupted}, {"held back", d.Late}, {"duplicated", d.Duplicated}, {"marked CE", d.Marked},
	} {
		if c.n > 0 {
			fmt.Fprintf(&b, ", %d %s", c.n, c.name)
		}
	}
	if d.MaxQueue > 0 {
		fmt.Fprintf(&b, "; %d bytes in the longest queue", d.MaxQueue)
	}
	return b.String()
}
