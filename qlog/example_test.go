package qlog_test

import (
	"fmt"
	"strings"
	"time"

	"github.com/godwit-net/godwit/internal/instant"
	"github.com/godwit-net/godwit/qlog"
)

// A connection tells its trace what happens; its owner takes the bytes and writes them somewhere.
func Example() {
	trace := qlog.New(qlog.Config{ODCID: []byte{0x83, 0x94, 0xc8, 0xf0}})
	_ = trace.Take() // the header record

	now := instant.Time(12500 * time.Microsecond)
	trace.PacketSent(now, qlog.Packet{
		Type:   "1RTT",
		Number: 7,
		Size:   1200,
		Frames: []qlog.Frame{{Type: "stream", ID: 4, Length: 1170, Fin: true}},
	})
	trace.PacketLost(now.Add(30*time.Millisecond), "1RTT", 7, "time_threshold")

	fmt.Print(strings.ReplaceAll(string(trace.Take()), "\x1e", ""))

	var off *qlog.Trace // tracing is off
	off.PacketLost(now, "1RTT", 7, "time_threshold")
	fmt.Println(off.Take() == nil)

	// Output:
	// {"time":12.5,"name":"quic:packet_sent","data":{"header":{"packet_type":"1RTT","key_phase_bit":false,"packet_number":7},"frames":[{"frame_type":"stream","stream_id":4,"offset":0,"fin":true,"raw":{"payload_length":1170}}],"raw":{"length":1200}}}
	// {"time":42.5,"name":"quic:packet_lost","data":{"header":{"packet_type":"1RTT","packet_number":7},"trigger":"time_threshold"}}
	// true
}
