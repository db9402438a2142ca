//go:build unix

package main

import (
	"slices"
	"testing"
	"time"
)

// inFlight is the limit of bytes that a run with one file at a time may have read and not recorded:
// two batches, each at most a segment over its size, and headers. If SQLite keeps the payloads, it
// also reads its own file: the log of the run before twice, and once what it writes.
func (k *killer) inFlight(recorded int64) int64 {
	const segment, storeBatch, rowsBatch, headers = 8 << 20, 256 << 20, 56 << 20, 48 << 20
	if k.store != "" {
		return 2*(storeBatch+segment) + headers
	}
	if k.server != nil {
		return 2*(rowsBatch+segment) + headers
	}
	return 2*(rowsBatch+segment) + headers + 320<<20 + recorded*5/4
}

// TestKill kills a hundred runs. The result must be that of a run without kills.
func TestKill(t *testing.T) {
	if rerunWithoutRace(t) {
		return
	}
	s := severalSources(t)
	kills := 100
	if testing.Short() {
		kills = 10
	}
	newKiller(t, s, false).killRuns(kills)
}

// severalSources are large and empty files, some with shared segments, one with many tensors.
func severalSources(t *testing.T) sources {
	return newSources(t, map[string]func(string) error{
		"zeros.gguf": zeros("zeros", 1100<<20),
		"noise.gguf": noise("noise", 120<<20, 7),
		"one.gguf":   tuned("one", 40<<20, 1, 1),
		"two.gguf":   tuned("two", 40<<20, 1, 2),
		"small.gguf": manyTensors(1500),
		"blob.dat":   blob(20<<20, 3),
		"empty.dat":  blob(0, 0),
	})
}

// TestKillInRows kills runs with payloads in rows. Their batches end when the buffers are used up.
func TestKillInRows(t *testing.T) {
	if rerunWithoutRace(t) {
		return
	}
	s := sourcesForRows(t)
	kills := 20
	if testing.Short() {
		kills = 4
	}
	newKiller(t, s, true).killRuns(kills)
}

func sourcesForRows(t *testing.T) sources {
	return newSources(t, map[string]func(string) error{
		"noise.gguf": noise("noise", 150<<20, 7),
		"one.gguf":   tuned("one", 40<<20, 1, 1),
		"two.gguf":   tuned("two", 40<<20, 1, 2),
		"small.gguf": manyTensors(1500),
	})
}

// TestKillSQLServer kills clients of a server, which may still execute what they sent.
func TestKillSQLServer(t *testing.T) {
	serverAddress(t)
	if rerunWithoutRace(t) {
		return
	}
	kills := 25
	if testing.Short() {
		kills = 5
	}
	for _, test := range []struct {
		name    string
		sources func(*testing.T) sources
		inRows  bool
	}{{"dir", severalSources, false}, {"rows", sourcesForRows, true}} {
		t.Run(test.name, func(t *testing.T) {
			k := newKiller(t, test.sources(t), test.inRows)
			k.server = newServer(t)
			k.maxDelay = time.Minute
			k.killRuns(kills)
		})
	}
}

// killRuns kills runs and compares the results with that of a run without kills.
func (k *killer) killRuns(kills int) {
	k.Helper()
	k.reset()
	want := k.baseline()
	for k.kills < kills {
		k.reset()
		k.ingestWithKills(kills)
		got := k.audit(k.digests)
		k.compare(want, got)
		switch {
		case k.blobs != nil:
			k.collectBlobs(got)
		case k.store != "":
			k.collect(got)
		}
	}
	k.export()
	if k.store == "" {
		k.must("verify")
	}
	k.report()
}

// report logs what the kills cost, and checks that some of them hit running batches.
func (k *killer) report() {
	k.Helper()
	k.Logf("%d kills of models, %d of them after the first batch, %d not audited before the next run; "+
		"%d of gc and export", k.kills, k.midRun, k.unchecked, k.others)
	if k.kills >= 20 && (k.midRun == 0 || k.unchecked == 0 || k.others == 0) {
		k.Error("no kill hit one of these cases")
	}
	if len(k.wasted) > 0 {
		slices.Sort(k.wasted)
		k.Logf("MiB read and not recorded by a killed run: %d median, %d most", k.wasted[len(k.wasted)/2]>>20,
			k.wasted[len(k.wasted)-1]>>20)
	}
}
