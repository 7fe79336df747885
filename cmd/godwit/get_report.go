package main

import (
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/godwit-net/godwit/quic"
)

// report is what get measured: times are milliseconds since the fetch began, sizes are bytes.
type report struct {
	URL            string      `json:"url"`
	Status         int         `json:"status"`
	Interim        []interim   `json:"interim,omitempty"`  // 1xx responses that came before it
	Trailers       http.Header `json:"trailers,omitempty"` // fields behind the content
	Remote         string      `json:"remote"`
	Local          string      `json:"local"`
	Protocol       string      `json:"protocol"`     // "HTTP/3"; over TCP "HTTP/2" or "HTTP/1.1", and what is about QUIC is 0
	Version        uint32      `json:"quic_version"` // 1, or the number of version 2
	ALPN           string      `json:"alpn"`
	TLS            string      `json:"tls"`
	Cipher         string      `json:"cipher"`
	Resumed        bool        `json:"resumed"`
	Handshake      float64     `json:"handshake_ms"` // from its first datagram on, the address known by then
	FirstByte      float64     `json:"first_byte_ms"`
	Total          float64     `json:"total_ms"`
	Bytes          int64       `json:"bytes"` // of content
	AddressChanges int64       `json:"address_changes"`
	RTT            float64     `json:"rtt_ms"` // smoothed
	MinRTT         float64     `json:"min_rtt_ms"`
	Controller     string      `json:"congestion_controller"`
	Window         int         `json:"congestion_window"`
	PacketsSent    int64       `json:"packets_sent"`
	PacketsGot     int64       `json:"packets_received"`
	PacketsLost    int64       `json:"packets_lost"`
}

// interim is a 1xx response, such as 103 (Early Hints).
type interim struct {
	Status int         `json:"status"`
	Header http.Header `json:"header,omitempty"`
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// verbosef writes a line, or several, with -v.
func (f *fetch) verbosef(format string, args ...any) {
	if f.verbose {
		fmt.Fprintf(f.p.stderr, format+"\n", args...)
	}
}

// describeConn takes down what is known after the handshake.
func (f *fetch) describeConn() {
	stats, state := f.conn.Stats(), f.conn.TLS()
	r := &f.report
	r.URL, r.Remote, r.Local = f.url.Redacted(), f.conn.RemoteAddr().String(), f.conn.LocalAddr().String()
	r.Version, r.ALPN, r.Resumed = stats.Version, stats.ALPN, stats.Resumed
	r.TLS, r.Cipher = tls.VersionName(state.Version), tls.CipherSuiteName(state.CipherSuite)
	r.Handshake = ms(stats.Handshake)
	f.verbosef("* connected to %s over UDP, QUIC version %s (0x%08x), ALPN %s", r.Remote, versionName(r.Version), r.Version, r.ALPN)
	f.describeTLS(state)
}

// describeTCP does the same for a connection over TCP.
func (f *fetch) describeTCP(conn *tls.Conn) {
	state := conn.ConnectionState()
	r := &f.report
	r.URL, r.Remote, r.Local = f.url.Redacted(), conn.RemoteAddr().String(), conn.LocalAddr().String()
	r.Version, r.ALPN, r.Resumed = 0, state.NegotiatedProtocol, state.DidResume
	r.TLS, r.Cipher = tls.VersionName(state.Version), tls.CipherSuiteName(state.CipherSuite)
	f.verbosef("* connected to %s over TCP, ALPN %s", r.Remote, r.ALPN)
	f.describeTLS(state)
}

func (f *fetch) describeTLS(state tls.ConnectionState) {
	f.verbosef("* %s %s, certificate %s, resumed: %s", f.report.TLS, f.report.Cipher, f.certificate(state), yesNo(f.report.Resumed))
}

// versionName is what a QUIC version is called, which in the case of version 2 is not its number.
func versionName(v uint32) string {
	if v == quic.Version2 {
		return "2"
	}
	return fmt.Sprint(v)
}

// certificate says whose certificate it is, and whether it was checked.
func (f *fetch) certificate(state tls.ConnectionState) string {
	if len(state.PeerCertificates) == 0 {
		return "none"
	}
	leaf := state.PeerCertificates[0]
	names := slices.Clone(leaf.DNSNames)
	for _, ip := range leaf.IPAddresses {
		names = append(names, ip.String())
	}
	text := fmt.Sprintf("for %s until %s", strings.Join(names, " "), leaf.NotAfter.UTC().Format("2006-01-02 15:04"))
	if f.insecure {
		text += " (not verified)"
	}
	return text
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

// finish takes down what the connection counted and writes the report.
func (f *fetch) finish() {
	r := &f.report
	r.Protocol = f.proto
	f.verbosef("* handshake %.1f ms, first byte %.1f ms, total %.1f ms, %d bytes", r.Handshake, r.FirstByte, r.Total, r.Bytes)
	if f.conn != nil {
		f.finishQUIC()
	}
	if !f.json {
		return
	}
	to := f.p.stderr
	if f.output != "" && f.output != "-" {
		to = f.p.stdout
	}
	text, err := json.Marshal(r)
	if err != nil {
		panic("BUG: a report that is not JSON: " + err.Error())
	}
	fmt.Fprintf(to, "%s\n", text)
}

// finishQUIC takes down what a QUIC connection counted.
func (f *fetch) finishQUIC() {
	r, stats := &f.report, f.conn.Stats()
	r.Local = f.conn.LocalAddr().String()
	r.AddressChanges, r.Controller, r.Window = stats.PathChanges, stats.Controller, stats.Window
	r.RTT, r.MinRTT = ms(stats.RTT.Smoothed), ms(stats.RTT.Min)
	r.PacketsSent, r.PacketsGot, r.PacketsLost = stats.PacketsSent, stats.PacketsReceived, stats.PacketsLost
	f.verbosef("* address changes: %d", r.AddressChanges)
	f.verbosef("* congestion control %s, window %d bytes, RTT %.1f ms (smallest %.1f ms)", r.Controller, r.Window, r.RTT, r.MinRTT)
	f.verbosef("* packets: %d sent, %d received, %d lost", r.PacketsSent, r.PacketsGot, r.PacketsLost)
}

// fieldLines writes a header in alphabetical order, each field on a line that begins with mark.
func fieldLines(h http.Header, mark string) string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(h)) {
		for _, v := range h[name] {
			fmt.Fprintf(&b, "%s%s: %s\n", mark, strings.ToLower(name), v)
		}
	}
	return b.String()
}

// meter shows on a terminal how far a download is.
type meter struct {
	w            io.Writer
	total        int64 // -1: not known
	began, shown time.Time
	n            int64
}

func (m *meter) Write(p []byte) (int, error) {
	m.n += int64(len(p))
	if now := time.Now(); now.Sub(m.shown) >= 200*time.Millisecond {
		m.shown = now
		m.show()
	}
	return len(p), nil
}

func (m *meter) show() {
	of := ""
	if m.total >= 0 {
		of = " of " + megabytes(m.total)
	}
	rate := float64(m.n) / 1e6 / max(time.Since(m.began).Seconds(), 1e-6)
	fmt.Fprintf(m.w, "\r%s%s, %.1f MB/s   ", megabytes(m.n), of, rate)
}

// end shows the last state, if any was shown, and leaves the line.
func (m *meter) end() {
	if !m.shown.IsZero() {
		m.show()
		fmt.Fprintln(m.w)
	}
}

func megabytes(n int64) string { return fmt.Sprintf("%.1f MB", float64(n)/1e6) }
