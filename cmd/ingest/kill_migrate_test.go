//go:build unix

package main

import (
	"database/sql"
	"strings"
	"testing"
	"time"

	"github.com/hartonomous/ingest/storage/catalogtest"
)

// TestKillMigration kills `migrate segments` in both directions, with and without --clear-source,
// while a second process migrates, and runs gc, rm and models in between. Every payload must always
// be in its row or in the store, and in the end all must be in the target. One model is of another
// program, whose rows have no digest at first.
func TestKillMigration(t *testing.T) {
	if rerunWithoutRace(t) {
		return
	}
	testKillMigration(t, false)
}

// TestKillMigrationOfBlobs is TestKillMigration with a store of blobs.
func TestKillMigrationOfBlobs(t *testing.T) {
	azurite(t)
	if rerunWithoutRace(t) {
		return
	}
	testKillMigration(t, true)
}

func testKillMigration(t *testing.T, inBlobs bool) {
	kills := killsOf(t, 30, 6)
	s := newSources(t, map[string]func(string) error{"one.gguf": tuned("one", 24<<20, 1, 1),
		"two.gguf": tuned("two", 24<<20, 1, 2), "small.gguf": smallTensors(1500)})
	k := newKiller(t, s, false)
	if inBlobs {
		k.blobs = &blobs{account: azurite(t)}
	}
	k.reset()
	k.must("models", k.folder, "--store", "row", "--segment-size", "1MiB")
	k.addOldRows()
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
		k.audit(k.digests)
		if t.Failed() {
			t.Fatalf("in round %d, to %s", round, to)
		}
	}
	t.Logf("%d kills", k.others)
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
func (k *killer) killMigrations(to string) {
	k.Helper()
	for range 1 + k.random.IntN(4) {
		args := []string{"migrate", "segments", "--to", to}
		if k.random.IntN(3) == 0 {
			args = append(args, "--clear-source")
		}
		beside := k.command(args...)
		if k.random.IntN(3) == 0 {
			if err := beside.Start(); err != nil {
				k.Fatal(err)
			}
		}
		done, _, e := k.kill(k.startup/2+k.randomDelay(500*time.Millisecond), args...)
		if done && e.code != exitDone {
			k.Errorf("migrate to %s: exit code %d\n%s", to, e.code, e.stderr)
		}
		if beside.Process != nil {
			if e := k.wait(beside); e.code != exitDone {
				k.Errorf("migrate to %s beside another: exit code %d\n%s", to, e.code, e.stderr)
			}
		}
		k.audit(k.digests)
		switch k.random.IntN(4) {
		case 0:
			k.must("gc", "--yes", "--older-than", "0s")
		case 1:
			k.must("rm", "two", "--yes")
			k.must("models", k.folder, "--store", "row", "--segment-size", "1MiB")
		}
		k.audit(k.digests)
	}
}
