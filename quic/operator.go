package quic

import (
	"encoding/hex"
	"io"
	"os"
	"path/filepath"

	"github.com/godwit-net/godwit/internal/udp"
)

// Warning returns what the operator should know about the socket, in one line that names the remedy: "" when there is
// nothing. A socket buffer that the system keeps small is the usual case. Features contains it.
func (e *Endpoint) Warning() string { return e.sock.Features().Warning }

// PortOwner returns the process that holds a port of "tcp" or "udp" on any address of this host, as in
// "nginx (pid 812)". It returns "" when nobody does, or when the system does not tell. The errors of Listen say it for
// UDP already; it is here for programs that serve TCP on the same port.
func PortOwner(network string, port int) string { return udp.PortOwner(network, port) }

// QLogDir returns a Config.QLog that writes the qlog of each connection to a file of its own in dir, which must exist:
// ODCID_client.sqlog or ODCID_server.sqlog, ODCID in hexadecimal. A file that cannot be created is reported to failed,
// unless that is nil, and its connection goes without.
func QLogDir(dir string, failed func(error)) func(QLogInfo) io.WriteCloser {
	return func(info QLogInfo) io.WriteCloser {
		side := "client"
		if info.Server {
			side = "server"
		}
		f, err := os.Create(filepath.Join(dir, hex.EncodeToString(info.ODCID)+"_"+side+".sqlog"))
		if err != nil {
			if failed != nil {
				failed(err)
			}
			return nil
		}
		return f
	}
}
