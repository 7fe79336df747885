package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"strings"

	"github.com/godwit-net/godwit/http3"
	"github.com/godwit-net/godwit/quic"
)

// noProtocol is the QUIC error for the TLS alert no_application_protocol (RFC 9001, section 8.1): 0x100 + 120.
const noProtocol = quic.ErrorCode(0x178)

// explain says on one line what failed, at which address, and what to do about it.
func (f *fetch) explain(err error) error {
	return fmt.Errorf("%s: %s", f.url.Redacted(), f.cause(err))
}

func (f *fetch) cause(err error) string {
	if many, ok := err.(interface{ Unwrap() []error }); ok { // one for each address of the host
		var all []string
		for _, e := range many.Unwrap() {
			all = append(all, f.cause(e))
		}
		return strings.Join(all, "; ")
	}
	at := f.addr()
	if dial, ok := errors.AsType[*quic.DialError](err); ok {
		at = dial.Remote.String()
		if dial.Timeout() && !dial.Answered {
			return strings.TrimPrefix(dial.Error(), "quic: ")
		}
	}
	if dns, ok := errors.AsType[*net.DNSError](err); ok {
		return fmt.Sprintf("the host name %s cannot be resolved: %s", dns.Name, dns.Err)
	}
	if verify, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return fmt.Sprintf("the certificate of %s is not trusted (%s): --cacert FILE names a root to trust, --insecure accepts any",
			at, trim(certificateReason(verify.Err)))
	}
	if version, ok := errors.AsType[*quic.VersionError](err); ok {
		return fmt.Sprintf("%s speaks QUIC, but only versions %#x; this is %#x", at, version.Theirs, version.Ours)
	}
	if transport, ok := errors.AsType[*quic.TransportError](err); ok && transport.Code == noProtocol {
		return fmt.Sprintf("%s speaks QUIC, but not HTTP/3 (ALPN h3)", at)
	}
	switch {
	case errors.Is(err, quic.ErrIdleTimeout):
		return fmt.Sprintf("%s has stopped answering (%s)", at, trim(err))
	case errors.Is(err, quic.ErrStatelessReset):
		return fmt.Sprintf("%s has lost the connection, most likely in a restart: try again", at)
	}
	if refused, ok := errors.AsType[*http3.Error](err); ok && refused.Remote && refused.Code == http3.VersionFallback {
		return fmt.Sprintf("%s answers this request over HTTP/1.1 only", at)
	}
	return trim(err)
}

// certificateReason leaves out what package x509 puts in front of the plain fact.
func certificateReason(err error) error {
	if _, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		return errors.New("signed by an unknown authority")
	}
	return err
}

// trim takes the names of packages off an error, and its line breaks.
func trim(err error) string {
	text := strings.Join(strings.Fields(err.Error()), " ")
	for _, name := range []string{"quic: ", "http3: ", "x509: ", "tls: "} {
		text = strings.ReplaceAll(text, name, "")
	}
	return text
}
