// Package hostile is clients that mean harm. They speak TLS for real, seal their own packets and keep none of the rules,
// and each attack says how many bytes, packets or closes it may have cost the server at most.
//
// The tests attack one godwit serve process for each attack, over loopback, with a well-behaved client beside it. With
// GODWIT_HOSTILE_ADDR they attack the server there instead, of whose memory nothing is known then.
package hostile
