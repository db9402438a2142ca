//go:build race

package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// outsideRace runs a test in a process without the race detector, and reports that it did. SQLite is compiled to
// Go here: the detector makes each look at the catalogue sixty times slower. What such a test watches
// are other processes, so nothing is lost. A skip there is one here, and a test that was not run has failed.
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
		// It ends before this process, or its output is lost.
		args = append(args, "-test.timeout", max(time.Until(deadline)-10*time.Second, time.Second).String())
	}
	c := exec.Command(tests, args...)
	c.Env = append(os.Environ(), "INGEST_TEST_PROGRAM="+program)
	output, err := c.CombinedOutput()
	says := func(verdict string) bool {
		return bytes.Contains(output, []byte("\n--- "+verdict+": "+t.Name()+" ("))
	}
	switch {
	case err != nil:
		t.Errorf("without the race detector: %v\n%s", err, output)
	case says("SKIP"):
		t.Skipf("without the race detector:\n%s", output)
	case !says("PASS"):
		t.Errorf("without the race detector it was not run:\n%s", output)
	default:
		t.Logf("without the race detector:\n%s", output)
	}
	return true
}
