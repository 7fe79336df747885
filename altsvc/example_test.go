package altsvc_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"

	"github.com/godwit-net/godwit/altsvc"
	"github.com/godwit-net/godwit/http3"
	"github.com/godwit-net/godwit/quic"
)

// A site with a TCP server that names its HTTP/3 server, and a client that finds
// the one through the other.
func ExampleTransport() {
	hello := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "hello") })
	tcp := httptest.NewUnstartedServer(nil)
	tcp.StartTLS()
	defer tcp.Close()
	udp, err := quic.Listen("127.0.0.1:0", http3.ConfigureTLS(tcp.TLS), nil)
	if err != nil {
		panic(err)
	}
	defer udp.Close()
	h3 := &http3.Server{Handler: hello}
	defer h3.Close()
	go h3.Serve(udp)
	tcp.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Alt-Svc", fmt.Sprintf(`h3=":%d"; ma=3600`, udp.Addr().(*net.UDPAddr).Port))
		hello(w, r)
	})

	t := &altsvc.Transport{TLSClientConfig: tcp.Client().Transport.(*http.Transport).TLSClientConfig}
	defer t.Close()
	client := &http.Client{Transport: t}
	protocols := map[string]bool{}
	for !protocols["HTTP/3.0"] { // by TCP, until HTTP/3 stands
		res, err := client.Get(tcp.URL)
		if err != nil {
			panic(err)
		}
		io.Copy(io.Discard, res.Body)
		res.Body.Close()
		protocols[res.Proto] = true
	}
	fmt.Println(protocols)
	// Output: map[HTTP/1.1:true HTTP/3.0:true]
}
