package migrate_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/ingest/migrate"
	"github.com/hartonomous/ingest/storage/catalogtest"
	"github.com/hartonomous/ingest/storage/dir"
	"github.com/hartonomous/ingest/storage/storetest"
)

// targets calls test for migrations to a store and to rows.
func targets(t *testing.T, test func(t *testing.T, w *fixture)) {
	for _, rows := range []bool{false, true} {
		t.Run(fmt.Sprintf("rows %t", rows), func(t *testing.T) {
			w := newFixture(t)
			if rows {
				w.to = nil
			}
			test(t, w)
		})
	}
}

// back runs the way back.
func (w *fixture) back() *migrate.LocatorReport {
	w.Helper()
	change := w.change
	defer func() { w.change = change }()
	w.change = func(l *migrate.Locators) {
		if change != nil {
			change(l)
		}
		l.Back = true
	}
	return w.run(false)
}

// TestBackKeepsPayloadsOfOthers: a payload that is not the content of the file stays in its row, and so
// does that of a row that was never registered with a path.
func TestBackKeepsPayloadsOfOthers(t *testing.T) {
	w := newFixture(t)
	other, image := w.file("other", []byte("other")), w.file("image", []byte("image"))
	w.exec(`UPDATE Atoms SET Payload = x'6f74686572' || x'21' WHERE AtomId = ?`, other.ID)
	w.exec(`UPDATE Atoms SET Payload = x'696d616765', Metadata = json_object('file_path', PayloadLocator)
		WHERE AtomId = ?`, image.ID)
	w.exec(`UPDATE Atoms SET PayloadLocator = NULL WHERE AtomId = ?`, image.ID)
	if r := w.back(); r.Back.Rows != 0 || r.Failed != 1 {
		t.Errorf("%+v %v", r, w.problems)
	}
	for _, id := range []int64{other.ID, image.ID} {
		if a := w.atom(id); !a.InRow {
			t.Errorf("%+v lost its payload", a)
		}
	}
}

// onlyPath checks that a row has a path and no copy.
func (w *fixture) onlyPath(id int64, path string) {
	w.Helper()
	if a := w.atom(id); a.Locator != path || a.InRow || a.Address != (ingest.Address{}) {
		w.Errorf("%+v, want only the path %s", a, path)
	}
}

// TestBack puts rows back to having only a path, whether or not their paths were cleared, and migrates
// them again.
func TestBack(t *testing.T) {
	targets(t, func(t *testing.T, w *fixture) {
		kept, cleared, nowhere := w.file("kept", []byte("kept")), w.file("cleared", []byte("cleared")),
			w.file("nowhere", []byte("nowhere"))
		w.exec(`UPDATE Atoms SET Metadata = json_object('file_path', PayloadLocator, 'load_on_demand', 1),
			Modality = 'text' WHERE AtomId = ?`, cleared.ID)
		w.exec(`UPDATE Atoms SET Modality = 'text' WHERE AtomId = ?`, nowhere.ID)
		w.run(false)
		w.change = func(l *migrate.Locators) { l.Modality = "text" }
		if r := w.run(true); r.Cleared.Rows != 2 {
			t.Fatalf("%+v %v", r, w.problems)
		}
		w.change = func(l *migrate.Locators) { l.DryRun = true }
		if r := w.back(); r.Back.Rows != 2 || r.Back.Bytes != 11 || r.Failed != 0 || w.atom(kept.ID).Locator == "" {
			t.Errorf("a dry run: %+v %v", r, w.problems)
		}
		for _, a := range []ingest.FileAtom{kept, cleared, nowhere} {
			w.stored(a.ID)
		}
		w.change = func(l *migrate.Locators) { l.Limit = 1 }
		if r := w.back(); r.Back.Rows != 1 {
			t.Errorf("with a limit: %+v", r)
		}
		w.change = nil
		if r := w.back(); r.Back.Rows != 1 || r.Failed != 0 {
			t.Errorf("%+v %v", r, w.problems)
		}
		w.onlyPath(kept.ID, kept.Locator)
		w.onlyPath(cleared.ID, cleared.Locator)
		w.stored(nowhere.ID)
		if now := w.atom(nowhere.ID); now.Locator != "" {
			t.Errorf("%+v has a path that no column gave", now)
		}
		if r := w.back(); r.Back.Rows != 0 || r.There.Rows != 0 {
			t.Errorf("again: %+v", r)
		}
		if r := w.run(true); r.Moved.Rows != 2 || r.Cleared.Rows != 2 {
			t.Errorf("forth again: %+v %v", r, w.problems)
		}
		w.stored(kept.ID)
		w.stored(cleared.ID)
	})
}

