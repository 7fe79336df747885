package http3

import (
	"net/http"
	"strings"
	"testing"

	"github.com/godwit-net/godwit/internal/h3"
)

// PriorityUpdates returns what clients have said about requests that have not
// come or whose handlers run, for tests from outside.
func (s *Server) PriorityUpdates() map[int64]h3.Priority {
	all := make(map[int64]h3.Priority)
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		c.mu.Lock()
		for id, p := range c.updates {
			all[id] = p
		}
		c.mu.Unlock()
	}
	return all
}

func TestPrioritiesOfRequestAndResponseAreMerged(t *testing.T) {
	update := func(urgency uint8, incremental bool) *h3.Priority {
		return &h3.Priority{Urgency: urgency, Incremental: incremental}
	}
	for _, test := range []struct {
		name     string
		method   string
		request  []string
		update   *h3.Priority // came before the header
		response []string
		equally  bool
		want     string // what the stream was told
	}{
		{"nothing", "GET", nil, nil, nil, false, ""},
		{"the default", "GET", []string{"u=3, i=?0"}, nil, nil, false, ""},
		{"a request's", "GET", []string{"u=5, i"}, nil, nil, false, "5 true"},
		{"in two lines", "GET", []string{"u=5", "i"}, nil, nil, false, "5 true"},
		{"with parameters from the future", "GET", []string{`u=1, x="a", nu=2.5`}, nil, nil, false, "1 false"},
		{"that is none", "GET", []string{"u=1,"}, nil, nil, false, ""},
		{"a response's alone", "GET", nil, nil, []string{"u=6"}, false, "6 false"},
		// The example of RFC 9218, section 8.
		{"merged", "GET", []string{"u=5, i"}, nil, []string{"u=1"}, false, "5 true, 1 true"},
		{"merged with nonsense", "GET", []string{"u=5, i"}, nil, []string{"u=1,"}, false, "5 true"},
		{"an update goes before the header", "GET", []string{"u=5, i"}, update(0, false), nil, false, "0 false"},
		{"also one to the default", "GET", []string{"u=5, i"}, update(3, false), nil, false, "3 false"},
		{"and is merged", "GET", []string{"u=5"}, update(0, true), []string{"i=?0"}, false, "0 true, 0 false"},
		{"a tunnel", "CONNECT", nil, nil, nil, false, "3 true"},
		{"a tunnel that asks", "CONNECT", []string{"u=2"}, nil, nil, false, "2 false"},
		{"equal shares", "GET", []string{"u=0"}, nil, []string{"u=0"}, true, "3 true"},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := &bytesStream{}
			x := newTestExchange(s)
			x.conn.srv.ShareEqually = test.equally
			if test.update != nil {
				x.conn.updates = map[int64]h3.Priority{0: *test.update}
			}
			x.req = &http.Request{Method: test.method, Header: http.Header{}}
			if test.request != nil {
				x.req.Header["Priority"] = test.request
			}
			x.res.init(x, x.req)
			x.prioritize()
			if test.response != nil {
				x.res.Header()["Priority"] = test.response
			}
			x.res.WriteHeader(http.StatusOK)
			if got := strings.Join(s.priorities, ", "); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}
