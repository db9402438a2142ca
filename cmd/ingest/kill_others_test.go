//go:build unix

package main

import (
	"maps"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/hartonomous/ingest/ingest"
)

// killsVariable has the number of kills of TestKillOthers and TestKillMigration.
const killsVariable = "INGEST_TEST_KILLS"

// TestKillOthers kills resume, rm, verify --repair and gc. After each kill, rows contradict neither
// each other nor the store. Running models and gc again restores the state.
func TestKillOthers(t *testing.T) {
	if rerunWithoutRace(t) {
		return
	}
	kills := killsOf(t, 40, 8)
	s := newSources(t, map[string]func(string) error{"one.gguf": tuned("one", 24<<20, 1, 1),
		"two.gguf": tuned("two", 24<<20, 1, 2), "small.gguf": manyTensors(2500)})
	k := newKiller(t, s, false)
	k.reset()
	want := k.baseline()
	commands := map[string]func(){"rm": k.killRemoval, "repair": k.killRepair, "resume": k.killResume,
		"gc": func() { k.collect(k.audit(k.digests)) }}
	for command, kill := range commands {
		// A slow machine's delays can be too long for a command: then nothing was killed.
		for begun := k.others; k.others < begun+kills/len(commands); k.maxDelay = max(k.maxDelay*9/10, minDelay) {
			kill()
			k.must(k.models()...)
			k.must("gc", "--yes") // finishes a removal
			k.must("verify")
			// The models that share segments may have stored them in another order.
			if got := k.audit(k.digests); got.open != 0 || len(got.models) != len(want.models) ||
				!maps.Equal(got.digests, want.digests) {
				t.Errorf("%d models, %d open, %d segments; want %d, 0, %d", len(got.models), got.open, len(got.digests),
					len(want.models), len(want.digests))
			}
			if t.Failed() {
				t.Fatalf("after %s", command)
			}
		}
	}
}

// minDelay is the minimum of maxDelay.
const minDelay = 50 * time.Millisecond

// killsOf returns the number of processes that a test kills. INGEST_TEST_KILLS overrides it.
func killsOf(t *testing.T, kills, short int) int {
	t.Helper()
	text := os.Getenv(killsVariable)
	switch {
	case text != "":
		n, err := strconv.Atoi(text)
		if err != nil {
			t.Fatalf("%s: %v", killsVariable, err)
		}
		return n
	case testing.Short():
		return short
	}
	return kills
}

// killRemoval kills rm, which leaves the model unchanged, or marked and invisible.
func (k *killer) killRemoval() {
	k.Helper()
	model := []string{"one", "two", "small"}[k.random.IntN(3)]
	if done, _, e := k.kill(k.startup/2+k.randomDelay(2*k.startup), "rm", model, "--yes"); done && e.code != exitDone {
		k.Errorf("rm: exit code %d\n%s", e.code, e.stderr)
	}
	k.audit(k.digests)
}

// killRepair damages a payload and kills the repair of it.
func (k *killer) killRepair() {
	k.Helper()
	now := k.audit(k.digests)
	if k.random.IntN(2) == 0 {
		k.damaged = now.small[k.random.IntN(len(now.small))]
		k.damageSmall(k.damaged)
	} else {
		for name, bytes := range now.stored {
			if err := os.WriteFile(filepath.Join(k.store, name), make([]byte, bytes), 0o600); err != nil {
				k.Fatal(err)
			}
			break
		}
	}
	for _, model := range []string{"one", "two", "small"} {
		args := []string{"verify", model, "--repair", k.path(model + ".gguf")}
		k.kill(k.startup/2+k.randomDelay(4*k.startup), args...)
		k.audit(k.digests)
		k.must(args...)
	}
	k.damaged = ingest.Digest{}
}

// killResume removes a model, kills its next ingestion, and kills resume.
func (k *killer) killResume() {
	k.Helper()
	k.must("rm", "one", "--yes")
	k.must("gc", "--yes")
	kills := k.kills
	k.kill(k.startup+k.randomDelay(k.maxDelay), k.models()...)
	if k.kills == kills {
		return // it ended before the kill
	}
	for range 2 {
		k.audit(k.digests)
		k.kill(k.startup/2+k.randomDelay(k.maxDelay), "resume")
	}
	k.audit(k.digests)
	k.must("resume")
	if left, _ := filepath.Glob(filepath.Join(k.store, "tmp", "*")); len(left) > 40 {
		k.Errorf("%d temporary files remain", len(left))
	}
}

func (k *killer) randomDelay(most time.Duration) time.Duration {
	return time.Duration(k.random.Int64N(int64(most) + 1))
}
