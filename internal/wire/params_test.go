package wire

import (
	"bytes"
	"errors"
	"math"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/godwit-net/godwit/internal/varint"
)

func fullParams() TransportParams {
	return TransportParams{
		OriginalDstID:                  []byte("original"),
		InitialSrcID:                   []byte("source"),
		RetrySrcID:                     []byte{},
		MaxIdleTimeout:                 30 * time.Second,
		HasResetToken:                  true,
		ResetToken:                     [16]byte{1, 2, 3},
		MaxUDPPayloadSize:              1452,
		InitialMaxData:                 1 << 20,
		InitialMaxStreamDataBidiLocal:  1 << 18,
		InitialMaxStreamDataBidiRemote: 1 << 17,
		InitialMaxStreamDataUni:        1 << 16,
		InitialMaxStreamsBidi:          MaxStreamCount,
		InitialMaxStreamsUni:           3,
		AckDelayExponent:               20,
		MaxAckDelay:                    (1<<14 - 1) * time.Millisecond,
		DisableActiveMigration:         true,
		PreferredAddress: &PreferredAddress{
			V4:         netip.MustParseAddrPort("192.0.2.1:443"),
			V6:         netip.MustParseAddrPort("[2001:db8::1]:8443"),
			ID:         MakeConnID([]byte("preferred")),
			ResetToken: [16]byte{9},
		},
		ActiveConnIDLimit:    8,
		MaxDatagramFrameSize: 65535,
		HasMinAckDelay:       true,
		MinAckDelay:          1500 * time.Microsecond,
		GreaseQUICBit:        true,
		ResetStreamAt:        true,
		Versions:             VersionInfo{Chosen: Version2, Available: []uint32{Version1, Version2, 0x1a2a3a4a}},
	}
}

func TestParametersComeBack(t *testing.T) {
	oneFamily := DefaultTransportParams()
	oneFamily.InitialSrcID = []byte("s")
	oneFamily.PreferredAddress = &PreferredAddress{V6: netip.MustParseAddrPort("[2001:db8::1]:1"), ID: MakeConnID([]byte("p"))}
	for _, p := range []TransportParams{DefaultTransportParams(), fullParams(), oneFamily} {
		for _, grease := range []uint64{0, 999, 0x7_0000_0001, 0xffffffffffffffff} {
			b := p.AppendTo(nil, grease)
			got, err := ConsumeTransportParams(b, true)
			if err != nil || !reflect.DeepEqual(got, p) {
				t.Errorf("grease %d: got %+v, %v\nwant %+v", grease, got, err, p)
			}
		}
	}
}

func TestDefaultsAreNotSent(t *testing.T) {
	p := DefaultTransportParams()
	if b := p.AppendTo(nil, 0); !bytes.Equal(b, []byte{27, 0}) {
		t.Errorf("only the reserved parameter was expected: %x", b)
	}
	got, err := ConsumeTransportParams(nil, false)
	if err != nil || !reflect.DeepEqual(got, p) {
		t.Errorf("no parameters are %+v, %v", got, err)
	}
	if p.MaxUDPPayloadSize != 65527 || p.AckDelayExponent != 3 || p.MaxAckDelay != 25*time.Millisecond || p.ActiveConnIDLimit != 2 {
		t.Errorf("the defaults are %+v", p)
	}
}

func TestReservedParameterIsOfItsForm(t *testing.T) {
	p := DefaultTransportParams()
	for grease := uint64(1); grease < 1<<62; grease *= 3 {
		b := p.AppendTo(nil, grease)
		id, n := varint.Consume(b)
		if id != 31*(grease%1000)+27 || int(b[n]) != len(b)-n-1 {
			t.Errorf("grease %d gives %x", grease, b)
		}
	}
}

// param encodes one parameter; number encodes one of an integer.
func param(id uint64, value string) string { return string(appendParam(nil, id, []byte(value))) }
func number(id, v uint64) string           { return param(id, string(varint.Append(nil, v))) }

