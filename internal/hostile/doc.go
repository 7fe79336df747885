// Package hostile is clients that mean harm. They speak TLS for real, seal their own packets and keep none of the rules,
// and each attack says how many bytes, packets or closes it may have cost the server at most.
//
// The tests attack one godwit serve process for each attack, over loopback, with well-behaved clients beside it. It has to keep the
// bounds meanwhile and to be afterwards what it was before: in connections, goroutines, descriptors and memory. GODWIT_HOSTILE=full
// gives each attack the time it wants.
//
// With GODWIT_HOSTILE_ADDR they attack the server there instead, and tell what happened; GODWIT_HOSTILE_PID is its process, if it is
// one of this machine, of which memory and processor time are read then. Each result is a line of JSON in the file that
// GODWIT_HOSTILE_RESULTS names, if it names one, with GODWIT_HOSTILE_SERVER as the server's name.
package hostile
