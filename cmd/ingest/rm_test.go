//go:build unix

package main

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
)

// TestRmForeignRows: rm refuses to remove a model that another program's rows refer to, except with
// --cascade.
func TestRmForeignRows(t *testing.T) {
	s := newSources(t, map[string]func(string) error{"a.gguf": tuned("a", 1<<20, 1, 1),
		"b.gguf": tuned("b", 1<<20, 2, 2)})
	b := newBox(t, t.TempDir(), false)
	b.must("models", s.path("a.gguf"))
	b.must("models", s.path("b.gguf"))
	b.exec(`CREATE TABLE Runs (RunId INTEGER PRIMARY KEY, Model INTEGER NOT NULL REFERENCES Models (ModelId))`)
	b.exec(`INSERT INTO Runs (Model) SELECT ModelId FROM Models WHERE ModelName = 'a'`)
	e := b.run("rm", "a", "b", "--yes")
	if e.code != exitFailed || !strings.Contains(e.stderr, "Runs") || !strings.Contains(e.stderr, "--cascade") ||
		!strings.Contains(e.stderr, "Nothing was removed") {
		t.Errorf("exit code %d\n%s", e.code, e.stderr)
	}
	if line := e.event("would remove"); !strings.Contains(fmt.Sprint(line["foreign"]), "Runs") {
		t.Errorf("%v", line)
	}
	if r := b.audit(s.digests); len(r.models) != 2 {
		t.Errorf("models %v", r.models)
	}
	b.must("rm", "a", "b", "--yes", "--cascade")
	if n := b.query(`SELECT (SELECT COUNT(*) FROM Runs) + (SELECT COUNT(*) FROM Models)`); n != 0 {
		t.Errorf("%d rows remain", n)
	}
	if sum := b.must("gc", "--yes").event("summary"); number(sum, "payloads") == 0 || len(b.files()) != 0 {
		t.Errorf("gc: %v, left %v", sum, b.files())
	}
}

// TestRmRunsAlone: rm does not start while a job is running.
func TestRmRunsAlone(t *testing.T) {
	s := slowSources(t)
	b := newBox(t, t.TempDir(), false)
	c := b.suspendMidFile("models", s.folder, "--jobs", "1")
	if e := b.run("rm", "1", "--yes"); e.code != exitFailed || !strings.Contains(e.stderr, "is working on job") {
		t.Errorf("exit code %d\n%s", e.code, e.stderr)
	}
	c.Process.Signal(syscall.SIGCONT)
	if e := b.wait(c); e.code != exitDone {
		t.Fatalf("exit code %d\n%s", e.code, e.stderr)
	}
	if r := b.audit(s.digests); len(r.models) != 2 || r.open != 0 {
		t.Errorf("models %v", r.models)
	}
	b.must("rm", "1", "--yes")
	if r := b.audit(s.digests); len(r.models) != 1 {
		t.Errorf("models %v", r.models)
	}
}
