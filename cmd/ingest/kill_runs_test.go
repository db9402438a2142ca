//go:build unix

package main

import (
	"slices"
	"testing"
)

// inFlight is what a run with one file at a time may have read and not recorded: two batches, each of
// them a segment over its size at most, besides headers and what SQLite reads of its own files. Where those hold the
// payloads, it reads the log of the run before twice, and once more what it writes.
func (k *killer) inFlight(recorded int64) int64 {
	const segment, storeBatch, rowsBatch, headers = 8 << 20, 256 << 20, 56 << 20, 48 << 20
	if k.store != "" {
		return 2*(storeBatch+segment) + headers
	}
	return 2*(rowsBatch+segment) + headers + 320<<20 + recorded*5/4
}

// TestKill kills the program a hundred times in the midst of its work, and wants what a run
// without kills would have left.
func TestKill(t *testing.T) {
	if outsideRace(t) {
		return
	}
	s := newSources(t, map[string]func(string) error{
		"hollow.gguf": hollow("hollow", 1100<<20),
		"noise.gguf":  noise("noise", 120<<20, 7),
		"one.gguf":    tuned("one", 40<<20, 1, 1),
		"two.gguf":    tuned("two", 40<<20, 1, 2),
		"crumbs.gguf": crumbs(1500),
		"blob.dat":    blob(20<<20, 3),
		"empty.dat":   blob(0, 0),
	})
	kills := 100
	if testing.Short() {
		kills = 10
	}
	k := newKiller(t, s, false)
	want := k.undisturbed()
	for k.kills < kills {
		k.renew()
		k.takeIn(kills)
		got := k.look(s.truth)
		k.compare(want, got)
		k.collect(got)
	}
	k.export()
	k.report()
}

// TestKillInRows does the same where payloads lie in the catalogue's rows. There a batch ends
// when the buffers do.
func TestKillInRows(t *testing.T) {
	if outsideRace(t) {
		return
	}
	s := newSources(t, map[string]func(string) error{
		"noise.gguf":  noise("noise", 150<<20, 7),
		"one.gguf":    tuned("one", 40<<20, 1, 1),
		"two.gguf":    tuned("two", 40<<20, 1, 2),
		"crumbs.gguf": crumbs(1500),
	})
	kills := 20
	if testing.Short() {
		kills = 4
	}
	k := newKiller(t, s, true)
	want := k.undisturbed()
	for k.kills < kills {
		k.renew()
		k.takeIn(kills)
		k.compare(want, k.look(s.truth))
	}
	k.export()
	k.must("verify")
	k.report()
}

// report says what the kills have cost.
func (k *killer) report() {
	k.Helper()
	if len(k.wasted) == 0 {
		k.Logf("%d kills of models, %d of gc and export", k.kills, k.others)
		return
	}
	slices.Sort(k.wasted)
	k.Logf("%d kills of models, %d of gc and export; MiB read and not recorded by a killed run: %d median, %d most", k.kills, k.others,
		k.wasted[len(k.wasted)/2]>>20, k.wasted[len(k.wasted)-1]>>20)
}
