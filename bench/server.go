package main

import (
	"fmt"
	"io"
	"net/http"
	"strconv"
)

// chunk is what bodies are made of, and the size of what reads them.
var chunk = make([]byte, 64<<10)

// handler answers GET /N with N bytes, and POST with the number of bytes that it was sent.
func handler(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodPost {
		n, err := discard(r.Body, make([]byte, len(chunk)))
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		fmt.Fprint(w, n)
		return
	}
	n, err := strconv.ParseInt(r.URL.Path[1:], 10, 64)
	if err != nil || n < 0 {
		http.Error(w, "GET /N for N bytes", http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Length", strconv.FormatInt(n, 10))
	for n > 0 {
		part, err := w.Write(chunk[:min(n, int64(len(chunk)))])
		if err != nil {
			return // the client is gone, which it will notice
		}
		n -= int64(part)
	}
}

// discard reads r to its end into buf and returns how much there was.
func discard(r io.Reader, buf []byte) (int64, error) {
	total := int64(0)
	for {
		n, err := r.Read(buf)
		total += int64(n)
		if err == io.EOF {
			return total, nil
		}
		if err != nil {
			return total, err
		}
	}
}

// runServer serves until the parent closes its end.
func runServer(s stack, j job, parent *line) error {
	conf, err := j.serverTLS()
	if err != nil {
		return err
	}
	l, err := s.serve(conf, j.Window, http.HandlerFunc(handler))
	if err != nil {
		return err
	}
	defer l.stop()
	if err := parent.out.Encode(hello{Addr: l.addr, Socket: l.socket}); err != nil {
		return err
	}
	var began usageSample
	stop := func() error { return nil }
	for {
		var c command
		switch err := parent.in.Decode(&c); {
		case err == io.EOF:
			return nil
		case err != nil:
			return err
		}
		switch c {
		case begin:
			if stop, err = startProfile(j.Profile); err != nil {
				return err
			}
			began = sampleUsage()
			err = parent.out.Encode(answer{})
		case end:
			used := sampleUsage().since(began)
			if err := stop(); err != nil {
				return err
			}
			err = parent.out.Encode(answer{Usage: used})
		}
		if err != nil {
			return err
		}
	}
}
