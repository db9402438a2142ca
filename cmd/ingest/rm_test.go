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

// otherPrograms returns a box with the models a (1) and b (2), and an unfinished model (3) without
// segments.
func otherPrograms(t *testing.T) (box, sources) {
	s := newSources(t, map[string]func(string) error{"a.gguf": tuned("a", 1<<20, 1, 1),
		"b.gguf": tuned("b", 1<<20, 2, 2)})
	b := newBox(t, t.TempDir(), false)
	b.must("models", s.path("a.gguf"))
	b.must("models", s.path("b.gguf"))
	b.exec(`INSERT INTO Models (ModelName, ModelType, State) VALUES ('half', 'GGUF', 'open')`)
	return b, s
}

// fails runs a command that must fail with this exit code, and say so.
func (b box) fails(code int, says string, args ...string) result {
	b.Helper()
	e := b.run(args...)
	if text := e.stderr + fmt.Sprint(e.lines); e.code != code || !strings.Contains(text, says) {
		b.Errorf("%v: exit code %d, want %d and %q\n%s", args, e.code, code, says, text)
	}
	return e
}

// TestRmEveryTable: rm sees the keys to every table whose rows go with a model, before it removes
// anything.
func TestRmEveryTable(t *testing.T) {
	for name, test := range map[string]struct{ columns, rows string }{
		"metadata": {`meta INTEGER REFERENCES ModelMetadata (MetadataId)`,
			`SELECT MetadataId FROM ModelMetadata WHERE ModelId = 1`},
		"metadata, cascading": {`meta INTEGER REFERENCES ModelMetadata ON DELETE CASCADE`,
			`SELECT MetadataId FROM ModelMetadata WHERE ModelId = 1`},
		"two columns": {`m INTEGER, f INTEGER, FOREIGN KEY (m, f) REFERENCES ModelFiles (ModelId, FileIdx)`,
			`SELECT ModelId, FileIdx FROM ModelFiles WHERE ModelId = 1`},
		"NULL that cannot be set": {`m INTEGER NOT NULL REFERENCES Models ON DELETE SET NULL`, `SELECT 1`},
	} {
		t.Run(name, func(t *testing.T) {
			b, s := otherPrograms(t)
			b.exec(`CREATE TABLE Cards (` + test.columns + `)`)
			b.exec(`INSERT INTO Cards ` + test.rows)
			b.fails(exitFailed, "1 of Cards", "rm", "1", "--dry-run")
			b.fails(exitFailed, "Nothing was removed", "rm", "1", "--yes")
			if r := b.audit(s.digests); len(r.models) != 3 || b.query(`SELECT COUNT(*) FROM Cards`) != 1 {
				t.Errorf("models %v", r.models)
			}
			b.must("verify")
			b.must("rm", "1", "--yes", "--cascade")
			b.must("gc", "--yes")
			if n := b.query(`SELECT (SELECT COUNT(*) FROM Cards) + (SELECT COUNT(*) FROM Models)`); n != 2 {
				t.Errorf("%d rows remain", n)
			}
		})
	}
}

// TestRmCircularRows: rm does not remove rows that refer to each other, nor anything else.
func TestRmCircularRows(t *testing.T) {
	b, s := otherPrograms(t)
	b.exec(`CREATE TABLE Plans (p INTEGER PRIMARY KEY, m INTEGER REFERENCES Models, t INTEGER REFERENCES Tasks)`)
	b.exec(`CREATE TABLE Tasks (t INTEGER PRIMARY KEY, p INTEGER REFERENCES Plans)`)
	b.exec(`INSERT INTO Plans VALUES (1, 1, NULL)`)
	b.exec(`INSERT INTO Tasks VALUES (1, 1)`)
	b.exec(`UPDATE Plans SET t = 1`)
	b.fails(exitFailed, "delete those of Plans first\nNothing was removed", "rm", "1", "--yes", "--cascade")
	if r := b.audit(s.digests); len(r.models) != 3 || b.query(`SELECT COUNT(*) FROM Tasks`) != 1 {
		t.Errorf("models %v", r.models)
	}
	b.exec(`UPDATE Plans SET t = NULL`)
	b.must("rm", "1", "--yes", "--cascade")
}

