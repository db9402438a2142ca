package migrate_test

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/ingest/buffer"
	"github.com/hartonomous/ingest/ingest/migrate"
	"github.com/hartonomous/ingest/ingest/reader"
	"github.com/hartonomous/ingest/storage/catalogtest"
	"github.com/hartonomous/ingest/storage/dir"
	"github.com/hartonomous/ingest/storage/sqlite/sqlitetest"
)

// fixture is a catalogue with rows for files, and a store.
type fixture struct {
	*testing.T
	ingest.Catalog
	path     string // of the catalogue
	folder   string // of the files
	store    *dir.Store
	root     string           // of the store
	to       ingest.FileStore // nil for rows
	change   func(*migrate.Locators)
	problems []migrate.LocatorProblem
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	w := &fixture{T: t, path: filepath.Join(t.TempDir(), "c.db"), folder: t.TempDir()}
	w.root = filepath.Join(t.TempDir(), "store")
	var err error
	if w.store, err = dir.Open(w.root); err != nil {
		t.Fatal(err)
	}
	w.Catalog, w.to = sqlitetest.Open(t, w.path), w.store
	return w
}

func (w *fixture) exec(statement string, args ...any) {
	w.Helper()
	db, err := sql.Open("sqlite", "file:"+w.path+"?_pragma=busy_timeout(60000)")
	if err != nil {
		w.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec(statement, args...); err != nil {
		w.Fatal(err)
	}
}

// file creates a file and its row, with the right hash.
func (w *fixture) file(name string, content []byte) ingest.FileAtom {
	w.Helper()
	path := filepath.Join(w.folder, name)
	if err := os.WriteFile(path, content, 0o600); err != nil {
		w.Fatal(err)
	}
	return w.row(ingest.Sum(content), path)
}

func (w *fixture) row(hash ingest.Digest, path string) ingest.FileAtom {
	w.Helper()
	w.exec(`INSERT INTO Atoms (ContentHash, Modality, PayloadLocator) VALUES (?, 'model', ?)`, hash[:], path)
	a, err := w.FileAtomWithDigest(w.Context(), hash)
	if err != nil {
		w.Fatal(err)
	}
	return a
}

func (w *fixture) locators() *migrate.Locators {
	l := &migrate.Locators{Catalog: w.Catalog, Pool: buffer.New(64 << 20), Progress: &ingest.Progress{},
		To:    func(ingest.FileAtom) migrate.Target { return migrate.Target{Store: w.to, Address: "x"} },
		At:    func(context.Context, ingest.FileAtom) (ingest.Store, error) { return w.store, nil },
		Found: func(p migrate.LocatorProblem) { w.problems = append(w.problems, p) }}
	if w.to == nil {
		l.To = func(ingest.FileAtom) migrate.Target { return migrate.Target{Address: ingest.StoreRows} }
	}
	if w.change != nil {
		w.change(l)
	}
	return l
}

// run migrates and returns the report.
func (w *fixture) run(clear bool) *migrate.LocatorReport {
	w.Helper()
	w.problems = nil
	l := w.locators()
	l.Clear = clear
	report, err := l.Run(w.Context())
	if err != nil {
		w.Fatal(err)
	}
	if done, all := l.Progress.BytesRecorded.Load(), l.Progress.BytesTotal.Load(); done != all && report.Failed == 0 {
		w.Errorf("the progress ends at %d of %d bytes", done, all)
	}
	return report
}

func (w *fixture) atom(id int64) ingest.FileAtom {
	w.Helper()
	a, err := w.FileAtom(w.Context(), id)
	if err != nil {
		w.Fatal(err)
	}
	return a
}

// stored checks that the copy of an atom is intact.
func (w *fixture) stored(id int64) {
	w.Helper()
	a := w.atom(id)
	r := reader.Reader{Catalog: w.Catalog, Store: w.store, Pool: buffer.New(64 << 20)}
	if err := r.CheckAtom(w.Context(), a); err != nil {
		w.Errorf("atom %d: %v", id, err)
	}
}

// refused checks that why is the reason of the only problem.
func (w *fixture) refused(r *migrate.LocatorReport, why string) {
	w.Helper()
	if r.Failed != 1 || len(w.problems) != 1 || !strings.Contains(w.problems[0].Reason.Error(), why) {
		w.Errorf("%+v, %v: want %q", r, w.problems, why)
	}
}

// afterPut is a store that calls put after each PutFile.
type afterPut struct {
	*dir.Store
	put func()
}

func (m afterPut) PutFile(ctx context.Context, name string, digest ingest.Digest, file io.ReaderAt,
	size int64) (ingest.Address, error) {
	a, err := m.Store.PutFile(ctx, name, digest, file, size)
	m.put()
	return a, err
}

// TestRowChangesDuringTheCopy checks that a row that another program changes during the copy stays
// as it is.
func TestRowChangesDuringTheCopy(t *testing.T) {
	for name, change := range map[string]string{
		"path":    `UPDATE Atoms SET PayloadLocator = '/elsewhere' WHERE AtomId = ?`,
		"hash":    `UPDATE Atoms SET ContentHash = randomblob(32) WHERE AtomId = ?`,
		"payload": `UPDATE Atoms SET Payload = x'00' WHERE AtomId = ?`,
		"address": `UPDATE Atoms SET BlobUri = 'https://elsewhere' WHERE AtomId = ?`,
		"gone":    `DELETE FROM Atoms WHERE AtomId = ?`,
	} {
		t.Run(name, func(t *testing.T) {
			w := newFixture(t)
			a := w.file("a", []byte("content"))
			w.to = afterPut{w.store, func() { w.exec(change, a.ID) }}
			r := w.run(false)
			w.refused(r, "another program changed the row")
			now, err := w.FileAtom(t.Context(), a.ID)
			if name == "gone" {
				if !errors.Is(err, ingest.ErrNotFound) {
					t.Errorf("%+v, %v", now, err)
				}
				return
			}
			if strings.HasPrefix(now.Address.URI, "dir:") || r.Moved.Rows != 0 {
				t.Errorf("%+v has an address nevertheless", now)
			}
		})
	}
}

// TestFileGrowsDuringTheCopy checks that a file that changes while it is read is not recorded.
func TestFileGrowsDuringTheCopy(t *testing.T) {
	w := newFixture(t)
	path := filepath.Join(w.folder, "growing")
	if err := os.WriteFile(path, []byte("part"), 0o600); err != nil {
		t.Fatal(err)
	}
	a := w.row(pathHash(path), path)
	w.to = afterPut{w.store, func() {
		if err := os.WriteFile(path, []byte("part and more"), 0o600); err != nil {
			t.Error(err)
		}
	}}
	w.refused(w.run(true), "changed while it was read")
	if now := w.atom(a.ID); now.Locator != path || now.Address.URI != "" || now.Digest != a.Digest {
		t.Errorf("%+v was changed", now)
	}
}

// TestCatalogueStopsAnswering checks that a run ends when the catalogue does not answer any more, instead of
// reading all other files in vain.
func TestCatalogueStopsAnswering(t *testing.T) {
	for _, verb := range []string{"PlaceAtom", "ClearLocator"} {
		w := newFixture(t)
		w.file("a", []byte("content"))
		w.file("b", []byte("CONTENT"))
		gone := false
		l := w.locators()
		l.Clear = true
		l.Catalog = catalogtest.Faulty(w.Catalog, func(v string, _ catalogtest.Moment) error {
			if gone = gone || v == verb; gone {
				return errors.New("injected")
			}
			return nil
		})
		if r, err := l.Run(t.Context()); err == nil || r.Failed != 0 {
			t.Errorf("after %s, the run ended with %+v, %v", verb, r, err)
		}
	}
}

// TestLostAnswersOfLocators lets each call of the catalogue fail once, before and after its effect.
// The next run must have the same result as one without faults.
func TestLostAnswersOfLocators(t *testing.T) {
	for _, rows := range []bool{false, true} {
		for _, verb := range []string{"Open", "PlaceAtom", "ClearLocator", "CloseJob", "FileAtom",
			"FileAtomWithDigest", "FileAtoms"} {
			for _, at := range []catalogtest.Moment{catalogtest.Before, catalogtest.After} {
				t.Run(fmt.Sprint(rows, verb, at), func(t *testing.T) {
					w := newFixture(t)
					if rows {
						w.to = nil
					}
					a := w.file("a", []byte("content"))
					path := filepath.Join(w.folder, "b")
					if err := os.WriteFile(path, []byte("b"), 0o600); err != nil {
						t.Fatal(err)
					}
					w.row(pathHash(path), path)
					faults := 0
					l := w.locators()
					l.Clear = true
					l.Catalog = catalogtest.Faulty(w.Catalog, func(v string, when catalogtest.Moment) error {
						if v == verb && when == at {
							faults++
							return errors.New("injected")
						}
						return nil
					})
					r, err := l.Run(t.Context())
					if faults == 0 || err == nil && r.Failed == 0 && faults > 0 {
						t.Errorf("%d faults, and the run ended with %+v, %v", faults, r, err)
					}
					for atom, err := range w.FileAtoms(t.Context()) {
						if err != nil {
							t.Fatal(err)
						}
						if atom.InRow || atom.Address.URI != "" {
							w.stored(atom.ID)
						} else if atom.Locator == "" {
							t.Errorf("%+v has neither path nor copy", atom)
						}
					}
					w.run(true)
					w.stored(a.ID)
					if now := w.atom(a.ID); now.Locator != "" {
						t.Errorf("%+v still has its path", now)
					}
				})
			}
		}
	}
}

func pathHash(path string) ingest.Digest {
	var text []byte
	for _, c := range []byte(path) {
		text = append(text, c, 0)
	}
	return ingest.Sum(text)
}

// TestDamagedCopyKeepsThePath checks that the path stays if the copy is damaged or missing, and that
// the next run copies the file again.
func TestDamagedCopyKeepsThePath(t *testing.T) {
	for name, damage := range map[string]func(*fixture, ingest.FileAtom, string){
		"changed": func(w *fixture, _ ingest.FileAtom, path string) { os.WriteFile(path, []byte("CONTENT"), 0o600) },
		"missing": func(w *fixture, _ ingest.FileAtom, path string) { os.Remove(path) },
		"cut":     func(w *fixture, _ ingest.FileAtom, path string) { os.Truncate(path, 3) },
		"in the row": func(w *fixture, a ingest.FileAtom, _ string) {
			w.exec(`UPDATE Atoms SET Payload = x'00000000000000', BlobUri = NULL WHERE AtomId = ?`, a.ID)
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newFixture(t)
			a := w.file("a", []byte("content"))
			if r := w.run(false); r.Moved.Rows != 1 {
				t.Fatalf("%+v %v", r, w.problems)
			}
			text := a.Digest.String()
			damage(w, a, filepath.Join(w.root, "sha256", text[:2], text))
			w.refused(w.run(true), "the next run copies the file again")
			w.onlyPath(a.ID, a.Locator)
			if r := w.run(true); r.Moved.Rows != 1 || r.Cleared.Rows != 1 {
				t.Errorf("%+v %v", r, w.problems)
			}
			w.stored(a.ID)
		})
	}
}

