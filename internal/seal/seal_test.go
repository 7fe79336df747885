package seal

import (
	"bytes"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/binary"
	"fmt"
	"testing"
)

var suites = []struct {
	name string
	id   uint16
	len  int
}{
	{"AES-128-GCM", AES128GCM, 32},
	{"AES-256-GCM", AES256GCM, 48},
	{"ChaCha20-Poly1305", ChaCha20Poly1305, 32},
}

func newTestKeys(t testing.TB, id uint16, secretLen int) *Keys {
	t.Helper()
	k, err := New(id, bytes.Repeat([]byte{7}, secretLen))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// shortPacket returns a 1-RTT packet in the clear, with an 8-byte connection ID, and room for the tag.
func shortPacket(pnLen int, pn int64, payload int) []byte {
	b := make([]byte, 0, 9+pnLen+payload+Overhead)
	b = append(b, 0x40|byte(pnLen-1), 1, 2, 3, 4, 5, 6, 7, 8)
	for i := pnLen - 1; i >= 0; i-- {
		b = append(b, byte(pn>>(8*i)))
	}
	return append(b, bytes.Repeat([]byte{0xaa}, payload)...)
}

func TestWhatIsSealedOpensForEverySuiteNumberLengthAndForm(t *testing.T) {
	for _, s := range suites {
		for pnLen := 1; pnLen <= 4; pnLen++ {
			for _, long := range []bool{false, true} {
				k := newTestKeys(t, s.id, s.len)
				pn := int64(0x1234567890abc)
				clear := shortPacket(pnLen, pn, 40)
				if long {
					clear[0] |= 0xe0
				}
				pkt := k.Seal(bytes.Clone(append(clear, make([]byte, Overhead)...))[:len(clear)], 9, pnLen, pn)
				if len(pkt) != len(clear)+Overhead {
					t.Fatalf("%s: %d bytes became %d", s.name, len(clear), len(pkt))
				}
				truncated, n, ok := k.Unprotect(pkt, 9)
				if want := uint32(pn & (1<<(8*pnLen) - 1)); !ok || n != pnLen || truncated != want {
					t.Fatalf("%s: number %#x in %d bytes, want %#x in %d", s.name, truncated, n, want, pnLen)
				}
				payload, ok := k.Open(pkt, 9+pnLen, pn)
				if !ok || !bytes.Equal(payload, clear[9+pnLen:]) || !bytes.Equal(pkt[:9+pnLen], clear[:9+pnLen]) {
					t.Fatalf("%s, long %v: the packet did not survive", s.name, long)
				}
			}
		}
	}
}

func TestAnyChangedByteMakesAPacketFail(t *testing.T) {
	for _, s := range suites {
		k := newTestKeys(t, s.id, s.len)
		sealed := k.Seal(shortPacket(2, 77, 20), 9, 2, 77)
		for i := range sealed {
			pkt := bytes.Clone(sealed)
			pkt[i] ^= 0x01
			_, n, ok := k.Unprotect(pkt, 9)
			if _, ok = k.Open(pkt, 9+n, 77); ok {
				t.Errorf("%s: opened with byte %d changed", s.name, i)
			}
		}
		pkt := bytes.Clone(sealed)
		k.Unprotect(pkt, 9)
		if _, ok := k.Open(pkt, 11, 78); ok {
			t.Errorf("%s: opened under another packet number", s.name)
		}
	}
}

func TestTooShortPacketsAreRefusedAndLeftAlone(t *testing.T) {
	// Rules: 9001:5.4.2/1
	k := newTestKeys(t, AES128GCM, 32)
	for n := range 9 + 4 + 16 {
		pkt := bytes.Repeat([]byte{0x55}, n)
		if _, _, ok := k.Unprotect(pkt, 9); ok {
			t.Errorf("%d bytes have a sample", n)
		}
		if !bytes.Equal(pkt, bytes.Repeat([]byte{0x55}, n)) {
			t.Errorf("%d bytes: changed", n)
		}
	}
	if _, ok := k.Open(make([]byte, 10+15), 10, 0); ok {
		t.Error("opened a packet without a whole tag")
	}
}

// The sample is the peer's: its counter may be the highest there is.
func TestChaChaSampleWithTheHighestCounterHasAMask(t *testing.T) {
	k := newTestKeys(t, ChaCha20Poly1305, 32)
	pkt := bytes.Repeat([]byte{0xff}, 60)
	if _, _, ok := k.Unprotect(pkt, 9); !ok {
		t.Error("no mask")
	}
}

func TestKeyUpdateChangesTheAEADAndKeepsHeaderProtection(t *testing.T) {
	for _, s := range suites {
		k := newTestKeys(t, s.id, s.len)
		next := k.Next()
		pkt := next.Seal(shortPacket(4, 9, 30), 9, 4, 9)
		truncated, n, ok := k.Unprotect(pkt, 9) // the old keys remove header protection, to read the Key Phase bit
		if !ok || n != 4 || truncated != 9 {
			t.Fatalf("%s: header protection changed", s.name)
		}
		if _, ok := k.Open(bytes.Clone(pkt), 13, 9); ok {
			t.Errorf("%s: the AEAD did not change", s.name)
		}
		if _, ok := newTestKeys(t, s.id, s.len).Next().Open(pkt, 13, 9); !ok {
			t.Errorf("%s: the peer does not arrive at the same keys", s.name)
		}
	}
}

func TestNewRefusesUnknownSuitesAndWrongSecrets(t *testing.T) {
	// Rules: 9001:5.3/1
	for _, c := range []struct {
		suite  uint16
		secret int
	}{{0x1304, 32}, {0xc02f, 32}, {AES128GCM, 48}, {AES128GCM, 0}, {AES256GCM, 32}, {ChaCha20Poly1305, 31}} {
		if _, err := New(c.suite, make([]byte, c.secret)); err == nil {
			t.Errorf("suite %#x with a secret of %d bytes has keys", c.suite, c.secret)
		}
	}
}

func TestLimitsAreThoseOfSection66(t *testing.T) {
	// Rules: 9001:6.6/3
	for id, want := range map[uint16][2]int64{
		AES128GCM: {1 << 23, 1 << 52}, AES256GCM: {1 << 23, 1 << 52}, ChaCha20Poly1305: {1 << 62, 1 << 36},
	} {
		k := newKeys(suiteByID(id), &version1, make([]byte, suiteByID(id).hashLen))
		if s, o := k.Limits(); s != want[0] || o != want[1] {
			t.Errorf("suite %#x: %d, %d", id, s, o)
		}
	}
}

func TestSealWithoutRoomOrSampleIsABug(t *testing.T) {
	k := newTestKeys(t, AES128GCM, 32)
	for name, pkt := range map[string][]byte{
		"no room for the tag": make([]byte, 40),
		"no sample":           make([]byte, 12, 60),
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", name)
				}
			}()
			k.Seal(pkt, 9, 2, 1)
		}()
	}
}

