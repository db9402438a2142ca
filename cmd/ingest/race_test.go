//go:build race

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// outsideRace runs a test in a process without the race detector, and reports that it did. SQLite is compiled to
// Go here: the detector makes each look at the catalogue sixty times slower. What such a test watches
// are other processes, so nothing is lost.
func outsideRace(t *testing.T) bool {
	t.Helper()
	program := realProgram(t)
	tests := filepath.Join(t.TempDir(), "tests")
	build := exec.Command("go", "test", "-c", "-race=false", "-o", tests, ".")
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		t.Fatalf("go test -c: %v", err)
	}
	args := []string{"-test.v", "-test.run", "^" + t.Name() + "$"}
	if testing.Short() {
		args = append(args, "-test.short")
	}
	if deadline, ok := t.Deadline(); ok {
		args = append(args, "-test.timeout", time.Until(deadline).String())
	}
	c := exec.Command(tests, args...)
	c.Env = append(os.Environ(), "INGEST_TEST_PROGRAM="+program)
	output, err := c.CombinedOutput()
	t.Logf("without the race detector:\n%s", output)
	if err != nil {
		t.Error(err)
	}
	return true
}
