//go:build !linux

package udp

// WatchRefusals does nothing: this system does not tell which datagram was refused.
func (s *Socket) WatchRefusals(bool) {}
