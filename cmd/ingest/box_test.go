package main

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/storage/sqlite"
)

// box runs the real program with a catalogue and a store of its own.
type box struct {
	testing.TB
	program string
	catalog string        // path of the file
	server  database      // used instead of the file unless nil
	store   string        // path of the folder; empty for payloads in rows
	blobs   *blobs        // used instead of the folder unless nil
	damaged ingest.Digest // of a payload in the catalogue that the test has damaged; see audit
}

// database contains a box's catalogue.
type database interface {
	env() []string // tells the program where the database is
	open(context.Context) (catalogue, error)
	outside(context.Context, func(*outside)) error // runs a transaction of another program
	clear() error                                  // deletes all rows
	version() string                               // changes with each commit
	drain(ctx context.Context, process int) error  // waits until the work of a killed process has ended
}

// catalogue is an open catalogue that a test can check.
type catalogue interface {
	ingest.Catalog
	Audit(context.Context) error
}

// file is the path of a SQLite database.
type file string

func (f file) env() []string { return []string{"INGEST_CATALOG=sqlite:" + string(f)} }

func (f file) open(ctx context.Context) (catalogue, error) { return sqlite.Open(ctx, string(f)) }

func (f file) clear() error { return os.RemoveAll(filepath.Dir(string(f))) }

func (f file) version() string {
	log, err := os.Stat(string(f) + "-wal")
	if err != nil { // it does not exist yet
		return ""
	}
	return fmt.Sprint(log.Size(), log.ModTime())
}

// drain does not wait: nobody writes for a killed process.
func (f file) drain(context.Context, int) error { return nil }

func (b box) database() database {
	if b.server != nil {
		return b.server
	}
	return file(b.catalog)
}

// newBox makes a box in a folder, which need not exist.
func newBox(t testing.TB, folder string, inRows bool) box {
	b := box{TB: t, program: realProgram(t), catalog: filepath.Join(folder, "catalog.db"),
		store: filepath.Join(folder, "store")}
	if inRows {
		b.store = ""
	}
	return b
}

// result is the outcome of a call of the program.
type result struct {
	code   int
	lines  []map[string]any // of stdout, with --json
	stderr string
}

// command returns the program with --json and the box's catalogue and store.
func (b box) command(args ...string) *exec.Cmd {
	c := exec.Command(b.program, append(args, "--json")...)
	c.Env = append(os.Environ(), append(b.database().env(), "INGEST_STORE="+b.storeAddress())...)
	c.Stdout, c.Stderr = new(bytes.Buffer), new(bytes.Buffer)
	return c
}

func (b box) storeAddress() string {
	switch {
	case b.blobs != nil:
		return b.blobs.container
	case b.store != "":
		return "dir:" + b.store
	}
	return inRows
}

// run runs the program to its end.
func (b box) run(args ...string) result {
	b.Helper()
	c := b.command(args...)
	var exit *exec.ExitError
	if err := c.Run(); err != nil && !errors.As(err, &exit) {
		b.Fatal(err)
	}
	return b.result(c)
}

// must runs the program, which must end with code 0.
func (b box) must(args ...string) result {
	b.Helper()
	e := b.run(args...)
	if e.code != exitDone {
		b.Fatalf("ingest %s: exit code %d\n%s", strings.Join(args, " "), e.code, e.stderr)
	}
	return e
}

// result reads the output of a command that has ended.
func (b box) result(c *exec.Cmd) result {
	b.Helper()
	e := result{code: c.ProcessState.ExitCode(), stderr: c.Stderr.(*bytes.Buffer).String()}
	for line := range bytes.Lines(c.Stdout.(*bytes.Buffer).Bytes()) {
		var object map[string]any
		if err := json.Unmarshal(line, &object); err != nil {
			b.Fatalf("stdout holds %q: %v", line, err)
		}
		e.lines = append(e.lines, object)
	}
	return e
}

// event returns the first line with this event; nil if there is none.
func (e result) event(name string) map[string]any {
	for _, line := range e.lines {
		if line["event"] == name {
			return line
		}
	}
	return nil
}

// objects returns the lines before the summary.
func (e result) objects() []map[string]any {
	return slices.DeleteFunc(slices.Clone(e.lines),
		func(line map[string]any) bool { return line["event"] == "summary" })
}

// number reads a number of a line; 0 if there is none.
func number(line map[string]any, field string) int64 {
	n, _ := line[field].(float64)
	return int64(n)
}

// open opens the box's catalogue.
func (b box) open() catalogue {
	b.Helper()
	c, err := b.database().open(context.Background())
	if err != nil {
		b.Fatalf("open the catalogue: %v", err)
	}
	return c
}

// rows are the content of a catalogue, without ids that depend on its history.
type rows struct {
	models   []string // one line for each model, file and segment
	digests  map[ingest.Digest]int64
	stored   map[string]int64 // bytes of the payloads in the store, by name
	small    []ingest.Digest  // of payloads that the catalogue keeps
	recorded int64            // bytes of files that have rows
	reread   int64            // bytes that a resumed run reads again: the last segment of each unfinished file
	open     int              // models that are not complete
}

