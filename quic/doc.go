// Package quic is QUIC, versions 1 and 2 (RFC 9000, 9001, 9002, 9369), with a blocking API like that of package net.
//
// An [Endpoint] is a UDP socket. [Listen] makes one that accepts connections, [Dial] opens a [Conn] from a socket of its
// own, and [NewEndpoint] makes one from which many connections are dialled. A Conn carries streams: each [Stream] is an
// ordered, reliable sequence of bytes, in both directions or in one. Everything here may be used by many goroutines at
// once. Writes are buffered and Close waits for nobody, so a program that ends with its last Write should let its peer
// close the connection: what is buffered when a connection closes is dropped. Besides streams there are datagrams (RFC 9221),
// which are neither ordered nor reliable. 0-RTT and datagrams are off until a [Config] turns them on.
//
// # What it is made of
//
// The protocol is in internal/engine, which does no I/O and knows no clock. This package is the shell around it: it
// carries datagrams, time and calls in, and datagrams, wake-ups and deadlines out. It has
//
//   - one goroutine per socket, which reads batches of datagrams, hands each connection its share under one lock, and
//     then sends what all of them answer with as few system calls as possible;
//   - one mutex and one timer per connection, and neither goroutine nor channel nor buffer while it is idle: a goroutine
//     that waits brings its own channel, one that sends brings its own buffer, both from pools;
//   - a few workers for connections in their handshake, which exist while there is one, so that a signature never keeps
//     the reader from its socket.
//
// A Write runs to completion in its caller's goroutine: it copies into the send buffer, and what congestion and flow
// control allow is encrypted and sent before it returns. One goroutine at a time sends for a connection; those that come
// meanwhile leave a note and go, and their bytes share its packets. See flush.
//
// # Locks
//
//	traceFile.mu, then Conn.mu, then Endpoint.mu, then counters.mu or TokenStore.mu
//
// No goroutine holds two connections' locks. System calls and the application's writers and loggers are called with none
// of them. The exceptions are callbacks that the protocol needs an answer from: those of a tls.Config, Config.Congestion
// with the controller it makes, and Config.QLog run under the lock of the one connection they are for, on a worker or in
// Dial. They must not call that connection nor close its endpoint, and what they do delays nobody else. The callback
// given to Conn.Trace runs under that lock as well.
//
// # When something breaks
//
// A peer's fault ends its connection with a [TransportError]. A panic in the code that drives a connection, which is a
// bug, ends that connection, is logged with its stack and counted in [EndpointStats]; all others go on. The same holds for what an
// application supplies to a connection: what a tls.Config holds (callbacks, private keys, a session cache, a KeyLogWriter),
// controllers, a ConnIDGenerator, a StrikeRegister. A qlog whose writer panics ends, and its connection goes on; a Logger that panics
// has one line less. A panic where the reader finds out what datagrams belong to costs that batch. Not contained is a panic in a
// goroutine that is the application's own, such as the function given to [Conn.HandleStreams]: see [Conn.Panicked].
package quic
