package quiclb

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"testing"
)

func unhex(s string) []byte {
	b, err := hex.DecodeString(s)
	if err != nil {
		panic(err)
	}
	return b
}

const draftKey = "8f95f09245765f80256934e50c66207f"

// vectors are those of the draft, "Load Balancer Test Vectors", and the worked example of its section 5.4.2.4.
var vectors = []struct {
	id                      int
	key, server, nonce, cid string
}{
	{0, "", "c4605e", "4504cc4f", "07c4605e4504cc4f"},
	// Printed are the nonce 3487d970b, which has half a byte too few, and the connection ID 20a350d28b4203487d970b, which would
	// be of configuration 1 and tell that 0 bytes follow. Both are right when the zero that stands behind the first 2 goes
	// to the front of the nonce.
	{1, "", "350d28b420", "03487d970b", "2a350d28b42003487d970b"},
	{0, draftKey, "ed793a", "ee080dbf", "0720b1d07b359d3c"},
	{1, draftKey, "ed793a51d49b8f5fab65", "ee080dbf48", "2fcc381bc74cb4fbad2823a3d1f8fed2"},
	{2, draftKey, "ed793a51d49b8f5f", "ee080dbf48c0d1e5", "504dd2d05a7b0de9b2b9907afb5ecf8cc3"},
	// The first byte is printed as 12, which would be of configuration 0. 18 bytes follow, and 3 is the configuration: 72.
	{3, draftKey, "ed793a51d49b8f5fab", "ee080dbf48c0d1e55d", "725779c9cc86beb3a3a4a3ca96fce4bfe0cdbc"},
	// Step 10 prints aes_output as b334357c...; in the sum that follows, and in truth, it is b3e4357c.... The first byte, left
	// open there, is 07 in step 12.
	{0, "fdf726a9893ec05c0632d3956680baf0", "31441a", "9c69c275", "0767947d29be054a"},
}

func TestVectorsOfTheDraft(t *testing.T) {
	for _, v := range vectors {
		server, nonce := unhex(v.server), unhex(v.nonce)
		c := Config{ID: v.id, ServerIDLen: len(server), NonceLen: len(nonce), TellsLen: true}
		if v.key != "" {
			c.Key = unhex(v.key)
		}
		g, err := NewGenerator(c, server)
		if err != nil {
			t.Fatal(err)
		}
		id := make([]byte, g.Len())
		copy(id[1+len(server):], nonce) // what is random
		g.Generate(id)
		if got := hex.EncodeToString(id); got != v.cid {
			t.Errorf("configuration %d, server %s, nonce %s\n got %s\nwant %s", v.id, v.server, v.nonce, got, v.cid)
		}
		d, err := NewDecoder(c)
		if err != nil {
			t.Fatal(err)
		}
		if got, ok := d.AppendServerID(nil, unhex(v.cid)); !ok || !bytes.Equal(got, server) {
			t.Errorf("%s is of server %x, %v", v.cid, got, ok)
		}
	}
}

// TestTheVectorsAsPrintedAreWrong keeps the corrections honest: should a later draft print others, they are looked at again.
func TestTheVectorsAsPrintedAreWrong(t *testing.T) {
	printed := unhex("125779c9cc86beb3a3a4a3ca96fce4bfe0cdbc")
	d, _ := NewDecoder(Config{ID: 3, ServerIDLen: 9, NonceLen: 9, Key: unhex(draftKey)})
	if _, ok := d.AppendServerID(nil, printed); ok {
		t.Error("the fourth ciphertext vector is routable by configuration 3")
	}
	// The decryption of the draft clears the first four bits of left_1, after its second pass, where it means those of right_1:
	// those of left_1 are the server ID's, and the worked example would end in another.
	d, _ = NewDecoder(Config{ServerIDLen: 3, NonceLen: 4, Key: unhex("fdf726a9893ec05c0632d3956680baf0")})
	if got, _ := d.AppendServerID(nil, unhex("0767947d29be054a")); hex.EncodeToString(got) != "31441a" {
		t.Errorf("decrypted is %x", got)
	}
}

