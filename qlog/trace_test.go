package qlog

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/godwit-net/godwit/internal/instant"
)

// required has the members that the drafts' definitions do not mark as optional, by event name.
var required = map[string][]string{
	"quic:connection_started":       {"local", "remote"},
	"quic:connection_state_updated": {"new"},
	"quic:tuple_assigned":           {"tuple_id"},
	"quic:mtu_updated":              {"new"},
	"quic:packet_sent":              {"header"},
	"quic:packet_received":          {"header"},
	"quic:timer_updated":            {"event_type"},
	"quic:key_updated":              {"key_type"},
	"quic:key_discarded":            {"key_type"},
	"quic:congestion_state_updated": {"new"},
	"http3:stream_type_set":         {"stream_id", "stream_type"},
	"http3:frame_created":           {"stream_id", "frame"},
	"http3:frame_parsed":            {"stream_id", "frame"},
}

func checkRequired(t *testing.T, r map[string]any) {
	t.Helper()
	name, _ := r["name"].(string)
	data, ok := r["data"].(map[string]any)
	if _, timed := r["time"].(float64); !timed || !ok || name == "" {
		t.Errorf("record %v lacks time, name or data", r)
	}
	for _, k := range required[name] {
		if _, ok := data[k]; !ok {
			t.Errorf("%s lacks %q", name, k)
		}
	}
}

// parse splits a JSON text sequence and parses each text, refusing duplicate members.
func parse(t *testing.T, b []byte) (records []map[string]any) {
	t.Helper()
	if len(b) == 0 {
		return nil
	}
	if b[0] != recordSeparator || b[len(b)-1] != '\n' {
		t.Fatalf("not a JSON text sequence: %q", b)
	}
	for _, text := range bytes.Split(b[1:], []byte{recordSeparator}) {
		var r map[string]any
		if err := json.Unmarshal(text, &r); err != nil {
			t.Fatalf("%v in %q", err, text)
		}
		if k := duplicate(json.NewDecoder(bytes.NewReader(text))); k != "" {
			t.Errorf("member %q twice in %s", k, text)
		}
		records = append(records, r)
	}
	return records
}

// duplicate returns a key that an object of the text has twice, or "".
func duplicate(d *json.Decoder) string {
	tok, err := d.Token()
	if err != nil && err != io.EOF {
		return err.Error()
	}
	switch tok {
	case json.Delim('['):
		for d.More() {
			if k := duplicate(d); k != "" {
				return k
			}
		}
		d.Token()
	case json.Delim('{'):
		seen := make(map[json.Token]bool)
		for d.More() {
			k, _ := d.Token()
			if seen[k] {
				return fmt.Sprint(k)
			}
			seen[k] = true
			if k := duplicate(d); k != "" {
				return k
			}
		}
		d.Token()
	}
	return ""
}

func TestTheHeaderComesFirst(t *testing.T) {
	tr := New(Config{Server: true, ODCID: id, Title: `a "title"`, Reference: time.Date(2026, 3, 4, 5, 6, 7, 8e6, time.FixedZone("", 3600))})
	tr.KeyDiscarded(1, "client_initial_secret")
	out := tr.Take()
	const want = "\x1e" + `{"file_schema":"urn:ietf:params:qlog:file:sequential","serialization_format":"application/qlog+json-seq","title":"a \"title\"",` +
		`"trace":{"vantage_point":{"type":"server"},"common_fields":{"group_id":"abcd01","time_format":"relative_to_epoch",` +
		`"reference_time":{"clock_type":"monotonic","epoch":"unknown","wall_clock_time":"2026-03-04T04:06:07.008Z"}},` +
		`"event_schemas":["urn:ietf:params:qlog:events:quic-13","urn:ietf:params:qlog:events:http3-13","urn:ietf:params:qlog:events:loglevel-13"]}}` + "\n\x1e" +
		`{"time":0.000001,"name":"quic:key_discarded","data":{"key_type":"client_initial_secret"}}` + "\n"
	if string(out) != want {
		t.Errorf("got %s\nwant %s", out, want)
	}
	if n := len(parse(t, out)); n != 2 {
		t.Errorf("%d records, want 2", n)
	}
	if tr.Take() != nil {
		t.Error("nothing happened, but there was something to take")
	}
}

func TestTimesAreExactMilliseconds(t *testing.T) {
	for _, c := range []struct {
		ns   int64
		want string
	}{
		{0, "0"}, {1, "0.000001"}, {999_999, "0.999999"}, {1_000_000, "1"}, {1_500_000, "1.5"}, {1_050_000, "1.05"},
		{-1_500_000, "-1.5"}, {1<<63 - 1, "9223372036854.775807"}, {-1 << 63, "-9223372036854.775808"},
	} {
		var e encoder
		e.millis("", c.ns)
		if string(e.b) != c.want {
			t.Errorf("%d ns: got %s, want %s", c.ns, e.b, c.want)
		}
	}
}

func TestAnyBytesBecomeAJSONString(t *testing.T) {
	var all []byte
	for i := range 256 {
		all = append(all, byte(i))
	}
	for _, s := range []string{"", "plain", string(all), "é☃𝄞", "\u2028\u2029", "a\xffb\xc3", `\"`, "\xe2\x98"} {
		var e encoder
		e.text("", s)
		var got string
		if err := json.Unmarshal(e.b, &got); err != nil {
			t.Errorf("%q became %s: %v", s, e.b, err)
		}
		if want := string([]rune(s)); got != want {
			t.Errorf("%q came back as %q, want %q", s, got, want)
		}
	}
}

