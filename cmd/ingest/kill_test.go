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
	random  *rand.Rand
	opening time.Duration // how long the program takes to open the catalogue
	patient time.Duration // how long a run may last then; grows where runs get nowhere
	kills   int           // of models
	amid    int           // of those, how many came when the run had recorded something
	// of those, after how many the next run found what the kill left, without a look before it
	blind  int
	others int     // of gc and export
	wasted []int64 // bytes read by killed runs and not recorded by them
}

// newKiller chooses its moments by a seed, which is logged: INGEST_TEST_SEED gives the same ones again.
func newKiller(t *testing.T, s sources, inRows bool) *killer {
	seed := uint64(time.Now().UnixNano())
	if text := os.Getenv("INGEST_TEST_SEED"); text != "" {
		var err error
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("INGEST_TEST_SEED=%d", seed)
	return &killer{box: newBox(t, filepath.Join(t.TempDir(), "home"), inRows), sources: s,
		random: rand.New(rand.NewPCG(seed, 1)), patient: 1500 * time.Millisecond}
}

// models is the command that is killed.
func (k *killer) models() []string {
	return []string{"models", k.folder, "--jobs", "1"}
}

// undisturbed runs without a kill, for the expected rows, and to find out how long that takes here.
func (k *killer) undisturbed() rows {
	k.Helper()
	begun := time.Now()
	k.must(k.models()...)
	took := time.Since(begun)
	if k.server == nil { // where each statement travels, most of the time goes by before the first batch
		took /= 3
	}
	k.patient = min(k.patient, took)
	begun = time.Now()
	k.must("status")
	k.opening = time.Since(begun)
	return k.look(k.truth)
}

// renew begins with an empty catalogue and an empty store.
func (k *killer) renew() {
	k.Helper()
	if err := errors.Join(k.database().clear(), os.RemoveAll(k.store), k.blobs.renew()); err != nil {
		k.Fatal(err)
	}
}

// moment is when a run is killed, or when it may go on to its next commit. A third of the kills come while it starts.
func (k *killer) moment(most time.Duration) time.Duration {
	after := 5*time.Millisecond + k.opening
	if k.random.IntN(3) == 0 {
		after, most = 5*time.Millisecond, k.opening+most/15
	}
	return after + time.Duration(k.random.Int64N(int64(most)))
}

// kill runs the program and kills it after a while. It reports whether the program was faster, and
// how many bytes it had read; negative where the system does not tell.
func (k *killer) kill(after time.Duration, args ...string) (done bool, read int64, e ended) {
	k.Helper()
	c := k.command(args...)
	if err := c.Start(); err != nil {
		k.Fatal(err)
	}
	waited := make(chan error, 1)
	go func() { waited <- c.Wait() }()
	select {
	case <-waited:
		return true, -1, k.ended(c)
	case <-time.After(after):
	}
	if k.random.IntN(2) == 0 {
		k.nextCommit()
	}
	read = stopAndCount(c.Process)
	c.Process.Kill() // it may have ended meanwhile
	<-waited
	if err := k.database().outlive(k.Context(), c.Process.Pid); err != nil {
		k.Fatal(err)
	}
	if c.ProcessState.Exited() {
		return true, -1, k.ended(c)
	}
	if args[0] == "models" {
		k.kills++
	} else {
		k.others++
	}
	return false, read, ended{}
}

// nextCommit waits until the catalogue is written to: what the rows say has to be true from that instant on.
func (k *killer) nextCommit() {
	before := k.database().written()
	for begun := time.Now(); time.Since(begun) < k.patient/2 && k.database().written() == before; {
		time.Sleep(250 * time.Microsecond)
	}
	time.Sleep(time.Duration(k.random.Int64N(int64(4 * time.Millisecond))))
}

// takeIn kills runs over the sources until one ends, or until enough were killed and the last one may end.
func (k *killer) takeIn(enough int) {
	k.Helper()
	idle, looked := 0, true
	for before := k.look(k.truth); ; {
		after := k.moment(k.patient)
		if k.kills >= enough {
			after = time.Hour
		}
		done, read, e := k.kill(after, k.models()...)
		// A look repairs the catalogue's file, as opening it does: every third run has to do that itself.
		if !done && k.random.IntN(3) == 0 {
			looked = false
			k.blind++
			continue
		}
		now := k.look(k.truth)
		switch {
		case done:
			k.finished(e, before, now, looked)
			return
		case now.recorded < before.recorded:
			k.Errorf("%d bytes were recorded, and after the kill %d", before.recorded, now.recorded)
		case read >= 0 && looked:
			recorded := now.recorded - before.recorded
			k.wasted = append(k.wasted, read-recorded)
			if most := k.inFlight(recorded); read-recorded > most {
				k.Errorf("killed after %s: %d bytes were read and %d recorded; at most %d may be in flight", after,
					read, recorded, most)
			}
		}
		if idle++; now.recorded > before.recorded {
			idle = 0
			k.amid++
		}
		if idle > 10 { // on a slow machine the first batch takes longer than the longest run
			k.patient, idle = 2*k.patient, 0
		}
		if k.Failed() {
			k.FailNow() // all that follows would say the same again
		}
		before, looked = now, true
	}
}

// finished checks the run that came to its end: it read exactly what had no rows, and for a comparison the last
// segment of a file that was begun, as far as what there was before is known.
func (k *killer) finished(e ended, before, now rows, looked bool) {
	k.Helper()
	if e.code != exitDone || now.open != 0 || now.recorded != k.bytes {
		k.Fatalf("the last run: exit code %d, %d models not complete, %d of %d bytes recorded\n%s", e.code, now.open,
			now.recorded, k.bytes, e.stderr)
	}
	if read := number(e.event("summary"), "bytes_read"); looked && read != k.bytes-before.recorded+before.again {
		k.Errorf("the last run read %d bytes; %d had no rows, and %d are to be compared", read, k.bytes-before.recorded,
			before.again)
	}
}

// collect leaves more garbage, kills gc over it, and then checks that the store holds what rows need and nothing else.
func (k *killer) collect(now rows) {
	k.Helper()
	for i := range 200 {
		payload := fmt.Appendf(nil, "garbage %d", i)
		if err := os.WriteFile(payloadPath(k.store, ingest.Sum(payload)), payload, 0o600); err != nil {
			k.Fatal(err)
		}
	}
	for range 3 {
		if done, _, e := k.kill(k.moment(60*time.Millisecond), "gc", "--yes"); done && e.code != exitDone {
			k.Errorf("gc: exit code %d\n%s", e.code, e.stderr)
		}
		k.look(k.truth)
	}
	k.must("gc", "--yes")
	want := map[string]int64{}
	for digest, bytes := range now.digests {
		text := digest.String()
		want["sha256/"+text[:2]+"/"+text] = bytes
	}
	got := k.files()
	for name, bytes := range got {
		if want[name] != bytes {
			k.Errorf("after gc the store holds %s with %d bytes; rows need %d", name, bytes, want[name])
		}
	}
	if len(got) != len(want) {
		k.Errorf("after gc the store holds %d files, and rows need %d", len(got), len(want))
	}
}

// export kills exports, of which each file is there whole or not at all, and then lets one of each file end.
func (k *killer) export() {
	k.Helper()
	folder := k.TempDir()
	for source, digest := range k.truth {
		target := filepath.Join(folder, filepath.Base(source))
		for done := false; !done; {
			var e ended
			done, _, e = k.kill(k.moment(k.patient/4), "export", digest.String(), "-o", target)
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
		if got, _, err := digestOf(target); err != nil || got != digest {
			k.Errorf("%s: exported with SHA-256 %s, want %s (%v)", target, got, digest, err)
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
