package interop

import (
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/godwit-net/godwit/internal/wire"
)

// check is a condition of the runner's, on what was sent.
type check func(*evidence) error

// servers are the long headers that the server sent, of one type; wire.PacketInvalid stands for all.
func (e *evidence) long(up bool, t wire.PacketType) (list []wire.LongHeader) {
	for i := range e.wire {
		if e.wire[i].up != up {
			continue
		}
		for _, p := range e.wire[i].packets {
			if p.Type == t || t == wire.PacketInvalid {
				list = append(list, p)
			}
		}
	}
	return list
}

// wantHandshakes counts the connections as the runner does: by the source connection IDs of the server's Initial packets. A
// server that answers copies of a client's first packet with new connections shows more.
func wantHandshakes(n int) check {
	return func(e *evidence) error {
		ids := map[string]bool{}
		for _, h := range e.long(false, wire.PacketInitial) {
			ids[string(h.SrcID)] = true
		}
		if len(ids) != n {
			return fmt.Errorf("%d handshakes, want %d", len(ids), n)
		}
		return nil
	}
}

// wantVersion1 wants all of the server's long headers in version 1.
func wantVersion1(e *evidence) error {
	for _, h := range e.long(false, wire.PacketInvalid) {
		if h.Type != wire.PacketVersionNegotiation && h.Version != wire.Version1 {
			return fmt.Errorf("the server sends a packet of version %#x", h.Version)
		}
	}
	return nil
}

func wantNoRetry(e *evidence) error {
	if n := len(e.long(false, wire.PacketRetry)); n > 0 {
		return fmt.Errorf("%d Retry packets", n)
	}
	return nil
}

// ourPackets are the packets of one type that the client, or the server, sent: as we sent or received them.
func (e *evidence) ourPackets(byClient bool, packetType string) (list []event) {
	name := "quic:packet_received"
	if byClient == (e.c.role == asClient) {
		name = "quic:packet_sent"
	}
	for _, events := range e.conns {
		for _, ev := range events {
			if ev.Name == name && ev.Data.Header.Type == packetType {
				list = append(list, ev)
			}
		}
	}
	return list
}

// wantTwoClientHellos wants the client to have repeated the beginning of its handshake, as it must within 1.5 s of silence.
func wantTwoClientHellos(e *evidence) error {
	n := 0
	for _, p := range e.ourPackets(true, "initial") {
		if slices.ContainsFunc(p.Data.Frames, func(f loggedFrame) bool { return f.Type == "crypto" && f.Offset == 0 }) {
			n++
		}
	}
	if n < 2 {
		return fmt.Errorf("%d packets with the beginning of a ClientHello, want 2", n)
	}
	return nil
}

// wantChaCha wants the client to offer one cipher suite, or where the server insists on it, as the cell's variant then says,
// the server to choose it.
func wantChaCha(e *evidence) error {
	const chacha = "0x1303"
	hello, from := "tls.handshake.type==1", "client"
	if e.c.variant != "" {
		hello, from = "tls.handshake.type==2", "server"
	}
	rows, err := e.dissect(hello, "tls.handshake.ciphersuite")
	if err != nil {
		return err
	}
	if len(rows) == 0 {
		return fmt.Errorf("tshark finds no hello of the %s", from)
	}
	for _, row := range rows {
		if row[1] != chacha {
			return fmt.Errorf("the hello of the %s has the cipher suites %s", from, row[1])
		}
	}
	return nil
}

// wantFewStreams wants the server to say how many streams a client may have open at once, and to say at most 1000.
func wantFewStreams(e *evidence) error {
	owner := "local"
	if e.c.role == asClient {
		owner = "remote"
	}
	for _, events := range e.conns {
		for _, ev := range events {
			if ev.Name == "quic:parameters_set" && ev.Data.Initiator == owner {
				if ev.Data.MaxBidi == nil || *ev.Data.MaxBidi > 1000 {
					return fmt.Errorf("the server's initial_max_streams_bidi is absent or above 1000")
				}
				return nil
			}
		}
	}
	return errors.New("our qlog does not have the server's transport parameters")
}

