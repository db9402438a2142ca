//go:build unix

package main

import (
	"context"
	"database/sql"
	"fmt"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/storage/catalogtest"
)

// TestKillMigration kills `migrate segments` in both directions, with and without --clear-source,
// while a second process migrates, gc runs and another program writes, and runs gc, rm and models in
// between. Every payload must always be in its row or in the store, and in the end all must be in the
// target. One model is of another program, whose rows have no digest at first.
func TestKillMigration(t *testing.T) {
	if rerunWithoutRace(t) {
		return
	}
	testKillMigration(t, killsOf(t, 30, 6), false)
}

// TestKillMigrationOfBlobs is TestKillMigration with a store of blobs.
func TestKillMigrationOfBlobs(t *testing.T) {
	azurite(t)
	if rerunWithoutRace(t) {
		return
	}
	testKillMigration(t, killsOf(t, 15, 6), true)
}

func testKillMigration(t *testing.T, kills int, inBlobs bool) {
	s := newSources(t, map[string]func(string) error{"one.gguf": tuned("one", 24<<20, 1, 1),
		"two.gguf": tuned("two", 24<<20, 1, 2), "small.gguf": manyTensors(1500)})
	k := &segmentKiller{killer: newKiller(t, s, false), payloads: map[ingest.Digest][]byte{},
		undigested: map[string]ingest.Digest{}}
	if inBlobs {
		k.blobs = &blobs{account: azurite(t)}
	}
	k.reset()
	k.must("models", k.path("small.gguf")) // migrations leave its small payloads in the catalogue
	k.must("models", k.folder, "--store", "row", "--segment-size", "1MiB")
	k.addOldRows()
	k.exec(`CREATE TABLE dbo.TensorAtoms (TensorAtomId bigint IDENTITY(1,1) PRIMARY KEY,
		AtomId bigint NOT NULL REFERENCES dbo.Atoms (AtomId))`)
	k.sources()
	begun := time.Now()
	k.must("migrate", "segments", "--to", k.storeAddress(), "--dry-run")
	k.startup = time.Since(begun)
	for round := 0; k.others < kills; round++ {
		to := []string{k.storeAddress(), "row"}[round%2]
		k.killMigrations(to)
		k.must("migrate", "segments", "--to", to, "--clear-source")
		for _, line := range k.must("migrate", "segments", "--to", to, "--dry-run", "--clear-source").lines {
			if rows := number(line["copied"].(map[string]any), "rows"); rows != 0 {
				t.Errorf("%d payloads are not in %s", rows, to)
			}
		}
		k.must("gc", "--yes", "--older-than", "0s")
		k.must("verify", "--read")
		k.check()
		if t.Failed() {
			t.Fatalf("in round %d, to %s", round, to)
		}
	}
	t.Logf("%d kills, %d of them of a process with a lease; gc ran beside %d times; %d changes by another program",
		k.others, k.amid, k.gcs, k.wrote)
}

// segmentKiller kills migrations of segments.
type segmentKiller struct {
	*killer
	amid, gcs, wrote int
	payloads         map[ingest.Digest][]byte // for another program
	undigested       map[string]ingest.Digest // digests of payloads whose rows had none
}

// addOldRows adds a model of another program: a tensor in 40 segments without digests.
func (k *killer) addOldRows() {
	k.Helper()
	db, err := sql.Open("sqlite", k.catalog)
	if err != nil {
		k.Fatal(err)
	}
	defer db.Close()
	for _, statement := range []string{strings.Join(catalogtest.OldRows, ";"),
		`INSERT INTO Models (ModelName, ModelType) VALUES ('old', 'GGUF')`,
		`INSERT INTO ModelLayers (ModelId, LayerIdx, LayerName) SELECT MAX(ModelId), 0, 'a' FROM Models`,
		`WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 39) INSERT INTO LayerTensorSegments
				(LayerId, SegmentOrdinal, PointOffset, PointCount, QuantizationType, RawPayload)
			SELECT MAX(LayerId), i, 0, 1, 'F32', randomblob(500000) FROM n, ModelLayers GROUP BY i`} {
		if _, err := db.Exec(statement); err != nil {
			k.Fatal(err)
		}
	}
}

