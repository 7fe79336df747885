package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// worker makes one request after the other on a connection of which others use more streams.
type worker struct {
	conn client
	req  *http.Request
	buf  []byte
	want int64 // bytes of a response body
}

// workers returns a worker for each stream of each connection, and the connections.
func workers(ctx context.Context, s stack, j job) ([]*worker, []client, error) {
	conf, err := j.clientTLS()
	if err != nil {
		return nil, nil, err
	}
	var all []*worker
	var conns []client
	for range j.Work.Conns {
		c := s.dial(conf, j.Window)
		conns = append(conns, c)
		for range j.Work.Streams {
			req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+j.Addr+"/"+strconv.Itoa(responseSize), nil)
			if err != nil {
				return nil, nil, err
			}
			all = append(all, &worker{conn: c, req: req, buf: make([]byte, len(chunk)), want: responseSize})
		}
	}
	return all, conns, nil
}

// once makes the request and reads the response.
func (w *worker) once() (*http.Response, error) {
	res, err := w.conn.RoundTrip(w.req)
	if err != nil {
		return nil, err
	}
	n, err := discard(res.Body, w.buf)
	res.Body.Close()
	switch {
	case err != nil:
		return nil, err
	case res.StatusCode != http.StatusOK:
		return nil, fmt.Errorf("the server answered %s", res.Status)
	case n != w.want:
		return nil, fmt.Errorf("a body of %d bytes, want %d", n, w.want)
	}
	return res, nil
}

// static is an endless body.
type static struct{}

func (static) Read(p []byte) (int, error) { return copy(p, chunk), nil }

// prepare turns the warm request of the only worker of a bulk transfer into the one to measure.
func (w *worker) prepare(ctx context.Context, j job) error {
	method, path, body := http.MethodGet, strconv.FormatInt(j.Work.Bytes, 10), io.Reader(nil)
	w.want = j.Work.Bytes
	if j.Work.Kind == upload {
		w.want = int64(len(path)) // the answer is the number
		method, path, body = http.MethodPost, "", io.LimitReader(static{}, j.Work.Bytes)
	}
	req, err := http.NewRequestWithContext(ctx, method, "https://"+j.Addr+"/"+path, body)
	if err != nil {
		return err
	}
	if body != nil {
		req.ContentLength = j.Work.Bytes
	}
	w.req = req
	return nil
}

// runClient opens its connections with a request on every stream, tells the parent, and does the work when told to.
func runClient(s stack, j job, parent *line) error {
	ctx, cancel := context.WithTimeout(context.Background(), j.Deadline)
	defer cancel()
	all, conns, err := workers(ctx, s, j)
	if err != nil {
		return err
	}
	defer func() {
		for _, c := range conns {
			c.Close()
		}
	}()
	cipher, err := warmUp(all)
	if err != nil {
		return fmt.Errorf("warming up: %w", err)
	}
	if j.Work.bulk() {
		if err := all[0].prepare(ctx, j); err != nil {
			return err
		}
	}
	if err := parent.out.Encode(hello{Cipher: cipher}); err != nil {
		return err
	}
	var c command
	if err := parent.in.Decode(&c); err != nil || c != begin {
		return fmt.Errorf("told %q, not to begin: %v", c, err)
	}
	a, err := measure(all, j)
	if err != nil {
		a.Error = err.Error()
	}
	if err := parent.out.Encode(a); err != nil {
		return err
	}
	if err := parent.in.Decode(&c); err != io.EOF {
		return fmt.Errorf("told %q, not to end: %v", c, err)
	}
	return nil
}

// warmUp makes one request with every worker and returns the cipher suite.
func warmUp(all []*worker) (cipher string, err error) {
	errs := make([]error, len(all))
	var wg sync.WaitGroup
	for i, w := range all {
		wg.Go(func() {
			res, err := w.once()
			errs[i] = err
			if err == nil && i == 0 && res.TLS != nil {
				cipher = tls.CipherSuiteName(res.TLS.CipherSuite)
			}
		})
	}
	wg.Wait()
	return cipher, errors.Join(errs...)
}

// measure does the work.
func measure(all []*worker, j job) (a answer, err error) {
	took := make([]float64, j.Work.Requests) // milliseconds
	errs := make([]error, len(all))
	var next atomic.Int64
	var wg sync.WaitGroup
	stop, err := startProfile(j.Profile)
	if err != nil {
		return a, err
	}
	before, start := sampleUsage(), time.Now()
	for i, w := range all {
		wg.Go(func() {
			for {
				n := next.Add(1) - 1
				if n >= int64(len(took)) {
					return
				}
				from := time.Now()
				if _, errs[i] = w.once(); errs[i] != nil {
					next.Store(int64(len(took))) // one failure ends it for all
					return
				}
				took[n] = float64(time.Since(from)) / float64(time.Millisecond)
			}
		})
	}
	wg.Wait()
	a.Seconds = time.Since(start).Seconds()
	a.Usage = sampleUsage().since(before)
	slices.Sort(took)
	a.Latency = []float64{took[len(took)/2], took[len(took)*99/100]}
	return a, errors.Join(append(errs, stop())...)
}
