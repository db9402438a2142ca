//go:build unix

package main

import (
	"regexp"
	"slices"
	"testing"
)

// split tells which model counts shared segments as stored. After a kill, that is the one that was
// recorded first, and in a rebuilt catalogue the one that was described first.
var split = regexp.MustCompile(` stored \d+ shared \d+`)

// unsplit returns r without that.
func unsplit(r rows) rows {
	for i := range r.models {
		r.models[i] = split.ReplaceAllString(r.models[i], "")
	}
	slices.Sort(r.models)
	return r
}

// TestKillRebuild kills models and gc, loses the catalogue, and kills rebuild. The rebuilt rows are those
// of the lost catalogue: a complete model always has its description.
func TestKillRebuild(t *testing.T) {
	if rerunWithoutRace(t) {
		return
	}
	kills := killsOf(t, 30, 6)
	s := newSources(t, map[string]func(string) error{"one.gguf": tuned("one", 24<<20, 1, 1),
		"two.gguf": tuned("two", 24<<20, 1, 2), "small.gguf": manyTensors(2500), "tiny.gguf": manyTensors(20)})
	k := newKiller(t, s, false)
	k.catalog = k.catalog + "-folder/catalog.db" // apart from the store
	k.must(k.models()...)
	k.reset()
	for k.kills < kills {
		k.reset()
		k.ingestWithKills(k.kills + kills/3)
		k.kill(k.startup+k.randomDelay(k.maxDelay/4), "gc", "--yes")
		want := unsplit(k.audit(k.digests))
		k.loseAndRebuild(kills)
		k.compare(want, unsplit(k.audit(k.digests)))
		k.must("verify")
		if sum := k.must("gc", "--yes", "--unfinished").event("summary"); number(sum, "payloads") != 0 {
			t.Errorf("gc after rebuild: %v", sum)
		}
		k.compare(want, unsplit(k.audit(k.digests)))
	}
	k.report()
}

// loseAndRebuild kills rebuild until a run ends by itself.
func (k *killer) loseAndRebuild(kills int) {
	k.Helper()
	if err := k.database().clear(); err != nil {
		k.Fatal(err)
	}
	for range kills / 3 {
		done, _, e := k.kill(k.startup/2+k.randomDelay(k.startup+k.maxDelay/4), "rebuild", "--take-over")
		if done && e.code != exitDone {
			k.Fatalf("rebuild: exit code %d\n%s", e.code, e.stderr)
		}
		k.audit(k.digests)
	}
	k.must("rebuild", "--take-over")
}