// wantRetry wants a Retry packet with a token, the token back in an Initial packet, and packet numbers that do not begin again.
func wantRetry(e *evidence) error {
	tokens := map[string]bool{}
	for _, h := range e.long(false, wire.PacketRetry) {
		tokens[hex.EncodeToString(h.Token)] = true
	}
	if len(tokens) == 0 {
		return errors.New("the server sent no Retry packet")
	}
	rows, err := e.dissect("quic.long.packet_type==0", "udp.dstport", "quic.packet_number", "quic.token")
	if err != nil {
		return err
	}
	before, used := int64(-1), false
	for _, row := range rows {
		if !slices.Contains(e.c.serverPorts(), port16(row[1])) {
			continue
		}
		number, err := strconv.ParseInt(strings.Split(row[2], ",")[0], 10, 64)
		if err != nil {
			return fmt.Errorf("tshark shows the packet number %q", row[2])
		}
		switch token := strings.ReplaceAll(strings.Split(row[3], ",")[0], ":", ""); {
		case token == "" && !used:
			before = max(before, number)
		case tokens[token]:
			used = true
			if number <= before {
				return fmt.Errorf("an Initial packet with a token has number %d, one before the Retry has %d", number, before)
			}
		}
	}
	if !used {
		return errors.New("no Initial packet of the client's has the token of a Retry packet")
	}
	return nil
}

func port16(s string) uint16 {
	n, _ := strconv.ParseUint(s, 10, 16)
	return uint16(n)
}

// wantResumption wants a certificate on the first of two connections and none on the second.
func wantResumption(e *evidence) error {
	rows, err := e.dissect("tls.handshake.type==11", "quic.connection.number")
	if err != nil {
		return err
	}
	for _, row := range rows {
		if n := strings.Split(row[1], ",")[0]; n != "0" {
			return fmt.Errorf("there is a certificate on connection %s too", n)
		}
	}
	if len(rows) == 0 {
		return errors.New("tshark finds no certificate, not even on the first connection")
	}
	return nil
}

// wantEarlyRequests wants the requests of the second connection in 0-RTT, and hardly anything of them after it.
func wantEarlyRequests(e *evidence) error {
	const most = 40 * 250 / 2 // bytes, as the runner has it
	payload := func(packetType string) (n int64) {
		for _, p := range e.ourPackets(true, packetType) {
			for _, f := range p.Data.Frames {
				if f.Type == "stream" {
					n += f.Raw.Length
				}
			}
		}
		return n
	}
	early, late := payload("0RTT"), payload("1RTT")
	if early == 0 {
		return errors.New("nothing was sent in 0-RTT")
	}
	if late > most {
		return fmt.Errorf("the client sent %d bytes in 0-RTT and %d in 1-RTT packets, want at most %d of these", early, late, most)
	}
	return wantResumption(e)
}

// wantBothKeyPhases wants packets of the second key phase from both ends.
func wantBothKeyPhases(e *evidence) error {
	rows, err := e.dissect("quic.key_phase==1", "udp.dstport")
	if err != nil {
		return err
	}
	var up, down bool
	for _, row := range rows {
		toServer := slices.Contains(e.c.serverPorts(), port16(row[1]))
		up, down = up || toServer, down || !toServer
	}
	if !up || !down {
		return fmt.Errorf("key phase 1: in packets of the client %v, of the server %v", up, down)
	}
	return nil
}

// wantECN wants both ends to mark packets, both to report marks, and none to say "congestion experienced".
func wantECN(e *evidence) error {
	marked := map[bool]bool{}
	for _, d := range e.wire {
		switch d.ecn {
		case 1, 2:
			marked[d.up] = true
		case 3:
			return errors.New("a packet is marked CE")
		}
	}
	if !marked[true] || !marked[false] {
		return fmt.Errorf("packets with ECT: of the client %v, of the server %v", marked[true], marked[false])
	}
	for _, byClient := range []bool{true, false} {
		reports := false
		for _, typ := range []string{"initial", "handshake", "1RTT"} {
			for _, p := range e.ourPackets(byClient, typ) {
				reports = reports || slices.ContainsFunc(p.Data.Frames, func(f loggedFrame) bool { return f.Type == "ack" && f.ECT0 != nil })
			}
		}
		if !reports {
			return fmt.Errorf("no acknowledgment with ECN counts (by the client: %v)", byClient)
		}
	}
	return nil
}

// wantAmplificationLimit wants a flight of the server's that is larger than what it may send to an address that is not validated,
// and that it did not send more all the same: three times what came, and less than four as the runner measures it.
func wantAmplificationLimit(e *evidence) error {
	const flight = 7500
	most := int64(0)
	for _, p := range e.ourPackets(false, "handshake") {
		for _, f := range p.Data.Frames {
			if f.Type == "crypto" {
				most = max(most, f.Offset)
			}
		}
	}
	if most < flight {
		return fmt.Errorf("the server's handshake data reaches only to offset %d, want %d", most, flight)
	}
	in, out := 0, 0
	for _, d := range e.wire {
		handshake := slices.ContainsFunc(d.packets, func(p wire.LongHeader) bool { return p.Type == wire.PacketHandshake })
		switch {
		case d.up && handshake:
			return nil
		case d.up:
			in += d.size
		default:
			out += d.size
		}
		if out >= 4*in {
			return fmt.Errorf("the server sent %d bytes when the client had sent %d", out, in)
		}
	}
	return errors.New("no Handshake packet of the client's")
}

