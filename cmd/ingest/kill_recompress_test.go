//go:build unix

package main

import (
	"maps"
	"slices"
	"testing"
)

// TestKillRecompress kills recompress a hundred times, from each encoding to each other, and gc in
// between. After each kill, rows do not contradict each other or the store. In the end the rows are those
// of a run without kills.
func TestKillRecompress(t *testing.T) {
	if rerunWithoutRace(t) {
		return
	}
	kills := killsOf(t, 100, 10)
	s := newSources(t, map[string]func(string) error{"one.gguf": tuned("one", 24<<20, 1, 1),
		"two.gguf": tuned("two", 24<<20, 1, 2), "small.gguf": manyTensors(500)})
	k := newKiller(t, s, false)
	k.reset()
	want := k.baseline()
	for k.others < kills {
		level := []string{"off", "auto", "max"}[k.random.IntN(3)]
		for range 1 + k.random.IntN(4) {
			done, _, e := k.kill(k.startup/2+k.randomDelay(k.maxDelay), "recompress", "--compress", level)
			if done && e.code != exitDone {
				t.Errorf("recompress: exit code %d\n%s", e.code, e.stderr)
			}
			k.audit(k.digests)
		}
		switch k.random.IntN(4) {
		case 0:
			k.kill(k.startup/2+k.randomDelay(k.startup), "gc", "--yes")
		case 1:
			k.must("resume")
		case 2:
			k.must("recompress", "--compress", level)
		}
		k.audit(k.digests)
		k.must("verify")
		if t.Failed() {
			t.Fatalf("after %d kills, to %s", k.others, level)
		}
	}
	for _, level := range []string{"off", "auto"} {
		k.must("recompress", "--compress", level)
	}
	k.must("gc", "--yes")
	got := k.audit(k.digests)
	if !slices.Equal(got.models, want.models) || !maps.Equal(got.stored, want.stored) ||
		len(k.files()) != len(want.stored) {
		t.Errorf("the rows differ from those before:\n%s\nwant:\n%s\n%d files in the store, and rows need %d",
			got.models, want.models, len(k.files()), len(want.stored))
	}
}
