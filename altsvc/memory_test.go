package altsvc

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"time"
)

var home = origin{"origin.test", 443}

// knows makes a memory that has learned a field of home's.
func knows(t *testing.T, field string) (*memory, *clock) {
	t.Helper()
	c := &clock{}
	m := newMemory(c.now)
	learn(t, m, home, field, 0)
	return m, c
}

func learn(t *testing.T, m *memory, o origin, field string, age time.Duration) {
	t.Helper()
	services, _, err := Parse([]string{field})
	if err != nil {
		t.Fatal(err)
	}
	m.learn(o, services, age)
}

// chosen is the route that is chosen for home, "" if there is none.
func chosen(m *memory) string {
	if c, ok := m.choose(home); ok {
		return c.route.String()
	}
	return ""
}

func TestTheFirstFreshAlternativeWithHTTP3IsChosen(t *testing.T) {
	m, c := knows(t, `h2=":1", h3-29=":2", h3="a.test:3"; ma=60, h3=":4"; ma=120`)
	for _, step := range []struct {
		after time.Duration
		want  string
	}{{0, "a.test:3"}, {59 * time.Second, "a.test:3"}, {time.Second, "origin.test:4"}, {time.Minute, ""}} {
		c.advance(step.after)
		if got := chosen(m); got != step.want {
			t.Errorf("at %v: %q, want %q", c.now().Sub(clockBase), got, step.want)
		}
	}
	learn(t, m, home, `h3=":5"`, 0)
	learn(t, m, home, `h3=":6"; ma=60`, 59*time.Second)
	c.advance(999 * time.Millisecond)
	if got := chosen(m); got != "origin.test:6" {
		t.Errorf("what replaces the others: %q", got)
	}
	c.advance(time.Millisecond)
	if got := chosen(m); got != "" {
		t.Errorf("what was 59 seconds old and good for 60: %q", got)
	}
	learn(t, m, home, `h3=":7"; ma=60`, time.Minute)
	if got := chosen(m); got != "" {
		t.Errorf("what was stale when it came: %q", got)
	}
}

func TestBrokenAlternativesAreLeftAlone(t *testing.T) {
	m, c := knows(t, `h3=":443"; ma=100000000`)
	// The pause doubles with each failure.
	for _, want := range []time.Duration{5, 10, 20, 40, 80, 160, 320, 640, 1280, 2560, 2880, 2880} {
		want *= time.Minute
		choice, ok := m.choose(home)
		if !ok {
			t.Fatalf("before the pause of %v it is not tried", want)
		}
		m.tcpWorks(home)
		until, broken := m.failed(home, choice.route, c.now())
		if again, _ := m.failed(home, choice.route, c.now()); again != until {
			t.Error("two failures at once count twice")
		}
		if got := until.Sub(c.now()); !broken || got != want {
			t.Fatalf("it is broken for %v, want %v", got, want)
		}
		c.advance(want - 1)
		if _, ok := m.choose(home); ok {
			t.Fatalf("within the pause of %v it is tried", want)
		}
		c.advance(1)
		if choice, ok = m.choose(home); !ok || !choice.troubled || choice.proven {
			t.Fatalf("after the pause: %+v, %v", choice, ok)
		}
	}
	// Success clears.
	m.worked(home, home)
	if choice, _ := m.choose(home); choice.troubled || !choice.proven {
		t.Errorf("after a success: %+v", choice)
	}
	m.tcpWorks(home)
	if until, _ := m.failed(home, home, c.now()); until.Sub(c.now()) != firstBreak {
		t.Errorf("the next failure counts as one of many")
	}
}

func TestAFailureOfTheWholeNetworkIsNotTheAlternatives(t *testing.T) {
	m, c := knows(t, `h3=":443"`)
	m.tcpWorks(home)
	c.advance(time.Second)
	if _, broken := m.failed(home, home, c.now()); broken {
		t.Error("TCP has not worked since, and it is broken")
	}
	c.advance(suspicion + 1)
	if m.tcpWorks(home); chosen(m) == "" {
		t.Error("TCP works much later, and it is broken")
	}
	m.failed(home, home, c.now().Add(1))
	c.advance(suspicion)
	if m.tcpWorks(home); chosen(m) != "" {
		t.Error("TCP works soon after, and it is not broken")
	}
}