// TestBackNeedsTheFile checks that a row keeps its copy if its file is missing or another one.
func TestBackNeedsTheFile(t *testing.T) {
	for name, change := range map[string]func(path string) error{
		"no such file": os.Remove,
		"and ContentHash is": func(path string) error {
			return os.WriteFile(path, []byte("CONTENT"), 0o600)
		},
		"outside of --root": func(string) error { return nil },
	} {
		t.Run(name, func(t *testing.T) {
			targets(t, func(t *testing.T, w *fixture) {
				a := w.file("a", []byte("content"))
				w.run(false)
				if err := change(a.Locator); err != nil {
					t.Fatal(err)
				}
				if strings.Contains(name, "root") {
					w.change = func(l *migrate.Locators) { l.Paths.Root = t.TempDir() }
				}
				w.refused(w.back(), name)
				w.stored(a.ID)
			})
		})
	}
}

// TestTriggerRefusesOneRow checks that a row that a trigger of another program keeps as it is does not
// stop the others.
func TestTriggerRefusesOneRow(t *testing.T) {
	targets(t, func(t *testing.T, w *fixture) {
		a, b := w.file("a", []byte("content")), w.file("b", []byte("CONTENT"))
		w.run(false)
		w.exec(fmt.Sprintf(`CREATE TRIGGER Keep BEFORE UPDATE ON Atoms WHEN OLD.AtomId = %d
			BEGIN SELECT RAISE(ABORT, 'keep it'); END`, a.ID))
		if r := w.back(); r.Back.Rows != 1 {
			t.Errorf("%+v", r)
		}
		w.refused(w.run(true), "keep it")
		w.stored(a.ID)
		if w.atom(a.ID).Locator == "" || w.atom(b.ID).Locator != "" {
			t.Errorf("paths %q and %q", w.atom(a.ID).Locator, w.atom(b.ID).Locator)
		}
	})
}

// TestUnreachableStoreEndsClearing checks that no further copy is read once the store cannot be reached.
func TestUnreachableStoreEndsClearing(t *testing.T) {
	w := newFixture(t)
	w.file("a", []byte("content"))
	w.file("b", []byte("CONTENT"))
	w.run(false)
	unreachable := func(_ context.Context, call storetest.Call) error {
		if call.Verb == "Get" {
			return ingest.ErrUnreachable
		}
		return nil
	}
	for _, store := range []ingest.Store{nil, &storetest.Faulty{Store: w.store, Hook: unreachable}} {
		l := w.locators()
		l.Clear = true
		l.At = func(context.Context, ingest.FileAtom) (ingest.Store, error) {
			if store == nil {
				return nil, ingest.ErrUnreachable
			}
			return store, nil
		}
		if r, err := l.Run(t.Context()); !errors.Is(err, ingest.ErrUnreachable) || r.Failed != 0 {
			t.Errorf("%+v, %v", r, err)
		}
	}
}

