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
	plain  bool // Atoms has no column Payload
	tsql   bool // not SQLite

	contents []*content
	serial   int                      // makes names unique
	paths    map[string]ingest.Digest // files by path, as the rows have it
	files    map[ingest.Digest]string // paths of files on this machine
	most     int                      // maximum number of contents
	wrote    int                      // changes by another program while the program ran
}

// content is the content of a file, and all rows that mean it.
type content struct {
	digest ingest.Digest
	fate   fate
	rows   []*otherAtom
}

// fate is what must become of the rows of a content.
type fate int

const (
	moves     fate = iota // one row remains, with the digest and a copy
	links                 // one row remains, with the digest; the copy is in the segments of a model
	has                   // the row had its payload before
	stays                 // the rows cannot be migrated and do not change
	untouched             // the rows have no path and do not change
)

// otherAtom is a row of Atoms as another program inserted it.
type otherAtom struct {
	id                                          int64
	hash                                        ingest.Digest
	modality, subtype, uri, sourceType, text    string
	locator, metadata                           string
	inactive                                    bool
	payload                                     []byte
	jobs, layers, tensors, embeddings, ownCount int64 // rows that refer to it, and its ReferenceCount
}

// newRegistry creates an empty registry in SQLite. to is row, dir, or an account of blobs.
func newRegistry(t testing.TB, to string) *registry { return newRegistryOn(t, nil, to) }

