package sqlite

import (
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/schema"
)

// To add an address to a row, or to remove it, SQLite must not write the row's payload again.
func TestAddressIsAddedWithoutWritingThePayload(t *testing.T) {
	c, segment := withPayload(t)
	lease, err := c.Open(t.Context(), ingest.JobRequest{Pipeline: "migrate", Source: "/m", TTL: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.conns.writer.Exec(`PRAGMA wal_checkpoint(TRUNCATE)`); err != nil {
		t.Fatal(err)
	}
	move := ingest.Move{Segment: segment, Address: ingest.Address{URI: "file:///there", Bytes: segment.Bytes}}
	moved, err := c.AddAddresses(t.Context(), lease, []ingest.Move{move})
	if err != nil || !moved[0] {
		t.Fatalf("added an address: %v, error %v", moved, err)
	}
	move.Segment.Address = move.Address
	moved, err = c.ClearAddresses(t.Context(), lease, []ingest.Move{move})
	if err != nil || !moved[0] {
		t.Fatalf("removed the address: %v, error %v", moved, err)
	}
	log, err := os.Stat(c.conns.path + "-wal")
	if err != nil {
		t.Fatal(err)
	}
	if log.Size() == 0 || log.Size() > segment.Bytes/2 {
		t.Errorf("the log has %d bytes for a payload of %d", log.Size(), segment.Bytes)
	}
}

// Before schema step 3, a row had its payload and its address at once.
func TestUpgradeKeepsAddressesOfRowsWithPayloads(t *testing.T) {
	c, segment := withPayload(t)
	for _, text := range []string{
		`DROP TABLE TensorSegmentCopies`, `DROP TABLE FileSegmentCopies`,
		`DROP TRIGGER TR_LayerTensorSegments_Emptied`, `DROP TRIGGER TR_FileSegments_Emptied`,
		`DROP TRIGGER TR_LayerTensorSegments_Both`, `DROP TRIGGER TR_FileSegments_Both`,
		`DROP TABLE SmallPayloads`, `DROP INDEX IX_Atoms_Unreferenced`,
		`ALTER TABLE LayerTensorSegments DROP COLUMN Codec`, `ALTER TABLE LayerTensorSegments DROP COLUMN StoredHash`,
		`ALTER TABLE FileSegments DROP COLUMN Codec`, `ALTER TABLE FileSegments DROP COLUMN StoredHash`,
		`ALTER TABLE ModelFiles DROP COLUMN BytesSaved`, `ALTER TABLE ModelNameFiles DROP COLUMN RelativePath`,
		`ALTER TABLE ModelFiles DROP COLUMN TensorTypes`,
		`DELETE FROM SchemaSteps WHERE Number >= 3`,
		`UPDATE LayerTensorSegments SET BlobUri = 'file:///there', BlobName = 'there', BlobSizeBytes = ByteSize`,
	} {
		if _, err := c.conns.writer.Exec(text); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	c = openAt(t, c.conns.path)
	for got, err := range c.Segments(t.Context(), segment.File, 0) {
		if err != nil {
			t.Fatal(err)
		}
		if !got.InRow || got.Address != (ingest.Address{URI: "file:///there", Name: "there", Bytes: segment.Bytes}) {
			t.Errorf("in its row: %v; address %+v", got.InRow, got.Address)
		}
	}
	if row := c.row(t, `SELECT count(*) FROM LayerTensorSegments WHERE BlobUri IS NOT NULL`); row != "0" {
		t.Errorf("%s rows with a payload have an address", row)
	}
}

// Another program knows only LayerTensorSegments. Its writes there do not lose an address.
func TestAddressSurvivesOtherPrograms(t *testing.T) {
	at := ingest.Address{URI: "file:///there", Name: "there"}
	const (
		set     = `UPDATE LayerTensorSegments SET `
		clear   = `RawPayload = x''`
		fill    = `RawPayload = zeroblob(9)`
		address = `BlobUri = 'file:///there', BlobName = 'there'`
	)
	for name, test := range map[string]struct {
		statements []string
		inRow      bool
	}{
		"empties the row":                  {[]string{set + clear}, false},
		"empties it and writes it again":   {[]string{set + clear, set + fill}, true},
		"changes the payload":              {[]string{set + fill}, true},
		"writes the address into the row":  {[]string{set + address}, true},
		"writes both":                      {[]string{set + fill + `, ` + address}, true},
		"empties it and writes an address": {[]string{set + clear + `, ` + address}, false},
	} {
		t.Run(name, func(t *testing.T) {
			c, segment := withPayload(t)
			lease, err := c.Open(t.Context(), ingest.JobRequest{Pipeline: "migrate", Source: "/m", TTL: time.Hour})
			if err != nil {
				t.Fatal(err)
			}
			at.Bytes = segment.Bytes
			move := ingest.Move{Segment: segment, Address: at}
			if _, err := c.AddAddresses(t.Context(), lease, []ingest.Move{move}); err != nil {
				t.Fatal(err)
			}
			for _, statement := range test.statements {
				if _, err := c.conns.writer.Exec(statement); err != nil {
					t.Fatal(err)
				}
			}
			for got, err := range c.Segments(t.Context(), segment.File, 0) {
				if err != nil || got.InRow != test.inRow || got.Address.URI != at.URI || got.Address.Name != at.Name {
					t.Errorf("in its row: %v; address %+v; error %v", got.InRow, got.Address, err)
				}
			}
			needed, err := c.Referenced(t.Context(), []ingest.Digest{segment.Digest})
			if err != nil || len(needed[segment.Digest]) == 0 {
				t.Errorf("gc would delete the copy: %v, error %v", needed, err)
			}
		})
	}
}

// Schema step 6 gives the rows of an older catalogue, and the copies of addresses, the columns of
// an encoding.
func TestUpgradeToEncodings(t *testing.T) {
	steps, err := schema.Steps(schema.SQLite)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "catalogue.db")
	db := sql.OpenDB(connector(dsn(path, writerPragmas)))
	all := []string{createSteps}
	for _, step := range steps[:5] {
		all = append(all, step.SQL, fmt.Sprintf(`INSERT INTO SchemaSteps (Number, Name) VALUES (%d, '%s')`, step.Number,
			step.Name))
	}
	a, b := ingest.Sum([]byte("aa")), ingest.Sum([]byte("bb"))
	all = append(all, fmt.Sprintf(`INSERT INTO Atoms
			(AtomId, ContentHash, Modality, SourceType, ByteSize, ReferenceCount)
			VALUES (1, x'%s', 'model', 'ingest_segment', 2, 1), (2, x'%s', 'model', 'ingest_segment', 2, 1)`, a, b),
		`INSERT INTO Models (ModelId, ModelName, ModelType, State) VALUES (1, 'm', 'gguf', 'open')`,
		`INSERT INTO ModelNames (ModelId, Name, SourceUri) VALUES (1, 'm', '')`,
		`INSERT INTO ModelFiles (ModelFileId, ModelId, FileIdx, Role, Format, FileName, SourcePath, ByteSize,
			ModifiedNs, SegmentBytes, TensorCount, RecordedBytes, SegmentCount, BytesStored)
			VALUES (1, 1, 0, 'weights', 'gguf', 'm', '/m', 4, 0, 1048576, 1, 4, 2, 4)`,
		`INSERT INTO ModelLayers (LayerId, ModelId, LayerIdx, ModelFileId, ByteOffset, ByteSize, QuantizationType)
			VALUES (1, 1, 0, 1, 0, 2, 'F16')`,
		`INSERT INTO LayerTensorSegments (LayerTensorSegmentId, LayerId, SegmentOrdinal, PointOffset, PointCount,
			QuantizationType, ByteOffset, ByteSize, AtomId, RawPayload)
			VALUES (1, 1, 0, 0, 1, 'F16', 0, 2, 1, x'6161')`,
		`INSERT INTO TensorSegmentCopies (SegmentId, BlobUri, BlobSizeBytes) VALUES (1, 'dir:a', 2)`,
		`INSERT INTO FileSegments (FileSegmentId, ModelFileId, SegmentOrdinal, ByteOffset, ByteSize, AtomId, BlobUri,
			BlobSizeBytes) VALUES (1, 1, 1, 2, 2, 2, 'dir:b', 2)`,
		`INSERT INTO IngestionJobs (PipelineName, SourceUri, Status, LeaseHolder, LeaseToken, LeaseExpiresMs)
			VALUES ('models', '/m', 'open', '{}', 7, 4000000000000)`)
	for _, text := range all {
		if _, err := db.Exec(text); err != nil {
			t.Fatalf("%v: %s", err, text)
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	c := openAt(t, path)
	// An earlier version that is at work would copy addresses without their encodings.
	if got := c.row(t, `SELECT LeaseToken || ifnull(LeaseExpiresMs, ' ended') FROM IngestionJobs`); got != "8 ended" {
		t.Errorf("the lease of an earlier version: %s", got)
	}
	lease, err := c.Open(t.Context(), ingest.JobRequest{Pipeline: "recompress", Source: "/m", TTL: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	encoded := func(uri string, d ingest.Digest) ingest.Address {
		return ingest.Address{URI: uri, Bytes: 1, Encoding: ingest.Encoding{Codec: "x", Stored: ingest.Sum(d[:])}}
	}
	read := func(inRow bool, first, second ingest.Address) (all []ingest.StoredSegment) {
		t.Helper()
		for s, err := range c.Segments(t.Context(), 1, 0) {
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, s)
		}
		if len(all) != 2 || all[0].InRow != inRow || all[0].Address != first || all[1].Address != second {
			t.Fatalf("the segments are %+v, want %+v and %+v", all, first, second)
		}
		if err := c.Audit(t.Context()); err != nil {
			t.Fatal(err)
		}
		return all
	}
	rawA, rawB := ingest.Address{URI: "dir:a", Bytes: 2}, ingest.Address{URI: "dir:b", Bytes: 2}
	segments := read(true, rawA, rawB)
	if err := c.Relocate(t.Context(), lease, segments[1], encoded("dir:b.x", b)); err != nil {
		t.Fatal(err)
	}
	moves := []ingest.Move{{Segment: segments[0], Address: encoded("dir:a.x", a), Payload: []byte("aa")}}
	if moved, err := c.ClearAddresses(t.Context(), lease, moves); err != nil || !moved[0] {
		t.Fatalf("cleared an address: %v, error %v", moved, err)
	}
	if moved, err := c.AddAddresses(t.Context(), lease, moves); err != nil || !moved[0] {
		t.Fatalf("added an address: %v, error %v", moved, err)
	}
	read(true, encoded("dir:a.x", a), encoded("dir:b.x", b))
	if _, err := c.conns.writer.Exec(`UPDATE LayerTensorSegments SET RawPayload = x''`); err != nil {
		t.Fatal(err)
	}
	moves[0].Segment = read(false, encoded("dir:a.x", a), encoded("dir:b.x", b))[0]
	if moved, err := c.AddPayloads(t.Context(), lease, moves); err != nil || !moved[0] {
		t.Fatalf("added a payload: %v, error %v", moved, err)
	}
	segments = read(true, encoded("dir:a.x", a), encoded("dir:b.x", b))
	if err := c.Relocate(t.Context(), lease, segments[0], rawA); err != nil {
		t.Fatal(err)
	}
	read(false, rawA, encoded("dir:b.x", b))
	if row := c.row(t, `SELECT count(*) FROM TensorSegmentCopies`); row != "0" {
		t.Errorf("%s copies are left", row)
	}
}