// killMigrations kills a few migrations in a row. Each continues the previous one.
func (k *segmentKiller) killMigrations(to string) {
	k.Helper()
	collect := []string{"gc", "--yes", "--older-than", "0s"}
	for range 1 + k.random.IntN(4) {
		args := []string{"migrate", "segments", "--to", to}
		if k.random.IntN(3) == 0 {
			args = append(args, "--clear-source")
		}
		var second, gc *running
		if k.random.IntN(3) == 0 {
			second = k.beside(args...)
		}
		if k.random.IntN(3) == 0 {
			gc = k.beside(collect...)
		}
		stop := make(chan struct{})
		var writer sync.WaitGroup
		seed := k.random.Uint64()
		writer.Go(func() { k.writeUntil(stop, rand.New(rand.NewPCG(seed, 1))) })
		done, _, e := k.kill(k.startup/2+k.randomDelay(500*time.Millisecond), args...)
		close(stop)
		writer.Wait()
		if done {
			k.migrated(e)
		}
		if k.hadLease(k.killed) {
			k.amid++
		}
		if second != nil {
			<-second.ended
			k.migrated(k.result(second.Cmd))
		}
		if gc != nil {
			<-gc.ended
			k.collected(gc, &k.gcs)
		}
		k.check()
		switch k.random.IntN(4) {
		case 0:
			k.must(collect...)
		case 1:
			k.must("rm", "two", "--yes")
			k.must("models", k.folder, "--store", "row", "--segment-size", "1MiB")
		}
	}
}

// migrated checks the result of a migration, in which the other program may have changed rows.
func (k *segmentKiller) migrated(e result) {
	k.Helper()
	for _, line := range e.lines {
		if line["event"] == "refused" && !strings.Contains(line["reason"].(string), "another program changed the row") {
			k.Errorf("migrate: %v", line)
		}
	}
	if e.code != exitDone && (e.code != exitSomeRefused || e.event("refused") == nil) {
		k.Errorf("migrate: exit code %d\n%s", e.code, e.stderr)
	}
}

func (k *segmentKiller) check() {
	k.Helper()
	k.audit(k.digests)
	k.sources()
}

// sources reads the payload of each segment as another program does. A segment is in one of three
// states: the payload is in the row, at the address, or in both. A small one may be in the catalogue
// instead. Each copy must be intact.
func (k *segmentKiller) sources() {
	k.Helper()
	copies := map[ingest.Digest]error{}
	query := `SELECT N'tensor segment ', LayerTensorSegmentId, ContentHash, s.BlobUri, RawPayload, s.BlobSizeBytes,
				s.BlobName
			FROM dbo.LayerTensorSegments AS s LEFT JOIN dbo.Atoms AS a ON a.AtomId = s.AtomId
		UNION ALL SELECT N'file segment ', FileSegmentId, ContentHash, s.BlobUri, RawPayload, s.BlobSizeBytes,
				s.BlobName
			FROM dbo.FileSegments AS s LEFT JOIN dbo.Atoms AS a ON a.AtomId = s.AtomId`
	if k.server == nil { // SQLite keeps the address of a payload that is also in its row elsewhere
		query = strings.NewReplacer("RawPayload,", smallOrRaw+",", "s.BlobUri", "COALESCE(s.BlobUri, c.BlobUri)",
			"s.BlobName", "COALESCE(s.BlobName, c.BlobName)",
			"s.BlobSizeBytes", "COALESCE(NULLIF(s.BlobSizeBytes, 0), c.BlobSizeBytes, 0)",
			"dbo.LayerTensorSegments AS s",
			"LayerTensorSegments AS s LEFT JOIN TensorSegmentCopies AS c ON c.SegmentId = LayerTensorSegmentId",
			"dbo.FileSegments AS s",
			"FileSegments AS s LEFT JOIN FileSegmentCopies AS c ON c.SegmentId = FileSegmentId").Replace(query)
	}
	k.outside(func(o *outside) {
		o.each(func(v []any) {
			digest, uri := digestIn(v[2]), textOf(v[3])
			payload, _ := v[4].([]byte)
			row := fmt.Sprint(v[0], v[1])
			if v[2] == nil { // a row of another program
				digest = ingest.Sum(payload)
				k.undigested[row] = digest
			} else if was, known := k.undigested[row]; known && was != digest {
				k.Errorf("%s has the digest %s, and its payload had %s", row, digest, was)
			}
			switch {
			case len(payload) == 0 && uri == "":
				k.Errorf("%s has neither a payload nor an address", row)
			case len(payload) > 0 && ingest.Sum(payload) != digest:
				k.Errorf("%s has another payload", row)
			case len(payload) > 0:
				k.payloads[digest] = payload
			}
			if uri == "" {
				return
			}
			err, known := copies[digest]
			if !known {
				err = k.readCopy(digest, ingest.Address{URI: uri, Name: textOf(v[6]), Bytes: numberOf(v[5]),
					Encoding: encodingOf(ingest.Object{Name: uri})})
				copies[digest] = err
			}
			if err != nil {
				k.Errorf("%s refers to %s: %v", row, uri, err)
			}
		}, query)
	})
}

