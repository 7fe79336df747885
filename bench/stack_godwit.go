package main

import (
	"crypto/tls"
	"net/http"
	"strings"

	"github.com/godwit-net/godwit/http3"
	"github.com/godwit-net/godwit/quic"
)

func godwitConfig(window int64) *quic.Config {
	return &quic.Config{Windows: quic.Windows{StreamWindow: window, MaxStreamWindow: window, ConnWindow: window, MaxConnWindow: window}}
}

func serveGodwit(conf *tls.Config, window int64, h http.Handler) (listener, error) {
	e, err := quic.Listen("127.0.0.1:0", http3.ConfigureTLS(conf), godwitConfig(window))
	if err != nil {
		return listener{}, err
	}
	server := &http3.Server{Handler: h}
	go server.Serve(e)
	stop := func() {
		server.Close()
		e.Close()
	}
	addr := e.Addr().String()
	return listener{addr: addr, socket: strings.TrimPrefix(e.Features(), "udp "+addr+": "), stop: stop}, nil
}

func dialGodwit(conf *tls.Config, window int64) client {
	return &http3.Transport{TLSClientConfig: conf, QUIC: godwitConfig(window), DisableCompression: true}
}
