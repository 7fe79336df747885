// Package tidy has no code, only tests about the code: which package may import which, what the pure core must not
// touch, how large things may grow, and what must not be written at all. The rules read the source tree in this process,
// with the standard library's parser and without its type checker, so they run in a second and need nothing installed.
//
// Every rule is a function over an fs.FS. It is proved on small trees in memory, where each violation is planted, and then
// held against the module itself.
package tidy
