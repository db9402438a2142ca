//go:build unix

package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/hartonomous/ingest/ingest"
)

// killer runs the program again and again and kills it at random moments.
type killer struct {
	box
	sources
	random    *rand.Rand
	startup   time.Duration // how long the program takes to open the catalogue
	maxDelay  time.Duration // maximum time to a kill after startup; grows if runs make no progress
	kills     int           // of models
	midRun    int           // of kills: the run had recorded a batch
	unchecked int           // of kills: the next run started without an audit before it
	others    int           // kills of gc and export
	killed    int           // ID of the last process
	wasted    []int64       // bytes read by killed runs and not recorded by them
}

// seedOf returns the seed of random delays, and logs it. INGEST_TEST_SEED repeats them.
func seedOf(t testing.TB) uint64 {
	seed := uint64(time.Now().UnixNano())
	if text := os.Getenv("INGEST_TEST_SEED"); text != "" {
		var err error
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("INGEST_TEST_SEED=%d", seed)
	return seed
}

func newKiller(t *testing.T, s sources, inRows bool) *killer {
	return &killer{box: newBox(t, filepath.Join(t.TempDir(), "home"), inRows), sources: s,
		random: rand.New(rand.NewPCG(seedOf(t), 1)), maxDelay: 1500 * time.Millisecond}
}

// models returns the command to kill.
func (k *killer) models() []string {
	return []string{"models", k.folder, "--jobs", "1", "--opaque-files"}
}

// baseline runs without a kill, and returns the expected rows. It also measures durations.
func (k *killer) baseline() rows {
	k.Helper()
	begun := time.Now()
	k.must(k.models()...)
	took := time.Since(begun)
	if k.server == nil { // with a server, most of the time passes before the first batch
		took /= 3
	}
	k.maxDelay = min(k.maxDelay, took)
	begun = time.Now()
	k.must("status")
	k.startup = time.Since(begun)
	return k.audit(k.digests)
}

// reset empties the catalogue and the store.
func (k *killer) reset() {
	k.Helper()
	if err := errors.Join(k.database().clear(), os.RemoveAll(k.store), k.blobs.reset()); err != nil {
		k.Fatal(err)
	}
}

// delay returns a random time until the kill. A third of the kills come during startup.
func (k *killer) delay(most time.Duration) time.Duration {
	after := 5*time.Millisecond + k.startup
	if k.random.IntN(3) == 0 {
		after, most = 5*time.Millisecond, k.startup+most/15
	}
	return after + time.Duration(k.random.Int64N(int64(most)))
}

// kill runs the program and kills it after a delay. It reports whether the program ended before the
// kill, and how many bytes it had read; negative if the system does not count them.
func (k *killer) kill(after time.Duration, args ...string) (done bool, read int64, e result) {
	k.Helper()
	c := k.command(args...)
	if err := c.Start(); err != nil {
		k.Fatal(err)
	}
	k.killed = c.Process.Pid
	waited := make(chan error, 1)
	go func() { waited <- c.Wait() }()
	select {
	case <-waited:
		return true, -1, k.result(c)
	case <-time.After(after):
	}
	if k.random.IntN(2) == 0 {
		k.nextCommit()
	}
	read = stopAndCount(c.Process)
	c.Process.Kill() // it may have ended
	<-waited
	if err := k.database().drain(k.Context(), c.Process.Pid); err != nil {
		k.Fatal(err)
	}
	if c.ProcessState.Exited() {
		return true, -1, k.result(c)
	}
	if args[0] == "models" {
		k.kills++
	} else {
		k.others++
	}
	return false, read, result{}
}

// nextCommit waits for the next commit, so that a kill follows it closely.
func (k *killer) nextCommit() {
	before := k.database().version()
	for begun := time.Now(); time.Since(begun) < k.maxDelay/2 && k.database().version() == before; {
		time.Sleep(250 * time.Microsecond)
	}
	time.Sleep(time.Duration(k.random.Int64N(int64(4 * time.Millisecond))))
}

// ingestWithKills kills runs until one ends by itself. After enough kills it lets the run end.
func (k *killer) ingestWithKills(enough int) {
	k.Helper()
	idle, audited := 0, true
	for before := k.audit(k.digests); ; {
		after := k.delay(k.maxDelay)
		if k.kills >= enough {
			after = time.Hour
		}
		done, read, e := k.kill(after, k.models()...)
		// An audit recovers the catalogue's file. Every third run must do that itself.
		if !done && k.random.IntN(3) == 0 {
			audited = false
			k.unchecked++
			continue
		}
		now := k.audit(k.digests)
		switch {
		case done:
			k.finished(e, before, now, audited)
			return
		case now.recorded < before.recorded:
			k.Errorf("%d bytes were recorded before the kill, and %d after it", before.recorded, now.recorded)
		case read >= 0 && audited:
			recorded := now.recorded - before.recorded
			k.wasted = append(k.wasted, read-recorded)
			if most := k.inFlight(recorded); read-recorded > most {
				k.Errorf("killed after %s: %d bytes were read and %d recorded; at most %d may be in flight", after,
					read, recorded, most)
			}
		}
		if idle++; now.recorded > before.recorded {
			idle = 0
			k.midRun++
		}
		if idle > 10 { // on a slow machine the first batch takes longer than maxDelay
			k.maxDelay, idle = 2*k.maxDelay, 0
		}
		if k.Failed() {
			k.FailNow() // later runs would repeat the error
		}
		before, audited = now, true
	}
}

// finished checks the run that ended by itself. If the rows before it are known, it must have read
// exactly the bytes without rows, and the last segment of each unfinished file for comparison.
func (k *killer) finished(e result, before, now rows, audited bool) {
	k.Helper()
	if e.code != exitDone || now.open != 0 || now.recorded != k.bytes {
		k.Fatalf("the last run: exit code %d, %d models not complete, %d of %d bytes recorded\n%s", e.code, now.open,
			now.recorded, k.bytes, e.stderr)
	}
	if read := number(e.event("summary"), "bytes_read"); audited && read != k.bytes-before.recorded+before.reread {
		k.Errorf("the last run read %d bytes; %d had no rows, and %d are compared", read, k.bytes-before.recorded,
			before.reread)
	}
}

// collect adds garbage, kills gc, and checks that gc keeps exactly the payloads that rows need.
func (k *killer) collect(now rows) {
	k.Helper()
	for i := range 200 {
		payload := fmt.Appendf(nil, "garbage %d", i)
		if err := os.WriteFile(payloadPath(k.store, ingest.Sum(payload)), payload, 0o600); err != nil {
			k.Fatal(err)
		}
	}
	for range 3 {
		if done, _, e := k.kill(k.delay(60*time.Millisecond), "gc", "--yes"); done && e.code != exitDone {
			k.Errorf("gc: exit code %d\n%s", e.code, e.stderr)
		}
		k.audit(k.digests)
	}
	k.must("gc", "--yes")
	want, got := now.stored, k.files()
	for name, bytes := range got {
		if want[name] != bytes {
			k.Errorf("after gc the store holds %s with %d bytes; rows need %d", name, bytes, want[name])
		}
	}
	if len(got) != len(want) {
		k.Errorf("after gc the store holds %d files, and rows need %d", len(got), len(want))
	}
}

// export kills exports of each file. The target file is complete or does not exist. The next export
// deletes what killed ones left.
func (k *killer) export() {
	k.Helper()
	folder := k.TempDir()
	for source, digest := range k.digests {
		target := filepath.Join(folder, filepath.Base(source))
		for done := false; !done; {
			var e result
			done, _, e = k.kill(k.delay(k.maxDelay/4), "export", digest.String(), "-o", target)
			if done && e.code != exitDone {
				k.Errorf("export: exit code %d\n%s", e.code, e.stderr)
			}
			if _, err := os.Lstat(target); err == nil || k.random.IntN(4) == 0 {
				break
			}
		}
		if _, err := os.Lstat(target); err != nil {
			k.must("export", digest.String(), "-o", target)
		}
		k.exported(target, digest)
		k.must("export", digest.String(), "-o", target, "--force")
		if left, err := filepath.Glob(filepath.Join(folder, "*.partial")); len(left) > 0 || err != nil {
			k.Errorf("temporary files of killed exports: %v, %v", left, err)
		}
		os.Remove(target) // makes room for the next
	}
}

// compare checks that two sets of rows and stores are the same.
func (k *killer) compare(want, got rows) {
	k.Helper()
	if !slices.Equal(want.models, got.models) {
		for i := range min(len(want.models), len(got.models)) {
			if want.models[i] != got.models[i] {
				k.Errorf("rows differ from those of a run without kills:\n%.2000s\nwant\n%.2000s", got.models[i],
					want.models[i])
				return
			}
		}
		k.Errorf("%d models, want %d", len(got.models), len(want.models))
	}
}
