// Package soak is the endurance test: a server in a process of its own and thousands of HTTP/3 connections that come and go through a
// bad network, with rebindings, reloads of the certificate, faults, and one kill in the middle. What comes and goes has to leave
// nothing behind: memory, goroutines and descriptors are the same at the end as soon after the beginning. make soak runs it.
package soak
