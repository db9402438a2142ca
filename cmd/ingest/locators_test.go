package main

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/binary"
	"fmt"
	mathrand "math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/ingest/buffer"
	"github.com/hartonomous/ingest/ingest/reader"
	"github.com/hartonomous/ingest/storage/azureblob"
	"github.com/hartonomous/ingest/storage/dir"
)

// registry is a catalogue with rows of Atoms of another program that have the paths of files.
type registry struct {
	box
	folder string       // of the files
	to     string       // the target
	store  ingest.Store // of the target; nil for rows
	random *mathrand.Rand
	good   map[ingest.Digest]bool // content that can be migrated
	bad    int                    // rows that cannot be migrated
}

// newRegistry creates an empty registry. to is row, dir, or an account of blobs.
func newRegistry(t testing.TB, to string) *registry {
	folder := t.TempDir()
	r := &registry{box: newBox(t, filepath.Join(folder, "data"), true), folder: filepath.Join(folder, "models"),
		to: to, random: mathrand.New(mathrand.NewPCG(1, 2)), good: map[ingest.Digest]bool{}}
	var err error
	switch {
	case to == "dir":
		path := filepath.Join(folder, "store")
		r.to = "dir:" + path
		r.store, err = dir.Open(path)
	case to != inRows:
		r.to = to + "/" + strings.ToLower(rand.Text())
		r.store, err = azureblob.Open(t.Context(), r.to, azureblob.Settings{})
	}
	if err == nil {
		err = os.MkdirAll(filepath.Join(r.folder, "blobs"), 0o700)
	}
	if err != nil {
		t.Fatal(err)
	}
	r.must("models", r.write("first.txt", []byte("first"))) // creates the tables
	return r
}

// migrate returns the command, with a mapping of Windows paths.
func (r *registry) migrate(more ...string) []string {
	return append([]string{"migrate", "locators", "--to", r.to, "--root", r.folder,
		"--map", `D:\Models\=` + r.folder + "/"}, more...)
}

func (r *registry) write(name string, content []byte) string {
	r.Helper()
	path := filepath.Join(r.folder, name)
	if err := os.WriteFile(path, content, 0o600); err != nil {
		r.Fatal(err)
	}
	return path
}

// file creates a file with random content, and returns its name and digest. Without a name, the
// digest is the name.
func (r *registry) file(name string, bytes int) (string, ingest.Digest) {
	r.Helper()
	content := make([]byte, bytes)
	for i := 0; i+8 <= bytes; i += 8 {
		binary.LittleEndian.PutUint64(content[i:], r.random.Uint64())
	}
	content = fmt.Append(content, name)
	digest := ingest.Sum(content)
	if name == "" {
		name = "blobs/sha256-" + digest.String()
	}
	r.write(name, content)
	return name, digest
}

// exec changes the catalogue as another program does, and returns the ID of an inserted row.
func (r *registry) exec(statement string, args ...any) int64 {
	r.Helper()
	db, err := sql.Open("sqlite", "file:"+r.catalog+"?_pragma=busy_timeout(60000)&_pragma=foreign_keys(1)")
	if err != nil {
		r.Fatal(err)
	}
	defer db.Close()
	result, err := db.Exec(statement, args...)
	if err != nil {
		r.Fatal(err)
	}
	id, err := result.LastInsertId()
	if err != nil {
		r.Fatal(err)
	}
	return id
}

// row inserts a row for a file.
func (r *registry) row(hash ingest.Digest, modality, locator string, metadata any) int64 {
	r.Helper()
	return r.exec(`INSERT INTO Atoms (ContentHash, Modality, SourceType, PayloadLocator, Metadata)
		VALUES (?, ?, 'ollama_blob', ?, ?)`, hash[:], modality, locator, metadata)
}

// refer inserts a row that refers to an atom.
func (r *registry) refer(atom int64) {
	r.Helper()
	job := r.exec(`INSERT INTO IngestionJobs (PipelineName, Status) VALUES ('old', 'complete')`)
	r.exec(`INSERT INTO IngestionJobAtoms (IngestionJobId, AtomId) VALUES (?, ?)`, job, atom)
}

// pathHash returns the hash of a path, which a script used as that of the file.
func pathHash(path string) ingest.Digest {
	var text []byte
	for _, unit := range utf16.Encode([]rune(path)) {
		text = binary.LittleEndian.AppendUint16(text, unit)
	}
	return ingest.Sum(text)
}

