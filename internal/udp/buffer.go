package udp

// wantedBuffers returns the sizes that c asks the kernel for.
func (c Config) wantedBuffers() (read, write int) {
	read, write = c.ReadBuffer, c.WriteBuffer
	if read == 0 {
		read = defaultBuffer
	}
	if write == 0 {
		write = defaultBuffer
	}
	return read, write
}
