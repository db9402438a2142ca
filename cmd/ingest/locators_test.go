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

// registry is a catalogue with rows of Atoms that name files, as other programs have registered them.
type registry struct {
	box
	folder string       // of the files
	to     string       // where they go
	store  ingest.Store // there; nil for rows
	random *mathrand.Rand
	good   map[ingest.Digest]bool // what is to be migrated
	bad    int                    // rows that cannot be
}

// newRegistry makes a registry of a catalogue without rows. to is row, dir, or an account of blobs.
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
	r.must("models", r.write("first.txt", []byte("first"))) // makes the tables
	return r
}

// migrate is the command, with the paths of Windows mapped.
func (r *registry) migrate(more ...string) []string {
	return append([]string{"migrate", "locators", "--to", r.to, "--map", `D:\Models\=` + r.folder + "/", "--root", r.folder},
		more...)
}

func (r *registry) write(name string, content []byte) string {
	r.Helper()
	path := filepath.Join(r.folder, name)
	if err := os.WriteFile(path, content, 0o600); err != nil {
		r.Fatal(err)
	}
	return path
}

// file makes a file of so many bytes, and returns its name and digest.
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

// exec changes the catalogue as another program does, and returns the number of the row that it made.
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

// row registers a file.
func (r *registry) row(hash ingest.Digest, modality, locator string, metadata any) int64 {
	r.Helper()
	return r.exec(`INSERT INTO Atoms (ContentHash, Modality, SourceType, PayloadLocator, Metadata) VALUES (?, ?, 'ollama_blob', ?, ?)`,
		hash[:], modality, locator, metadata)
}

// refer has a row of the job that made the tables refer to an atom.
func (r *registry) refer(atom int64) {
	r.Helper()
	job := r.exec(`INSERT INTO IngestionJobs (PipelineName, Status) VALUES ('old', 'complete')`)
	r.exec(`INSERT INTO IngestionJobAtoms (IngestionJobId, AtomId) VALUES (?, ?)`, job, atom)
}

// lie is the hash of a path, as a script took it for that of the file.
func lie(path string) ingest.Digest {
	var text []byte
	for _, unit := range utf16.Encode([]rune(path)) {
		text = binary.LittleEndian.AppendUint16(text, unit)
	}
	return ingest.Sum(text)
}

// fill registers files of each kind, good and bad, so many times.
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
		r.row(d, "model", local(name), ollama(d)) // as a script should have registered it
		name, d = good("")
		r.row(lie(windows(name)), "model", windows(name), ollama(d)) // as a script did
		name, d = good("plain")
		r.row(d, "text", local(name), nil)
		name, d = good("liar")
		r.row(lie(local(name)), "image", local(name), "{bad json")
		name, d = good("meta")
		r.row(lie(local(name)), "model", local(name), // found also if the path is changed
			fmt.Sprintf(`{"file_path": %q, "ollama_digest": "sha256:%s"}`, local(name), d))
		name, d = good("twins") // the row with the path has more references, and the row of the content then
		liar, twin := r.row(lie(local(name)), "model", local(name), `{"liar": 1}`), r.row(d, "model", "", `{"twin": 1}`)
		for range 1 + 2*(i%2) {
			r.refer(liar)
		}
		r.refer(twin)
		r.refer(twin)

		r.bad += 8
		r.row(other(i, "missing"), "model", local(fmt.Sprint("missing", i)), nil)
		r.row(other(i, "windows"), "model", fmt.Sprintf(`E:\x%d`, i), nil) // not mapped
		r.row(other(i, "folder"), "text", r.folder, nil)
		r.row(other(i, "device"), "text", "/dev/null", nil)
		r.row(other(i, "dots"), "text", windows("../../etc/passwd"), nil)
		name, d = r.file(fmt.Sprint("other", i), bytes)
		r.row(other(i, "content"), "model", local(name), nil) // another content than its hash
		r.row(lie(local(name)), "model", local(name), ollama(other(i, "meta")))
		name = "blobs/sha256-" + other(i, "name").String()
		r.write(name, []byte("wrong"))
		r.row(other(i, "name"), "model", local(name), nil)
	}
}