// fill inserts rows of each kind, good and bad.
func (r *registry) fill(times, bytes int) {
	r.Helper()
	local := func(name string) string { return filepath.Join(r.folder, filepath.FromSlash(name)) }
	windows := func(name string) string { return `d:\MODELS\` + strings.ReplaceAll(name, "/", `\`) }
	ollama := func(d ingest.Digest) string { return fmt.Sprintf(`{"ollama_digest": "sha256:%s"}`, d) }
	other := func(i int, what string) ingest.Digest { return ingest.Sum(fmt.Append(nil, what, i)) }
	for i := range times {
		good := func(name string) (string, ingest.Digest) {
			if name != "" {
				name = fmt.Sprint(name, i)
			}
			name, digest := r.file(name, bytes)
			r.good[digest] = true
			return name, digest
		}
		name, d := good("")
		r.row(d, "model", local(name), ollama(d)) // with the right hash
		name, d = good("")
		r.row(pathHash(windows(name)), "model", windows(name), ollama(d)) // with the hash of the path
		name, d = good("plain")
		r.row(d, "text", local(name), nil)
		name, _ = good("badhash")
		r.row(pathHash(local(name)), "image", local(name), "{bad json")
		name, d = good("meta")
		r.row(pathHash(local(name)), "model", local(name), // recognised even if the path changes
			fmt.Sprintf(`{"file_path": %q, "ollama_digest": "sha256:%s"}`, local(name), d))
		name, d = good("merge") // two rows to merge; the wrong and the right one alternate in having more references
		wrong := r.row(pathHash(local(name)), "model", local(name), `{"wrong": 1}`)
		right := r.row(d, "model", "", `{"right": 1}`)
		for range 1 + 2*(i%2) {
			r.refer(wrong)
		}
		r.refer(right)
		r.refer(right)

		r.bad += 8
		r.row(other(i, "missing"), "model", local(fmt.Sprint("missing", i)), nil)
		r.row(other(i, "windows"), "model", fmt.Sprintf(`E:\x%d`, i), nil) // not mapped
		r.row(other(i, "folder"), "text", r.folder, nil)
		r.row(other(i, "device"), "text", "/dev/null", nil)
		r.row(other(i, "dots"), "text", windows("../../etc/passwd"), nil)
		name, _ = r.file(fmt.Sprint("other", i), bytes)
		r.row(other(i, "content"), "model", local(name), nil) // the hash of other content
		r.row(pathHash(local(name)), "model", local(name), ollama(other(i, "meta")))
		name = "blobs/sha256-" + other(i, "name").String()
		r.write(name, []byte("wrong"))
		r.row(other(i, "name"), "model", local(name), nil)
	}
}

// state is the state of a row.
type state struct{ stored, cleared bool }

// check reads every copy. It returns the states of the rows of good content by digest.
func (r *registry) check() map[ingest.Digest]state {
	r.Helper()
	c := r.open()
	defer c.Close()
	read := reader.Reader{Catalog: c, Store: r.store, Pool: buffer.New(256 << 20)}
	all := map[ingest.Digest]state{}
	for a, err := range c.FileAtoms(context.Background()) {
		if err != nil {
			r.Fatal(err)
		}
		copied := a.InRow || a.Address.URI != ""
		if copied {
			if err := read.CheckAtom(context.Background(), a); err != nil {
				r.Fatalf("copy of atom %d (in its row: %t, at %s): %v", a.ID, a.InRow, a.Address.URI, err)
			}
		}
		if _, twice := all[a.Digest]; twice {
			r.Fatalf("two rows have the digest %s", a.Digest)
		}
		if r.good[a.Digest] {
			all[a.Digest] = state{copied, a.Locator == ""}
		}
	}
	return all
}

// final checks that all good content is migrated, and the bad rows are not.
func (r *registry) final(cleared bool) {
	r.Helper()
	all := r.check()
	for digest := range r.good {
		if s := all[digest]; !s.stored || s.cleared != cleared {
			r.Errorf("content %s: stored %t, cleared %t", digest, s.stored, s.cleared)
		}
	}
	if left := r.query(`SELECT count(*) FROM Atoms WHERE PayloadLocator <> '' AND Payload IS NULL AND BlobUri IS NULL
		AND SourceType = 'ollama_blob'`); left != int64(r.bad) {
		r.Errorf("%d rows are not migrated, want %d", left, r.bad)
	}
	r.lost()
	c := r.open()
	defer c.Close()
	if err := c.Audit(context.Background()); err != nil {
		r.Error(err)
	}
}

// lost checks that every row has a path or a copy.
func (r *registry) lost() {
	r.Helper()
	if lost := r.query(`SELECT count(*) FROM Atoms WHERE PayloadLocator IS NULL AND Payload IS NULL AND BlobUri IS NULL
		AND SourceType = 'ollama_blob'`); lost != 0 {
		r.Errorf("%d rows have neither path nor copy", lost)
	}
}

// TestLocators migrates rows of all kinds to each target, and clears their paths.
func TestLocators(t *testing.T) {
	for _, to := range []string{inRows, "dir", os.Getenv("INGEST_TEST_AZURITE")} {
		if to == "" {
			continue // other tests report that Azurite is missing
		}
		t.Run(filepath.Base(to), func(t *testing.T) {
			const times = 20
			r := newRegistry(t, to)
			r.fill(times, 5000)
			name, d := r.file("there", 5000) // already in its row
			r.exec(`INSERT INTO Atoms (ContentHash, Modality, PayloadLocator, Payload) VALUES (?, 'model', ?, ?)`, d[:],
				filepath.Join(r.folder, name), r.content(name))
			references := r.query(`SELECT count(*) FROM IngestionJobAtoms`)

			before := r.rows()
			e := r.run(r.migrate("--dry-run")...)
			sum := e.event("summary")
			if e.code != exitSomeRefused || r.rows() != before || count(sum, "moved") != 6*times+3*times ||
				number(sum, "failed") != int64(r.bad-3*times) || number(sum, "corrected") != 5*times {
				t.Errorf("--dry-run: exit code %d, %v\n%s", e.code, sum, e.stderr)
			}
			if r.store != nil {
				for object := range r.store.List(t.Context()) {
					t.Errorf("--dry-run stored %s", object.Name)
				}
			}

			e = r.run(r.migrate()...)
			sum = e.event("summary")
			if e.code != exitSomeRefused || count(sum, "moved") != 6*times || number(sum, "failed") != int64(r.bad) ||
				number(sum, "corrected") != 4*times || number(sum, "merged") != times || count(sum, "there") != 2 {
				t.Errorf("exit code %d, %v\n%s", e.code, sum, e.stderr)
			}
			r.final(false)
			if now := r.query(`SELECT count(*) FROM IngestionJobAtoms`); now != references {
				t.Errorf("%d rows refer to atoms, want %d", now, references)
			}
			for _, what := range []string{"wrong", "right"} { // the row with more references is kept
				if n := r.query(`SELECT count(*) FROM Atoms WHERE Metadata LIKE '{"` + what + `": 1,%}'
					AND PayloadLocator <> '' AND AtomId IN (SELECT AtomId FROM IngestionJobAtoms)`); n != times/2 {
					t.Errorf("%d atoms with the metadata of the %s row, want %d", n, what, times/2)
				}
			}

			e = r.run(r.migrate("--read-back")...)
			if sum := e.event("summary"); count(sum, "moved") != 0 || count(sum, "there") != 6*times+2 {
				t.Errorf("again: %v", sum)
			}
			r.back(6*times + 1)
			e = r.run(r.migrate()...)
			if sum := e.event("summary"); count(sum, "moved") != 6*times+1 || number(sum, "corrected") != 0 {
				t.Errorf("after --back: %v\n%s", sum, e.stderr)
			}
			e = r.run(r.migrate("--clear-locators")...)
			if sum := e.event("summary"); count(sum, "cleared") != 6*times+1 {
				t.Errorf("cleared: %v\n%s", sum, e.stderr)
			}
			r.final(true)
			if r.store == nil {
				r.must("verify")
			}
		})
	}
}

// back puts so many rows back to having only a path.
func (r *registry) back(rows int64) {
	r.Helper()
	e := r.run("migrate", "locators", "--back", "--root", r.folder, "--map", `D:\Models\=`+r.folder+"/")
	if sum := e.event("summary"); e.code != 0 || count(sum, "back") != rows || number(sum, "failed") != 0 {
		r.Errorf("--back: exit code %d, %v\n%s", e.code, sum, e.stderr)
	}
	if left := r.query(`SELECT count(*) FROM Atoms WHERE Payload IS NOT NULL OR BlobUri IS NOT NULL`); left != 0 {
		r.Errorf("%d rows have a copy after --back", left)
	}
	r.lost()
}

// content reads a file.
func (r *registry) content(name string) []byte {
	r.Helper()
	content, err := os.ReadFile(filepath.Join(r.folder, name))
	if err != nil {
		r.Fatal(err)
	}
	return content
}

// rows returns the rows of Atoms as text.
func (r *registry) rows() string {
	r.Helper()
	c := r.open()
	defer c.Close()
	text := ""
	for a, err := range c.FileAtoms(context.Background()) {
		if err != nil {
			r.Fatal(err)
		}
		text += fmt.Sprintf("%+v\n", a)
	}
	return text
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
