//go:build !linux

package udp

// PortOwner returns the process that holds a port, "" because this system does not tell.
func PortOwner(network string, port int) string { return "" }