func wantIPv6(e *evidence) error {
	for _, d := range e.wire {
		if d.src.Addr().Is4() {
			return errors.New("a packet went over IPv4")
		}
	}
	return nil
}

// wantVersion2 wants the client to begin with version 1, the server to answer in version 2, and all else in that.
func wantVersion2(e *evidence) error {
	has := func(up bool, t wire.PacketType, version uint32) bool {
		return slices.ContainsFunc(e.long(up, t), func(h wire.LongHeader) bool { return h.Version == version })
	}
	switch {
	case !has(true, wire.PacketInitial, wire.Version1):
		return errors.New("no Initial packet of the client's in version 1")
	case !has(false, wire.PacketInitial, wire.Version2):
		return errors.New("no Initial packet of the server's in version 2")
	case has(true, wire.PacketHandshake, wire.Version1), has(false, wire.PacketHandshake, wire.Version1):
		return errors.New("Handshake packets in version 1")
	case !has(true, wire.PacketHandshake, wire.Version2), !has(false, wire.PacketHandshake, wire.Version2):
		return errors.New("no Handshake packets in version 2 from one of the two")
	}
	return nil
}

// paths are the client's addresses as the server saw them, or pairs of addresses where the server's changed, in order, each with
// the number of the first frame that the server sent on it.
//
// What is before the client's first Handshake packet is left out: nobody migrates during the handshake (RFC 9000, section 9).
func (e *evidence) paths() (list []serverPath) {
	begun := false
	for i := range e.wire {
		d := &e.wire[i]
		begun = begun || d.up && slices.ContainsFunc(d.packets, func(p wire.LongHeader) bool { return p.Type == wire.PacketHandshake })
		if !begun {
			continue
		}
		p := serverPath{client: d.src, server: d.dst}
		if !d.up {
			p = serverPath{client: d.dst, server: d.src}
		}
		at := slices.IndexFunc(list, func(q serverPath) bool { return q.client == p.client && q.server == p.server })
		if at < 0 {
			at = len(list)
			list = append(list, p)
		}
		if !d.up && list[at].first == 0 {
			list[at].first = d.frame
		}
	}
	return list
}

type serverPath struct {
	client, server netip.AddrPort
	first          int // the frame; 0: the server sent nothing there
}

// wantPathsValidated wants the server to begin with a PATH_CHALLENGE on each path but the first, and the client to answer each
// challenge of the server's that reached it.
//
// A client that moves by itself probes the new path, and a server may answer that before it has anything to ask: there the challenge
// may come later.
func wantPathsValidated(e *evidence) error {
	list := e.paths()
	if len(list) < 2 {
		return fmt.Errorf("the server saw %d path", len(list))
	}
	for _, p := range list[1:] {
		if p.first == 0 || e.c.wants.move {
			continue
		}
		if err := e.wantChallengeIn(p.first); err != nil {
			return fmt.Errorf("the server's first packet to %v: %w", p.client, err)
		}
	}
	return e.wantChallengesAnswered()
}

// wantChallengeIn wants a PATH_CHALLENGE in a frame that the server sent.
func (e *evidence) wantChallengeIn(frame int) error {
	rows, err := e.dissect(fmt.Sprintf("frame.number==%d", frame), "quic.frame_type", "quic.path_challenge.data", "quic.dcid")
	switch {
	case err != nil:
		return err
	case len(rows) != 1:
		return fmt.Errorf("tshark does not show frame %d", frame)
	case rows[0][2] != "":
		return nil
	case rows[0][1] != "" || e.c.role != asServer:
		return fmt.Errorf("frame %d has no PATH_CHALLENGE", frame)
	}
	// tshark cannot decrypt a packet that was overtaken on the way into the capture when its number has but one byte. It is
	// ours: our qlog knows the first packet to this connection ID.
	for _, p := range e.ourPackets(false, "1RTT") {
		if p.Data.Header.DCID == strings.ReplaceAll(rows[0][3], ":", "") {
			if slices.ContainsFunc(p.Data.Frames, func(f loggedFrame) bool { return f.Type == "path_challenge" }) {
				return nil
			}
			break
		}
	}
	return fmt.Errorf("frame %d has no PATH_CHALLENGE in our qlog", frame)
}