func TestAnotherNetwork(t *testing.T) {
	m, c := knows(t, `h3="lasts.test:1"; persist=1, h3=":2"`)
	m.onNetwork("first")
	learn(t, m, home, `h3=":2", h3="lasts.test:1"; persist=1`, 0)
	m.worked(home, route{"lasts.test", 1})
	m.tcpWorks(home)
	m.failed(home, route{"origin.test", 2}, c.now())
	if m.onNetwork("first") {
		t.Error("the same network is another one")
	}
	if got := chosen(m); got != "lasts.test:1" {
		t.Errorf("before the change: %q", got)
	}
	if !m.onNetwork("second") {
		t.Error("another network is the same one")
	}
	choice, ok := m.choose(home)
	if !ok || choice.route.String() != "lasts.test:1" || choice.proven || len(m.broken) != 0 {
		t.Errorf("%+v, %v", choice, ok)
	}

	// A Transport looks every five seconds.
	s := newSite(t)
	network := "here"
	v := s.visitor(func(v *visitor) { v.network = func() string { return network } })
	moves(t, s, v)
	network = "there"
	v.clock.advance(networkPause - 1)
	v.lookAround()
	if _, ok := v.m.choose(home); !ok {
		t.Error("it looked before its time")
	}
	v.clock.advance(1)
	v.lookAround()
	if _, ok := v.m.choose(home); ok {
		t.Error("it did not look")
	}
}

func TestTheMemoryIsBounded(t *testing.T) {
	c := &clock{}
	m := newMemory(c.now)
	first := origin{"0.test", 443}
	for i := range maxOrigins {
		learn(t, m, origin{fmt.Sprint(i, ".test"), 443}, `h3=":1", h3=":2", h3=":3", h3=":4", h3=":5"`, 0)
	}
	if e := m.get(first); len(e.learned) != maxKept {
		t.Errorf("%d alternatives of one origin", len(e.learned))
	}
	learn(t, m, home, `h3=":443"`, 0)
	if len(m.origins) != maxOrigins || m.recent.Len() != maxOrigins || m.origins[first] == nil || m.origins[origin{"1.test", 443}] != nil {
		t.Errorf("%d origins; the latest used is there: %v; the longest unused is gone: %v", len(m.origins),
			m.origins[first] != nil, m.origins[origin{"1.test", 443}] == nil)
	}
	for i := range maxBroken + 1 {
		m.mu.Lock()
		m.breakLocked(way{home, route{"x", uint16(i + 1)}}, c.now())
		m.mu.Unlock()
		c.advance(time.Nanosecond)
	}
	if len(m.broken) != maxBroken || m.isBroken(way{home, route{"x", 1}}) || !m.isBroken(way{home, route{"x", maxBroken + 1}}) {
		t.Errorf("%d broken alternatives", len(m.broken))
	}
	for i := range maxKept + 1 {
		m.failed(home, route{"y", uint16(i + 1)}, c.now())
	}
	if n := len(m.get(home).suspects); n != maxKept {
		t.Errorf("%d suspects", n)
	}
}

func TestAFileHoldsTheMemory(t *testing.T) {
	m, c := knows(t, `h3=":443"; ma=3600; persist=1, h3="[2001:db8::1]:8443"`)
	m.onNetwork("here")
	learn(t, m, home, `h3=":443"; ma=3600; persist=1, h3="[2001:db8::1]:8443"`, 0)
	learn(t, m, origin{"192.0.2.1", 8443}, `h3=":1"; ma=60`, 0)
	m.worked(home, home)
	m.tcpWorks(home)
	m.failed(home, route{"2001:db8::1", 8443}, c.now())
	file := filepath.Join(t.TempDir(), "file")
	if err := m.save(file); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(file); err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	if others, _ := filepath.Glob(filepath.Join(filepath.Dir(file), "*")); len(others) != 1 {
		t.Errorf("left behind: %q", others)
	}
	again := newMemory(c.now)
	if err := again.load(file); err != nil {
		t.Fatal(err)
	}
	for o, e := range m.origins {
		was, is := e.Value.(*entry), again.get(o)
		if !reflect.DeepEqual(was.learned, is.learned) {
			t.Errorf("%v: %+v, want %+v", o, is.learned, was.learned)
		}
	}
	if !reflect.DeepEqual(m.broken, again.broken) || again.onNetwork("here") {
		t.Errorf("%+v, want %+v; network %q", again.broken, m.broken, again.network)
	}
	// What has ended meanwhile is not read.
	c.advance(time.Hour)
	late := newMemory(c.now)
	if err := late.load(file); err != nil || len(late.origins) != 1 || len(late.get(home).learned) != 1 {
		t.Errorf("%v, %+v", err, late.get(home))
	}
	if err := newMemory(c.now).load(filepath.Join(t.TempDir(), "none")); err != nil {
		t.Errorf("no file: %v", err)
	}
}

