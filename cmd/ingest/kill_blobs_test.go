//go:build unix

package main

import (
	"testing"
	"time"
)

// TestKillBlobs kills runs that put payloads into blobs. Requests in flight may arrive or not.
func TestKillBlobs(t *testing.T) {
	account := azurite(t)
	if rerunWithoutRace(t) {
		return
	}
	kills := 20
	if testing.Short() {
		kills = 4
	}
	k := newKiller(t, newSources(t, map[string]func(string) error{
		"noise.gguf": noise("noise", 60<<20, 7),
		"one.gguf":   tuned("one", 20<<20, 1, 1),
		"two.gguf":   tuned("two", 20<<20, 1, 2),
		"small.gguf": manyTensors(40),
	}), false)
	k.blobs = &blobs{account: account}
	k.killRuns(kills)
}

// collectBlobs checks that gc keeps the blobs that rows need and no others.
func (k *killer) collectBlobs(now rows) {
	k.Helper()
	for range 2 {
		if done, _, e := k.kill(k.delay(k.maxDelay/4), "gc", "--yes", "--older-than", "0s"); done &&
			e.code != exitDone {
			k.Errorf("gc: exit code %d\n%s", e.code, e.stderr)
		}
		k.audit(k.digests)
	}
	time.Sleep(1100 * time.Millisecond) // gc keeps blobs written in the second in which it starts
	k.must("gc", "--yes", "--older-than", "0s")
	left := 0
	for object, err := range k.blobs.store.List(k.Context()) {
		if err != nil {
			k.Fatal(err)
		}
		if left++; now.stored[object.Name] != object.Bytes {
			k.Errorf("after gc the container holds %s with %d bytes; rows need %d", object.Name, object.Bytes,
				now.stored[object.Name])
		}
	}
	if left != len(now.stored) {
		k.Errorf("after gc the container holds %d blobs, and rows need %d", left, len(now.stored))
	}
}