// each calls f for every pair of lengths that there is.
func each(f func(server, nonce int)) {
	for server := 1; server <= maxServerID; server++ {
		for nonce := minNonce; server+nonce <= maxPlain; nonce++ {
			f(server, nonce)
		}
	}
}

// random returns bytes from a generator with a seed of its own.
func random(seed uint64) func(n int) []byte {
	r := rand.New(rand.NewPCG(seed, 1))
	return func(n int) []byte {
		b := make([]byte, n)
		for i := range b {
			b[i] = byte(r.Uint32())
		}
		return b
	}
}

func TestEveryIDLeadsToItsServer(t *testing.T) {
	bytesOf := random(1)
	each(func(server, nonce int) {
		for _, key := range [][]byte{nil, bytesOf(16)} {
			for padding := 0; 1+server+nonce+padding <= maxLen; padding += 3 {
				c := Config{ID: (server + nonce) % maxConfigs, ServerIDLen: server, NonceLen: nonce, Key: key, Len: 1 + server + nonce + padding}
				sid := bytesOf(server)
				g, err := NewGenerator(c, sid)
				if err != nil {
					t.Fatal(err)
				}
				d, err := NewDecoder(c)
				if err != nil {
					t.Fatal(err)
				}
				seen := map[string]bool{}
				for range 20 {
					id := bytesOf(g.Len())
					g.Generate(id)
					if seen[string(id[1:])] {
						t.Fatalf("%+v: %x is given twice", c, id)
					}
					seen[string(id[1:])] = true
					if got, ok := d.AppendServerID(nil, append(id, 1, 2, 3)); !ok || !bytes.Equal(got, sid) {
						t.Fatalf("%+v: %x is of server %x, %v, not %x", c, id, got, ok, sid)
					}
					if id[0]>>5 != byte(c.ID) {
						t.Fatalf("%+v: %x has another's codepoint", c, id)
					}
				}
			}
		}
	})
}

// A load balancer that is nearer to the client takes a part of the server ID for nonce (draft, section 7.1).
func TestChainsOfLoadBalancersReadPartsOfTheServerID(t *testing.T) {
	bytesOf := random(2)
	key, sid := bytesOf(16), bytesOf(6)
	g, _ := NewGenerator(Config{ServerIDLen: 6, NonceLen: 7, Key: key}, sid)
	for first := 1; first < 6; first++ {
		d, _ := NewDecoder(Config{ServerIDLen: first, NonceLen: 13 - first, Key: key})
		id := bytesOf(g.Len())
		g.Generate(id)
		if got, ok := d.AppendServerID(nil, id); !ok || !bytes.Equal(got, sid[:first]) {
			t.Errorf("%d bytes of %x are %x", first, sid, got)
		}
	}
}

func TestANonceIsUsedOnce(t *testing.T) {
	// Section 9.6.
	bytesOf := random(3)
	for _, c := range []Config{{ID: 5, ServerIDLen: 2, NonceLen: 4}, {ID: 5, ServerIDLen: 12, NonceLen: 4}} {
		c.Key = bytesOf(16)
		g, _ := NewGenerator(c, make([]byte, c.ServerIDLen))
		next := func() []byte {
			id := bytesOf(g.Len())
			g.Generate(id)
			return id
		}
		first := next()
		g.nonce = g.first
		back(g, 3) // as if all but the last three of 2^32 were used
		for range 3 {
			if g.Exhausted() {
				t.Fatal("exhausted too early")
			}
			if id := next(); bytes.Equal(id[1:], first[1:]) || id[0]>>5 != 5 {
				t.Errorf("%x after %x", id, first)
			}
		}
		if !g.Exhausted() {
			t.Error("the first nonce would come again")
		}
		a, b := next(), next()
		if want := byte(unroutable<<5 | g.Len() - 1); a[0] != want || b[0] != want || bytes.Equal(a, b) {
			t.Errorf("then come %x and %x", a, b)
		}
		d, _ := NewDecoder(c)
		if _, ok := d.AppendServerID(nil, a); ok {
			t.Error("which are routable")
		}
	}
}

// back sets the next nonce n before the first.
func back(g *Generator, n int) {
	b := g.nonce[:g.codec.NonceLen]
	for range n {
		for i := len(b) - 1; i >= 0; i-- {
			if b[i]--; b[i] != 0xff {
				break
			}
		}
	}
}

