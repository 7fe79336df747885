package interop

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// What TestMain prepares for all tests.
var (
	ca     *authority
	godwit string // the command, freshly built
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(agentVar); dir != "" {
		os.Exit(runAgent(dir))
	}
	os.Exit(prepared(m.Run))
}

// prepared runs the tests between building the command and removing what was made for them.
func prepared(tests func() int) int {
	var err error
	if ca, err = newAuthority(); err != nil {
		fmt.Fprintln(os.Stderr, "interop: no certificates:", err)
		return 1
	}
	defer os.RemoveAll(ca.host)
	godwit = filepath.Join(ca.host, "godwit")
	build := exec.Command("go", "build", "-o", godwit, "./cmd/godwit")
	build.Dir = ".."
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "interop: go build ./cmd/godwit: %v\n%s", err, out)
		return 1
	}
	return tests()
}
