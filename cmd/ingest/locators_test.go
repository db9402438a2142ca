package main

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/hartonomous/ingest/ingest"
)

// targets returns the targets of migrations. Other tests report that Azurite is missing.
func targets() []string {
	all := []string{inRows, "dir"}
	if account := os.Getenv("INGEST_TEST_AZURITE"); account != "" {
		all = append(all, account)
	}
	return all
}

// TestLocators migrates a database of another program to each target, clears it, and migrates the
// segments back.
func TestLocators(t *testing.T) {
	if rerunWithoutRace(t) {
		return
	}
	for _, to := range targets() {
		t.Run(filepath.Base(to), func(t *testing.T) {
			newRegistry(t, to).migrateAll(15)
		})
	}
}

// migrateAll migrates rows of each kind, and compares the answers to the other program's queries
// before and after.
func (r *registry) migrateAll(times int) {
	r.Helper()
	// Two models with segments in rows. Another program has a row for the file of one.
	models := []string{r.local("one.gguf"), r.local("two.gguf")}
	for i, path := range models {
		if err := tuned(filepath.Base(path), 3<<20, 1, uint64(i))(path); err != nil {
			r.Fatal(err)
		}
	}
	r.must("models", models[0], models[1], "--segment-size", "1MiB")
	r.fill(times, 5000)
	linked, _, err := digestOf(models[0])
	if err != nil {
		r.Fatal(err)
	}
	linking := &content{linked, links, []*otherAtom{r.atom(pathHash(models[0]), models[0], "")}}
	linking.rows[0].modality, linking.rows[0].ownCount = "model", 0
	r.add(linking)
	for _, a := range r.rows() {
		if a.hash == linked { // the row of our model's file
			a.jobs = 1
			linking.rows = append([]*otherAtom{&a.otherAtom}, linking.rows...)
		}
	}
	if r.plain && r.to == inRows { // no row has room for a payload
		for _, c := range r.contents {
			if c.fate == moves {
				c.fate = stays
			}
		}
		linking.fate, linking.rows = stays, linking.rows[1:]
	}
	r.outside(func(o *outside) { // layers of our models refer to atoms, too
		o.exec(`UPDATE dbo.ModelLayers SET LayerAtomId = @p1 WHERE ModelId = (SELECT MIN(ModelId) FROM dbo.ModelLayers
			WHERE LayerName <> N'layer') AND LayerIdx = 0`, r.contents[0].rows[0].id)
		r.contents[0].rows[0].layers++
	})
	before, rows := r.ask(false), r.rows()
	want := r.expected()

	want.compare("--dry-run", r.run(r.migrate("--dry-run")...))
	if now := r.rows(); !reflect.DeepEqual(now, rows) {
		r.Error("--dry-run changed rows")
	}
	if r.store != nil {
		for object, err := range r.store.List(r.Context()) {
			if err != nil {
				r.Fatal(err)
			}
			r.Errorf("--dry-run stored %s", object.Name)
		}
	}

	some := r.run(r.migrate("--limit", fmt.Sprint(times))...)
	r.check()
	rest := r.run(r.migrate()...)
	want.compare("migrate", rest)
	want.total(some, rest)
	r.final(false)
	r.same(before, r.ask(true))
	r.verify()

	r.undo(before)

	if sum := r.run(r.migrate("--read-back")...).event("summary"); count(sum, "moved")+count(sum, "linked") != 0 {
		r.Errorf("again: %v", sum)
	}
	copies := r.copies()
	if sum := r.run(r.migrate("--clear-locators")...).event("summary"); count(sum, "cleared") != copies {
		r.Errorf("cleared: %v, want %d", sum, copies)
	}
	r.final(true)
	r.same(before, r.ask(true), "path ")
	r.verify()
	if r.store != nil {
		r.migrateSegments(before)
	}
	for _, path := range models {
		to := filepath.Join(r.TempDir(), "out")
		r.must("export", filepath.Base(path), "-o", to)
		if fileSum(r, to) != fileSum(r, path) {
			r.Errorf("%s: exported with another SHA-256", path)
		}
	}
}

func (r *registry) undoing() []string {
	return []string{"migrate", "locators", "--back", "--root", r.folder, "--map", `D:\Models\=` + r.folder + "/"}
}

// undo moves the files back to having only paths, and migrates them again.
func (r *registry) undo(before map[string]string) {
	r.Helper()
	if sum := r.must(r.undoing()...).event("summary"); count(sum, "back") != r.copies() {
		r.Errorf("--back: %v, want %d", sum, r.copies())
	}
	r.check()
	for id, a := range r.rows() {
		if a.hasCopy() {
			r.Errorf("atom %d has a copy after --back", id)
		}
	}
	r.same(before, r.ask(true))
	r.must("gc", "--yes", "--store", r.to, "--older-than", "0s")
	for _, c := range r.contents {
		if c.fate == has {
			c.fate = moves
		}
	}
	sum := r.run(r.migrate()...).event("summary")
	if count(sum, "moved") != r.copies() || number(sum, "corrected") != 0 {
		r.Errorf("after --back: %v, want %d", sum, r.copies())
	}
	r.final(false)
	r.same(before, r.ask(true))
	r.verify()
}

