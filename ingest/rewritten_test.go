package ingest_test

import (
	"bytes"
	"context"
	"fmt"
	"path/filepath"
	"sync"
	"testing"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/storage/storetest"
)

// versioned is a store whose writes have ETags, as those of blobs have.
type versioned struct {
	*storetest.Memory
	mu   sync.Mutex
	tags map[ingest.Digest]int
}

func (v *versioned) address(digest ingest.Digest, bytes int64) ingest.Address {
	v.mu.Lock()
	defer v.mu.Unlock()
	return ingest.Address{URI: "versioned:" + digest.String(), Name: digest.String(), Bytes: bytes, ETag: fmt.Sprint(v.tags[digest])}
}

func (v *versioned) Put(ctx context.Context, key ingest.Key, payload []byte) (ingest.Address, error) {
	_, err := v.Memory.Put(ctx, key, payload)
	return v.address(key.Digest, int64(len(payload))), err
}

func (v *versioned) Replace(ctx context.Context, digest ingest.Digest, address ingest.Address, payload []byte) (ingest.Address, error) {
	v.write(digest)
	_, err := v.Memory.Replace(ctx, digest, address, payload)
	return v.address(digest, int64(len(payload))), err
}

// write is another write of whatever lies there.
func (v *versioned) write(digest ingest.Digest) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.tags[digest]++
}

func (v *versioned) Stat(_ context.Context, digest ingest.Digest, address ingest.Address) (bool, error) {
	if now := v.address(digest, address.Bytes); now.ETag != address.ETag {
		return false, &ingest.RewrittenError{Was: address.ETag, Now: now}
	}
	return true, nil
}

// TestRewritten: a payload that was written again is read, however a file is verified. If it is right, all rows that share it
// say so, and it is not read for that again; if it is not, it is damaged, and they do not.
func TestRewritten(t *testing.T) {
	h := storeHome(t)
	store := &versioned{Memory: h.memory, tags: map[ingest.Digest]int{}}
	in := h.ingester(few)
	in.Store = store
	folder := t.TempDir()
	content := noise(3*mib, 1)
	sources := []ingest.Source{file(write(t, filepath.Join(folder, "a"), content)), file(write(t, filepath.Join(folder, "b"), append(content[:3*mib:3*mib], noise(mib, 2)...)))}
	if _, err := run(t, t.Context(), in, sources...); err != nil {
		t.Fatal(err)
	}
	v := &ingest.Verifier{Catalog: h.catalog, Payloads: ingest.Payloads{Store: store}, Options: few}
	reading := *v
	reading.Read = true
	models := h.models(t)
	files := []ingest.StoredFile{models[0].Files[0], models[1].Files[0]}
	shared := h.pieces(t, files[0])[1]
	check := func(verify func(context.Context, ingest.StoredFile, func(ingest.Damage)) error, f ingest.StoredFile, damaged, reads int64) {
		t.Helper()
		before := h.memory.Counts().Get
		err := verify(t.Context(), f, func(d ingest.Damage) {
			if damaged--; d.Piece.Digest != shared.Digest {
				t.Errorf("damaged is %s", d.Piece.Place())
			}
		})
		if n := h.memory.Counts().Get - before; err != nil || damaged != 0 || int64(n) != reads {
			t.Errorf("%v, %d reads (want %d), %d damages too few", err, n, reads, damaged)
		}
	}
	tags := func(want string) {
		t.Helper()
		for _, f := range files {
			if got := h.pieces(t, f)[1]; got.Digest != shared.Digest || got.Address.ETag != want {
				t.Errorf("%s has ETag %s, want %s", got.Place(), got.Address.ETag, want)
			}
		}
	}
	check(v.Verify, files[0], 0, 0)
	store.write(shared.Digest)
	check(v.Verify, files[0], 0, 1)
	tags("1")
	check(v.Verify, files[1], 0, 0)
	store.write(shared.Digest)
	check(reading.Verify, files[1], 0, int64(len(h.pieces(t, files[1]))))
	tags("2")
	check(v.Verify, files[0], 0, 0)
	server := *v
	server.Server = hasher{}
	store.write(shared.Digest)
	check(server.Verify, files[0], 0, 1)
	tags("3")

	right := content[shared.Offset : shared.Offset+shared.Bytes]
	h.memory.Damage(shared.Digest, make([]byte, len(right)))
	store.write(shared.Digest)
	check(v.Verify, files[0], 1, 1)
	check(reading.Verify, files[0], 1, int64(len(h.pieces(t, files[0]))))
	tags("3")
	repair := *v
	repair.Repair = bytes.NewReader(content)
	check(repair.Verify, files[0], 1, 1)
	tags("5") // of both, by the repair of one
	check(v.Verify, files[1], 0, 0)
	check(reading.Verify, files[1], 0, int64(len(h.pieces(t, files[1]))))
}