// TestGCKeepsModelsOfOthers: gc names a model that it cannot remove, and sweeps on.
func TestGCKeepsModelsOfOthers(t *testing.T) {
	for _, action := range []string{"", " ON DELETE CASCADE"} {
		b, _ := otherPrograms(t)
		b.exec(`CREATE TABLE Usage (m INTEGER REFERENCES Models` + action + `)`)
		b.exec(`INSERT INTO Usage VALUES (1), (3)`)
		b.exec(`INSERT INTO Models (ModelName, ModelType, State) VALUES ('half', 'GGUF', 'open')`)
		// A kill after rm --cascade has marked the model.
		b.exec(`CREATE TRIGGER Stop BEFORE DELETE ON Usage BEGIN SELECT RAISE(ABORT, 'stopped'); END`)
		e := b.fails(exitFailed, "`ingest rm 1 --cascade` finishes it", "rm", "1", "--yes", "--cascade")
		if sum := e.event("summary"); sum["removed"] != false || number(sum, "models") != 0 {
			t.Errorf("nothing is removed, but: %v", e.lines)
		}
		b.must("rm", "2", "--yes")
		if n := b.query(`SELECT COUNT(*) FROM LayerTensorSegments`); n == 0 {
			t.Error("rm removed rows before those of the other program")
		}
		e = b.fails(exitSomeRefused, "`ingest rm 3 --cascade`", "gc", "--yes", "--unfinished")
		if sum := e.event("summary"); number(sum, "payloads") == 0 || number(sum, "refused") != 2 ||
			e.event("refused")["id"] == nil {
			t.Errorf("%v", e.lines)
		}
		if n := b.query(`SELECT COUNT(*) FROM Usage`); n != 2 {
			t.Errorf("%d rows of the other program", n)
		}
		if n := b.query(`SELECT COUNT(*) FROM Models WHERE ModelId IN (1, 3)`); n != 2 {
			t.Errorf("%d models", n)
		}
		if n := b.query(`SELECT COUNT(*) FROM Models`); n != 2 {
			t.Errorf("%d models", n)
		}
		b.exec(`DROP TRIGGER Stop`)
		b.must("rm", "1", "3", "--yes", "--cascade")
		b.must("gc", "--yes")
		n := b.query(`SELECT (SELECT COUNT(*) FROM Usage) + (SELECT COUNT(*) FROM Models)`)
		if n != 0 || len(b.files()) != 0 {
			t.Errorf("%d rows remain, and %v", n, b.files())
		}
	}
}

// TestGCKeepsPayloadsOfOthers: gc keeps the payload of an atom that a row of another program refers
// to, and a sum of sizes that overflows keeps no model.
func TestGCKeepsPayloadsOfOthers(t *testing.T) {
	b, _ := otherPrograms(t)
	b.exec(`CREATE TABLE Favourites (a INTEGER NOT NULL REFERENCES Atoms)`)
	b.exec(`INSERT INTO Favourites SELECT MIN(AtomId) FROM LayerTensorSegments`)
	b.exec(`UPDATE LayerTensorSegments SET ByteSize = 4611686018427387904`)
	b.must("rm", "1", "2", "3", "--yes")
	b.must("gc", "--yes")
	if n := b.query(`SELECT COUNT(*) FROM Atoms WHERE SourceType = 'ingest_segment'`); n != 1 || len(b.files()) != 1 {
		t.Errorf("%d atoms and %v are left", n, b.files())
	}
	b.exec(`DELETE FROM Favourites`)
	b.must("gc", "--yes")
	if len(b.files()) != 0 {
		t.Errorf("%v are left", b.files())
	}
}
