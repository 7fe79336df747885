// Package engine implements QUIC (RFC 9000, 9001, 9002, with 9221, 9287, 9368 and 9369) as deterministic state machines.
//
// The engine does no I/O, starts no goroutine, takes no lock and reads no clock. Datagrams, time and application calls
// come in; datagrams, events and one deadline come out:
//
//	inputs    Receive Expire                                     what the world does
//	calls     Open Write Finish Read Reset Stop Close            what the application does; none blocks
//	outputs   Compose Event Deadline                             what to do about it
//
// After any input or call, drain the outputs in this order: Compose until it writes nothing, Event until it reports
// false, then read Deadline and arrange for Expire to be called then. Time is handed in by the caller, never goes
// backwards, and all randomness comes from Config.Seed: the same inputs give the same outputs, bit for bit.
//
// A Conn is one connection. It knows neither the Acceptor, which judges datagrams that belong to no connection, nor the
// Demux, which finds the connection a datagram belongs to: it tells of its connection IDs in events.
//
// # Reading order
//
// A received datagram: conn_receive.go, conn_frames.go, then stream_receive.go, fate.go. A datagram to be sent:
// conn_compose.go, datagram.go, then the appendTo methods of each kind of state. docs/path.md walks through both.
package engine