func TestExpandLabelIsHKDFExpand(t *testing.T) {
	for _, s := range []*suite{&suiteAES128, &suiteAES256} {
		secret := bytes.Repeat([]byte{3}, s.hashLen)
		for _, n := range []int{12, 16, 32, s.hashLen} {
			for _, label := range []string{"quic ku", "client in"} {
				info := string([]byte{0, byte(n), byte(6 + len(label))}) + "tls13 " + label + "\x00"
				want, _ := hkdf.Expand(sha256.New, secret, info, n)
				if s.sha384 {
					want, _ = hkdf.Expand(sha512.New384, secret, info, n)
				}
				got := make([]byte, n)
				s.expandLabel(got, secret, label)
				equal(t, fmt.Sprint(label, n), got, want)
			}
		}
	}
}

func TestResetTokenIsATruncatedHMAC(t *testing.T) {
	// Rules: 9000:10.3.2/1
	key := ResetKey{1, 2, 3}
	for n := range 21 {
		id := bytes.Repeat([]byte{byte(n)}, n)
		h := hmac.New(sha256.New, key[:])
		h.Write(id)
		got := key.Token(id)
		equal(t, "token", got[:], h.Sum(nil)[:16])
	}
	if key.Token([]byte{1}) == (ResetKey{9}).Token([]byte{1}) {
		t.Error("the key does not matter")
	}
}

