package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/godwit-net/godwit/altsvc"
	"github.com/godwit-net/godwit/quic"
)

const getUsage = "get [flags] URL"

// getOptions is what get was asked for, checked.
type getOptions struct {
	url     *url.URL
	request *http.Request // without its content
	data    string        // as given: text, @FILE or @-; "" for none

	verbose, include, insecure, fail, resume, json bool

	roots   *x509.CertPool // nil: the system's
	keyLog  string
	qlogDir string
	output  string // "" or "-": stdout
	timeout time.Duration

	versions []uint32 // of QUIC; nil: what package quic begins with

	http3Only  bool              // a QUIC connection to the URL's own address, and nothing else
	preference altsvc.Preference // otherwise
	altSvc     string            // where what was learned is kept; "": nowhere
}

// get fetches one URL, over HTTP/3 where that is known, or wanted.
func get(ctx context.Context, p process, args []string) error {
	o, err := parseGet(p, args)
	if err != nil {
		return err
	}
	f, err := newFetch(p, o)
	if err != nil {
		return err
	}
	defer f.close()
	if err := f.run(ctx); err != nil {
		if ctx.Err() != nil {
			return errors.New("interrupted")
		}
		return err
	}
	return nil
}

// parseGet reads the arguments. Flags may stand before and behind the URL. Whatever can be found wrong without opening
// a connection or writing a file is found here.
func parseGet(p process, args []string) (*getOptions, error) {
	f := flag.NewFlagSet("get", flag.ContinueOnError)
	o := &getOptions{}
	header := http.Header{}
	f.BoolVar(&o.verbose, "v", false, "show versions, certificate, fields and timings on stderr")
	f.BoolVar(&o.include, "i", false, "write the response's header in front of its content")
	f.BoolVar(&o.insecure, "insecure", false, "accept any certificate")
	f.BoolVar(&o.insecure, "k", false, "the same as --insecure")
	cacert := f.String("cacert", "", "trust the certificates in the PEM `FILE`, and no others")
	f.StringVar(&o.keyLog, "keylog", "", "append TLS secrets to `FILE`, with which Wireshark can decrypt")
	f.StringVar(&o.qlogDir, "qlog", "", "write the connection's qlog into `DIR`")
	f.StringVar(&o.output, "o", "", "write the content to `FILE` instead of stdout")
	method := f.String("X", "", "the `METHOD`; GET, or POST with -d, if not given")
	f.Func("H", "a request `FIELD` such as 'Accept: text/html'; may be repeated", func(s string) error { return addField(header, s) })
	f.StringVar(&o.data, "d", "", "send `DATA`: the text itself, @FILE or @- for stdin")
	f.DurationVar(&o.timeout, "timeout", 30*time.Second, "how long to wait for the response to begin; 0 is for ever")
	f.BoolVar(&o.fail, "fail", false, "exit with 1, and write no content, when the status is 400 or above")
	f.BoolVar(&o.resume, "resume", false, "open a connection for a TLS ticket first, and fetch over a second one that resumes it")
	f.Func("quic-version", "speak this `VERSION` of QUIC only, 1 or 2; otherwise 1, or 2 if the server wants it", o.setVersion)
	f.BoolVar(&o.http3Only, "http3-only", false, "use HTTP/3 and nothing else; so does --resume")
	try := f.Bool("http3", false, "try HTTP/3, and TCP 300 ms later; the default")
	never := f.Bool("no-http3", false, "use TCP")
	f.StringVar(&o.altSvc, "alt-svc", altSvcFile(), "keep in `FILE` which sites have HTTP/3; '' keeps nothing, and -k never does")
	f.BoolVar(&o.json, "json", false, "report as one JSON object: on stdout with -o, on stderr without")
	urls, err := parseAround(p, f, args)
	if err != nil {
		return nil, err
	}
	if len(urls) != 1 {
		return nil, usagef("get: %d URLs given, want one (godwit get --help shows the flags)", len(urls))
	}
	if o.timeout < 0 {
		return nil, usagef("get: --timeout %v is negative", o.timeout)
	}
	for _, check := range []func() error{
		func() error { return o.checkURL(urls[0]) },
		func() error { return o.checkPreference(*try, *never) },
		func() error { return o.checkRequest(*method, header) },
		func() error { return o.checkRoots(*cacert) },
		o.checkFiles,
	} {
		if err := check(); err != nil {
			return nil, usagef("get: %v", err)
		}
	}
	return o, nil
}

// altSvcFile is where what was learned is kept unless --alt-svc says otherwise.
func altSvcFile() string {
	dir, err := os.UserCacheDir()
	if err != nil {
		return ""
	}
	return filepath.Join(dir, "godwit", "alt-svc.json")
}

// checkPreference says which way to go by the flags that are about it.
func (o *getOptions) checkPreference(try, never bool) error {
	said := 0
	for _, flag := range []bool{o.http3Only, try, never} {
		if flag {
			said++
		}
	}
	if said > 1 {
		return errors.New("only one of --http3-only, --http3 and --no-http3 can be meant")
	}
	if o.resume && (try || never) {
		return errors.New("--resume is about HTTP/3 alone")
	}
	o.http3Only = o.http3Only || o.resume
	o.preference = altsvc.Always
	if never {
		o.preference = altsvc.Never
	}
	return nil
}

// parseAround parses flags that may be mixed with other arguments, which it returns.
func parseAround(p process, f *flag.FlagSet, args []string) (others []string, err error) {
	for {
		if err := parse(p, f, getUsage, args); err != nil {
			return nil, err
		}
		if f.NArg() == 0 {
			return others, nil
		}
		others = append(others, f.Arg(0))
		args = f.Args()[1:]
	}
}

