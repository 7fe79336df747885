package main

// workload is what one measurement does.
type workload struct {
	Kind     string // download, upload or requests
	Bytes    int64  // of the one body; of each response
	Requests int    // in all
	Conns    int
	Streams  int // at a time on each connection
}

const (
	download = "download"
	upload   = "upload"
	requests = "requests"
)

// testCase is a row of the comparison.
type testCase struct {
	name  string
	title string
	work  func(o *options) workload
}

// responseSize is the size of a small response, in bytes.
const responseSize = 1 << 10

var cases = []testCase{
	{"download", "download, one stream", func(o *options) workload {
		return workload{Kind: download, Bytes: int64(o.size), Requests: 1, Conns: 1, Streams: 1}
	}},
	{"upload", "upload, one stream", func(o *options) workload {
		return workload{Kind: upload, Bytes: int64(o.size), Requests: 1, Conns: 1, Streams: 1}
	}},
	{"requests-1x100", "1 KiB GETs, 1 connection x 100 streams", func(o *options) workload {
		return workload{Kind: requests, Bytes: responseSize, Requests: o.requests, Conns: 1, Streams: 100}
	}},
	{"requests-64x10", "1 KiB GETs, 64 connections x 10 streams", func(o *options) workload {
		return workload{Kind: requests, Bytes: responseSize, Requests: o.requests, Conns: 64, Streams: 10}
	}},
}

func caseNames() []string {
	var names []string
	for _, c := range cases {
		names = append(names, c.name)
	}
	return names
}

// bulk reports whether bytes, not requests, are what counts.
func (w workload) bulk() bool { return w.Kind != requests }