func TestPacketsAreSealedAndOpenedWithoutAllocating(t *testing.T) {
	for _, s := range suites {
		k := newTestKeys(t, s.id, s.len)
		buf := shortPacket(2, 5, 1200)
		clear := bytes.Clone(buf)
		if n := testing.AllocsPerRun(100, func() {
			copy(buf, clear)
			pkt := k.Seal(buf, 9, 2, 5)
			_, pnLen, _ := k.Unprotect(pkt, 9)
			if _, ok := k.Open(pkt, 9+pnLen, 5); !ok {
				t.Fatal("does not open")
			}
			pkt[20] ^= 1
			k.Open(pkt, 9+pnLen, 5)
		}); n != 0 {
			t.Errorf("%s: %v allocations", s.name, n)
		}
	}
}

func FuzzOpenOfGarbageFailsQuietly(f *testing.F) {
	f.Add([]byte{0x40, 1, 2, 3}, 1)
	f.Add(unhex(f, a3Packet), 18)
	f.Add(unhex(f, a5Packet), 1)
	f.Add(bytes.Repeat([]byte{0xff}, 40), 9)
	f.Fuzz(func(t *testing.T, pkt []byte, pnOffset int) {
		if pnOffset < 1 || pnOffset > len(pkt) {
			return
		}
		for _, s := range suites {
			k := newTestKeys(t, s.id, s.len)
			b := bytes.Clone(pkt)
			truncated, n, ok := k.Unprotect(b, pnOffset)
			if !ok {
				continue
			}
			if n < 1 || n > 4 || uint64(truncated) >= 1<<(8*n) {
				t.Fatalf("number %#x in %d bytes", truncated, n)
			}
			if _, ok := k.Open(b, pnOffset+n, int64(truncated)); ok {
				t.Fatal("garbage is authentic")
			}
		}
	})
}

func FuzzWhatIsSealedOpens(f *testing.F) {
	f.Add([]byte("payload"), int64(1), byte(1), []byte("header"))
	f.Fuzz(func(t *testing.T, payload []byte, pn int64, form byte, header []byte) {
		pnLen := int(form&3) + 1
		if pn < 0 || len(payload)+pnLen < 4 {
			return
		}
		clear := append([]byte{form}, header...)
		pnOffset := len(clear)
		clear = append(clear, binary.BigEndian.AppendUint32(nil, uint32(pn))[4-pnLen:]...)
		clear = append(clear, payload...)
		for _, s := range suites {
			k := newTestKeys(t, s.id, s.len)
			pkt := k.Seal(append(make([]byte, 0, len(clear)+Overhead), clear...), pnOffset, pnLen, pn)
			truncated, n, ok := k.Unprotect(pkt, pnOffset)
			if !ok || n != pnLen || truncated != uint32(pn)&uint32(1<<(8*pnLen)-1) {
				t.Fatalf("%s: number %#x in %d bytes, %v", s.name, truncated, n, ok)
			}
			got, ok := k.Open(pkt, pnOffset+n, pn)
			if !ok || !bytes.Equal(got, payload) {
				t.Fatalf("%s: does not open", s.name)
			}
		}
	})
}

func BenchmarkSeal(b *testing.B) {
	benchmarkPackets(b, func(k *Keys, buf, clear []byte) { k.Seal(buf[:len(clear)], 9, 2, 5) })
}

// BenchmarkOpen copies the packet first, as opening destroys it; the copy is about 20 ns.
func BenchmarkOpen(b *testing.B) {
	sealed := make(map[*Keys][]byte)
	benchmarkPackets(b, func(k *Keys, buf, clear []byte) {
		if len(sealed[k]) == 0 {
			sealed[k] = bytes.Clone(k.Seal(append(buf[:0], clear...), 9, 2, 5))
		}
		buf = append(buf[:0], sealed[k]...)
		_, n, _ := k.Unprotect(buf, 9)
		if _, ok := k.Open(buf, 9+n, 5); !ok {
			b.Fatal("does not open")
		}
	})
}