func TestLongTextIsCutAtARune(t *testing.T) {
	for pad := range 4 {
		var e encoder
		e.text("", strings.Repeat("x", pad)+strings.Repeat("𝄞", maxText))
		var got string
		if err := json.Unmarshal(e.b, &got); err != nil {
			t.Fatal(err)
		}
		if strings.ContainsRune(got, '\ufffd') || len(got) > maxText+len("…") || len(got) < maxText-8 || !strings.HasSuffix(got, "…") {
			t.Errorf("pad %d: cut to %d bytes, ending %q", pad, len(got), got[len(got)-12:])
		}
	}
}

func TestMetricsWriteOnlyWhatChanged(t *testing.T) {
	tr := New(Config{})
	tr.Take()
	m := Metrics{Smoothed: time.Millisecond, Window: 12000, InFlight: 1200}
	tr.Metrics(at, m)
	tr.Take()
	tr.Metrics(at, m)
	if b := tr.Take(); b != nil {
		t.Errorf("nothing changed, but %s was written", b)
	}
	m.InFlight = 0
	m.PTOCount = 1
	tr.Metrics(at, m)
	want := "\x1e" + `{"time":1500.25,"name":"quic:recovery_metrics_updated","data":{"pto_count":1,"bytes_in_flight":0}}` + "\n"
	if b := tr.Take(); string(b) != want {
		t.Errorf("got %s\nwant %s", b, want)
	}
}

func TestCongestionStateRemembersTheOldOne(t *testing.T) {
	tr := New(Config{})
	tr.Take()
	tr.CongestionState(at, "slow_start")
	tr.CongestionState(at, "slow_start")
	tr.CongestionState(at, "recovery")
	r := parse(t, tr.Take())
	if len(r) != 2 {
		t.Fatalf("%d records for two changes", len(r))
	}
	if d := r[1]["data"].(map[string]any); d["old"] != "slow_start" || d["new"] != "recovery" {
		t.Errorf("the second change is %v", d)
	}
}

func TestEventsCarryTheTupleOfTheNewPath(t *testing.T) {
	tr := New(Config{})
	tr.KeyDiscarded(at, "client_initial_secret")
	tr.Take()
	tr.PathAssigned(at, v4, v6)
	tr.PathAssigned(at, v4, v6)
	tr.KeyDiscarded(at, "client_initial_secret")
	r := parse(t, tr.Take())
	if r[2]["tuple"] != "2" {
		t.Errorf("the event's tuple is %v, want 2", r[2]["tuple"])
	}
}

func TestRecordsBeyondTheLimitAreCounted(t *testing.T) {
	tr := New(Config{})
	kept := 0
	for tr.Dropped() < 10 {
		tr.KeyDiscarded(at, "client_initial_secret")
		if tr.Dropped() == 0 {
			kept++
		}
	}
	b := tr.Take()
	if len(b) > MaxBuffered+200 {
		t.Errorf("%d bytes were buffered, the limit is %d", len(b), MaxBuffered)
	}
	n := bytes.Count(b, []byte{recordSeparator})
	if n != 1+kept+1 {
		t.Errorf("%d records, want a header, %d events and a warning", n, kept)
	}
	last := parse(t, b[bytes.LastIndexByte(b, recordSeparator):])[0]
	if last["name"] != "loglevel:warning" || last["data"].(map[string]any)["message"] != "records dropped, the buffer was full: 10" {
		t.Errorf("the last record is %v", last)
	}
	if tr.Dropped() != 0 {
		t.Error("the count survives Take")
	}
}

func TestANilTraceIsSilentAndFree(t *testing.T) {
	var tr *Trace
	if tr.On() || tr.Take() != nil || tr.Dropped() != 0 {
		t.Error("a nil trace has something to say")
	}
	for _, c := range events {
		c.do(tr)
	}
	frames := []Frame{{Type: "stream", Length: 1000}}
	if n := testing.AllocsPerRun(100, func() {
		tr.PacketSent(at, Packet{Type: "1RTT", Size: 1200, DstID: id, Frames: frames})
		tr.PacketReceived(at, Packet{Type: "1RTT", Size: 1200, DstID: id, Frames: frames})
		tr.Metrics(at, Metrics{Window: 1})
		tr.PacketLost(at, "1RTT", 1, "time_threshold")
		tr.CongestionState(at, "recovery")
		tr.ConnectionClosed(at, Closed{Owner: "local"})
		tr.H3FrameCreated(at, 0, H3Frame{Type: "data"})
	}); n != 0 {
		t.Errorf("a nil trace allocates %v times", n)
	}
}

func TestTracingAPacketAllocatesOnlyItsRecord(t *testing.T) {
	tr := New(Config{})
	tr.e.b = make([]byte, 0, 1<<20)
	frames := []Frame{{Type: "ack", Delay: 1}, {Type: "stream", Length: 1000}}
	now := instant.Time(0)
	if n := testing.AllocsPerRun(1000, func() {
		now = now + 1
		tr.PacketSent(now, Packet{Type: "1RTT", Size: 1200, DstID: id, Frames: frames})
	}); n != 0 {
		t.Errorf("a packet's record allocates %v times beside the buffer", n)
	}
}

func BenchmarkPacketSent(b *testing.B) {
	tr := New(Config{})
	frames := []Frame{{Type: "stream", ID: 4, Offset: 1 << 30, Length: 1000}}
	b.ReportAllocs()
	for i := range b.N {
		tr.PacketSent(instant.Time(i), Packet{Type: "1RTT", Number: int64(i), Size: 1200, DstID: id, Frames: frames})
		if len(tr.e.b) > 1<<20 {
			tr.e.b = tr.e.b[:0]
		}
	}
}
