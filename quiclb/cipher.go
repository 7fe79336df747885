package quiclb

// Server ID and nonce are encrypted in place, without a byte more: in one pass of AES if they are a block of it, else in
// four, which are a Feistel network of two halves (draft, section 5.4). With an odd number of bytes the middle one is split:
// its first four bits are the end of the left half, its last four the beginning of the right.

// encrypt encrypts server ID and nonce.
func (k *codec) encrypt(b []byte) {
	switch {
	case k.block == nil:
	case len(b) == onePass:
		k.block.Encrypt(b, b)
	default:
		k.split(b)
		k.pass(1, &k.left, &k.right, 0x0f)
		k.pass(2, &k.right, &k.left, 0xf0)
		k.pass(3, &k.left, &k.right, 0x0f)
		k.pass(4, &k.right, &k.left, 0xf0)
		k.join(b)
	}
}

// decrypt decrypts the server ID, and of the nonce as much as that takes: "it can conclude after 3 passes as long as the
// server ID is entirely contained in left_0".
func (k *codec) decrypt(b []byte) {
	switch {
	case k.block == nil:
	case len(b) == onePass:
		k.block.Decrypt(b, b)
	default:
		k.split(b)
		k.pass(4, &k.right, &k.left, 0xf0)
		k.pass(3, &k.left, &k.right, 0x0f)
		k.pass(2, &k.right, &k.left, 0xf0)
		if k.ServerIDLen > k.plain/2 { // the middle byte, if there is one, has bits of the right half
			k.pass(1, &k.left, &k.right, 0x0f)
		}
		k.join(b)
	}
}

// half returns how many bytes each half has.
func (k *codec) half() int { return (k.plain + 1) / 2 }

func (k *codec) split(b []byte) {
	h := k.half()
	copy(k.left[:h], b[:h])
	copy(k.right[:h], b[len(b)-h:])
	if k.plain%2 == 1 {
		k.left[h-1] &= 0xf0
		k.right[0] &= 0x0f
	}
}

func (k *codec) join(b []byte) {
	h := k.half()
	copy(b[len(b)-h:], k.right[:h])
	if k.plain%2 == 1 {
		b[h-1] |= k.left[h-1]
		h--
	}
	copy(b[:h], k.left[:h])
}

// pass is one round: what AES makes of one half, with its number, is added to the other half, to the bits of it that there
// are. keep is those of its middle byte.
//
// Draft, section 5.4.2.2: expand gives "input_bytes", zeros as far as the fourteenth byte, the length of server ID and nonce,
// and the number of the pass.
func (k *codec) pass(number byte, from, to *[16]byte, keep byte) {
	h := k.half()
	clear(k.in[:])
	copy(k.in[:h], from[:h])
	k.in[14], k.in[15] = byte(k.plain), number
	k.block.Encrypt(k.out[:], k.in[:])
	for i := range h {
		to[i] ^= k.out[i]
	}
	if k.plain%2 == 0 {
		return
	}
	if to == &k.left {
		to[h-1] &= keep
	} else {
		to[0] &= keep
	}
}
