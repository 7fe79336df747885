package main

import (
	"crypto/tls"
	"io"
	"net/http"
)

// stack is an HTTP/3 implementation under test. window is the size of the stream and the connection windows in bytes, 0
// for the stack's own.
type stack struct {
	name string

	// serve runs the handler on a port of its choice on 127.0.0.1.
	serve func(conf *tls.Config, window int64, h http.Handler) (listener, error)

	// dial returns a client that opens one connection to the server with its first request.
	dial func(conf *tls.Config, window int64) client
}

// listener is a running server.
type listener struct {
	addr   string
	socket string // what the stack says about its socket; may be empty
	stop   func()
}

// client is one connection.
type client interface {
	http.RoundTripper
	io.Closer
}

var stacks = []stack{
	{"godwit", serveGodwit, dialGodwit},
	{"quic-go", serveQuicGo, dialQuicGo},
}

func stackByName(name string) (stack, bool) {
	for _, s := range stacks {
		if s.name == name {
			return s, true
		}
	}
	return stack{}, false
}
