package interop

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
)

// A browser is a client only. A page fetches the files and hands them over.
var chromiumPeer = &matrixPeer{
	name:     "Chromium",
	programs: []*peer{chromium},
	slow:     true,
	version:  func() string { return programVersion(chromium, "--version") },
	ask:      chromiumAsks,
	cannotAsk: map[string]string{
		"chacha20":            "Chromium cannot be told which cipher suites to offer",
		"resumption":          "Chromium cannot be told to close a connection, and keeps its tickets in memory: there is no second connection to resume",
		"zerortt":             "Chromium cannot be told to close a connection, and keeps its tickets in memory: there is no second connection to resume",
		"keyupdate":           "Chromium cannot be told to update keys",
		"v2":                  "Chromium has no compatible version negotiation (RFC 9368)",
		"connectionmigration": "Chromium cannot be told to move",
		"ecn":                 "Chromium does not mark its packets",
	},
	faultAsking: map[string]string{
		"handshake":          chromiumTwice,
		"retry":              chromiumTwice,
		"http3":              chromiumTwice,
		"amplificationlimit": "Chromium gives up after 4 s without an answer, before its seventh datagram; the packets 2 to 7 of the next attempt are lost again",
	},
}

const chromiumTwice = "now and then Chromium opens a second connection for a page, where the runner counts handshakes"

// chromiumPage fetches lists of files, one list after the other and up to a hundred files of a list at once, and hands them to the
// test by HTTP/1.1. What fails is asked for again. (Of many more at once Chromium sends a STREAMS_BLOCKED frame for each, and closes
// the connection over their number.)
const chromiumPage = `<!doctype html><script>
const lists = LISTS, collector = "COLLECTOR";
async function load(url) {
	for (;;) {
		try {
			const response = await fetch(url, {cache: "no-store"});
			if (!response.ok) throw new Error(response.status);
			const body = await response.arrayBuffer();
			await fetch(collector + url.split("/").pop(), {method: "POST", mode: "no-cors", body});
			return;
		} catch (e) {
			await new Promise(again => setTimeout(again, 100));
		}
	}
}
(async () => {
	for (const list of lists) {
		const some = async () => { while (list.length) await load(list.shift()); };
		await Promise.all(Array.from({length: 100}, some));
	}
	await fetch(collector, {method: "POST", mode: "no-cors"});
})();
</script>`

func chromiumAsks(c *cell) error {
	// Connections are one for each host, and the hosts are the server's under several names.
	origin := func(i int) string {
		if i == 0 && !c.wants.ipv6 { // Chromium asks no literal of IPv6 by QUIC
			return c.addr.String()
		}
		return fmt.Sprintf("host%d.test:%s", i, portOf(c.addr))
	}
	var origins []string
	var lists [][]string
	for i, names := range c.names {
		origins = append(origins, origin(i))
		var list []string
		for _, name := range names {
			list = append(list, "https://"+origin(i)+"/"+name)
		}
		lists = append(lists, list)
	}
	text, err := json.Marshal(lists)
	if err != nil {
		return err
	}
	collector, done, err := c.collect()
	if err != nil {
		return err
	}
	page := strings.NewReplacer("LISTS", string(text), "COLLECTOR", collector).Replace(chromiumPage)
	if err := os.WriteFile(filepath.Join(c.dir.host, "docs", "page.html"), []byte(page), 0o644); err != nil {
		return err
	}
	leaf, err := x509.ParseCertificate(c.serverTLS().Certificates[0].Certificate[0])
	if err != nil {
		return err
	}
	spki := sha256.Sum256(leaf.RawSubjectPublicKeyInfo)
	profile, err := os.MkdirTemp("", "godwit-chromium-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(profile)
	cmd := chromium.command("--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
		"--user-data-dir="+profile, "--disable-background-networking", "--disable-component-update", "--enable-quic",
		"--origin-to-force-quic-on="+strings.Join(origins, ","), "--ignore-certificate-errors-spki-list="+base64.StdEncoding.EncodeToString(spki[:]),
		"--host-resolver-rules=MAP *.test "+hostOf(c.addr), "--remote-debugging-port=0", "https://"+origin(0)+"/page.html")
	var said output
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		return err
	}
	defer func() {
		cmd.Process.Signal(syscall.SIGTERM)
		cmd.Wait()
		os.WriteFile(filepath.Join(c.dir.host, "chromium.log"), []byte(said.String()), 0o644)
	}()
	select {
	case <-done:
		return nil
	case <-c.ctx.Done():
		return errors.New("the page was not done in time")
	}
}

// hostOf is an address as URLs have it.
func hostOf(a netip.AddrPort) string {
	if a.Addr().Is6() {
		return "[" + a.Addr().String() + "]"
	}
	return a.Addr().String()
}

// collect takes files by POST into the cell's folder; one without a name ends it.
func (c *cell) collect() (url string, done chan struct{}, err error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	done = make(chan struct{})
	end := sync.OnceFunc(func() { close(done) })
	s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name := filepath.Base(r.URL.Path)
		if name == "/" {
			end()
			return
		}
		content, err := io.ReadAll(r.Body)
		if err == nil {
			err = os.WriteFile(filepath.Join(c.dir.host, "down", name), content, 0o644)
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
		}
	})}
	go s.Serve(l)
	c.closers = append(c.closers, func() { s.Close() })
	return "http://" + l.Addr().String() + "/", done, nil
}
