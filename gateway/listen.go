package gateway

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"runtime"
	"strconv"
	"strings"
	"syscall"

	"github.com/godwit-net/godwit/http3"
	"github.com/godwit-net/godwit/quic"
)

// portAttempts is how often a free port is looked for: the system names one that is free for TCP, and it may be taken
// for UDP.
const portAttempts = 8

// Listen opens what Serve needs: the sockets, TCP and UDP on the same port, and the files of the log options. Either
// all of it is open afterwards, or nothing is. A small UDP buffer is logged here.
func (s *Server) Listen() error {
	if err := s.openLogs(); err != nil {
		return err
	}
	for attempt := 1; ; attempt++ {
		err := s.bind()
		if err == nil {
			break
		}
		if s.plan.port == 0 && !s.plan.UDPOnly && attempt < portAttempts && addrInUse(err) {
			continue
		}
		if s.keyLog != nil {
			s.keyLog.Close()
			s.keyLog = nil
		}
		return err
	}
	s.newServers()
	if warning := s.udp.Warning(); warning != "" {
		s.plan.Logger.Warn(warning)
	}
	return nil
}

func (s *Server) openLogs() (err error) {
	if s.plan.QLogDir != "" {
		if err := os.MkdirAll(s.plan.QLogDir, 0o777); err != nil {
			return fmt.Errorf("qlog folder %s: %w", s.plan.QLogDir, fileReason(err))
		}
	}
	if s.plan.KeyLogFile != "" {
		s.keyLog, err = os.OpenFile(s.plan.KeyLogFile, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
		if err != nil {
			return fmt.Errorf("key log file %s: %w", s.plan.KeyLogFile, fileReason(err))
		}
	}
	return nil
}

// bind reads the secret, and opens TCP and then UDP on the port that TCP has got.
func (s *Server) bind() error {
	port := int(s.plan.port)
	conf := &quic.Config{KeepAlive: keepAlive, Logger: s.plan.Logger}
	if s.plan.SecretFile != "" {
		var err error
		if conf.Secret, err = quic.LoadSecret(s.plan.SecretFile); err != nil {
			return &bindError{strings.TrimPrefix(err.Error(), "quic: "), err}
		}
	}
	var tcp net.Listener
	if !s.plan.UDPOnly {
		var err error
		if tcp, err = net.Listen("tcp", s.plan.Listen); err != nil {
			return &bindError{tcpReason(s.plan.Listen, port, err), err}
		}
		port = tcp.Addr().(*net.TCPAddr).Port
	}
	if s.plan.QLogDir != "" {
		conf.QLog = quic.QLogDir(s.plan.QLogDir, func(err error) { s.plan.Logger.Warn("no qlog of a connection", "error", err) })
	}
	addr := net.JoinHostPort(s.plan.host, strconv.Itoa(port))
	udp, err := quic.Listen(addr, s.tlsConfig(tls.VersionTLS13, http3.NextProto), conf)
	if err != nil {
		if tcp != nil {
			tcp.Close()
		}
		return &bindError{strings.TrimPrefix(err.Error(), "quic: "), err}
	}
	s.tcp, s.udp = tcp, udp
	return nil
}

// bindError is one line around the error of the system.
type bindError struct {
	line string
	err  error
}

func (e *bindError) Error() string { return e.line }
func (e *bindError) Unwrap() error { return e.err }

// tcpReason says why a TCP port could not be opened, and what helps. quic.Listen does the same for UDP.
func tcpReason(addr string, port int, err error) string {
	switch {
	case addrInUse(err):
		owner := quic.PortOwner("tcp", port)
		if owner == "" {
			owner = "another process"
		}
		return fmt.Sprintf("TCP port %d is taken by %s: choose another with --listen, or leave TCP to it with --udp-only", port, owner)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Sprintf("TCP port %d needs a privilege that this process does not have: choose one above 1023 with --listen", port)
	}
	var errno syscall.Errno
	if errors.As(err, &errno) {
		return fmt.Sprintf("TCP address %s cannot be opened: %v", addr, errno)
	}
	return fmt.Sprintf("TCP address %s cannot be opened: %v", addr, err)
}

// addrInUse reports whether an error of a socket means that somebody else has the port.
func addrInUse(err error) bool {
	const wsaeAddrInUse = syscall.Errno(10048) // package syscall does not map it
	return errors.Is(err, syscall.EADDRINUSE) || runtime.GOOS == "windows" && errors.Is(err, wsaeAddrInUse)
}
