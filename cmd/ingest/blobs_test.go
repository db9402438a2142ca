package main

import (
	"crypto/rand"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hartonomous/ingest/ingest"
)

// TestBlobs runs each command with payloads in blobs.
func TestBlobs(t *testing.T) {
	account := azurite(t)
	for _, layout := range []string{"content", "position"} {
		t.Run(layout, func(t *testing.T) {
			s := newSources(t, map[string]func(string) error{"a.gguf": tuned("a", 3<<20, 1, 1),
				"b.gguf": tuned("b", 3<<20, 1, 2)})
			b := newBox(t, t.TempDir(), false)
			store := []string{"--store", account + "/" + layout + strings.ToLower(rand.Text()), "--blob-layout", layout}
			with := func(args ...string) []string { return append(args, store...) }
			b.must(with("models", s.path("a.gguf"), s.path("b.gguf"), "--segment-size", "1MiB")...)
			models := b.must(with("list")...).objects()
			if len(models) != 2 || models[0]["state"] != "complete" {
				t.Fatalf("list: %v", models)
			}
			if shared := models[1]["bytes_shared"].(float64); (shared == 0) != (layout == "position") {
				t.Errorf("bytes_shared is %v", shared)
			}
			other := map[string]string{"content": "position", "position": "content"}[layout]
			e := b.run("models", s.path("a.gguf"), "--store", store[1], "--blob-layout", other)
			if e.code != exitDone || !strings.Contains(e.stderr, "used the blob layout "+layout) {
				t.Errorf("another layout: exit code %d\n%s", e.code, e.stderr)
			}
			b.must(with("verify")...)
			b.must(with("verify", "--read")...)
			for _, name := range []string{"a", "b"} {
				to := filepath.Join(t.TempDir(), name)
				b.must(with("export", name, "-o", to)...)
				want, err := os.ReadFile(s.path(name + ".gguf"))
				if err != nil {
					t.Fatal(err)
				}
				got, err := os.ReadFile(to)
				if err != nil || ingest.Sum(got) != ingest.Sum(want) {
					t.Errorf("%s: the exported file differs: %v", name, err)
				}
			}
			nowhere := account + "/" + strings.ToLower(rand.Text())
			for _, args := range [][]string{{"verify"}, {"verify", "--read"},
				{"export", "a", "-o", filepath.Join(t.TempDir(), "x")}} {
				if e := b.run(append(args, "--store", nowhere)...); e.code != exitFailed ||
					strings.Count(e.stderr, nowhere) != 1 || !strings.Contains(e.stderr, store[1]) {
					t.Errorf("%v in a container that does not exist: exit code %d, %v\n%s", args, e.code, e.lines,
						e.stderr)
				}
			}
			damageBlob(t, layout, store[1])
			if e := b.run(with("verify")...); e.code != exitDamage {
				t.Errorf("verify of a damaged blob: exit code %d\n%s", e.code, e.stderr)
			}
			for _, name := range []string{"a", "b"} { // the segment may be in either model, or in both
				b.run(with("verify", name, "--repair", s.path(name+".gguf"))...)
			}
			b.must(with("verify", "--read")...)
			swept := b.must(with("gc", "--older-than", "0s")...).lines
			if sum := swept[len(swept)-1]; sum["payloads"] != 0.0 {
				t.Errorf("gc would remove %v", swept)
			}
			left := putByPosition(t, store[1])
			time.Sleep(1100 * time.Millisecond) // gc keeps blobs written in the second in which it starts
			// gc finds payloads in both layouts, without --blob-layout.
			swept = b.must("gc", "--yes", "--older-than", "0s", "--store", store[1]).lines
			if sum := swept[len(swept)-1]; len(swept) != 2 || sum["payloads"] != 1.0 || swept[0]["name"] != left {
				t.Errorf("gc removed %v, want %s", swept, left)
			}
			b.must(with("verify", "--read")...)
		})
	}
}

// azurite returns the address of an Azurite account.
func azurite(t *testing.T) string {
	t.Helper()
	account := strings.TrimRight(os.Getenv("INGEST_TEST_AZURITE"), "/")
	const unset = "INGEST_TEST_AZURITE is not set: scripts/azurite start --memory prints it"
	if account == "" && os.Getenv("CI") == "true" {
		t.Fatal(unset)
	}
	if account == "" {
		t.Skip(unset)
	}
	return account
}

// openBlobs opens a store and claims it for its owner.
func openBlobs(t *testing.T, layout, container string) ingest.Store {
	t.Helper()
	p := &program{}
	p.blobs.layout = layout
	store, err := p.openStore(t.Context(), container)
	if err != nil {
		t.Fatal(err)
	}
	owner, err := store.Owner(t.Context(), "")
	if err != nil || owner == "" {
		t.Fatalf("owner %q, %v", owner, err)
	}
	if _, err := store.Owner(t.Context(), owner); err != nil {
		t.Fatal(err)
	}
	return store
}

// putByPosition puts a copy of a payload under a name that no row has.
func putByPosition(t *testing.T, container string) (name string) {
	t.Helper()
	store := openBlobs(t, "position", container)
	for object, err := range store.List(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		payload := make([]byte, object.Bytes)
		err := store.Get(t.Context(), object.Digest, ingest.Address{Name: object.Name, Bytes: object.Bytes}, 0, payload)
		if err != nil {
			t.Fatal(err)
		}
		at, err := store.Put(t.Context(), ingest.Key{Digest: object.Digest, Model: 99, Layer: 1}, payload)
		if err != nil {
			t.Fatal(err)
		}
		return at.Name
	}
	t.Fatal("the container has no blob")
	return ""
}

// damageBlob overwrites one payload.
func damageBlob(t *testing.T, layout, container string) {
	t.Helper()
	store := openBlobs(t, layout, container)
	for object, err := range store.List(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		_, err = store.Replace(t.Context(), object.Digest, ingest.Address{Name: object.Name}, []byte("damage"))
		if err != nil {
			t.Fatal(err)
		}
		return
	}
	t.Fatal("the container has no blob")
}
