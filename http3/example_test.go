package http3_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"net/http"
	"strings"
	"time"

	"github.com/godwit-net/godwit/http3"
	"github.com/godwit-net/godwit/quic"
)

// A server and a client of it. The handler is one that any server of net/http
// could run; the client is an http.Client.
func Example() {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /hello/{name}", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "Hello, %s, by %s!", r.PathValue("name"), r.Proto)
	})
	server := &http3.Server{Handler: mux}
	// serverTLS has a certificate. With a fixed address, server.TLSConfig and
	// server.ListenAndServe(":443") do the same.
	endpoint, err := quic.Listen("127.0.0.1:0", serverTLS(), nil)
	if err != nil {
		log.Fatal(err)
	}
	go server.Serve(endpoint)
	defer server.Close()

	transport := &http3.Transport{TLSClientConfig: clientTLS()} // trusts that certificate
	defer transport.Close()
	client := &http.Client{Transport: transport, Timeout: 10 * time.Second}
	res, err := client.Get("https://" + endpoint.Addr().String() + "/hello/bird")
	if err != nil {
		log.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	fmt.Println(res.Status, res.Proto, err)
	fmt.Printf("%s\n", body)
	// Output:
	// 200 OK HTTP/3.0 <nil>
	// Hello, bird, by HTTP/3.0!
}

// Shutdown lets the running requests finish.
func ExampleServer_Shutdown() {
	entered := make(chan bool)
	server := &http3.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		close(entered)
		time.Sleep(10 * time.Millisecond)
		io.WriteString(w, "finished")
	})}
	endpoint, err := quic.Listen("127.0.0.1:0", serverTLS(), nil)
	if err != nil {
		log.Fatal(err)
	}
	go server.Serve(endpoint)

	down := make(chan error)
	go func() {
		<-entered
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		down <- server.Shutdown(ctx)
	}()
	transport := &http3.Transport{TLSClientConfig: clientTLS()}
	defer transport.Close()
	res, err := (&http.Client{Transport: transport}).Get("https://" + endpoint.Addr().String())
	if err != nil {
		log.Fatal(err)
	}
	body, err := io.ReadAll(res.Body)
	res.Body.Close()
	fmt.Printf("%s %v\n", body, err)
	fmt.Println("shut down:", <-down)
	// Output:
	// finished <nil>
	// shut down: <nil>
}

// ClientConn speaks HTTP/3 on a connection that the program dialled itself.
func ExampleNewClientConn() {
	server := &http3.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(w, r.Body)
	})}
	endpoint, err := quic.Listen("127.0.0.1:0", serverTLS(), nil)
	if err != nil {
		log.Fatal(err)
	}
	go server.Serve(endpoint)
	defer server.Close()

	conn, err := quic.Dial(context.Background(), endpoint.Addr().String(), clientTLS(), nil)
	if err != nil {
		log.Fatal(err)
	}
	client := http3.NewClientConn(conn)
	defer client.Close()
	req, _ := http.NewRequest("POST", "https://localhost/echo", strings.NewReader("who is there?"))
	res, err := client.RoundTrip(req)
	if err != nil {
		log.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	fmt.Printf("%s %v\n", body, err)
	// Output: who is there? <nil>
}

// A server that repeats what it reads from each tunnel, and a client. The protocol is made up; for WebSocket it is
// "websocket", and the tunnel is given to a WebSocket library.
func ExampleTakeTunnel() {
	server := &http3.Server{
		ConnectProtocols: []string{"echo"},
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			tunnel, err := http3.TakeTunnel(w)
			if err != nil {
				http.Error(w, err.Error(), http.StatusBadRequest)
				return
			}
			io.Copy(tunnel, tunnel)
		}),
	}
	endpoint, err := quic.Listen("127.0.0.1:0", serverTLS(), nil)
	if err != nil {
		log.Fatal(err)
	}
	go server.Serve(endpoint)
	defer server.Close()

	transport := &http3.Transport{TLSClientConfig: clientTLS()}
	defer transport.Close()
	req, _ := http.NewRequest(http.MethodConnect, "https://"+endpoint.Addr().String()+"/", nil)
	req.Header.Set(":protocol", "echo")
	tunnel, res, err := transport.OpenTunnel(req)
	if err != nil {
		log.Fatal(err)
	}
	defer tunnel.Close()
	io.WriteString(tunnel, "who is there?")
	tunnel.CloseWrite()
	answer, err := io.ReadAll(tunnel)
	fmt.Printf("%s: %s %v\n", res.Status, answer, err)
	// Output:
	// 200 OK: who is there? <nil>
}
