// Package interop has no code, only tests: the godwit command and its packages on loopback, against clients, servers and
// browsers that others wrote. See README.md for what is installed, what is covered, and what is optional.
package interop