// state is a row, as a test reads it.
type state struct{ stored, cleared bool }

// check looks at every row: what it says of a copy must be true. It returns the rows of good content by digest.
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
			got, err := read.HashAtom(context.Background(), a)
			if err != nil || got != a.Digest {
				r.Fatalf("atom %d says that its file is stored (in its row: %t, at %s): SHA-256 %s, want %s, %v", a.ID,
					a.InRow, a.Address.URI, got, a.Digest, err)
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

// final checks that what can be migrated is, and what cannot is as it was.
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

// lost wants every row to have a path or a copy.
func (r *registry) lost() {
	r.Helper()
	if lost := r.query(`SELECT count(*) FROM Atoms WHERE PayloadLocator IS NULL AND Payload IS NULL AND BlobUri IS NULL
		AND SourceType = 'ollama_blob'`); lost != 0 {
		r.Errorf("%d rows have neither path nor copy", lost)
	}
}

// TestLocators migrates a few hundred rows of all kinds to each target, and clears their paths.
func TestLocators(t *testing.T) {
	for _, to := range []string{inRows, "dir", os.Getenv("INGEST_TEST_AZURITE")} {
		if to == "" {
			continue // said aloud by others
		}
		t.Run(filepath.Base(to), func(t *testing.T) {
			const times = 20
			r := newRegistry(t, to)
			r.fill(times, 5000)
			name, d := r.file("there", 5000) // migrated before, by another program
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
				t.Errorf("%d rows refer to atoms, and before there were %d", now, references)
			}
			for _, what := range []string{"liar", "twin"} { // each is kept where more rows refer to it
				if n := r.query(`SELECT count(*) FROM Atoms WHERE Metadata = '{"` + what + `": 1}' AND PayloadLocator <> ''
					AND AtomId IN (SELECT AtomId FROM IngestionJobAtoms)`); n != times/2 {
					t.Errorf("%d atoms with the facts of the %s, want %d", n, what, times/2)
				}
			}

			e = r.run(r.migrate("--read-back")...)
			if sum := e.event("summary"); count(sum, "moved") != 0 || count(sum, "there") != 6*times+2 {
				t.Errorf("again: %v", sum)
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

// content reads a file.
func (r *registry) content(name string) []byte {
	r.Helper()
	content, err := os.ReadFile(filepath.Join(r.folder, name))
	if err != nil {
		r.Fatal(err)
	}
	return content
}

// rows is all that the rows of Atoms say.
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

// TestHomes: models and other files have containers of their own, where the address names none.
func TestHomes(t *testing.T) {
	t.Setenv("AZURE_STORAGE_KEY", "a2V5")
	const account = "https://account.blob.core.windows.net"
	for to, want := range map[string][2]string{
		account:          {account + "/models", account + "/atoms"},
		account + "/own": {account + "/own", account + "/own"},
		inRows:           {inRows, inRows},
	} {
		p := &program{catalog: "sqlite:x"}
		h, err := p.openHomes(t.Context(), &locatorFlags{to: to})
		if err != nil {
			t.Fatal(err)
		}
		for i, modality := range []string{"model", "text"} {
			if got := h.to(ingest.FileAtom{Modality: modality}); got.Address != want[i] {
				t.Errorf("%s: a %s goes to %s, want %s", to, modality, got.Address, want[i])
			}
		}
		if to == inRows {
			continue
		}
		for i, uri := range want {
			if _, err := h.at(ingest.FileAtom{Address: ingest.Address{URI: uri + "/sha256-x"}}); err != nil {
				t.Errorf("%s: %d: %v", uri, i, err)
			}
		}
		for _, uri := range []string{"dir:sha256/x", account + "/other/x", want[0] + "2/x"} {
			if store, err := h.at(ingest.FileAtom{Address: ingest.Address{URI: uri}}); err == nil {
				t.Errorf("%s is in %v", uri, store)
			}
		}
	}
}
