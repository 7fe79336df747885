#!/bin/sh
# Runs every native fuzz target of the module for a while, one after the other: fuzz.sh DURATION
set -eu
time=${1:-10s}
git ls-files '*_test.go' | xargs grep -l '^func Fuzz' | while read -r file; do
	dir=$(dirname "$file")
	case $dir in interop* | bench*) continue ;; esac
	sed -n 's/^func \(Fuzz[A-Za-z0-9_]*\).*/\1/p' "$file" | while read -r target; do
		echo "== $dir $target"
		go test "./$dir" -run '^$' -fuzz "^$target\$" -fuzztime "$time" </dev/null
	done
done