// smallOrRaw is the payload that SQLite keeps for a row: in the row, or with the row's atom.
const smallOrRaw = `CASE WHEN length(RawPayload) = 0 AND s.BlobUri IS NULL
	THEN (SELECT Payload FROM SmallPayloads WHERE PayloadAtomId = s.AtomId) ELSE RawPayload END`

// readCopy reads a payload in the store.
func (k *segmentKiller) readCopy(digest ingest.Digest, at ingest.Address) error {
	var got ingest.Digest
	var err error
	if k.blobs == nil {
		got, _, err = digestOf(filepath.Join(k.store, strings.TrimPrefix(at.URI, "dir:")))
	} else {
		payload := make([]byte, at.Bytes)
		err = k.blobs.store.Get(context.Background(), digest, at, 0, payload)
		got = ingest.Sum(payload)
	}
	if want := at.Content(digest); err == nil && got != want {
		err = fmt.Errorf("it has SHA-256 %s, want %s", got, want)
	}
	return err
}

// writeUntil changes rows as another program does, until stop is closed: columns that only it
// reads, rows that refer to layers and atoms, and payloads that it writes back into their rows.
func (k *segmentKiller) writeUntil(stop chan struct{}, random *rand.Rand) {
	digests := slices.Collect(maps.Keys(k.payloads))
	for {
		select {
		case <-stop:
			return
		case <-time.After(time.Duration(2+random.IntN(8)) * time.Millisecond):
		}
		digest := digests[random.IntN(len(digests))]
		err := k.database().outside(k.Context(), func(o *outside) {
			atom := o.number(`SELECT AtomId FROM dbo.Atoms WHERE ContentHash = @p1`, digest[:])
			switch random.IntN(5) {
			case 0:
				o.exec(`UPDATE dbo.LayerTensorSegments SET ZMin = 1, MortonCode = @p1 WHERE AtomId = @p1`, atom)
			case 1:
				o.exec(`UPDATE dbo.LayerTensorSegments SET RawPayload = @p2
					WHERE AtomId = @p1 AND LEN(RawPayload) = 0`, atom, k.payloads[digest])
			case 2:
				o.exec(`INSERT INTO dbo.TensorAtoms (AtomId) SELECT AtomId FROM dbo.Atoms WHERE AtomId = @p1`, atom)
				o.exec(`DELETE FROM dbo.TensorAtoms WHERE AtomId <> @p1`, atom)
			case 3:
				o.exec(`UPDATE dbo.ModelLayers SET LayerAtomId = (SELECT AtomId FROM dbo.Atoms WHERE AtomId = @p1)
					WHERE LayerIdx = @p2`, atom, random.IntN(4))
			case 4:
				o.exec(`INSERT INTO dbo.Models (ModelName, ModelType) VALUES (N'theirs', N'GGUF')`)
				o.exec(`INSERT INTO dbo.ModelLayers (ModelId, LayerIdx, LayerName) SELECT MAX(ModelId), 0, N'layer'
					FROM dbo.Models WHERE ModelName = N'theirs'`)
			}
		})
		if err != nil {
			k.Error(err)
			return
		}
		k.wrote++
	}
}

// collected checks the result of gc, which does not run while a migration has a lease, and counts it
// in ran if it did.
func (b box) collected(p *running, ran *int) {
	b.Helper()
	switch e := b.result(p.Cmd); {
	case e.code == exitDone:
		*ran++
	case e.code != exitFailed || !strings.Contains(e.stderr, "is working on job") &&
		!strings.Contains(e.stderr, "run gc again"): // another program refers to a payload since
		b.Errorf("gc: exit code %d\n%s", e.code, e.stderr)
	}
}
