package qlog

import (
	"net/netip"
	"testing"
	"time"

	"github.com/godwit-net/godwit/internal/instant"
	"github.com/godwit-net/godwit/internal/rangeset"
)

var (
	v4 = netip.MustParseAddrPort("192.0.2.1:4433")
	v6 = netip.MustParseAddrPort("[2001:db8::2%eth0]:50000")
	id = []byte{0xab, 0xcd, 0x01}
)

const at = instant.Time(1_500_250_000) // 1.50025 s

// events has every event of the vocabulary once or more, and the data it has to write.
var events = []struct {
	about string
	do    func(t *Trace)
	name  string
	data  string
}{
	{"a connection starts", func(t *Trace) { t.ConnectionStarted(at, v4, v6, id, id[:1]) }, "quic:connection_started",
		`{"local":{"ip_v4":"192.0.2.1","port_v4":4433,"connection_ids":["abcd01"]},"remote":{"ip_v6":"2001:db8::2","port_v6":50000,"connection_ids":["ab"]}}`},
	{"a zero-length connection ID is not listed", func(t *Trace) { t.ConnectionStarted(at, v4, v4, nil, id) }, "quic:connection_started",
		`{"local":{"ip_v4":"192.0.2.1","port_v4":4433},"remote":{"ip_v4":"192.0.2.1","port_v4":4433,"connection_ids":["abcd01"]}}`},
	{"a version is selected", func(t *Trace) { t.VersionSelected(at, 1) }, "quic:version_information",
		`{"chosen_version":"00000001"}`},
	{"a protocol is selected", func(t *Trace) { t.ALPN(at, "h3") }, "quic:alpn_information",
		`{"chosen_alpn":{"string_value":"h3"}}`},
	{"parameters are set", func(t *Trace) {
		t.ParametersSet(at, "remote", Params{
			TLSCipher: "AES_128_GCM_SHA256", OriginalDstID: id, InitialSrcID: []byte{}, MaxIdleTimeout: 30 * time.Second,
			MaxAckDelay: 25 * time.Millisecond, MaxUDPPayloadSize: 1472, AckDelayExponent: 3, ActiveConnIDLimit: 2,
			InitialMaxData: 1, InitialMaxStreamDataBidiLocal: 2, InitialMaxStreamDataBidiRemote: 3,
			InitialMaxStreamDataUni: 4, InitialMaxStreamsBidi: 5, InitialMaxStreamsUni: 6, MaxDatagramFrameSize: 65535,
			GreaseQUICBit: true, ResetStreamAt: true,
		})
	}, "quic:parameters_set",
		`{"initiator":"remote","tls_cipher":"AES_128_GCM_SHA256","original_destination_connection_id":"abcd01","initial_source_connection_id":"",` +
			`"disable_active_migration":false,"max_idle_timeout":30000,"max_udp_payload_size":1472,"ack_delay_exponent":3,"max_ack_delay":25,` +
			`"active_connection_id_limit":2,"initial_max_data":1,"initial_max_stream_data_bidi_local":2,"initial_max_stream_data_bidi_remote":3,` +
			`"initial_max_stream_data_uni":4,"initial_max_streams_bidi":5,"initial_max_streams_uni":6,"max_datagram_frame_size":65535,"grease_quic_bit":true,"reset_stream_at":true}`},
	{"a long packet is sent", func(t *Trace) {
		t.PacketSent(at, Packet{Type: "initial", Number: 7, Size: 1200, SrcID: id, DstID: id[:2], Coalesced: true, Trigger: "pto_probe",
			Frames: []Frame{{Type: "crypto", Offset: 10, Length: 300}, {Type: "padding", Length: 800}}})
	}, "quic:packet_sent",
		`{"header":{"packet_type":"initial","packet_number":7,"scil":3,"scid":"abcd01","dcil":2,"dcid":"abcd"},` +
			`"frames":[{"frame_type":"crypto","offset":10,"raw":{"payload_length":300}},{"frame_type":"padding","raw":{"length":800}}],` +
			`"raw":{"length":1200},"is_coalesced":true,"trigger":"pto_probe"}`},
	{"a short packet is received", func(t *Trace) {
		t.PacketReceived(at, Packet{Type: "1RTT", Number: 0, Size: 40, KeyPhase: true, Frames: []Frame{{Type: "ping"}}})
	}, "quic:packet_received",
		`{"header":{"packet_type":"1RTT","key_phase_bit":true,"packet_number":0},"frames":[{"frame_type":"ping"}],"raw":{"length":40}}`},
	{"a Retry has no packet number", func(t *Trace) { t.PacketReceived(at, Packet{Type: "retry", Size: 60, SrcID: id}) }, "quic:packet_received",
		`{"header":{"packet_type":"retry","scil":3,"scid":"abcd01"},"raw":{"length":60}}`},
	{"a packet is dropped", func(t *Trace) { t.PacketDropped(at, Dropped{Type: "handshake", Trigger: "key_unavailable", Size: 99}) }, "quic:packet_dropped",
		`{"header":{"packet_type":"handshake"},"raw":{"length":99},"trigger":"key_unavailable"}`},
	{"a packet is dropped for a reason of our own", func(t *Trace) { t.PacketDropped(at, Dropped{Type: "initial", Trigger: "too_small", Size: 99}) }, "quic:packet_dropped",
		`{"header":{"packet_type":"initial"},"raw":{"length":99},"details":{"reason":"too_small"},"trigger":"general"}`},
	{"a datagram that is no packet is dropped", func(t *Trace) { t.PacketDropped(at, Dropped{Size: 1}) }, "quic:packet_dropped",
		`{"header":{"packet_type":"unknown"},"raw":{"length":1}}`},
	{"a packet is lost", func(t *Trace) { t.PacketLost(at, "1RTT", 12, "time_threshold") }, "quic:packet_lost",
		`{"header":{"packet_type":"1RTT","packet_number":12},"trigger":"time_threshold"}`},
	{"metrics are first known", func(t *Trace) {
		t.Metrics(at, Metrics{Min: time.Millisecond, Smoothed: 1500 * time.Microsecond, Latest: 2 * time.Millisecond, Var: 1, Window: 12000,
			InFlight: 1200, SSThresh: 9000, PTOCount: 1, PacingRate: 1000})
	}, "quic:recovery_metrics_updated",
		`{"min_rtt":1,"smoothed_rtt":1.5,"latest_rtt":2,"rtt_variance":0.000001,"pto_count":1,"congestion_window":12000,"bytes_in_flight":1200,"ssthresh":9000,"pacing_rate":8000}`},
	{"a congestion state is entered", func(t *Trace) { t.CongestionState(at, "slow_start") }, "quic:congestion_state_updated",
		`{"new":"slow_start"}`},
	{"a path proves to carry ECN marks", func(t *Trace) { t.ECNState(at, "testing", "capable") }, "quic:ecn_state_updated",
		`{"old":"testing","new":"capable"}`},
	{"a timer fires", func(t *Trace) { t.TimerExpired(at, "pto", "initial") }, "quic:timer_updated",
		`{"timer_type":"pto","packet_number_space":"initial","event_type":"expired"}`},
	{"a timer of no space fires", func(t *Trace) { t.TimerExpired(at, "idle_timeout", "") }, "quic:timer_updated",
		`{"timer_type":"idle_timeout","event_type":"expired"}`},
	{"a handshake key is installed", func(t *Trace) { t.KeyUpdated(at, "server_handshake_secret", 0) }, "quic:key_updated",
		`{"key_type":"server_handshake_secret","trigger":"tls"}`},
	{"a 1-RTT key is updated", func(t *Trace) { t.KeyUpdated(at, "client_1rtt_secret", 2) }, "quic:key_updated",
		`{"key_type":"client_1rtt_secret","key_phase":2}`},
	{"a key is discarded", func(t *Trace) { t.KeyDiscarded(at, "client_initial_secret") }, "quic:key_discarded",
		`{"key_type":"client_initial_secret"}`},
	{"the state of the connection changes", func(t *Trace) { t.ConnectionState(at, "handshake_confirmed") }, "quic:connection_state_updated",
		`{"new":"handshake_confirmed"}`},
	{"the connection moves", func(t *Trace) { t.PathAssigned(at, v4, v6) }, "quic:tuple_assigned",
		`{"tuple_id":"1","tuple_remote":{"ip_v6":"2001:db8::2","port_v6":50000},"tuple_local":{"ip_v4":"192.0.2.1","port_v4":4433}}`},
	{"datagrams grow", func(t *Trace) { t.MTUUpdated(at, 1200, 1452, true) }, "quic:mtu_updated",
		`{"old":1200,"new":1452,"done":true}`},
	{"we close for a transport error", func(t *Trace) {
		t.ConnectionClosed(at, Closed{Owner: "local", Code: 0xa, Reason: "no", Trigger: "error"})
	}, "quic:connection_closed",
		`{"initiator":"local","connection_error":"protocol_violation","reason":"no","trigger":"error"}`},
	{"the peer closes for a TLS alert", func(t *Trace) { t.ConnectionClosed(at, Closed{Owner: "remote", Code: 0x12a}) }, "quic:connection_closed",
		`{"initiator":"remote","connection_error":"crypto_error_0x12a"}`},
	{"an unknown transport error keeps its number", func(t *Trace) { t.ConnectionClosed(at, Closed{Code: 0x4242}) }, "quic:connection_closed",
		`{"connection_error":"unknown","error_code":16962}`},
	{"an application closes", func(t *Trace) {
		t.ConnectionClosed(at, Closed{Owner: "local", App: true, Code: 0x100, Trigger: "application"})
	}, "quic:connection_closed",
		`{"initiator":"local","application_error":"unknown","error_code":256,"trigger":"application"}`},
	{"nobody closes, it is idle", func(t *Trace) { t.ConnectionClosed(at, Closed{Trigger: "idle_timeout"}) }, "quic:connection_closed",
		`{"trigger":"idle_timeout"}`},
	{"an end the draft has no name for", func(t *Trace) { t.ConnectionClosed(at, Closed{Owner: "local", Trigger: "handshake_timeout"}) }, "quic:connection_closed",
		`{"initiator":"local","reason":"handshake_timeout","trigger":"unspecified"}`},
	{"HTTP/3 settings are set", func(t *Trace) {
		t.H3Parameters(at, "local", [][2]uint64{{1, 0}, {6, 65536}, {7, 0}, {8, 1}, {0x33, 1}, {0x40, 5}})
	}, "http3:parameters_set",
		`{"initiator":"local","max_table_capacity":0,"max_field_section_size":65536,"blocked_streams_count":0,"extended_connect":1,"h3_datagram":1}`},
	{"a stream gets a type", func(t *Trace) { t.H3StreamType(at, 2, "remote", "control") }, "http3:stream_type_set",
		`{"initiator":"remote","stream_id":2,"stream_type":"control"}`},
	{"headers are sent", func(t *Trace) {
		t.H3FrameCreated(at, 0, H3Frame{Type: "headers", Length: 9, Fields: [][2]string{{":method", "GET"}, {"x", "\"\x00\xff"}}})
	}, "http3:frame_created",
		`{"stream_id":0,"frame":{"frame_type":"headers","headers":[{"name":":method","value":"GET"},{"name":"x","value":"\"\u0000` + "\ufffd" + `"}],"raw":{"payload_length":9}}}`},
	{"headers without fields keep their list", func(t *Trace) { t.H3FrameParsed(at, 0, H3Frame{Type: "headers"}) }, "http3:frame_parsed",
		`{"stream_id":0,"frame":{"frame_type":"headers","headers":[],"raw":{"payload_length":0}}}`},
	{"data is read", func(t *Trace) { t.H3FrameParsed(at, 4, H3Frame{Type: "data", Length: 100}) }, "http3:frame_parsed",
		`{"stream_id":4,"frame":{"frame_type":"data","raw":{"payload_length":100}}}`},
	{"a datagram is sent", func(t *Trace) { t.H3DatagramCreated(at, 8, 100) }, "http3:datagram_created",
		`{"quarter_stream_id":2,"raw":{"payload_length":100}}`},
	{"a datagram comes", func(t *Trace) { t.H3DatagramParsed(at, 0, 0) }, "http3:datagram_parsed",
		`{"quarter_stream_id":0,"raw":{"payload_length":0}}`},
	{"settings are sent", func(t *Trace) {
		t.H3FrameCreated(at, 3, H3Frame{Type: "settings", Settings: [][2]uint64{{6, 100}, {0x21 + 0x1f*3, 7}, {0x99, 1}}})
	}, "http3:frame_created",
		`{"stream_id":3,"frame":{"frame_type":"settings","settings":[{"name":"settings_max_field_section_size","value":100},{"name":"reserved","value":7},{"name":"unknown","name_bytes":153,"value":1}]}}`},
	{"a push is promised", func(t *Trace) { t.H3FrameParsed(at, 0, H3Frame{Type: "push_promise", ID: 3, Length: 5}) }, "http3:frame_parsed",
		`{"stream_id":0,"frame":{"frame_type":"push_promise","push_id":3,"headers":[],"raw":{"payload_length":5}}}`},
	{"a push is cancelled", func(t *Trace) { t.H3FrameParsed(at, 2, H3Frame{Type: "cancel_push", ID: 3}) }, "http3:frame_parsed",
		`{"stream_id":2,"frame":{"frame_type":"cancel_push","push_id":3}}`},
	{"pushes are allowed", func(t *Trace) { t.H3FrameParsed(at, 2, H3Frame{Type: "max_push_id", ID: 8}) }, "http3:frame_parsed",
		`{"stream_id":2,"frame":{"frame_type":"max_push_id","push_id":8}}`},
	{"the server goes away", func(t *Trace) { t.H3FrameCreated(at, 3, H3Frame{Type: "goaway", ID: 16}) }, "http3:frame_created",
		`{"stream_id":3,"frame":{"frame_type":"goaway","id":16}}`},
	{"a priority is updated", func(t *Trace) { t.H3FrameParsed(at, 2, H3Frame{Type: "priority_update", ID: 4, Priority: "u=1, i"}) }, "http3:frame_parsed",
		`{"stream_id":2,"frame":{"frame_type":"priority_update","stream_id":4,"priority_field_value":"u=1, i"}}`},
	{"a greased frame comes", func(t *Trace) { t.H3FrameParsed(at, 2, H3Frame{Type: "reserved", ID: 0x21, Length: 3}) }, "http3:frame_parsed",
		`{"stream_id":2,"frame":{"frame_type":"reserved","frame_type_bytes":33,"raw":{"payload_length":3}}}`},
}