// migrateSegments moves the segments of models to the store and back.
func (r *registry) migrateSegments(before map[string]string) {
	r.Helper()
	to := []string{"migrate", "segments", "--to", r.to}
	r.must(to...)
	r.same(before, r.ask(true), "path ") // the rows still have the payloads
	r.must(append(to, "--clear-source")...)
	r.same(before, r.ask(true), "path ", "segments ")
	r.verify()
	r.must("migrate", "segments", "--to", inRows, "--store", r.to)
	r.same(before, r.ask(true), "path ")
	r.must("migrate", "segments", "--to", inRows, "--store", r.to, "--clear-source")
	r.same(before, r.ask(true), "path ")
	if r.must("gc", "--yes", "--store", r.to, "--older-than", "0s").event("removed") == nil {
		r.Error("gc found no payload that had moved back")
	}
	r.final(true)
	r.verify()
}

// verify checks that gc deletes no payload, and that the program finds each.
func (r *registry) verify() {
	r.Helper()
	if removed := r.must("gc", "--yes", "--store", r.to, "--older-than", "0s").event("removed"); removed != nil {
		r.Errorf("gc: %v", removed)
	}
	if e := r.must("verify", "--store", r.to); number(e.event("summary"), "files") != r.copies() {
		r.Errorf("verify: %v, want %d files", e.event("summary"), r.copies())
	}
}

// copies is the number of contents that have a copy in a row after the migration.
func (r *registry) copies() (n int64) {
	for _, c := range r.contents {
		if c.fate == moves || c.fate == has {
			n++
		}
	}
	return n
}

// expected are counts of a migration of all rows.
type expected struct {
	*registry
	contents, corrected, merged int64
	refused                     map[int64]bool // IDs of rows
}

func (r *registry) expected() *expected {
	want := &expected{registry: r, refused: map[int64]bool{}}
	for _, c := range r.contents {
		switch c.fate {
		case stays:
			for _, a := range c.rows {
				if a.locator != "" {
					want.refused[a.id] = true
				}
			}
			continue
		case moves, links:
			want.merged += int64(len(c.rows) - 1)
		default:
			continue
		}
		want.contents++
		for _, a := range c.rows {
			if a.hash != c.digest {
				want.corrected++
			}
		}
	}
	return want
}

// total compares the counts of all runs.
func (want *expected) total(runs ...result) {
	want.Helper()
	var moved, corrected, merged int64
	for _, e := range runs {
		sum := e.event("summary")
		moved += count(sum, "moved") + count(sum, "linked")
		corrected, merged = corrected+number(sum, "corrected"), merged+number(sum, "merged")
	}
	// The second of two rows with one path may be linked, or merged before its turn comes.
	if moved < want.contents || moved > want.contents+want.merged || corrected != want.corrected ||
		merged != want.merged {
		want.Errorf("%d moved, %d corrected, %d merged, want %+v", moved, corrected, merged, want)
	}
}

// compare compares the counts of a run, and the rows that it named.
func (want *expected) compare(what string, e result) {
	want.Helper()
	sum := e.event("summary")
	refused := map[int64]bool{}
	for _, line := range e.lines {
		if id := number(line, "atom"); line["event"] == "refused" {
			if refused[id] = true; !want.refused[id] {
				want.Errorf("%s refused atom %d: %v", what, id, line["reason"])
			}
		}
	}
	if e.code != exitSomeRefused || number(sum, "failed") != int64(len(refused)) {
		want.Errorf("%s: exit code %d, %v\n%s", what, e.code, sum, e.stderr)
	}
	if sum["dry_run"] == true { // it does not read the files
		return
	}
	for id := range want.refused {
		if !refused[id] {
			want.Errorf("%s did not name atom %d", what, id)
		}
	}
}

func count(summary map[string]any, field string) int64 {
	counts, _ := summary[field].(map[string]any)
	return number(counts, "rows")
}

// TestFileStores checks that an address without a container means one for models and one for
// others.
func TestFileStores(t *testing.T) {
	t.Setenv("AZURE_STORAGE_KEY", "a2V5")
	const account = "https://account.blob.core.windows.net"
	for to, want := range map[string][2]string{
		account:          {account + "/models", account + "/atoms"},
		account + "/own": {account + "/own", account + "/own"},
		inRows:           {inRows, inRows},
	} {
		p := &program{catalog: "sqlite:x"}
		s, err := p.openFileStores(t.Context(), &locatorFlags{to: to})
		if err != nil {
			t.Fatal(err)
		}
		for i, modality := range []string{"model", "text"} {
			if got := s.to(ingest.FileAtom{Modality: modality}); got.Address != want[i] {
				t.Errorf("%s: a %s goes to %s, want %s", to, modality, got.Address, want[i])
			}
		}
		if to == inRows {
			continue
		}
		for i, uri := range want {
			if _, err := s.at(ingest.FileAtom{Address: ingest.Address{URI: uri + "/sha256-x"}}); err != nil {
				t.Errorf("%s: %d: %v", uri, i, err)
			}
		}
		for _, uri := range []string{"dir:sha256/x", account + "/other/x", want[0] + "2/x"} {
			if store, err := s.at(ingest.FileAtom{Address: ingest.Address{URI: uri}}); err == nil {
				t.Errorf("%s is in %v", uri, store)
			}
		}
	}
}