func TestInvalidParametersAreRejected(t *testing.T) {
	// Rules: 9000:4.6/1, 9000:7.4/1, 9000:7.4/3, 9000:18.2/6, 9000:18.2/8, 9000:18.2/10, 9287:3/1, 9368:4/4, 9368:4/5
	// Rules: 9368:4/6
	const addresses = "\x7f\x00\x00\x01\x01\xbb" + "0123456789abcdef" + "\x01\xbb"
	const token = "0123456789abcdef"
	for _, c := range []struct {
		name, bytes, want string
		client            bool
	}{
		{name: "half an identifier", bytes: number(4, 1) + "\x40", want: "at the end is truncated"},
		{name: "an identifier without a length", bytes: "\x04", want: "initial_max_data is truncated"},
		{name: "a value shorter than its length", bytes: "\x04\x02\x40", want: "truncated"},
		{name: "a length beyond everything", bytes: "\x04\xff\xff\xff\xff\xff\xff\xff\xff", want: "truncated"},
		{name: "an unknown parameter cut off", bytes: "\x3f\x02\x00", want: "truncated"},
		{name: "a duplicate", bytes: number(4, 1) + number(4, 1), want: "initial_max_data is sent twice"},
		{name: "a duplicate grease_quic_bit", bytes: param(0x2ab2, "") + param(0x2ab2, ""), want: "twice"},
		{name: "an integer followed by more", bytes: param(4, "\x01\x01"), want: "not an integer"},
		{name: "a truncated integer", bytes: param(4, "\x40"), want: "not an integer"},
		{name: "an empty integer", bytes: param(1, ""), want: "not an integer"},
		{name: "max_udp_payload_size 1199", bytes: number(3, 1199), want: "below 1200"},
		{name: "initial_max_streams_bidi 2^60+1", bytes: number(8, 1<<60+1), want: "2^60"},
		{name: "initial_max_streams_uni 2^60+1", bytes: number(9, 1<<60+1), want: "2^60"},
		{name: "ack_delay_exponent 21", bytes: number(10, 21), want: "above 20"},
		{name: "max_ack_delay 2^14", bytes: number(11, 1<<14), want: "2^14"},
		{name: "active_connection_id_limit 1", bytes: number(14, 1), want: "below 2"},
		{name: "min_ack_delay above max_ack_delay", bytes: number(0xff04de1b, 25001), want: "min_ack_delay is greater"},
		{name: "a duplicate min_ack_delay", bytes: number(0xff04de1b, 1) + number(0xff04de1b, 1), want: "twice"},
		{name: "disable_active_migration with a value", bytes: param(12, "\x01"), want: "not empty"},
		{name: "grease_quic_bit with a value", bytes: param(0x2ab2, "\x01"), want: "not empty"},
		{name: "reset_stream_at with a value", bytes: param(0x1d, "\x01"), want: "reset_stream_at is not empty"},
		{name: "reset_stream_at of old with a value", bytes: param(0x17f7586d2cb571, "\x01"), want: "reset_stream_at is not empty"},
		{name: "a duplicate reset_stream_at", bytes: param(0x1d, "") + param(0x1d, ""), want: "twice"},
		{name: "a duplicate reset_stream_at of old", bytes: param(0x17f7586d2cb571, "") + param(0x17f7586d2cb571, ""), want: "twice"},
		{name: "stateless_reset_token of 15 bytes", bytes: param(2, token[1:]), want: "16 bytes"},
		{name: "a connection ID of 21 bytes", bytes: param(15, token+"01234"), want: "20 bytes"},
		{name: "preferred_address without a connection ID", bytes: param(13, addresses+"\x00"+token), want: "1 to 20"},
		{name: "preferred_address with one of 21 bytes", bytes: param(13, addresses+"\x15"+token+"01234"+token), want: "1 to 20"},
		{name: "preferred_address cut off", bytes: param(13, addresses+"\x01x"+token[1:]), want: "length"},
		{name: "preferred_address with more behind", bytes: param(13, addresses+"\x01x"+token+"y"), want: "length"},
		{name: "preferred_address of a server with a zero-length connection ID",
			bytes: param(13, addresses+"\x01x"+token) + param(15, ""), want: "zero-length"},
		{name: "original_destination_connection_id from a client", client: true, bytes: param(0, "x"), want: "by a client"},
		{name: "stateless_reset_token from a client", client: true, bytes: param(2, token), want: "by a client"},
		{name: "preferred_address from a client", client: true, bytes: param(13, addresses+"\x01x"+token), want: "by a client"},
		{name: "retry_source_connection_id from a client", client: true, bytes: param(16, "x"), want: "by a client"},
		{name: "version_information without anything", bytes: param(17, ""), want: "not a list"},
		{name: "version_information cut off", bytes: param(17, "\x00\x00\x00\x01\x00\x00\x00"), want: "not a list"},
		{name: "version 0 is chosen", bytes: param(17, "\x00\x00\x00\x00\x00\x00\x00\x01"), want: "version 0"},
		{name: "version 0 is available", bytes: param(17, "\x00\x00\x00\x01\x00\x00\x00\x00"), want: "version 0"},
		{name: "a client's choice that it does not list", client: true, bytes: param(17, "\x00\x00\x00\x01\x6b\x33\x43\xcf"), want: "does not list"},
	} {
		_, err := ConsumeTransportParams([]byte(c.bytes), !c.client)
		var pe *ParamError
		if !errors.As(err, &pe) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want an error about %q", c.name, err, c.want)
		}
	}
}

