package engine

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/godwit-net/godwit/congestion"
	"github.com/godwit-net/godwit/internal/wire"
)

// TestEveryLimitNamesATestThatExists: a limit that no test hits is a limit of which nobody knows that it holds.
func TestEveryLimitNamesATestThatExists(t *testing.T) {
	files := token.NewFileSet()
	limits, err := parser.ParseFile(files, "limits.go", nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	tests := testNames(t, files)
	name := regexp.MustCompile(`\bTest\w+`)
	named := ""
	for _, s := range limits.Decls[1].(*ast.GenDecl).Specs {
		s := s.(*ast.ValueSpec)
		if s.Doc != nil { // without a comment of its own it belongs to the one above
			named = name.FindString(s.Doc.Text())
		}
		switch limit := s.Names[0].Name; {
		case !strings.HasPrefix(limit, "max"):
		case named == "":
			t.Errorf("%s names no test", limit)
		case !tests[named]:
			t.Errorf("%s names %s, which does not exist", limit, named)
		}
	}
}

func testNames(t *testing.T, files *token.FileSet) map[string]bool {
	names := map[string]bool{}
	paths, err := filepath.Glob("*_test.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range paths {
		f, err := parser.ParseFile(files, path, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range f.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil {
				names[fn.Name.Name] = true
			}
		}
	}
	return names
}

func TestReasonsAreBounded(t *testing.T) {
	long := strings.Repeat("r", 2*maxCloseReason)
	x := newExchange(t, false).handshake()
	x.conn.Close(x.now, 1, long)
	x.drain()
	f := x.want("the close goes out", wire.AppSpace, "connection_close code=0x1 app=true")
	if c, _ := wire.ConsumeConnectionClose(f.raw); len(c.Reason) != maxCloseReason {
		t.Errorf("%d bytes of the reason are sent", len(c.Reason))
	}
	x = newExchange(t, false).handshake()
	x.receive(wire.AppSpace, wire.AppendConnectionClose(nil, wire.ConnectionClose{App: true, Reason: []byte(long)}))
	if e := x.conn.Err().(*ApplicationError); len(e.Reason) != maxCloseReason {
		t.Errorf("%d bytes of the peer's reason are kept", len(e.Reason))
	}
	// Three packets with a long reason and the longest code fit one datagram.
	x = newExchange(t, true)
	x.sayInitial()
	x.queue, x.buf = nil, make([]byte, minDatagramSize)
	x.conn.Abort(x.now, 1<<62-1, long)
	x.drain()
	for space := wire.InitialSpace; space < wire.NumSpaces; space++ {
		x.want("the close goes out in each space", space, "connection_close code=0x3fffffffffffffff app=false")
	}
}

func TestOneComposeIsBounded(t *testing.T) {
	x := newExchange(t, false, withConfig(func(c *Config) {
		c.Controller = func(int) congestion.Controller { return wideOpen{} }
	}), withParams(func(p *wire.TransportParams) {
		p.InitialMaxData, p.InitialMaxStreamDataBidiRemote = 1<<30, 1<<30
	})).handshake()
	x.conn.Write(x.now, x.open(), make([]byte, 1<<20))
	if got := x.conn.Compose(x.now, make([]byte, 1<<20)); got.Size != maxSegments*got.Segment {
		t.Errorf("%d bytes in datagrams of %d", got.Size, got.Segment)
	}
}

// wideOpen is a controller that forbids nothing.
type wideOpen struct{}

func (wideOpen) Name() string           { return "wide open" }
func (wideOpen) OnSent(congestion.Sent) {}
func (wideOpen) OnAck(congestion.Ack)   {}
func (wideOpen) OnLoss(congestion.Loss) {}
func (wideOpen) Window() int            { return 1 << 30 }
func (wideOpen) PacingRate() int64      { return 1 << 40 }
func (wideOpen) InSlowStart() bool      { return false }

func TestFreeListsAreBounded(t *testing.T) {
	x := newExchange(t, false).handshake()
	var pool chunkPool
	for range 2 * maxFreeLarge {
		pool.put(make([]byte, largeChunk))
		pool.put(make([]byte, smallChunk))
	}
	if len(pool.large) != maxFreeLarge || len(pool.small) != maxFreeSmall {
		t.Errorf("%d large and %d small chunks are kept", len(pool.large), len(pool.small))
	}
	for range 2 * maxFreeStreams {
		x.conn.recycled(&stream{forgotten: true})
	}
	if n := len(x.conn.streams.free); n != maxFreeStreams {
		t.Errorf("%d stream records are kept", n)
	}
}
