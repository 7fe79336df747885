package altsvc

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// diary is lines that goroutines write.
type diary struct {
	mu    sync.Mutex
	lines []string
}

func (d *diary) write(what string) {
	d.mu.Lock()
	d.lines = append(d.lines, what)
	d.mu.Unlock()
}

func (d *diary) read() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.lines
}

// takes stands, or fails, after a while: 0 is never.
func takes(after time.Duration, err error, began *diary, what string, start time.Time) func(context.Context) (string, error) {
	return func(ctx context.Context) (string, error) {
		began.write(fmt.Sprint(what, " ", time.Since(start)))
		timer := time.NewTimer(after)
		if after == 0 {
			timer.Stop()
		}
		select {
		case <-timer.C:
			return what, err
		case <-ctx.Done():
			return "", context.Cause(ctx)
		}
	}
}

func TestTheRace(t *testing.T) {
	const ms = time.Millisecond
	down := errors.New("down")
	for _, c := range []struct {
		name         string
		head         time.Duration
		quic, tcp    time.Duration
		qErr, tcpErr error
		wins         string // or the error
		at           time.Duration
		tcpAt        string
	}{
		{"QUIC within its head start", headStart, 299 * ms, 50 * ms, nil, nil, "quic", 299 * ms, ""},
		{"QUIC behind it, before TCP", headStart, 320 * ms, 50 * ms, nil, nil, "quic", 320 * ms, "300ms"},
		{"TCP before QUIC", headStart, 400 * ms, 50 * ms, nil, nil, "tcp", 350 * ms, "300ms"},
		{"QUIC is silent", headStart, 0, 50 * ms, nil, nil, "tcp", 350 * ms, "300ms"},
		{"QUIC fails", headStart, 10 * ms, 50 * ms, down, nil, "tcp", 60 * ms, "10ms"},
		{"QUIC fails late", headStart, 310 * ms, 50 * ms, down, nil, "tcp", 350 * ms, "300ms"},
		{"TCP fails, QUIC is slow", headStart, time.Second, 50 * ms, nil, down, "quic", time.Second, "300ms"},
		{"nothing works", headStart, 10 * ms, 50 * ms, down, down, "altsvc: down; over QUIC: down", 60 * ms, "10ms"},
		{"nobody answers", headStart, 0, 0, nil, nil, "given up", 10 * time.Second, "300ms"},
		{"no head start, TCP first", 0, 60 * ms, 50 * ms, nil, nil, "tcp", 50 * ms, "0s"},
		{"no head start, QUIC first", 0, 40 * ms, 50 * ms, nil, nil, "quic", 40 * ms, "0s"},
	} {
		synctest.Test(t, func(t *testing.T) {
			start := time.Now()
			ctx, cancel := context.WithTimeoutCause(t.Context(), 10*time.Second, errors.New("given up"))
			defer cancel()
			var quicBegan, tcpBegan, dropped diary
			q, tcp, quicWon, err := race(ctx, c.head, ways[string, string]{
				quic:     takes(c.quic, c.qErr, &quicBegan, "quic", start),
				tcp:      takes(c.tcp, c.tcpErr, &tcpBegan, "tcp", start),
				dropQUIC: dropped.write, dropTCP: dropped.write,
			})
			at := time.Since(start)
			synctest.Wait()
			got := q + tcp
			if err != nil {
				got = err.Error()
			}
			if got != c.wins || at != c.at || err == nil && quicWon != (c.wins == "quic") {
				t.Errorf("%s: %s at %v, want %s at %v", c.name, got, at, c.wins, c.at)
			}
			if want := strings.TrimSpace("tcp " + c.tcpAt); want != "tcp" && !slices.Equal(tcpBegan.read(), []string{want}) || want == "tcp" && len(tcpBegan.read()) > 0 {
				t.Errorf("%s: %q, want %s", c.name, tcpBegan.read(), want)
			}
			if !slices.Equal(quicBegan.read(), []string{"quic 0s"}) || len(dropped.read()) > 0 {
				t.Errorf("%s: %q, dropped %q", c.name, quicBegan.read(), dropped.read())
			}
		})
	}
}

func TestWhatStandsTooLateIsDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stubborn := func(context.Context) (string, error) { time.Sleep(time.Second); return "late", nil }
		at := func(context.Context) (string, error) { return "soon", nil }
		var dropped diary
		race(t.Context(), 0, ways[string, string]{quic: stubborn, tcp: at, dropQUIC: dropped.write, dropTCP: dropped.write})
		race(t.Context(), 0, ways[string, string]{quic: func(ctx context.Context) (string, error) { time.Sleep(1); return "soon", nil }, tcp: stubborn, dropQUIC: dropped.write, dropTCP: dropped.write})
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if !slices.Equal(dropped.read(), []string{"late", "late"}) {
			t.Errorf("%q", dropped.read())
		}
	})
}

func addresses(text string) (list []netip.Addr) {
	for _, s := range strings.Fields(text) {
		list = append(list, netip.MustParseAddr(s))
	}
	return list
}

func TestAddressesAreTriedInTurn(t *testing.T) {
	const ms = time.Millisecond
	for _, c := range []struct{ in, want string }{
		{"", ""},
		{"::1 ::2 1.1.1.1 ::3 2.2.2.2", "::1 1.1.1.1 ::2 2.2.2.2 ::3"},
		{"1.1.1.1 ::1 ::2", "1.1.1.1 ::1 ::2"},
		{"::1 ::2 ::3 ::4 ::5 ::6 ::7 ::8 ::9 1.1.1.1", "::1 1.1.1.1 ::2 ::3 ::4 ::5 ::6 ::7"},
	} {
		if got := interleave(addresses(c.in)); !slices.Equal(got, addresses(c.want)) {
			t.Errorf("%s: %v, want %s", c.in, got, c.want)
		}
	}
	if got := first(addresses("::1 1.1.1.1 ::2"), netip.MustParseAddr("::2")); !slices.Equal(got, addresses("::2 ::1 1.1.1.1")) {
		t.Errorf("%v", got)
	}
	for _, c := range []struct {
		name   string
		after  []time.Duration // 0: never, negative: fails
		wins   string
		at     time.Duration
		starts string
	}{
		{"the first answers", []time.Duration{200 * ms, 1 * ms}, "::1", 200 * ms, "0s"},
		{"the first is silent", []time.Duration{0, 20 * ms, 0}, "1.1.1.1", 270 * ms, "0s 250ms"},
		{"the first fails", []time.Duration{-10 * ms, 20 * ms, 0}, "1.1.1.1", 30 * ms, "0s 10ms"},
		{"the first is slow and wins", []time.Duration{260 * ms, 50 * ms, 0}, "::1", 260 * ms, "0s 250ms"},
		{"only the last answers", []time.Duration{0, 0, 5 * ms}, "::2", 505 * ms, "0s 250ms 500ms"},
		{"after a failure the delay begins anew", []time.Duration{0, -50 * ms, 0, 1 * ms}, "2.2.2.2", 551 * ms, "0s 250ms 300ms 550ms"},
		{"all fail", []time.Duration{-1 * ms, -1 * ms}, "refused", 2 * ms, "0s 1ms"},
		{"none", nil, "altsvc: the host has no address", 0, ""},
	} {
		synctest.Test(t, func(t *testing.T) {
			list := addresses("::1 1.1.1.1 ::2 2.2.2.2")[:len(c.after)]
			start := time.Now()
			var starts, dropped diary
			dial := func(ctx context.Context, a netip.Addr) (string, error) {
				starts.write(time.Since(start).String())
				after, err := c.after[slices.Index(list, a)], error(nil)
				if after < 0 {
					after, err = -after, errors.New("refused")
				}
				var none diary
				return takes(after, err, &none, a.String(), start)(ctx)
			}
			got, err := dialEach(t.Context(), list, dial, dropped.write)
			at := time.Since(start)
			synctest.Wait()
			if err != nil {
				got, _, _ = strings.Cut(err.Error(), "\n")
			}
			if got != c.wins || at != c.at || strings.Join(starts.read(), " ") != c.starts || len(dropped.read()) > 0 {
				t.Errorf("%s: %s at %v with starts %q, want %s at %v with %s; dropped %q", c.name, got, at, starts.read(), c.wins, c.at, c.starts, dropped.read())
			}
		})
	}
}
