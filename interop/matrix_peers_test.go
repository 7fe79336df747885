package interop

// matrixPeer is a peer of the matrix: how its server is started, how its client is run, and what it cannot do. Each has a file
// of its own, matrix_peer_NAME_test.go, and a line in matrixPeers.
type matrixPeer struct {
	name     string
	programs []*peer       // what has to be installed
	version  func() string // for the table
	slow     bool          // it is given three times the time
	follows  bool          // its client goes where a server prefers to be reached
	hq       bool          // it has no HTTP/3: both ends speak hq-interop, as in the runner

	// serve starts the peer's server, as the cell's wants say: it listens at c.listenAt (or sets c.server itself), serves the files in
	// the cell's docs, and is ended by one of c.closers. nil: there is no server.
	serve func(c *cell) error
	// ask fetches c.names from c.addr, one connection for each list, into the cell's down. nil: there is no client.
	ask func(c *cell) error

	// Why the peer cannot take part in a test, by the test's name: as server and as client.
	cannotServe, cannotAsk map[string]string
	// Tests that fail through no fault of Godwit's, and whose fault it is.
	faultServing, faultAsking map[string]string
}

// matrixPeers are the columns of the table.
var matrixPeers = []*matrixPeer{
	quicGoPeer,
	ngtcp2OpenSSLPeer,
	ngtcp2GnuTLSPeer,
	aioquicPeer,
	curlPeer,
	nginxPeer,
	haproxyPeer,
	caddyPeer,
	chromiumPeer,
	quichePeer,
	denoPeer,
}

// has reports whether the peer takes the other role.
func (p *matrixPeer) has(godwit role) bool {
	if godwit == asServer {
		return p.ask != nil
	}
	return p.serve != nil
}

func (p *matrixPeer) cannot(godwit role, test string) string {
	if godwit == asServer {
		return p.cannotAsk[test]
	}
	return p.cannotServe[test]
}

func (p *matrixPeer) known(godwit role, test string) string {
	if godwit == asServer {
		return p.faultAsking[test]
	}
	return p.faultServing[test]
}
