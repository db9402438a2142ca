//go:build race

package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// buildTests builds the tests without the race detector, next to the program that realProgram built.
var buildTests = sync.OnceValues(func() (string, error) {
	path := filepath.Join(buildFolder, "tests")
	build := exec.Command("go", "test", "-c", "-race=false", "-o", path, ".")
	build.Stderr = os.Stderr
	return path, build.Run()
})

// rerunWithoutRace runs a test in a process without the race detector, beside other such tests, and
// returns true. SQLite is compiled to Go here, and the detector makes each query sixty times slower.
// Nothing is lost: these tests watch other processes. A test that skips there skips here, and a test
// that does not run has failed.
func rerunWithoutRace(t *testing.T) bool {
	t.Helper()
	t.Parallel()
	program := realProgram(t)
	tests, err := buildTests()
	if err != nil {
		t.Fatalf("go test -c: %v", err)
	}
	args := []string{"-test.v", "-test.run", "^" + t.Name() + "$"}
	if testing.Short() {
		args = append(args, "-test.short")
	}
	if deadline, ok := t.Deadline(); ok {
		// It must end before this process, or its output is lost.
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
		t.Errorf("without the race detector it did not run:\n%s", output)
	default:
		t.Logf("without the race detector:\n%s", output)
	}
	return true
}