func TestEveryEventWritesItsRecord(t *testing.T) {
	for _, c := range events {
		tr := New(Config{})
		tr.Take()
		c.do(tr)
		tuple := ""
		if c.name == "quic:tuple_assigned" {
			tuple = `,"tuple":"1"`
		}
		want := "\x1e" + `{"time":1500.25,"name":"` + c.name + `"` + tuple + `,"data":` + c.data + "}\n"
		got := string(tr.Take())
		if got != want {
			t.Errorf("%s:\n got %q\nwant %q", c.about, got, want)
		}
		for _, r := range parse(t, []byte(got)) {
			checkRequired(t, r)
		}
	}
}

func TestEveryFrameWritesItsMembers(t *testing.T) {
	for _, c := range []struct {
		frame Frame
		want  string
	}{
		{Frame{Type: "padding", Length: 3}, `{"frame_type":"padding","raw":{"length":3}}`},
		{Frame{Type: "ping"}, `{"frame_type":"ping"}`},
		{Frame{Type: "ack", Delay: 1250 * time.Microsecond, Ranges: []rangeset.Range{{Start: 7, End: 10}, {Start: 2, End: 3}}},
			`{"frame_type":"ack","ack_delay":1.25,"acked_ranges":[[7,9],[2]]}`},
		{Frame{Type: "ack", Ranges: []rangeset.Range{{Start: 0, End: 1}}, ECN: true, ECT0: 4, CE: 1},
			`{"frame_type":"ack","ack_delay":0,"acked_ranges":[[0]],"ect1":0,"ect0":4,"ce":1}`},
		{Frame{Type: "reset_stream", ID: 4, Code: 9, Length: 100}, `{"frame_type":"reset_stream","stream_id":4,"error":"unknown","error_code":9,"final_size":100}`},
		{Frame{Type: "reset_stream_at", ID: 4, Code: 9, Length: 100, Max: 7}, `{"frame_type":"reset_stream_at","stream_id":4,"error":"unknown","error_code":9,"final_size":100,"reliable_size":7}`},
		{Frame{Type: "stop_sending", ID: 4, Code: 9}, `{"frame_type":"stop_sending","stream_id":4,"error":"unknown","error_code":9}`},
		{Frame{Type: "crypto", Offset: 5, Length: 6}, `{"frame_type":"crypto","offset":5,"raw":{"payload_length":6}}`},
		{Frame{Type: "new_token", Bytes: id}, `{"frame_type":"new_token","token":{"raw":{"length":3}}}`},
		{Frame{Type: "stream", ID: 8, Offset: 1, Length: 2, Fin: true}, `{"frame_type":"stream","stream_id":8,"offset":1,"fin":true,"raw":{"payload_length":2}}`},
		{Frame{Type: "stream"}, `{"frame_type":"stream","stream_id":0,"offset":0,"raw":{"payload_length":0}}`},
		{Frame{Type: "max_data", Max: 9}, `{"frame_type":"max_data","maximum":9}`},
		{Frame{Type: "max_stream_data", ID: 4, Max: 9}, `{"frame_type":"max_stream_data","stream_id":4,"maximum":9}`},
		{Frame{Type: "max_streams", Uni: true, Max: 9}, `{"frame_type":"max_streams","stream_type":"unidirectional","maximum":9}`},
		{Frame{Type: "data_blocked", Max: 9}, `{"frame_type":"data_blocked","limit":9}`},
		{Frame{Type: "stream_data_blocked", ID: 4, Max: 9}, `{"frame_type":"stream_data_blocked","stream_id":4,"limit":9}`},
		{Frame{Type: "streams_blocked", Max: 9}, `{"frame_type":"streams_blocked","stream_type":"bidirectional","limit":9}`},
		{Frame{Type: "new_connection_id", Seq: 3, RetirePriorTo: 1, Bytes: id},
			`{"frame_type":"new_connection_id","sequence_number":3,"retire_prior_to":1,"connection_id_length":3,"connection_id":"abcd01"}`},
		{Frame{Type: "retire_connection_id", Seq: 3}, `{"frame_type":"retire_connection_id","sequence_number":3}`},
		{Frame{Type: "path_challenge", Bytes: id}, `{"frame_type":"path_challenge","data":"abcd01"}`},
		{Frame{Type: "path_response", Bytes: id}, `{"frame_type":"path_response","data":"abcd01"}`},
		{Frame{Type: "connection_close", Code: 7, Reason: "a\nb", ID: 8},
			`{"frame_type":"connection_close","error_space":"transport","error":"frame_encoding_error","reason":"a\nb","trigger_frame_type":8}`},
		{Frame{Type: "connection_close", App: true, Code: 7}, `{"frame_type":"connection_close","error_space":"application","error":"unknown","error_code":7}`},
		{Frame{Type: "handshake_done"}, `{"frame_type":"handshake_done"}`},
		{Frame{Type: "datagram", Length: 10}, `{"frame_type":"datagram","raw":{"length":10}}`},
		{Frame{Type: "unknown", Code: 0x40}, `{"frame_type":"unknown","frame_type_bytes":64}`},
	} {
		tr := New(Config{})
		tr.Take()
		tr.PacketSent(at, Packet{Type: "1RTT", Frames: []Frame{c.frame}})
		want := "\x1e" + `{"time":1500.25,"name":"quic:packet_sent","data":{"header":{"packet_type":"1RTT","key_phase_bit":false,"packet_number":0},"frames":[` +
			c.want + "]}}\n"
		got := string(tr.Take())
		if got != want {
			t.Errorf("%s:\n got %s\nwant %s", c.frame.Type, got, want)
		}
		parse(t, []byte(got))
	}
}

func TestHTTP3GivesApplicationErrorsTheirNames(t *testing.T) {
	tr := New(Config{})
	tr.ALPN(at, "h3")
	tr.Take()
	for _, c := range []struct {
		code uint64
		want string
	}{
		{0x100, "http_no_error"}, {0x10c, "http_request_cancelled"}, {0x110, "http_version_fallback"},
		{0x111, "unknown"}, {0xff, "unknown"},
	} {
		tr.ConnectionClosed(at, Closed{App: true, Code: c.code})
		data := parse(t, tr.Take())[0]["data"].(map[string]any)
		if data["application_error"] != c.want {
			t.Errorf("code %#x is %v, want %s", c.code, data["application_error"], c.want)
		}
	}
}