// TestCopyIsReadBack checks that the address of a damaged copy is not recorded.
func TestCopyIsReadBack(t *testing.T) {
	w := newFixture(t)
	a := w.file("a", []byte("content"))
	text := a.Digest.String()
	w.to = afterPut{w.store, func() {
		path := filepath.Join(w.root, "sha256", text[:2], text)
		if err := os.WriteFile(path, []byte("CONTENT"), 0o600); err != nil {
			t.Error(err)
		}
	}}
	if _, err := w.locators().Run(t.Context()); err == nil {
		t.Error("a damaged copy was accepted")
	}
	if now := w.atom(a.ID); now.Address.URI != "" {
		t.Errorf("the row is at %s", now.Address.URI)
	}
	w.to = w.store
	w.run(false)
	w.stored(a.ID)
}

// TestStoredContentIsNotTheFile checks that a file is read even if the store has the content that
// its row claims.
func TestStoredContentIsNotTheFile(t *testing.T) {
	for _, same := range []bool{true, false} {
		w := newFixture(t)
		content := []byte("content")
		digest := ingest.Sum(content)
		if _, err := w.store.Put(t.Context(), ingest.Key{Digest: digest}, content); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(w.folder, "sha256-"+digest.String())
		if !same {
			content = []byte("CONTENT")
		}
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		w.row(pathHash(path), path)
		r := w.run(false)
		if same && r.Moved.Rows != 1 {
			t.Errorf("%+v %v", r, w.problems)
		}
		if !same {
			w.refused(r, "its name claims")
		}
	}
}

