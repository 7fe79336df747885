package gateway

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
)

func TestDemoPageNeedsNothingElse(t *testing.T) {
	s := start(t, Config{})
	everyProtocol(t, func(t *testing.T, protocol string, rt http.RoundTripper) {
		got := s.do(rt, "GET", "/", nil, nil)
		if got.status != 200 || got.header.Get("Content-Type") != "text/html; charset=utf-8" || got.header.Get("Cache-Control") != "no-store" {
			t.Errorf("%d %v", got.status, got.header)
		}
		if strings.Contains(got.body, "{{") || regexp.MustCompile(`(?:src|href)="(?:https?:)?//`).MatchString(got.body) {
			t.Error("the page has a hole or loads from elsewhere")
		}
		policy := got.header.Get("Content-Security-Policy")
		for _, tag := range []string{"style", "script"} {
			_, rest, _ := strings.Cut(got.body, "<"+tag+">")
			text, _, _ := strings.Cut(rest, "</"+tag+">")
			if text == "" || !strings.Contains(policy, integrity(text)) {
				t.Errorf("the policy does not allow the page's %s: %s", tag, policy)
			}
		}
	})
}

func TestDemoEndpoints(t *testing.T) {
	s := start(t, Config{})
	short := map[string]string{"HTTP/1.1": "http/1.1", "HTTP/2.0": "h2", "HTTP/3.0": "h3"}
	everyProtocol(t, func(t *testing.T, protocol string, rt http.RoundTripper) {
		if got := s.do(rt, "GET", "/proto", nil, nil); got.body != protocol+"\n" {
			t.Errorf("/proto: %q", got.body)
		}
		var tile struct{ Proto, Colour string }
		if err := json.Unmarshal([]byte(s.do(rt, "GET", "/tile/7", nil, nil).body), &tile); err != nil ||
			tile.Proto != short[protocol] || !strings.HasPrefix(tile.Colour, "hsl(") {
			t.Errorf("/tile/7: %+v, %v", tile, err)
		}
		if got := s.do(rt, "POST", "/echo", nil, strings.NewReader("hello")); got.body != "hello" {
			t.Errorf("/echo: %q", got.body)
		}
		if got := s.do(rt, "GET", "/bytes/100000", nil, nil); len(got.body) != 100000 || got.header.Get("Content-Length") != "100000" {
			t.Errorf("/bytes: %d bytes", len(got.body))
		}
		if got := s.do(rt, "HEAD", "/bytes/1000000000", nil, nil); got.body != "" || got.header.Get("Content-Length") != "1000000000" {
			t.Errorf("HEAD /bytes: %+v", got)
		}
		req, _ := http.NewRequestWithContext(within(t), "GET", s.base+"/events", nil)
		res, err := rt.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		if line, err := bufio.NewReader(res.Body).ReadString('\n'); line != "id: 1\n" {
			t.Errorf("/events: %q, %v", line, err)
		}
	})
}

func TestDemoEchoStreams(t *testing.T) {
	s := start(t, Config{})
	everyProtocol(t, func(t *testing.T, protocol string, rt http.RoundTripper) {
		r, w := io.Pipe()
		req, _ := http.NewRequestWithContext(within(t), "POST", s.base+"/echo", r)
		if protocol != "HTTP/1.1" { // its client writes on only after it has an answer, or has sent all
			go io.WriteString(w, "first\n")
		} else {
			go func() { io.WriteString(w, "first\n"); w.Close() }()
		}
		res, err := rt.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		if line, err := bufio.NewReader(res.Body).ReadString('\n'); line != "first\n" {
			t.Errorf("%q, %v", line, err)
		}
		w.Close()
	})
}

func TestDemoLimits(t *testing.T) {
	demo := newDemo()
	for path, want := range map[string]int{ // any order
		fmt.Sprintf("/bytes/%d", demoMaxBytes+1): 404,
		"/bytes/-1":                              404,
		"/bytes/x":                               404,
		"/bytes/0":                               200,
		fmt.Sprintf("/tile/%d", demoTiles):       404,
		fmt.Sprintf("/tile/%d", demoTiles-1):     200,
		"/missing":                               404,
	} {
		w := httptest.NewRecorder()
		demo.ServeHTTP(w, httptest.NewRequest("GET", path, nil))
		if w.Code != want {
			t.Errorf("%s: %d, want %d", path, w.Code, want)
		}
	}
	w := httptest.NewRecorder()
	demo.ServeHTTP(w, httptest.NewRequest("GET", "/echo", nil))
	if w.Code != http.StatusMethodNotAllowed {
		t.Errorf("GET /echo: %d", w.Code)
	}
}
