//go:build linux && amd64

package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/ingest/buffer"
	"github.com/hartonomous/ingest/ingest/reader"
	"github.com/hartonomous/ingest/storage/dir"
)

// TestLocatorsOnServer migrates rows of both editions of Atoms, on the double of SQL Server.
func TestLocatorsOnServer(t *testing.T) {
	for _, to := range []string{inRows, "dir"} {
		for _, plain := range []bool{false, true} {
			t.Run(fmt.Sprint(to, " plain ", plain), func(t *testing.T) {
				s := newServerDouble(t)
				s.PlainAtoms = plain
				b := newBox(t, t.TempDir(), true)
				b.server = s
				folder := t.TempDir()
				target, store := to, ingest.Store(nil)
				if to == "dir" {
					path := filepath.Join(folder, "store")
					target = "dir:" + path
					var err error
					if store, err = dir.Open(path); err != nil {
						t.Fatal(err)
					}
				}
				add := func(hash ingest.Digest, path string) {
					s.Exec(s.Server, `INSERT INTO Atoms (ContentHash, Modality, PayloadLocator) VALUES (?, 'model', ?)`,
						hash[:], path)
				}
				for i := range 4 {
					path := filepath.Join(folder, fmt.Sprint("f", i))
					content := fmt.Append(nil, "content ", i)
					if err := os.WriteFile(path, content, 0o600); err != nil {
						t.Fatal(err)
					}
					if i%2 == 0 {
						add(pathHash(path), path)
					}
					if i > 0 {
						add(ingest.Sum(content), path) // the second has two rows
					}
				}
				args := []string{"migrate", "locators", "--to", target}
				if to == inRows && plain {
					if e := b.run(args...); e.code != exitSomeRefused || number(e.event("summary"), "failed") != 5 {
						t.Errorf("exit code %d, %v\n%s", e.code, e.lines, e.stderr)
					}
					return
				}
				e := b.must(args...)
				if sum := e.event("summary"); count(sum, "moved") != 4 || count(sum, "linked") != 0 ||
					number(sum, "corrected") != 2 || number(sum, "merged") != 1 {
					t.Errorf("%v", sum)
				}
				e = b.must(append(args, "--clear-locators")...)
				if sum := e.event("summary"); count(sum, "cleared") != 4 || count(sum, "moved") != 0 {
					t.Errorf("%v", sum)
				}
				c, err := s.open(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				defer c.Close()
				read := reader.Reader{Catalog: c, Store: store, Pool: buffer.New(8 << 20)}
				atoms := 0
				for a, err := range c.FileAtoms(context.Background()) {
					if err != nil {
						t.Fatal(err)
					}
					atoms++
					if err := read.CheckAtom(t.Context(), a); err != nil || a.Locator != "" {
						t.Errorf("%+v: %v", a, err)
					}
				}
				if atoms != 4 {
					t.Errorf("%d atoms, want 4", atoms)
				}
			})
		}
	}
}
