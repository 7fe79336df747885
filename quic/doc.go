// Package quic is QUIC version 1 (RFC 9000) with a blocking API like that of package net.
package quic
