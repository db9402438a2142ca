package main

import (
	"bytes"
	"context"
	"crypto/rand"
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

// box is a catalogue and a store of its own for the real program.
type box struct {
	testing.TB
	program string
	catalog string   // path of the file
	server  database // in place of the file; nil for none
	store   string   // path of the folder; empty for payloads in rows
	blobs   *blobs   // in place of the folder; nil for none
}

// database is what holds a box's catalogue.
type database interface {
	env() []string // says where it is to the program
	open(context.Context) (catalogue, error)
	clear() error                                   // makes it hold nothing
	written() string                                // another text after each commit
	outlive(ctx context.Context, process int) error // waits until nothing of a process that is gone is at work in it
}

// catalogue is what a test reads of an open one.
type catalogue interface {
	ingest.Catalog
	Audit(context.Context) error
}

// file is a database of SQLite.
type file string

func (f file) env() []string { return []string{"INGEST_CATALOG=sqlite:" + string(f)} }

func (f file) open(ctx context.Context) (catalogue, error) { return sqlite.Open(ctx, string(f)) }

func (f file) clear() error { return os.RemoveAll(filepath.Dir(string(f))) }

func (f file) written() string {
	log, err := os.Stat(string(f) + "-wal")
	if err != nil { // there is none yet
		return ""
	}
	return fmt.Sprint(log.Size(), log.ModTime())
}

// outlive does not wait: only the process itself writes.
func (f file) outlive(context.Context, int) error { return nil }

func (b box) database() database {
	if b.server != nil {
		return b.server
	}
	return file(b.catalog)
}

// newBox makes the box in a folder, which need not exist.
func newBox(t testing.TB, folder string, inRows bool) box {
	b := box{TB: t, program: realProgram(t), catalog: filepath.Join(folder, "catalog.db"),
		store: filepath.Join(folder, "store")}
	if inRows {
		b.store = ""
	}
	return b
}

// ended is a call of the program that has ended.
type ended struct {
	code   int
	lines  []map[string]any // of stdout, with --json
	stderr string
}

// command is the program with --json and the box's own catalogue and store.
func (b box) command(args ...string) *exec.Cmd {
	c := exec.Command(b.program, append(args, "--json")...)
	store := inRows
	switch {
	case b.blobs != nil:
		store = b.blobs.container
	case b.store != "":
		store = "dir:" + b.store
	}
	c.Env = append(os.Environ(), append(b.database().env(), "INGEST_STORE="+store)...)
	c.Stdout, c.Stderr = new(bytes.Buffer), new(bytes.Buffer)
	return c
}

// run runs the program to its end.
func (b box) run(args ...string) ended {
	b.Helper()
	c := b.command(args...)
	var exit *exec.ExitError
	if err := c.Run(); err != nil && !errors.As(err, &exit) {
		b.Fatal(err)
	}
	return b.ended(c)
}

// must runs the program, which has to end with code 0.
func (b box) must(args ...string) ended {
	b.Helper()
	e := b.run(args...)
	if e.code != exitDone {
		b.Fatalf("ingest %s: exit code %d\n%s", strings.Join(args, " "), e.code, e.stderr)
	}
	return e
}

// ended reads what a command that was waited for has printed.
func (b box) ended(c *exec.Cmd) ended {
	b.Helper()
	e := ended{code: c.ProcessState.ExitCode(), stderr: c.Stderr.(*bytes.Buffer).String()}
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
func (e ended) event(name string) map[string]any {
	for _, line := range e.lines {
		if line["event"] == name {
			return line
		}
	}
	return nil
}

// bytes reads a number of a line.
func number(line map[string]any, field string) int64 {
	n, _ := line[field].(float64)
	return int64(n)
}

// open opens the box's catalogue, for a look at its rows.
func (b box) open() catalogue {
	b.Helper()
	c, err := b.database().open(context.Background())
	if err != nil {
		b.Fatalf("open the catalogue: %v", err)
	}
	return c
}

// rows are what a catalogue holds, without the numbers that depend on its history.
type rows struct {
	models   []string // one line for each model, file and segment
	digests  map[ingest.Digest]int64
	recorded int64 // bytes of files that have rows
	again    int64 // bytes of the segments that a continuation reads again: the last one of each file begun
	open     int   // models that are not complete
}

// look reads all rows and checks what must hold at any moment: the rows do not contradict each
// other, each segment's payload is there, the segments of a file follow each other without a gap as far as
// it is recorded, and a complete model is whole, with the digests that its files really have.
func (b box) look(truth map[string]ingest.Digest) rows {
	b.Helper()
	ctx := context.Background()
	c := b.open()
	defer c.Close()
	if err := c.Audit(ctx); err != nil {
		b.Errorf("the catalogue contradicts itself: %v", err)
	}
	r := rows{digests: map[ingest.Digest]int64{}}
	for m, err := range c.Models(ctx) {
		if err != nil {
			b.Fatal(err)
		}
		if m.State != ingest.ModelComplete {
			r.open++
		}
		if m.State == ingest.ModelRemoving {
			continue // its rows go one after the other
		}
		line := fmt.Sprintf("%s %s %s tensors %d segments %d stored %d shared %d", m.Name, m.Type, m.State, m.Tensors,
			m.Segments, m.BytesStored, m.BytesShared)
		for _, f := range m.Files {
			r.recorded += f.Recorded
			line += fmt.Sprintf("\n\t%s %s %d of %d %s", f.Path, f.Role, f.Recorded, f.Bytes, f.Digest)
			if m.State == ingest.ModelComplete && (f.Recorded != f.Bytes || f.Digest != truth[f.Path]) {
				b.Errorf("%s is complete with %d of %d bytes and SHA-256 %s; it has %s", f.Path, f.Recorded, f.Bytes,
					f.Digest, truth[f.Path])
			}
			line += b.pieces(c, f, &r)
		}
		r.models = append(r.models, line)
	}
	slices.Sort(r.models)
	return r
}

// pieces checks the segments of one file, and writes them down.
func (b box) pieces(c catalogue, f ingest.StoredFile, r *rows) string {
	b.Helper()
	var text strings.Builder
	at, last := int64(0), int64(0)
	for piece, err := range c.Segments(context.Background(), f.ID, 0) {
		if err != nil {
			b.Fatal(err)
		}
		if piece.Offset != at {
			b.Errorf("%s: a row for byte %d follows byte %d", f.Path, piece.Offset, at)
		}
		at, last = at+piece.Bytes, piece.Bytes
		switch {
		case piece.InRow:
			buffer := make([]byte, piece.Bytes)
			if err = c.ReadPayload(context.Background(), piece, buffer); err != nil ||
				ingest.Sum(buffer) != piece.Digest {
				b.Errorf("%s: %s: the row has not its payload (%v)", f.Path, piece.Place(), err)
			}
		case r.digests[piece.Digest] == 0 && b.blobs != nil:
			if err := b.blobs.holds(piece); err != nil {
				b.Errorf("%s: %s: a row without its payload (%v)", f.Path, piece.Place(), err)
			}
		case r.digests[piece.Digest] == 0:
			info, err := os.Stat(payloadPath(b.store, piece.Digest))
			if err != nil || info.Size() != piece.Bytes {
				b.Errorf("%s: %s: a row without its payload (%v)", f.Path, piece.Place(), err)
			}
		}
		r.digests[piece.Digest] = piece.Bytes
		fmt.Fprintf(&text, "\n\t\t%s %d %d %d %s %s", piece.Tensor, piece.Ordinal, piece.Offset, piece.Bytes,
			piece.Digest, b.blobs.within(piece.Address.URI))
	}
	if f.Digest.IsZero() {
		r.again += last
	}
	if at != f.Recorded {
		b.Errorf("%s: %d bytes are recorded, and its rows cover %d", f.Path, f.Recorded, at)
	}
	return text.String()
}

// files lists the files of the store with their sizes, without the one that names its owner.
func (b box) files() map[string]int64 {
	b.Helper()
	found := map[string]int64{}
	err := filepath.WalkDir(b.store, func(path string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		info, err := entry.Info()
		if name, _ := filepath.Rel(b.store, path); name != "owner" {
			found[filepath.ToSlash(name)] = info.Size()
		}
		return err
	})
	if err != nil && b.store != "" {
		b.Fatal(err)
	}
	return found
}

// blobs is a store of blobs in a box.
type blobs struct {
	account, container string
	store              ingest.Store // the test's own way in
}

// renew begins with an empty container.
func (b *blobs) renew() (err error) {
	if b == nil {
		return nil
	}
	b.container = b.account + "/kills" + strings.ToLower(rand.Text())
	b.store, err = (&program{}).openStore(context.Background(), b.container)
	return err
}

// holds asks the service about the blob of a piece.
func (b *blobs) holds(piece ingest.StoredSegment) error {
	_, err := b.store.Stat(context.Background(), piece.Digest, piece.Address)
	return err
}

// within is an address without its container, which is another one each time.
func (b *blobs) within(uri string) string {
	if b == nil {
		return uri
	}
	return strings.TrimPrefix(uri, b.container)
}
