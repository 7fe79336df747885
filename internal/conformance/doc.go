// Package conformance has no code, only tests about what the RFCs demand and where it is kept. docs/conformance has one list
// for each RFC, with a row for each sentence that says MUST, MUST NOT, SHOULD or SHOULD NOT, or one of their synonyms:
//
//	| id | level | binds | status | requirement |
//
// An id is the section and the sentence's number in it: 5.1.1/3. It never changes, because an RFC does not. A test says which
// rules it holds the code to in a line of a comment, above the function, in it, or in the table that it goes through:
//
//	// Rules: 9000:5.1.1/3, 9000:5.1.1/4
//
// The status is one of
//
//	tested: engine.TestX, quic.TestY     written by the program, from these lines
//	kept: internal/engine/stream.go (why)  there is code for it, and no test that would fail without it; or a later reading says so
//	not ours: why                        it binds others, or a feature that there is not
//	deviation: why                       it is not obeyed
//	open: why                            nobody has looked yet
//
// What is held: every id that is cited exists; every row that says tested is cited, and every cited row says so; every file that
// is named exists; the number of tested rows of each RFC never falls below docs/conformance/ratchet.txt; quotations in comments
// are the RFC's true words; docs/conformance.md is the table of these counts. `make conformance` writes what is derived.
//
// The RFCs themselves are not part of this repository. With GODWIT_SPECS set to a folder with their texts (rfc9000.txt, or a name
// that begins with rfc9000- and ends with .md) the lists are held against them as well: every row is a true sentence of its section,
// none is missing, and every quotation is looked up.
//
// testdata/mutations.txt has changes that each remove one rule from the code. `make mutations` makes one after another, in a copy that
// lies over the file, runs the tests that name the rule, which have to fail, and writes docs/conformance/mutations.md.
package conformance
