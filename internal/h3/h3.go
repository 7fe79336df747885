// Package h3 is the rules of HTTP/3 (RFC 9114) without I/O: frames, settings, stream types, the grammar of messages and
// of the control stream, the validity of fields, and the small codecs that ride along: priorities (RFC 9218), HTTP
// datagrams and capsules (RFC 9297). It reads bytes and says what is wrong with them; who waits for the bytes, and what
// happens to a connection, is decided above.
//
// The names of its functions follow one rule. AppendX appends something whole to a byte slice. ConsumeXHeader takes what
// may be the beginning of something and returns n = 0 when more bytes are needed. ConsumeX takes a whole payload and
// returns an error when it is not exactly that.
//
// Every error is an *Error: a code from the registry, and whether it ends one stream or the connection.
package h3
