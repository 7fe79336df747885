package main

import (
	"context"
	"fmt"
	"runtime"
	"runtime/debug"
)

// version prints what was built, and from what.
func version(_ context.Context, p process, args []string) error {
	if len(args) > 0 {
		return usagef("version takes no arguments")
	}
	v, revision := "devel", ""
	if info, ok := debug.ReadBuildInfo(); ok {
		if info.Main.Version != "" && info.Main.Version != "(devel)" {
			v = info.Main.Version
		}
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				revision = " " + s.Value[:min(12, len(s.Value))]
			}
		}
	}
	fmt.Fprintf(p.stdout, "godwit %s%s %s %s/%s\n", v, revision, runtime.Version(), runtime.GOOS, runtime.GOARCH)
	return nil
}
