package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
)

// runTogether runs commands at the same time, and returns their results.
func (b box) runTogether(commands ...*exec.Cmd) []result {
	b.Helper()
	var group sync.WaitGroup
	for _, c := range commands {
		if err := c.Start(); err != nil {
			b.Fatal(err)
		}
		group.Go(func() { c.Wait() }) // the code says how it ended
	}
	group.Wait()
	all := make([]result, len(commands))
	for i, c := range commands {
		all[i] = b.result(c)
	}
	return all
}

func manyModels(t *testing.T) sources {
	models := map[string]func(string) error{}
	for i := range 6 {
		// two models of each base
		models[fmt.Sprintf("m%d.gguf", i)] = tuned(fmt.Sprintf("m%d", i), 24<<20, uint64(i/2), uint64(i))
	}
	return newSources(t, models)
}

// TestConcurrentRuns: two processes ingest overlapping lists of files into one catalogue. Each
// refuses a file that the other works on. A second run of both completes all files.
func TestConcurrentRuns(t *testing.T) {
	s := manyModels(t)
	alone := newBox(t, t.TempDir(), false)
	alone.must("models", s.folder)
	want := alone.audit(s.digests)
	for _, inRows := range []bool{false, true} {
		t.Run(fmt.Sprintf("in rows %v", inRows), func(t *testing.T) {
			b := newBox(t, t.TempDir(), inRows)
			first := []string{"models", s.path("m0.gguf"), s.path("m1.gguf"), s.path("m2.gguf"), s.path("m3.gguf")}
			second := []string{"models", s.path("m5.gguf"), s.path("m4.gguf"), s.path("m3.gguf"), s.path("m2.gguf"),
				s.path("m1.gguf")}
			busy := regexp.MustCompile(`process [0-9]+ on .* is working on job`)
			for _, e := range b.runTogether(b.command(first...), b.command(second...)) {
				refused := e.event("refused")
				if e.code == exitSomeRefused && busy.MatchString(fmt.Sprint(refused["reason"])) {
					continue
				}
				if e.code != exitDone {
					t.Errorf("exit code %d, refused %v\n%s", e.code, refused, e.stderr)
				}
			}
			b.audit(s.digests)
			b.must(first...)
			b.must(second...)
			got := b.audit(s.digests)
			if len(got.models) != len(want.models) || got.recorded != want.recorded ||
				len(got.digests) != len(want.digests) {
				t.Errorf("%d models, %d bytes, %d segments; want %d, %d, %d", len(got.models), got.recorded,
					len(got.digests), len(want.models), want.recorded, len(want.digests))
			}
			if !inRows {
				sum := b.must("gc", "--yes").event("summary")
				if number(sum, "payloads")+number(sum, "remains") != 0 {
					t.Errorf("two processes left garbage: %v", sum)
				}
			}
		})
	}
}

// TestTwoCatalogues: two processes with different catalogues start with one empty store. It belongs
// to one of them; the other is refused, and its gc deletes nothing.
func TestTwoCatalogues(t *testing.T) {
	s := manyModels(t)
	folder := t.TempDir()
	one, two := newBox(t, filepath.Join(folder, "one"), false), newBox(t, filepath.Join(folder, "two"), false)
	two.store = one.store
	ends := one.runTogether(one.command("models", s.folder), two.command("models", s.folder))
	owner, other, refused := one, two, ends[1]
	if ends[0].code != exitDone {
		owner, other, refused = two, one, ends[0]
	}
	if ends[0].code+ends[1].code != exitDone+exitFailed || !strings.Contains(refused.stderr, "belongs to ") {
		t.Errorf("exit codes %d and %d\n%s", ends[0].code, ends[1].code, refused.stderr)
	}
	if _, err := os.Stat(other.catalog); err == nil { // it began before the store had an owner
		other.must("gc", "--yes")
	}
	needed := owner.audit(s.digests).stored
	owner.must("verify")
	if got := owner.files(); len(got) != len(needed) {
		t.Errorf("the store holds %d files, and rows need %d", len(got), len(needed))
	}
}

// TestConcurrentCreation: several processes create the same catalogue and store.
func TestConcurrentCreation(t *testing.T) {
	s := newSources(t, map[string]func(string) error{"a.gguf": tuned("a", 1<<20, 1, 1),
		"b.gguf": tuned("b", 1<<20, 2, 2), "c.gguf": tuned("c", 1<<20, 3, 3)})
	for range 5 {
		b := newBox(t, filepath.Join(t.TempDir(), "new", "folder"), false)
		for _, e := range b.runTogether(b.command("models", s.path("a.gguf")), b.command("models", s.path("b.gguf")),
			b.command("models", s.path("c.gguf"))) {
			if e.code != exitDone {
				t.Errorf("exit code %d\n%s", e.code, e.stderr)
			}
		}
		if got := b.audit(s.digests); len(got.models) != 3 {
			t.Errorf("%d models", len(got.models))
		}
	}
}
