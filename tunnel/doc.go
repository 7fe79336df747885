// Package tunnel carries HTTP from one network to another through one UDP port: an entry that HTTP/1.1 clients talk to,
// HTTP/3 between, an exit that talks HTTP/1.1 to the platform.
//
//	client -- HTTP/1.1 --> Entry == HTTP/3 over one UDP port ==> Exit -- HTTP/1.1 --> platform
//
// [ListenExit] opens the UDP port and [ListenEntry] the local TCP port. What joins them is a [Token], which the exit's
// [Key] makes: where the exit is, the hash of its public key, and a secret.
//
// # Who may talk to whom
//
// Both sides show a self-signed certificate and both pin the other's public key; no authority and no clock has a say. The
// exit's key is its own. The entry's is derived from the secret, so that the exit knows its public half without having
// met it. The protocol name (ALPN) is not that of HTTP/3, there is no session resumption and no 0-RTT: nothing reaches the
// platform before both keys are proved. Whoever has the token may use the tunnel; it is a password.
//
// # What a request may rely on
//
// Bodies, trailers and 1xx responses pass as they come, in both directions at once. The tunnel sends a request a second
// time only when the first attempt certainly was not processed and its body is untouched, or when it has no body and its
// method is safe (RFC 9110, section 9.2.2: "A proxy MUST NOT automatically retry non-idempotent requests"). Everything
// else that breaks is an answer of the tunnel's own: one line of text, and a Proxy-Status field (RFC 9209) that tells it
// from the platform's answers.
//
//	503  the request was not processed; Retry-After says when to try again
//	502  the exit or the platform broke off, or the platform cannot be reached; a request that was under way may have
//	     been processed
//	504  the platform did not answer in time
//	501  CONNECT and Upgrade (WebSocket), which the tunnel does not carry yet
//
// A response that breaks off midway breaks off for the client too.
package tunnel

// protocol is the ALPN name of the tunnel. What it carries is HTTP/3 (RFC 9114), but under a name of its own neither a
// browser here nor an entry at some HTTP/3 server comes as far as a certificate.
const protocol = "godwit-tunnel/1"
