package main

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"syscall"
	"testing"

	"github.com/hartonomous/ingest/ingest"
)

// TestLocatorsChanged changes rows while the program reads their files: between listing a row and
// changing it. The program reports each such row and leaves it as it is. Metadata may change.
func TestLocatorsChanged(t *testing.T) {
	if rerunWithoutRace(t) {
		return
	}
	zero := ingest.Digest{}
	for what, change := range map[string]struct {
		set         string // of the UPDATE
		value       any
		first, next int // exit codes of this run and the next
		moves       bool
	}{
		"path":     {`PayloadLocator = @p2`, "2", exitSomeRefused, exitDone, true},
		"metadata": {`Metadata = @p2`, `{"new": 1}`, exitDone, exitDone, true},
		"hash":     {`ContentHash = @p2`, zero[:], exitSomeRefused, exitSomeRefused, false},
		"no path":  {`PayloadLocator = @p2`, nil, exitSomeRefused, exitDone, false},
		"address":  {`BlobUri = @p2`, "https://elsewhere/x", exitSomeRefused, exitDone, false},
		"payload":  {`Payload = @p2`, []byte{1}, exitSomeRefused, exitDone, false},
		"deleted":  {"", nil, exitSomeRefused, exitDone, false},
	} {
		t.Run(what, func(t *testing.T) {
			r := newRegistry(t, "dir")
			path, digest := r.sparse("sparse", 64<<20)
			if err := os.Link(path, path+"2"); err != nil {
				t.Fatal(err)
			}
			a := &otherAtom{hash: pathHash(path), modality: "image", locator: path,
				metadata: fmt.Sprintf(`{"file_path": %q, "ollama_digest": "sha256:%s"}`, path, digest)}
			r.add(&content{digest, moves, []*otherAtom{a}})
			p := r.beside(r.migrate()...)
			r.waitFor("the program to read the file", func() bool { return p.over() || reads(p.Process.Pid, path) })
			r.suspend(p.Cmd)
			if p.over() || r.rows()[a.id].hasCopy() {
				t.Fatal("the program was not suspended while it read the file")
			}
			switch value := change.value; {
			case change.set == "":
				r.exec(`DELETE FROM dbo.Atoms WHERE AtomId = @p1`, a.id)
			case value == "2":
				r.exec(`UPDATE dbo.Atoms SET `+change.set+` WHERE AtomId = @p1`, a.id, path+"2")
			default:
				r.exec(`UPDATE dbo.Atoms SET `+change.set+` WHERE AtomId = @p1`, a.id, value)
			}
			left := r.rows()
			p.Process.Signal(syscall.SIGCONT)
			<-p.ended
			e := r.result(p.Cmd)
			if refused := e.event("refused"); e.code != change.first ||
				(refused != nil) != (change.first != exitDone) ||
				refused != nil && !strings.Contains(refused["reason"].(string), "another program changed the row") {
				t.Errorf("exit code %d, %v\n%s", e.code, e.lines, e.stderr)
			}
			if now := r.rows(); change.first != exitDone && !reflect.DeepEqual(now, left) {
				t.Errorf("it changed the row: %+v, %+v", now[a.id], left[a.id])
			}
			if e := r.run(r.migrate()...); e.code != change.next {
				t.Errorf("the next run: exit code %d, want %d\n%s", e.code, change.next, e.stderr)
			}
			now := r.rows()
			if !change.moves && !reflect.DeepEqual(now, left) {
				t.Errorf("the next run changed the row: %+v, %+v", now[a.id], left[a.id])
			}
			if change.moves {
				if a := now[a.id]; a.hash != digest || !a.hasCopy() || a.metadata != left[a.id].metadata ||
					a.locator != left[a.id].locator {
					t.Errorf("the next run: %+v", a)
				}
				r.verify()
			}
			r.must("gc", "--yes", "--store", r.to)
			if _, err := os.Stat(payloadPath(strings.TrimPrefix(r.to, "dir:"), digest)); (err == nil) != change.moves {
				t.Errorf("after gc: %v", err)
			}
		})
	}
}

// reads reports whether a process has a file open.
func reads(process int, path string) bool {
	links, _ := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", process))
	for _, link := range links {
		if to, err := os.Readlink(link); err == nil && to == path { // it may have closed it
			return true
		}
	}
	return false
}
