package main

import (
	"crypto/tls"
	"net"
	"net/http"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
)

func quicGoConfig(window int64) *quic.Config {
	size := uint64(window)
	return &quic.Config{
		InitialStreamReceiveWindow:     size,
		MaxStreamReceiveWindow:         size,
		InitialConnectionReceiveWindow: size,
		MaxConnectionReceiveWindow:     size,
	}
}

func serveQuicGo(conf *tls.Config, window int64, h http.Handler) (listener, error) {
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		return listener{}, err
	}
	server := &http3.Server{Handler: h, TLSConfig: http3.ConfigureTLSConfig(conf), QUICConfig: quicGoConfig(window)}
	go server.Serve(conn)
	stop := func() {
		server.Close()
		conn.Close()
	}
	return listener{addr: conn.LocalAddr().String(), stop: stop}, nil
}

func dialQuicGo(conf *tls.Config, window int64) client {
	return &http3.Transport{TLSClientConfig: conf, QUICConfig: quicGoConfig(window), DisableCompression: true}
}