func TestWhatIsInTheClearTellsNothing(t *testing.T) {
	// Section 3.3: "A server not using this functionality SHOULD choose the five bits so as to have no observable relationship to
	// previous connection IDs issued for that connection." Section 5.4 says the same of a nonce that is not encrypted.
	bytesOf := random(4)
	g, _ := NewGenerator(Config{ID: 1, ServerIDLen: 2, NonceLen: 5}, []byte{1, 2})
	for range 10 {
		before := bytesOf(g.Len())
		id := bytes.Clone(before)
		g.Generate(id)
		want := append([]byte{1<<5 | before[0]&0x1f, 1, 2}, before[3:]...)
		if !bytes.Equal(id, want) {
			t.Errorf("of %x was made %x, not %x", before, id, want)
		}
	}
}

func TestWithoutAConfigurationIDsAreUnroutable(t *testing.T) {
	// Section 3.2.
	for _, n := range []int{8, 20} {
		g, err := NewUnroutable(n)
		if err != nil || g.Len() != n {
			t.Fatal(g, err)
		}
		id := bytes.Repeat([]byte{9}, n)
		g.Generate(id)
		if id[0] != byte(0xe0|n-1) || !bytes.Equal(id[1:], bytes.Repeat([]byte{9}, n-1)) {
			t.Errorf("%x", id)
		}
	}
	for _, n := range []int{0, 7, 21} {
		if _, err := NewUnroutable(n); err == nil {
			t.Errorf("%d bytes are taken", n)
		}
	}
}

func TestWhatIsUnroutable(t *testing.T) {
	// Section 4.1.
	key := unhex(draftKey)
	d, err := NewDecoder(Config{ID: 0, ServerIDLen: 3, NonceLen: 4, Key: key, TellsLen: true}, Config{ID: 2, ServerIDLen: 3, NonceLen: 4})
	if err != nil {
		t.Fatal(err)
	}
	long := func(version byte, id ...byte) []byte {
		return append(append([]byte{0xc0, 0, 0, 0, version, byte(len(id))}, id...), 0, 1, 2, 3)
	}
	routable := unhex("0720b1d07b359d3c")
	for _, c := range []struct {
		sentence string
		datagram []byte
		want     string
	}{
		{"a short header", append([]byte{0x40}, append(bytes.Clone(routable), 1, 2, 3)...), "ed793a"},
		{"a long header", long(1, routable...), "ed793a"},
		{"of a version nobody knows", long(77, routable...), "ed793a"},
		{"of another configuration", long(1, 0x5f, 1, 2, 3, 4, 5, 6, 7), "010203"},
		{"an ID that is too short", long(1, routable[:7]...), ""},
		{"and one that is too long", long(1, append(bytes.Clone(routable), 0)...), ""},
		{"one that tells another length", long(1, append([]byte{0x08}, routable[1:]...)...), ""},
		{"also in a short header", append([]byte{0x40, 0x06}, routable[1:]...), ""},
		{"one of a configuration that is not known", long(1, append([]byte{0x27}, routable[1:]...)...), ""},
		{"one that says that it is unroutable", long(1, append([]byte{0xe7}, routable[1:]...)...), ""},
		{"none", long(1), ""},
		{"none in a short header", []byte{0x40}, ""},
		{"one that ends too early", long(1, routable...)[:10], ""},
		{"a long header that ends too early", long(1, routable...)[:5], ""},
		{"nothing", nil, ""},
	} {
		got, ok := d.AppendServerIDOf(nil, c.datagram)
		if hex.EncodeToString(got) != c.want || ok != (c.want != "") {
			t.Errorf("%s: %x, %v", c.sentence, got, ok)
		}
	}
	d.Remove(0)
	d.Remove(99)
	if _, ok := d.AppendServerID(nil, routable); ok {
		t.Error("a configuration that was removed")
	}
}