func TestValuesAtTheirBoundsAreAccepted(t *testing.T) {
	// Rules: 9000:7.4.2/1
	for name, b := range map[string]string{ // any order
		"bounds": number(3, 1200) + number(8, 1<<60) + number(9, 1<<60) + number(10, 20) + number(11, 1<<14-1) + number(14, 2),
		"largest": number(1, varint.Max) + number(3, varint.Max) + number(4, varint.Max) + number(5, varint.Max) + number(6, varint.Max) +
			number(7, varint.Max) + number(14, varint.Max) + number(0x20, varint.Max),
		"a wide encoding":            param(4, "\xc0\x00\x00\x00\x00\x00\x00\x01"),
		"unknown, twice, and longer": param(0x3127, "what") + param(0x3127, "ever") + param(0x3f, ""),
		"a server's choice alone":    param(17, "\x00\x00\x00\x01"),
		"IDs of 0 and of 20 bytes":   param(15, "") + param(0, "01234567890123456789") + param(16, ""),
	} {
		p, err := ConsumeTransportParams([]byte(b), true)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if p.MaxIdleTimeout < 0 {
			t.Errorf("%s: the idle timeout is %v", name, p.MaxIdleTimeout)
		}
	}
}

func TestEitherIdentifierOfResetStreamAtIsEnough(t *testing.T) {
	for _, b := range []string{param(0x1d, ""), param(0x17f7586d2cb571, ""), param(0x1d, "") + param(0x17f7586d2cb571, "")} {
		if p, err := ConsumeTransportParams([]byte(b), true); err != nil || !p.ResetStreamAt {
			t.Errorf("%x: %v, %v", b, p.ResetStreamAt, err)
		}
	}
	p := DefaultTransportParams()
	p.ResetStreamAt = true
	if b := string(p.AppendTo(nil, 0)); !strings.Contains(b, param(0x1d, "")) || !strings.Contains(b, param(0x17f7586d2cb571, "")) {
		t.Errorf("they are not both sent: %x", b)
	}
}

func TestTheResultDoesNotAliasTheMessage(t *testing.T) {
	full := fullParams()
	b := full.AppendTo(nil, 0)
	p, _ := ConsumeTransportParams(b, true)
	clear(b)
	if !reflect.DeepEqual(p, full) {
		t.Errorf("overwriting the message changed its parameters: %+v", p)
	}
}

func TestDurationsAreRoundedUpToMilliseconds(t *testing.T) {
	p := DefaultTransportParams()
	p.MaxIdleTimeout, p.MaxAckDelay = 1, 26*time.Millisecond+1
	got, err := ConsumeTransportParams(p.AppendTo(nil, 0), false)
	if err != nil || got.MaxIdleTimeout != time.Millisecond || got.MaxAckDelay != 27*time.Millisecond {
		t.Errorf("%v, %v, %v", got.MaxIdleTimeout, got.MaxAckDelay, err)
	}
	p.MaxIdleTimeout = math.MaxInt64
	if got, _ := ConsumeTransportParams(p.AppendTo(nil, 0), false); got.MaxIdleTimeout < math.MaxInt64-time.Millisecond {
		t.Errorf("the longest timeout comes back as %v", got.MaxIdleTimeout)
	}
}

func TestOurOwnInvalidParametersPanic(t *testing.T) {
	// Rules: 9000:18.2/4, 9000:18.2/5, 9000:18.2/7
	mustPanic(t, "the zero TransportParams", func() { new(TransportParams).AppendTo(nil, 0) })
	for _, spoil := range []func(*TransportParams){
		func(p *TransportParams) { p.MaxUDPPayloadSize = 1199 },
		func(p *TransportParams) { p.AckDelayExponent = 21 },
		func(p *TransportParams) { p.MaxAckDelay = (1 << 14) * time.Millisecond },
		func(p *TransportParams) { p.ActiveConnIDLimit = 1 },
		func(p *TransportParams) { p.InitialMaxStreamsBidi = 1<<60 + 1 },
		func(p *TransportParams) { p.InitialMaxData = -1 },
		func(p *TransportParams) { p.InitialSrcID = make([]byte, 21) },
		func(p *TransportParams) { p.InitialSrcID = []byte{} }, // and there is a preferred address
		func(p *TransportParams) { p.PreferredAddress.ID = ConnID{} },
		func(p *TransportParams) { p.PreferredAddress.V4 = p.PreferredAddress.V6 },
	} {
		p := fullParams()
		spoil(&p)
		mustPanic(t, "an invalid parameter", func() { p.AppendTo(nil, 0) })
	}
}

func FuzzTransportParams(f *testing.F) {
	full, none := fullParams(), DefaultTransportParams()
	f.Add(full.AppendTo(nil, 12345), true)
	f.Add(none.AppendTo(nil, 0), false)
	f.Add([]byte(number(3, 1200)+number(8, 1<<60)), false)
	f.Fuzz(func(t *testing.T, b []byte, fromServer bool) {
		p, err := ConsumeTransportParams(b, fromServer)
		if err != nil {
			var pe *ParamError
			if !errors.As(err, &pe) {
				t.Fatalf("%T", err)
			}
			return
		}
		if p.PreferredAddress != nil && p.InitialSrcID == nil {
			p.InitialSrcID = []byte("s") // present in every real handshake; appending insists on it
		}
		again, err := ConsumeTransportParams(p.AppendTo(nil, 7), fromServer)
		if err != nil || !reflect.DeepEqual(again, p) {
			t.Fatalf("%+v comes back as %+v, %v", p, again, err)
		}
	})
}
