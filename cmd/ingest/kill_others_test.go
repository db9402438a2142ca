//go:build unix

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"
)

// killsVariable has the number of kills of TestKillOthers.
const killsVariable = "INGEST_TEST_KILLS"

// TestKillOthers kills the commands that change what is stored: resume, rm, verify --repair and gc. After each kill the
// catalogue contradicts neither itself nor the store, and the same command or `ingest models` leads back to a sound
// state.
func TestKillOthers(t *testing.T) {
	if outsideRace(t) {
		return
	}
	kills := 40
	if testing.Short() {
		kills = 8
	}
	if text := os.Getenv(killsVariable); text != "" {
		var err error
		if kills, err = strconv.Atoi(text); err != nil {
			t.Fatalf("%s: %v", killsVariable, err)
		}
	}
	s := newSources(t, map[string]func(string) error{"one.gguf": tuned("one", 24<<20, 1, 1),
		"two.gguf": tuned("two", 24<<20, 1, 2), "crumbs.gguf": crumbs(2500)})
	k := newKiller(t, s, false)
	k.renew()
	want := k.undisturbed()
	killed := map[string]int{}
	for round := 0; k.others < kills; round++ {
		before := k.others
		command := []string{"rm", "repair", "gc", "resume"}[round%4]
		switch command {
		case "rm":
			k.killRemoval()
		case "repair":
			k.killRepair()
		case "gc":
			k.collect(k.look(k.truth))
		case "resume":
			k.killResume()
		}
		killed[command] += k.others - before
		k.must("models", k.folder)
		k.must("gc", "--yes") // finishes a removal
		k.must("verify")
		k.compare(want, k.withoutShares(k.look(k.truth), want))
		if t.Failed() {
			t.Fatalf("in round %d, after %s", round, command)
		}
	}
	t.Logf("kills: %v", killed)
	for _, command := range []string{"rm", "repair", "gc", "resume"} {
		if kills >= 40 && killed[command] == 0 {
			t.Errorf("no %s was killed before its end", command)
		}
	}
}

// withoutShares takes over from want what depends on which model brought a segment first.
func (k *killer) withoutShares(got, want rows) rows {
	if len(got.models) == len(want.models) && fmt.Sprint(got.digests) == fmt.Sprint(want.digests) && got.open == 0 {
		got.models = want.models
	}
	return got
}

// killRemoval kills rm, which leaves the model as it is, or marked and found by nothing.
func (k *killer) killRemoval() {
	k.Helper()
	model := []string{"one", "two", "crumbs"}[k.random.IntN(3)]
	if done, _, e := k.kill(k.opening/2+k.random64(2*k.opening), "rm", model, "--yes"); done && e.code != exitDone {
		k.Errorf("rm: exit code %d\n%s", e.code, e.stderr)
	}
	k.look(k.truth)
}

// killRepair damages a payload and kills the repair of it.
func (k *killer) killRepair() {
	k.Helper()
	for digest, bytes := range k.look(k.truth).digests {
		path := payloadPath(k.store, digest)
		if err := os.WriteFile(path, make([]byte, bytes), 0o600); err != nil {
			k.Fatal(err)
		}
		break
	}
	for _, model := range []string{"one", "two", "crumbs"} {
		args := []string{"verify", model, "--repair", k.path(model + ".gguf")}
		k.kill(k.opening/2+k.random64(4*k.opening), args...)
		k.look(k.truth)
		if e := k.run(args...); e.code != exitDone && e.code != exitDamage { // 4: found, and repaired
			k.Errorf("repair: exit code %d\n%s", e.code, e.stderr)
		}
	}
}

// killResume removes a model, kills its next ingestion, and kills what resumes it.
func (k *killer) killResume() {
	k.Helper()
	k.must("rm", "one", "--yes")
	k.must("gc", "--yes")
	kills := k.kills
	k.kill(k.opening+k.random64(k.patient), k.models()...)
	if k.kills == kills {
		return // it was faster
	}
	for range 2 {
		k.look(k.truth)
		k.kill(k.opening/2+k.random64(k.patient), "resume")
	}
	k.look(k.truth)
	k.must("resume")
	if left, _ := filepath.Glob(filepath.Join(k.store, "tmp", "*")); len(left) > 40 {
		k.Errorf("%d temporary files are left", len(left))
	}
}

func (k *killer) random64(most time.Duration) time.Duration {
	return time.Duration(k.random.Int64N(int64(most) + 1))
}