func (o *getOptions) checkURL(text string) error {
	u, err := url.Parse(text)
	switch {
	case err != nil:
		return fmt.Errorf("%q is not a URL: %v", text, errors.Unwrap(err))
	case u.Scheme == "http":
		return fmt.Errorf("%q: HTTP/3 is always encrypted: the URL must begin with https://", text)
	case u.Scheme != "https" || u.Host == "":
		return fmt.Errorf("%q is not an https URL: want one such as https://example.com/", text)
	case u.Hostname() == "":
		return fmt.Errorf("%q names no host", text)
	}
	if port := u.Port(); port != "" {
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			return fmt.Errorf("%q: the port must be a number from 1 to 65535", text)
		}
	}
	o.url = u
	return nil
}

func (o *getOptions) setVersion(s string) error {
	switch s {
	case "1":
		o.versions = []uint32{quic.Version1}
	case "2":
		o.versions = []uint32{quic.Version2}
	default:
		return errors.New("want 1 or 2")
	}
	return nil
}

// addr is where the URL leads.
func (o *getOptions) addr() string {
	port := o.url.Port()
	if port == "" {
		port = "443"
	}
	return net.JoinHostPort(o.url.Hostname(), port)
}

func (o *getOptions) checkRequest(method string, header http.Header) (err error) {
	if method == "" {
		method = http.MethodGet
		if o.data != "" {
			method = http.MethodPost
		}
	}
	if o.request, err = http.NewRequest(method, o.url.String(), nil); err != nil {
		return err
	}
	if method == http.MethodConnect {
		return errors.New("CONNECT opens a tunnel, which get cannot use")
	}
	o.request.Host = header.Get("Host")
	header.Del("Host")
	o.request.Header = header
	if _, ok := header["User-Agent"]; !ok {
		header.Set("User-Agent", "godwit")
	}
	if user := o.url.User; user != nil && header.Get("Authorization") == "" {
		password, _ := user.Password()
		o.request.SetBasicAuth(user.Username(), password)
	}
	if o.data != "" && header.Get("Content-Type") == "" {
		header.Set("Content-Type", "application/x-www-form-urlencoded") // as curl has it
	}
	return nil
}

// addField adds a field given as "Name: value".
func addField(h http.Header, s string) error {
	name, value, ok := strings.Cut(s, ":")
	valid := ok && name != "" && strings.IndexFunc(name, func(r rune) bool {
		return !strings.ContainsRune("!#$%&'*+-.^_`|~", r) && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
	}) < 0
	if !valid || strings.ContainsAny(value, "\r\n\x00") {
		return errors.New("want 'Name: value'")
	}
	h.Add(name, strings.TrimSpace(value))
	return nil
}

func (o *getOptions) checkRoots(file string) error {
	if file == "" {
		return nil
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("--cacert %s: %v", file, withoutPath(err))
	}
	o.roots = x509.NewCertPool()
	if !o.roots.AppendCertsFromPEM(text) {
		return fmt.Errorf("--cacert %s: there is no certificate in it", file)
	}
	return nil
}

// checkFiles finds files that could not be read or written later.
func (o *getOptions) checkFiles() error {
	if name, ok := strings.CutPrefix(o.data, "@"); ok && name != "-" {
		if _, err := os.Stat(name); err != nil {
			return fmt.Errorf("-d @%s: %v", name, withoutPath(err))
		}
	}
	for _, c := range []struct{ flag, file string }{{"-o", o.output}, {"--keylog", o.keyLog}, {"--alt-svc", o.altSvc}} {
		if c.file == "" || c.file == "-" {
			continue
		}
		if info, err := os.Stat(c.file); err == nil && info.IsDir() {
			return fmt.Errorf("%s %s: is a folder", c.flag, c.file)
		}
		if _, err := os.Stat(filepath.Dir(c.file)); err != nil && c.file != altSvcFile() {
			return fmt.Errorf("%s %s: there is no folder %s", c.flag, c.file, filepath.Dir(c.file))
		}
	}
	if info, err := os.Stat(o.qlogDir); o.qlogDir != "" && err == nil && !info.IsDir() {
		return fmt.Errorf("--qlog %s: is not a folder", o.qlogDir)
	}
	return nil
}

// content opens what -d names, and says how long it is: -1 for unknown.
func (o *getOptions) content(stdin io.Reader) (body io.ReadCloser, length int64, err error) {
	name, file := strings.CutPrefix(o.data, "@")
	switch {
	case o.data == "":
		return http.NoBody, 0, nil
	case !file:
		return io.NopCloser(bytes.NewReader([]byte(o.data))), int64(len(o.data)), nil
	case name == "-":
		return io.NopCloser(stdin), -1, nil
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, 0, err
	}
	length = -1
	if info, err := f.Stat(); err == nil && info.Mode().IsRegular() {
		length = info.Size()
	}
	return f, length, nil
}

func (o *getOptions) tlsConfig(keyLog io.Writer) *tls.Config {
	return &tls.Config{
		RootCAs:            o.roots,
		InsecureSkipVerify: o.insecure,
		KeyLogWriter:       keyLog,
		ClientSessionCache: tls.NewLRUClientSessionCache(4),
	}
}

// withoutPath is err without the name of the file, which is told already.
func withoutPath(err error) error {
	if path, ok := errors.AsType[*fs.PathError](err); ok {
		return path.Err
	}
	return err
}