// newRegistryOn creates an empty registry on a server, or in SQLite if that is nil.
func newRegistryOn(t testing.TB, server database, to string) *registry {
	folder := t.TempDir()
	r := &registry{box: newBox(t, filepath.Join(folder, "data"), true), folder: filepath.Join(folder, "models"),
		to: to, random: mathrand.New(mathrand.NewPCG(1, 2)), paths: map[string]ingest.Digest{},
		files: map[ingest.Digest]string{}}
	r.server = server
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
	r.must("models", r.write("first.txt", []byte("first"))) // creates the tables of SQLite
	r.outside(func(o *outside) {
		r.tsql = o.tsql
		o.exec(`INSERT INTO dbo.Models (ModelName, ModelType) VALUES (N'theirs', N'GGUF')`)
		o.exec(`CREATE TABLE dbo.TensorAtoms (TensorAtomId bigint IDENTITY(1,1) PRIMARY KEY,
			AtomId bigint NOT NULL REFERENCES dbo.Atoms (AtomId))`)
		o.exec(`CREATE TABLE dbo.AtomEmbeddings (AtomEmbeddingId bigint IDENTITY(1,1) PRIMARY KEY,
			AtomId bigint NOT NULL REFERENCES dbo.Atoms (AtomId) ON DELETE CASCADE)`)
	})
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
	r.files[ingest.Sum(content)] = path
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

// sparse creates a file of zeros after its name.
func (r *registry) sparse(name string, bytes int64) (path string, digest ingest.Digest) {
	r.Helper()
	path = r.write(name, []byte(name))
	err := os.Truncate(path, bytes)
	if err == nil {
		digest, _, err = digestOf(path)
	}
	if err != nil {
		r.Fatal(err)
	}
	r.files[digest] = path
	return path, digest
}

// local and windows return the path of a file, on this machine and on the one that registered it.
func (r *registry) local(name string) string {
	return filepath.Join(r.folder, filepath.FromSlash(name))
}

func windowsName(name string) string { return `d:\MODELS\` + strings.ReplaceAll(name, "/", `\`) }

// insert inserts a row and the rows that refer to it.
func (o *outside) insert(a *otherAtom) {
	null := func(text string) sql.NullString { return sql.NullString{String: text, Valid: text != ""} }
	active := 1
	if a.inactive {
		active = 0
	}
	o.exec(`INSERT INTO dbo.Atoms (ContentHash, Modality, Subtype, SourceUri, SourceType, CanonicalText, PayloadLocator,
			Metadata, IsActive, ReferenceCount) VALUES (@p1, @p2, @p3, @p4, @p5, @p6, @p7, @p8, @p9, @p10)`, a.hash[:],
		a.modality, null(a.subtype), null(a.uri), null(a.sourceType), null(a.text), null(a.locator), null(a.metadata),
		active, a.ownCount)
	a.id = o.number(`SELECT AtomId FROM dbo.Atoms WHERE ContentHash = @p1`, a.hash[:])
	if a.payload != nil {
		o.exec(`UPDATE dbo.Atoms SET Payload = @p2 WHERE AtomId = @p1`, a.id, a.payload)
	}
	for range a.jobs {
		o.exec(`INSERT INTO dbo.IngestionJobs (PipelineName, Status) VALUES (N'old', N'complete')`)
		o.exec(`INSERT INTO dbo.IngestionJobAtoms (IngestionJobId, AtomId, WasDuplicate)
			SELECT MAX(IngestionJobId), @p1, 0 FROM dbo.IngestionJobs WHERE PipelineName = N'old'`, a.id)
	}
	for range a.layers {
		o.exec(`INSERT INTO dbo.ModelLayers (ModelId, LayerIdx, LayerName, LayerAtomId)
			SELECT MAX(ModelId), @p1, N'layer', @p1 FROM dbo.Models WHERE ModelName = N'theirs'`, a.id)
	}
	for range a.tensors {
		o.exec(`INSERT INTO dbo.TensorAtoms (AtomId) VALUES (@p1)`, a.id)
	}
	for range a.embeddings {
		o.exec(`INSERT INTO dbo.AtomEmbeddings (AtomId) VALUES (@p1)`, a.id)
	}
}

// pathHash returns the hash of a path, which a script used as that of the file.
func pathHash(path string) ingest.Digest {
	var text []byte
	for _, unit := range utf16.Encode([]rune(path)) {
		text = binary.LittleEndian.AppendUint16(text, unit)
	}
	return ingest.Sum(text)
}

// storedAtom is a row of Atoms. An empty text is NULL.
type storedAtom struct {
	otherAtom
	created, updated, address string
	inRow                     bool
	byteSize                  int64
}

func (a *storedAtom) hasCopy() bool { return a.inRow || a.address != "" }

// rows reads all rows of Atoms, except those of segments.
func (r *registry) rows() map[int64]*storedAtom {
	r.Helper()
	payload := "Payload"
	if r.plain {
		payload = "NULL"
	}
	all := map[int64]*storedAtom{}
	r.outside(func(o *outside) {
		o.each(func(v []any) {
			a := &storedAtom{otherAtom: otherAtom{id: numberOf(v[0]), hash: digestIn(v[1]), modality: textOf(v[2]),
				subtype: textOf(v[3]), uri: textOf(v[4]), sourceType: textOf(v[5]), text: textOf(v[6]),
				locator: textOf(v[7]), metadata: textOf(v[8]), inactive: numberOf(v[9]) == 0,
				ownCount: numberOf(v[10])},
				created: textOf(v[11]), updated: textOf(v[12]), address: textOf(v[13]), inRow: numberOf(v[15]) == 1,
				byteSize: numberOf(v[16])}
			a.payload, _ = v[14].([]byte)
			all[a.id] = a
		}, `SELECT AtomId, ContentHash, Modality, Subtype, SourceUri, SourceType, CanonicalText, PayloadLocator,
				Metadata, IsActive, ReferenceCount, CreatedAt, UpdatedAt, BlobUri, `+payload+`,
				CASE WHEN `+payload+` IS NULL THEN 0 ELSE 1 END, BlobSizeBytes
			FROM dbo.Atoms WHERE COALESCE(SourceType, N'') <> N'ingest_segment'`)
	})
	return all
}

// checkCopy reads a row's copy and compares it with the digest.
func (r *registry) checkCopy(a *storedAtom) error {
	var err error
	sum := ingest.Sum(a.payload)
	switch {
	case a.inRow && a.address != "":
		return fmt.Errorf("its payload is in the row and at %s", a.address)
	case a.inRow:
	case strings.HasPrefix(a.address, "dir:"):
		sum, _, err = digestOf(payloadPath(strings.TrimPrefix(r.to, "dir:"), a.hash))
	default:
		payload := make([]byte, a.byteSize)
		err = r.store.Get(context.Background(), a.hash, ingest.Address{URI: a.address,
			Name: strings.TrimPrefix(a.address, r.to+"/"), Bytes: a.byteSize}, 0, payload)
		sum = ingest.Sum(payload)
	}
	if err == nil && sum != a.hash {
		err = fmt.Errorf("its copy has SHA-256 %s, and ContentHash is %s", sum, a.hash)
	}
	return err
}
