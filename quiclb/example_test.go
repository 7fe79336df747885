package quiclb_test

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"log"

	"github.com/godwit-net/godwit/quic"
	"github.com/godwit-net/godwit/quiclb"
)

// A server's half: every connection ID that an endpoint with conf gives to clients leads to server 0017. The load balancer's
// half: the ID of any packet tells where it goes.
func Example() {
	key := []byte("a shared secret!") // of load balancers and servers; of 16 random bytes
	shared := quiclb.Config{ID: 2, ServerIDLen: 2, NonceLen: 14, Key: key}

	ids, err := quiclb.NewGenerator(shared, []byte{0x00, 0x17})
	if err != nil {
		log.Fatal(err)
	}
	conf := &quic.Config{Routing: quic.Routing{ConnIDs: ids}} // for quic.Listen

	balancer, err := quiclb.NewDecoder(shared)
	if err != nil {
		log.Fatal(err)
	}
	for range 3 {
		id := make([]byte, conf.ConnIDs.Len()) // as the endpoint has one made
		rand.Read(id)
		conf.ConnIDs.Generate(id)
		packet := append(append([]byte{0x40}, id...), bytes.Repeat([]byte{7}, 50)...)
		server, ok := balancer.AppendServerIDOf(nil, packet)
		fmt.Printf("%d bytes, to server %x: %v\n", len(id), server, ok)
	}
	// Output:
	// 17 bytes, to server 0017: true
	// 17 bytes, to server 0017: true
	// 17 bytes, to server 0017: true
}
