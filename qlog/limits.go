package qlog

// MaxBuffered is how many bytes of records a Trace holds between two calls of Take: 4 MiB, about 15,000 packets. A peer
// decides how many packets there are and the writer of the file decides how often Take is called, so without a limit a
// slow disk would let a peer grow this buffer. Records over the limit are dropped and counted; the next Take says how
// many are missing. TestRecordsBeyondTheLimitAreCounted reaches it.
const MaxBuffered = 4 << 20

// maxText is how many bytes of one text that a peer chose (a close reason, a header value) are written: a trace is for
// reading, and one record must not crowd out ten thousand. TestLongTextIsCutAtARune reaches it.
const maxText = 4 << 10