// audit reads all rows and checks what must hold at any moment: rows do not contradict each other,
// each segment has its payload, the segments of a file have no gap up to its recorded bytes, and a
// complete model has all bytes and the digests of its files. want has these digests by path. Payloads
// in the store are not read, and neither is that of b.damaged.
func (b box) audit(want map[string]ingest.Digest) rows {
	b.Helper()
	ctx := context.Background()
	c := b.open()
	defer c.Close()
	if err := c.Audit(ctx); err != nil {
		b.Errorf("rows contradict each other: %v", err)
	}
	r := rows{digests: map[ingest.Digest]int64{}, stored: map[string]int64{}}
	for m, err := range c.Models(ctx) {
		if err != nil {
			b.Fatal(err)
		}
		if m.State != ingest.ModelComplete {
			r.open++
		}
		if m.State == ingest.ModelRemoving {
			continue // some of its rows are removed
		}
		line := fmt.Sprintf("%s %s %s tensors %d segments %d stored %d shared %d", m.Name, m.Type, m.State, m.Tensors,
			m.Segments, m.BytesStored, m.BytesShared)
		for _, f := range m.Files {
			r.recorded += f.Recorded
			line += fmt.Sprintf("\n\t%s %s %d of %d %s", f.Path, f.Role, f.Recorded, f.Bytes, f.Digest)
			if m.State == ingest.ModelComplete && (f.Recorded != f.Bytes || f.Digest != want[f.Path]) {
				b.Errorf("%s is complete with %d of %d bytes and SHA-256 %s; it has %s", f.Path, f.Recorded, f.Bytes,
					f.Digest, want[f.Path])
			}
			line += b.auditSegments(c, f, &r)
		}
		r.models = append(r.models, line)
	}
	slices.Sort(r.models)
	return r
}

// auditSegments checks the segments of one file, and returns a line for each.
func (b box) auditSegments(c catalogue, f ingest.StoredFile, r *rows) string {
	b.Helper()
	var text strings.Builder
	at, last := int64(0), int64(0)
	for segment, err := range c.Segments(context.Background(), f.ID, 0) {
		if err != nil {
			b.Fatal(err)
		}
		if segment.Offset != at {
			b.Errorf("%s: a row for byte %d follows byte %d", f.Path, segment.Offset, at)
		}
		at, last = at+segment.Bytes, segment.Bytes
		switch {
		case segment.InRow && segment.Digest == b.damaged:
		case segment.InRow:
			buffer := make([]byte, segment.Bytes)
			if err = c.ReadPayload(context.Background(), segment, buffer); err != nil ||
				ingest.Sum(buffer) != segment.Digest {
				b.Errorf("%s: %s: the row lacks its payload (%v)", f.Path, segment.Place(), err)
			}
		case r.stored[objectName(segment)] == 0 && b.blobs != nil:
			if err := b.blobs.holds(segment); err != nil {
				b.Errorf("%s: %s: a row without its payload (%v)", f.Path, segment.Place(), err)
			}
		case r.stored[objectName(segment)] == 0:
			info, err := os.Stat(filepath.Join(b.store, objectName(segment)))
			if err != nil || info.Size() != segment.Address.Bytes {
				b.Errorf("%s: %s: a row without its payload (%v)", f.Path, segment.Place(), err)
			}
		}
		r.digests[segment.Digest] = segment.Bytes
		if segment.Small {
			r.small = append(r.small, segment.Digest)
		}
		if !segment.InRow {
			r.stored[objectName(segment)] = segment.Address.Bytes
		}
		fmt.Fprintf(&text, "\n\t\t%s %d %d %d %s %s", segment.Tensor, segment.Ordinal, segment.Offset, segment.Bytes,
			segment.Digest, b.blobs.within(segment.Address.URI))
	}
	if f.Digest.IsZero() {
		r.reread += last
	}
	if at != f.Recorded {
		b.Errorf("%s: %d bytes are recorded, but its rows cover %d", f.Path, f.Recorded, at)
	}
	return text.String()
}

// objectName is the name of a segment's payload in its store.
func objectName(s ingest.StoredSegment) string {
	return cmp.Or(s.Address.Name, strings.TrimPrefix(s.Address.URI, "dir:"))
}

// files lists the files of the store with their sizes, except the one that names its owner, and
// descriptions.
func (b box) files() map[string]int64 {
	b.Helper()
	found := map[string]int64{}
	err := filepath.WalkDir(b.store, func(path string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		info, err := entry.Info()
		name, _ := filepath.Rel(b.store, path)
		if !strings.HasPrefix(filepath.ToSlash(name), "descriptions/") && name != "owner" {
			found[filepath.ToSlash(name)] = info.Size()
		}
		return err
	})
	if err != nil && b.store != "" {
		b.Fatal(err)
	}
	return found
}

// damageSmall overwrites a payload that the catalogue keeps with zeros.
func (b box) damageSmall(digest ingest.Digest) {
	b.Helper()
	b.exec(`UPDATE SmallPayloads SET Payload = zeroblob(length(Payload))
		WHERE PayloadAtomId = (SELECT AtomId FROM Atoms WHERE ContentHash = @p1)`, digest[:])
}

// blobs is a store of blobs in a box.
type blobs struct {
	account, container string
	store              ingest.Store // opened by the test
}

// reset changes to a new, empty container.
func (b *blobs) reset() (err error) {
	if b == nil {
		return nil
	}
	b.container = b.account + "/kills" + strings.ToLower(rand.Text())
	b.store, err = (&program{}).openStore(context.Background(), b.container)
	return err
}

// holds returns an error if the blob of a segment is missing or different.
func (b *blobs) holds(segment ingest.StoredSegment) error {
	_, err := b.store.Stat(context.Background(), segment.Digest, segment.Address)
	return err
}

// within is an address without its container, which differs between runs.
func (b *blobs) within(uri string) string {
	if b == nil {
		return uri
	}
	return strings.TrimPrefix(uri, b.container)
}

// query returns a number from the catalogue; 0 if there is no catalogue yet.
func (b box) query(text string) (n int64) {
	db, err := sql.Open("sqlite", "file:"+b.catalog+"?mode=ro&_pragma=busy_timeout(1000)")
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	var found sql.NullInt64
	_ = db.QueryRow(text).Scan(&found) // the catalogue may not exist yet
	return found.Int64
}