// TestLostAnswersOfBack lets each call of the catalogue fail once, before and after its effect, on the
// way back and when a damaged copy is removed.
func TestLostAnswersOfBack(t *testing.T) {
	for _, verb := range []string{"Open", "RestoreLocator", "CloseJob"} {
		for _, at := range []catalogtest.Moment{catalogtest.Before, catalogtest.After} {
			for _, damaged := range []bool{false, true} {
				t.Run(fmt.Sprint(verb, at, damaged), func(t *testing.T) {
					targets(t, func(t *testing.T, w *fixture) {
						a := w.file("a", []byte("content"))
						w.run(false)
						if damaged {
							w.damage(a)
						}
						l := w.locators()
						l.Back, l.Clear = !damaged, damaged
						faults := 0
						l.Catalog = catalogtest.Faulty(w.Catalog, func(v string, when catalogtest.Moment) error {
							if v == verb && when == at {
								faults++
								return errors.New("injected")
							}
							return nil
						})
						if r, err := l.Run(t.Context()); faults == 0 || err == nil && r.Failed == 0 {
							t.Errorf("%d faults, and the run ended with %+v, %v", faults, r, err)
						}
						if now := w.atom(a.ID); now.Locator == "" {
							t.Errorf("%+v has no path", now)
						}
						if damaged {
							w.run(true) // may remove the copy
							w.run(true)
							w.stored(a.ID)
							return
						}
						w.back()
						w.onlyPath(a.ID, a.Locator)
					})
				})
			}
		}
	}
}

// damage changes the copy of a file.
func (w *fixture) damage(a ingest.FileAtom) {
	w.Helper()
	if w.atom(a.ID).InRow {
		w.exec(`UPDATE Atoms SET Payload = x'00000000000000' WHERE AtomId = ?`, a.ID)
		return
	}
	text := a.Digest.String()
	if err := os.WriteFile(filepath.Join(w.root, "sha256", text[:2], text), []byte("CONTENT"), 0o600); err != nil {
		w.Fatal(err)
	}
}

// TestDamagedCopyStaysWithoutTheFile checks that a damaged copy is not removed if the file is damaged,
// too: parts of it may be all that is left.
func TestDamagedCopyStaysWithoutTheFile(t *testing.T) {
	targets(t, func(t *testing.T, w *fixture) {
		a := w.file("a", []byte("content"))
		w.run(false)
		w.damage(a)
		if err := os.WriteFile(a.Locator, []byte("other"), 0o600); err != nil {
			t.Fatal(err)
		}
		before := w.atom(a.ID)
		w.refused(w.run(true), "the file at its path cannot replace it")
		if now := w.atom(a.ID); now.InRow != before.InRow || now.Address != before.Address || now.Locator != a.Locator {
			t.Errorf("%+v, want %+v", now, before)
		}
	})
}

// rereading is a store that reads a file before it stores it, as after a refused upload.
type rereading struct{ *dir.Store }

func (s rereading) PutFile(ctx context.Context, name string, digest ingest.Digest, file io.ReaderAt,
	size int64) (ingest.Address, error) {
	if _, err := io.Copy(io.Discard, io.NewSectionReader(file, 0, size)); err != nil {
		return ingest.Address{}, err
	}
	return s.Store.PutFile(ctx, name, digest, file, size)
}

// TestProgressEndsAtItsTotal migrates files that are read again, or less often than expected; run
// compares the counts.
func TestProgressEndsAtItsTotal(t *testing.T) {
	w := newFixture(t)
	w.to = rereading{w.store}
	a := w.file("a", []byte("content"))
	if r := w.run(true); r.Moved.Rows != 1 || r.Cleared.Rows != 1 || r.Failed != 0 {
		t.Errorf("%+v %v", r, w.problems)
	}
	// a file of the same content, which only its hash tells
	path := filepath.Join(w.folder, "b")
	if err := os.WriteFile(path, []byte("content"), 0o600); err != nil {
		t.Fatal(err)
	}
	w.row(pathHash(path), path)
	if r := w.run(false); r.Linked.Rows != 1 || r.Failed != 0 {
		t.Errorf("%+v %v", r, w.problems)
	}
	if r := w.back(); r.Back.Rows != 1 || r.Failed != 0 {
		t.Errorf("%+v %v", r, w.problems)
	}
	w.onlyPath(a.ID, path)
}
