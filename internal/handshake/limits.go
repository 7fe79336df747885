package handshake

// maxTickets is how many session tickets of one connection a client hands to crypto/tls; later ones are dropped. crypto/tls
// fails a QUIC connection at its seventeenth post-handshake message, however long it lived, and nobody has a use for that many.
// TestTicketsPastTheLimitAreDropped hits it.
//
// What a peer can make crypto/tls buffer is limited there: a handshake message has at most 64 KiB, a certificate message
// 256 KiB. TestHugeMessageIsRefused hits the first.
const maxTickets = 8