func TestConfigurationsThatCannotBe(t *testing.T) {
	good := Config{ServerIDLen: 8, NonceLen: 8, Key: unhex(draftKey)}
	for sentence, change := range map[string]func(c *Config){
		"the codepoint of what is unroutable": func(c *Config) { c.ID = 7 },
		"a negative codepoint":                func(c *Config) { c.ID = -1 },
		"no server ID":                        func(c *Config) { c.ServerIDLen = 0 },
		"a server ID of 16 bytes":             func(c *Config) { c.ServerIDLen, c.NonceLen = 16, 1 },
		"a nonce of 3 bytes":                  func(c *Config) { c.NonceLen = 3 },
		"20 bytes of both":                    func(c *Config) { c.ServerIDLen, c.NonceLen = 10, 10 },
		"IDs that do not hold them":           func(c *Config) { c.Len = 16 },
		"IDs that QUIC has not":               func(c *Config) { c.Len = 21 },
		"a key of 15 bytes":                   func(c *Config) { c.Key = c.Key[:15] },
		"an empty key":                        func(c *Config) { c.Key = []byte{} },
	} {
		c := good
		change(&c)
		if _, err := NewDecoder(c); err == nil {
			t.Errorf("a decoder with %s", sentence)
		}
		if _, err := NewGenerator(c, make([]byte, max(c.ServerIDLen, 0))); err == nil {
			t.Errorf("a generator with %s", sentence)
		}
	}
	if _, err := NewGenerator(good, make([]byte, 7)); err == nil {
		t.Error("a server ID of another length")
	}
}

func TestIDsAreMadeAndReadWithoutAllocating(t *testing.T) {
	for _, nonce := range []int{8, 9} {
		c := Config{ServerIDLen: 8, NonceLen: nonce, Key: unhex(draftKey)}
		g, _ := NewGenerator(c, make([]byte, 8))
		d, _ := NewDecoder(c)
		id, out := make([]byte, g.Len()), make([]byte, 0, 20)
		if n := testing.AllocsPerRun(100, func() {
			g.Generate(id)
			if _, ok := d.AppendServerID(out, id); !ok {
				t.Fatal("unroutable")
			}
		}); n != 0 {
			t.Errorf("nonce of %d bytes: %v allocations", nonce, n)
		}
	}
}

// FuzzDecoder shows a decoder what anybody may send it.
func FuzzDecoder(f *testing.F) {
	for _, v := range vectors {
		f.Add(unhex(v.cid), uint8(3), uint8(4))
	}
	f.Add([]byte{0xc0, 0, 0, 0, 1, 8, 7, 1, 2, 3, 4, 5, 6, 7}, uint8(3), uint8(4))
	f.Add([]byte{0x40}, uint8(1), uint8(4))
	f.Fuzz(func(t *testing.T, b []byte, server, nonce uint8) {
		var configs []Config
		for id := range maxConfigs {
			c := Config{ID: id, ServerIDLen: int(server), NonceLen: int(nonce), TellsLen: id%2 == 1}
			if id%3 > 0 {
				c.Key = unhex(draftKey)
			}
			configs = append(configs, c)
		}
		d, err := NewDecoder(configs...)
		if err != nil {
			return
		}
		before := bytes.Clone(b)
		for _, read := range []func(b, from []byte) ([]byte, bool){d.AppendServerID, d.AppendServerIDOf} {
			got, ok := read([]byte{1, 2}, b)
			if again, _ := read([]byte{1, 2}, b); !bytes.Equal(got, again) || !bytes.Equal(b, before) {
				t.Error("reading an ID changes it")
			}
			if want := 2; ok && len(got) != want+int(server) || !ok && len(got) != want {
				t.Errorf("%x, %v", got, ok)
			}
		}
	})
}

func BenchmarkAppendServerID(b *testing.B) {
	for _, c := range []Config{{ServerIDLen: 8, NonceLen: 8}, {ServerIDLen: 4, NonceLen: 8}, {ServerIDLen: 9, NonceLen: 8}} {
		b.Run(fmt.Sprintf("%d+%d", c.ServerIDLen, c.NonceLen), func(b *testing.B) {
			c.Key = unhex(draftKey)
			d, _ := NewDecoder(c)
			id, out := make([]byte, 20), make([]byte, 0, 20)
			for b.Loop() {
				d.AppendServerID(out, id)
			}
		})
	}
}