func BenchmarkUnprotect(b *testing.B) {
	benchmarkPackets(b, func(k *Keys, buf, clear []byte) { k.Unprotect(buf[:len(clear)], 9) })
}

func benchmarkPackets(b *testing.B, f func(k *Keys, buf, clear []byte)) {
	for _, s := range suites {
		for _, size := range []int{1200, 1400} {
			b.Run(fmt.Sprintf("%s/%d", s.name, size), func(b *testing.B) {
				k := newTestKeys(b, s.id, s.len)
				clear := shortPacket(2, 5, size-9-2-Overhead)
				buf := append(make([]byte, 0, size), clear...)
				b.SetBytes(int64(size))
				b.ReportAllocs()
				for b.Loop() {
					f(k, buf, clear)
				}
			})
		}
	}
}

func BenchmarkKeys(b *testing.B) {
	b.Run("Initial", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			Initial([]byte{1, 2, 3, 4, 5, 6, 7, 8})
		}
	})
	for _, s := range suites {
		k := newTestKeys(b, s.id, s.len)
		secret := bytes.Repeat([]byte{7}, s.len)
		b.Run("New/"+s.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				New(s.id, secret)
			}
		})
		b.Run("Next/"+s.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				k.Next()
			}
		})
	}
	b.Run("ResetToken", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			ResetKey{}.Token([]byte{1, 2, 3, 4, 5, 6, 7, 8})
		}
	})
}

func TestDerivingKeysAllocatesOnlyTheKeys(t *testing.T) {
	for _, s := range suites {
		secret := bytes.Repeat([]byte{7}, s.len)
		k := newTestKeys(t, s.id, s.len)
		// Keys, the AEAD and the cipher blocks below it, and one for header protection.
		if n := testing.AllocsPerRun(100, func() { New(s.id, secret) }); n > 4 {
			t.Errorf("%s: New allocates %v times", s.name, n)
		}
		if n := testing.AllocsPerRun(100, func() { k.Next() }); n > 3 {
			t.Errorf("%s: Next allocates %v times", s.name, n)
		}
	}
	if n := testing.AllocsPerRun(100, func() { ResetKey{}.Token([]byte{1, 2, 3}) }); n != 0 {
		t.Errorf("Token allocates %v times", n)
	}
}

func TestKeysAreTheSameAfterARest(t *testing.T) {
	for id, secretLen := range map[uint16]int{AES128GCM: 32, AES256GCM: 48, ChaCha20Poly1305: 32} {
		sealing, opening := newTestKeys(t, id, secretLen), newTestKeys(t, id, secretLen)
		for pn := range int64(4) {
			clear := shortPacket(2, pn, 100)
			want := append([]byte(nil), clear...)
			if pn&1 == 0 {
				sealing.Rest()
			}
			if pn&2 == 0 {
				opening.Rest()
			}
			pkt := sealing.Seal(append(make([]byte, 0, 200), clear...), 1+8, 2, pn)
			if _, _, ok := opening.Unprotect(pkt, 1+8); !ok {
				t.Fatal("no sample")
			}
			if payload, ok := opening.Open(pkt, 1+8+2, pn); !ok || string(payload) != string(want[1+8+2:]) {
				t.Errorf("suite %#x: packet %d does not open", id, pn)
			}
		}
		sealing.Rest()
		next := sealing.Next()
		opening = opening.Next()
		pkt := next.Seal(append(make([]byte, 0, 200), shortPacket(2, 9, 100)...), 1+8, 2, 9)
		opening.Unprotect(pkt, 1+8)
		if _, ok := opening.Open(pkt, 1+8+2, 9); !ok {
			t.Errorf("suite %#x: the next keys after a rest are others", id)
		}
	}
}
