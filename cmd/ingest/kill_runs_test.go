//go:build unix

package main

import (
	"slices"
	"testing"
	"time"
)

// inFlight is what a run with one file at a time may have read and not recorded: two batches, each of
// them a segment over its size at most, besides headers and what SQLite reads of its own file. Where that holds the
// payloads, it reads the log of the run before twice, and once more what it writes.
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

// TestKill kills the program a hundred times, while it starts and while it works, and expects what a run without kills
// leaves.
func TestKill(t *testing.T) {
	if outsideRace(t) {
		return
	}
	s := severalSources(t)
	kills := 100
	if testing.Short() {
		kills = 10
	}
	newKiller(t, s, false).untilEnough(kills)
}

// severalSources are of each kind: large and empty, with and without segments in common, and of many tensors.
func severalSources(t *testing.T) sources {
	return newSources(t, map[string]func(string) error{
		"hollow.gguf": hollow("hollow", 1100<<20),
		"noise.gguf":  noise("noise", 120<<20, 7),
		"one.gguf":    tuned("one", 40<<20, 1, 1),
		"two.gguf":    tuned("two", 40<<20, 1, 2),
		"crumbs.gguf": crumbs(1500),
		"blob.dat":    blob(20<<20, 3),
		"empty.dat":   blob(0, 0),
	})
}

// TestKillInRows does the same with payloads in the catalogue's rows. There a batch ends when the buffers are used up.
func TestKillInRows(t *testing.T) {
	if outsideRace(t) {
		return
	}
	s := sourcesForRows(t)
	kills := 20
	if testing.Short() {
		kills = 4
	}
	newKiller(t, s, true).untilEnough(kills)
}

func sourcesForRows(t *testing.T) sources {
	return newSources(t, map[string]func(string) error{
		"noise.gguf":  noise("noise", 150<<20, 7),
		"one.gguf":    tuned("one", 40<<20, 1, 1),
		"two.gguf":    tuned("two", 40<<20, 1, 2),
		"crumbs.gguf": crumbs(1500),
	})
}

// TestKillSQLServer does the same with a catalogue on a server: it may still carry out what a killed process has sent.
func TestKillSQLServer(t *testing.T) {
	serverAddress(t)
	if outsideRace(t) {
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
			k.patient = time.Minute
			k.untilEnough(kills)
		})
	}
}

// untilEnough kills so many runs, and compares what the others leave with what an undisturbed one leaves.
func (k *killer) untilEnough(kills int) {
	k.Helper()
	k.renew()
	want := k.undisturbed()
	for k.kills < kills {
		k.renew()
		k.takeIn(kills)
		got := k.look(k.truth)
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

// report logs what the kills cost, and checks that some of them hit where it matters.
func (k *killer) report() {
	k.Helper()
	k.Logf("%d kills of models, %d of them amid batches, %d met by the next run alone; %d of gc and export", k.kills,
		k.amid, k.blind, k.others)
	if k.kills >= 20 && (k.amid == 0 || k.blind == 0 || k.others == 0) {
		k.Error("the kills missed what they are for")
	}
	if len(k.wasted) > 0 {
		slices.Sort(k.wasted)
		k.Logf("MiB read and not recorded by a killed run: %d median, %d most", k.wasted[len(k.wasted)/2]>>20,
			k.wasted[len(k.wasted)-1]>>20)
	}
}
