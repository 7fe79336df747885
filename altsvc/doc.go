// Package altsvc is an HTTP client's way to HTTP/3: an [http.RoundTripper] that
// finds out which origins have it, uses it there, and does without it wherever it
// does not work.
//
//	t := &altsvc.Transport{}
//	client := &http.Client{Transport: t}
//
// # What happens to a request
//
// An origin that nothing is known of is asked over TCP, as by net/http. When its
// response carries an Alt-Svc field (RFC 7838) with the protocol h3, the next
// request dials QUIC as well, goes by TCP all the same as long as that is faster,
// and from when the QUIC connection stands all requests use it. Where HTTP/3 has worked
// before, or is known and there is no connection over TCP, QUIC has a head start of 300
// ms; where it has failed, none. Of several addresses of a host, IPv6
// and IPv4 take turns, 250 ms apart (RFC 8305).
//
// With [Transport.Records] the DNS is asked too, beside the first request to an
// origin: HTTPS records (RFC 9460) name HTTP/3 before anything is connected, and then both
// ways are tried at once.
//
// What the alternative presents has to be a certificate for the origin. Requests
// to alternatives carry Alt-Used. The 0-RTT of TLS is used for GET, HEAD and OPTIONS
// when a server was there before.
//
// # What fails
//
// An alternative that fails while TCP works is broken for 5 minutes, and for twice
// as long each further time, up to 48 hours, until it has worked once. A
// connection on which nothing was heard for 5 seconds is asked for a sign of life
// before it gets a request. A request that is under way when nothing is heard any
// more goes by TCP if it may be sent twice.
//
// # Not here
//
// ALTSVC frames are not read, neither of HTTP/2, which net/http does not offer, nor
// of HTTP/3. Of HTTPS records the address hints and the keys for encrypted
// ClientHellos are not used. Alternatives for http URLs are ignored. Hosts
// whose names are not in ASCII are asked over TCP.
package altsvc
