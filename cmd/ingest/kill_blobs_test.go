//go:build unix

package main

import (
	"testing"
)

// TestKillBlobs kills runs that put their payloads into blobs: what was on its way lands, or does not.
func TestKillBlobs(t *testing.T) {
	account := azurite(t)
	if outsideRace(t) {
		return
	}
	kills := 20
	if testing.Short() {
		kills = 4
	}
	k := newKiller(t, newSources(t, map[string]func(string) error{
		"noise.gguf":  noise("noise", 60<<20, 7),
		"one.gguf":    tuned("one", 20<<20, 1, 1),
		"two.gguf":    tuned("two", 20<<20, 1, 2),
		"crumbs.gguf": crumbs(40),
	}), false)
	k.blobs = &blobs{account: account}
	k.untilEnough(kills)
}

// collectBlobs wants gc to leave what rows need and nothing else.
func (k *killer) collectBlobs(now rows) {
	k.Helper()
	for range 2 {
		if done, _, e := k.kill(k.moment(k.patient/4), "gc", "--yes", "--older-than", "0s"); done && e.code != exitDone {
			k.Errorf("gc: exit code %d\n%s", e.code, e.stderr)
		}
		k.look(k.truth)
	}
	k.must("gc", "--yes", "--older-than", "0s")
	left := 0
	for object, err := range k.blobs.store.List(k.Context()) {
		if err != nil {
			k.Fatal(err)
		}
		if left++; now.digests[object.Digest] != object.Bytes {
			k.Errorf("after gc the container holds %s with %d bytes; rows need %d", object.Name, object.Bytes, now.digests[object.Digest])
		}
	}
	if left != len(now.digests) {
		k.Errorf("after gc the container holds %d blobs, and rows need %d", left, len(now.digests))
	}
}