func TestFilesThatMakeNoSense(t *testing.T) {
	c := &clock{}
	const head = `{"version":1,"network":"here","origins":[`
	service := func(host, port, expires string) string {
		return head + `{"host":"origin.test","port":443,"services":[{"host":"` + host + `","port":` + port + `,"expires":"` + expires + `"}]}]}`
	}
	for _, s := range []struct {
		name, text string
		fails      bool
		origins    int
	}{
		{"good", service("a.test", "443", "2030-01-02T00:00:00Z"), false, 1},
		{"no JSON", "h3", true, 0},
		{"empty", "", true, 0},
		{"cut off", service("a.test", "443", "2030-01-02T00:00:00Z")[:70], true, 0},
		{"of another version", `{"version":2}`, true, 0},
		{"too large", head + strings.Repeat(" ", maxFileBytes) + `]}`, true, 0},
		{"a host that is none", service("a/b", "443", "2030-01-02T00:00:00Z"), false, 0},
		{"no host", service("", "443", "2030-01-02T00:00:00Z"), false, 0},
		{"a long host", service(strings.Repeat("a", maxAuthorityBytes), "443", "2030-01-02T00:00:00Z"), false, 0},
		{"port 0", service("a.test", "0", "2030-01-02T00:00:00Z"), false, 0},
		{"port 70000", service("a.test", "70000", "2030-01-02T00:00:00Z"), true, 0},
		{"over", service("a.test", "443", "2029-12-31T00:00:00Z"), false, 0},
		{"for ever", service("a.test", "443", "2199-01-01T00:00:00Z"), false, 0},
		{"origin that is none", strings.Replace(service("a.test", "443", "2030-01-02T00:00:00Z"), "origin.test", "%", 1), false, 0},
		{"broken for ever", head + `],"broken":[{"origin":{"host":"a","port":1},"at":{"host":"a","port":1},"until":"2031-01-01T00:00:00Z","failures":1}]}`, false, 0},
		{"broken without failures", head + `],"broken":[{"origin":{"host":"a","port":1},"at":{"host":"a","port":1},"until":"2030-01-01T00:01:00Z"}]}`, false, 0},
	} {
		file := filepath.Join(t.TempDir(), "file")
		if err := os.WriteFile(file, []byte(s.text), 0o600); err != nil {
			t.Fatal(err)
		}
		m := newMemory(c.now)
		if err := m.load(file); (err != nil) != s.fails || len(m.origins) != s.origins || len(m.broken) != 0 {
			t.Errorf("%s: %v, %d origins, %d broken", s.name, err, len(m.origins), len(m.broken))
		}
	}
	m := newMemory(c.now)
	text := head + `],"broken":[{"origin":{"host":"a","port":1},"at":{"host":"a","port":1},"until":"2030-01-01T00:01:00Z","failures":999999}]}`
	if err := m.decode([]byte(text)); err != nil || m.broken[way{route{"a", 1}, route{"a", 1}}].failures != maxFailures {
		t.Errorf("%v, %+v", err, m.broken)
	}
}

func FuzzDecode(f *testing.F) {
	m := newMemory((&clock{}).now)
	m.learn(home, []Service{{"h3", "", 443, time.Hour, true}}, 0)
	f.Add(m.encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		m := newMemory((&clock{}).now)
		if m.decode(b) == nil {
			m.choose(home)
			again := newMemory((&clock{}).now)
			if err := again.decode(m.encode()); err != nil {
				t.Fatal(err)
			}
		}
	})
}