// TestRowLimits checks that a file too large for a row is refused before it is read.
func TestRowLimits(t *testing.T) {
	w := newFixture(t)
	w.to = nil
	w.file("large", bytes.Repeat([]byte("x"), 1<<20))
	progress := &ingest.Progress{}
	w.change = func(l *migrate.Locators) { l.Pool, l.Progress = buffer.New(2<<20), progress }
	w.refused(w.run(false), "raise --memory")
	sparse := filepath.Join(w.folder, "sparse")
	if err := os.WriteFile(sparse, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(sparse, 3<<30); err != nil {
		t.Fatal(err)
	}
	w.exec(`UPDATE Atoms SET PayloadLocator = ?`, sparse)
	w.refused(w.run(false), "a row takes at most")
	if read := progress.BytesRecorded.Load(); read != 0 {
		t.Errorf("%d bytes of refused files were read", read)
	}
}

// TestSelection selects rows by modality, age and number.
func TestSelection(t *testing.T) {
	w := newFixture(t)
	old := w.file("old", []byte("old"))
	w.exec(`UPDATE Atoms SET CreatedAt = '2001-01-01T00:00:00.000Z'`)
	text := w.file("text", []byte("text"))
	w.exec(`UPDATE Atoms SET Modality = 'text' WHERE AtomId = ?`, text.ID)
	first, second := w.file("a", []byte("a")), w.file("b", []byte("b"))
	w.change = func(l *migrate.Locators) {
		l.Since, l.Modality, l.Limit = time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC), "model", 1
	}
	for i, a := range []ingest.FileAtom{first, second} {
		if r := w.run(false); r.Moved.Rows != 1 || r.There.Rows != int64(i) {
			t.Errorf("run %d: %+v", i, r)
		}
		w.stored(a.ID)
	}
	if r := w.run(false); r.Moved.Rows != 0 || w.atom(old.ID).Address.URI != "" || w.atom(text.ID).Address.URI != "" {
		t.Errorf("%+v", r)
	}
}

// TestLeaseOfRowIsLost checks that a row stays with the process that took over its lease, and is
// not a failure.
func TestLeaseOfRowIsLost(t *testing.T) {
	w := newFixture(t)
	a := w.file("a", []byte("content"))
	taken := false
	w.to = afterPut{w.store, func() {
		if taken {
			return
		}
		taken = true
		other := newHandle(t, w) // has the same process ID, so it need not wait
		if r, err := other.locators().Run(t.Context()); err != nil || r.Moved.Rows != 1 {
			t.Errorf("%+v %v", r, err)
		}
	}}
	if r := w.run(false); r.Moved.Rows != 0 || r.Failed != 0 || !taken {
		t.Errorf("%+v %v", r, w.problems)
	}
	w.stored(a.ID)
}

// newHandle returns the same fixture with another connection to the catalogue.
func newHandle(t *testing.T, w *fixture) *fixture {
	t.Helper()
	c := sqlitetest.Open(t, w.path)
	return &fixture{T: t, Catalog: c, path: w.path, folder: w.folder, store: w.store, to: w.store}
}