// wantChallengesAnswered wants the client to answer each challenge of the server's that reached it, but for those that found it
// closing, and those for the socket that a client has left by itself.
func (e *evidence) wantChallengesAnswered() error {
	const closing = 50 * time.Millisecond
	rows, err := e.dissectAtClient("quic.path_challenge.data||quic.path_response.data||quic.frame_type==28||quic.frame_type==29",
		"udp.srcport", "udp.dstport", "frame.time_relative", "quic.path_challenge.data", "quic.path_response.data")
	if err != nil {
		return err
	}
	comma := func(r rune) bool { return r == ',' }
	fromServer := func(row []string) bool { return port16(row[1]) == e.c.addr.Port() }
	arrived, answered := map[string]time.Duration{}, map[string]bool{} // by what they carry
	closed, newest := time.Duration(math.MaxInt64), ""                 // the client, and its latest port
	for _, row := range rows {
		if !fromServer(row) {
			newest = row[1]
		}
	}
	for _, row := range rows {
		seconds, _ := strconv.ParseFloat(row[3], 64)
		at := time.Duration(seconds * float64(time.Second))
		if !fromServer(row) {
			for _, data := range strings.FieldsFunc(row[5], comma) {
				answered[data] = true
			}
			if row[4] == "" && row[5] == "" {
				closed = min(closed, at)
			}
			continue
		}
		for _, data := range strings.FieldsFunc(row[4], comma) {
			if row[2] == newest {
				arrived[data] = at
			}
		}
	}
	if len(arrived) == 0 {
		return errors.New("no challenge reached the client")
	}
	for data, at := range arrived { // any order
		if !answered[data] && at < closed-closing {
			return fmt.Errorf("the client does not answer the challenge %s; %d challenges reached it, %d were answered", data, len(arrived), len(answered))
		}
	}
	return nil
}

func wantTwoAddresses(e *evidence) error {
	addrs := map[netip.Addr]bool{}
	for _, p := range e.paths() {
		addrs[p.client.Addr()] = true
	}
	if len(addrs) < 2 {
		return fmt.Errorf("the server saw %d address of the client", len(addrs))
	}
	return nil
}

// wantMove is wantPathsValidated, and the client's first packet on the new path has a connection ID that was not used before.
func wantMove(e *evidence) error {
	if e.c.preferred.IsValid() {
		return e.wantMoveToPreferred()
	}
	if err := wantPathsValidated(e); err != nil {
		return err
	}
	rows, err := e.dissect("quic.dcid", "udp.srcport", "udp.dstport", "quic.dcid")
	if err != nil {
		return err
	}
	seen, used := map[string]string{}, map[string]bool{} // the ID that each path began with; the IDs of all paths
	for _, row := range rows {
		if !slices.Contains(e.c.serverPorts(), port16(row[2])) {
			continue
		}
		ids := strings.Split(row[3], ",")
		id, path := ids[len(ids)-1], row[1]+" "+row[2]
		if _, known := seen[path]; !known {
			if used[id] {
				return fmt.Errorf("the client's first packet on the path %s has the connection ID %s of the path before", path, id)
			}
			seen[path] = id
		}
		used[id] = true
	}
	return nil
}

// wantMoveToPreferred wants the same of a client that went to the server's preferred address, which no link leads to: by our qlog.
func (e *evidence) wantMoveToPreferred() error {
	if len(e.conns) != 1 {
		return fmt.Errorf("we logged %d connections", len(e.conns))
	}
	clients := "quic:packet_received"
	if e.c.role == asClient {
		clients = "quic:packet_sent"
	}
	var moved, probed bool
	used, asked, answered := map[string]bool{}, "", map[string]bool{}
	for _, ev := range e.conns[0] {
		moved = moved || ev.Name == "quic:tuple_assigned"
		if ev.Data.Header.Type == "" {
			continue
		}
		byClient := ev.Name == clients
		for _, f := range ev.Data.Frames {
			switch {
			case f.Type == "path_challenge" && byClient && !probed:
				if probed = true; used[ev.Data.Header.DCID] {
					return fmt.Errorf("the client probes with the connection ID %s of the path before", ev.Data.Header.DCID)
				}
			case f.Type == "path_challenge" && !byClient && probed && asked == "":
				asked = f.Data
			case f.Type == "path_response" && byClient:
				answered[f.Data] = true
			}
		}
		used[ev.Data.Header.DCID] = used[ev.Data.Header.DCID] || byClient
	}
	switch {
	case !probed:
		return errors.New("the client does not probe the preferred address")
	case !moved:
		return errors.New("the connection did not move")
	case asked == "":
		return errors.New("the server sends no PATH_CHALLENGE")
	case !answered[asked]:
		return fmt.Errorf("the client does not answer the challenge %s", asked)
	}
	return nil
}
