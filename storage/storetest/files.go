package storetest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"testing"

	"golang.org/x/sync/errgroup"

	"github.com/hartonomous/ingest/ingest"
)

// Files tests what ingest.FileStore adds to ingest.Store. place returns a new empty store.
func Files(t *testing.T, place func(t *testing.T) ingest.FileStore) {
	for name, test := range map[string]func(*testing.T, ingest.FileStore){
		"round trip":    filesRoundTrip,
		"names":         fileNames,
		"same name":     sameName,
		"at once":       filesAtOnce,
		"other content": otherContent,
		"damaged":       damagedFile,
		"cancelled":     cancelledFile,
		"read once":     filesReadOnce,
	} {
		t.Run(name, func(t *testing.T) { test(t, place(t)) })
	}
}

// putFile stores a file and reads it back.
func putFile(t *testing.T, s ingest.FileStore, name string, p []byte) ingest.Address {
	t.Helper()
	digest := ingest.Sum(p)
	address, err := s.PutFile(t.Context(), name, digest, bytes.NewReader(p), int64(len(p)))
	if err != nil {
		t.Fatalf("PutFile of %q with %d bytes: %v", name, len(p), err)
	}
	if address.URI == "" || address.Bytes != int64(len(p)) {
		t.Fatalf("PutFile returned the address %+v", address)
	}
	wantPayload(t, s, digest, address, p)
	if _, err := s.Stat(t.Context(), digest, address); err != nil {
		t.Fatalf("Stat of %q: %v", name, err)
	}
	return address
}

func filesRoundTrip(t *testing.T, s ingest.FileStore) {
	for i, size := range append(sizes, 20<<20+7) {
		p := payload(size, uint64(i))
		name := "sha256-" + ingest.Sum(p).String()
		first := putFile(t, s, name, p)
		if again := putFile(t, s, name, p); again.URI != first.URI || again.ETag != first.ETag {
			t.Errorf("stored again at %+v, first at %+v", again, first)
		}
		if size > 10 { // a part
			into := make([]byte, 5)
			if err := s.Get(t.Context(), ingest.Sum(p), first, 5, into); err != nil || !bytes.Equal(into, p[5:10]) {
				t.Errorf("a part of %d bytes: %v", size, err)
			}
		}
	}
}

func fileNames(t *testing.T, s ingest.FileStore) {
	at := map[string]string{}
	for i, name := range []string{"m.gguf", "", ".", "..", "../m", "/m", `a\b`, "owner", "catalogs", "1", "a b%20?#&",
		"\x00\n", "ä語", strings.Repeat("x", 2000), "sha256", "x."} {
		address := putFile(t, s, name, payload(100, uint64(i)))
		if other, taken := at[address.URI]; taken {
			t.Errorf("%q and %q are both at %s", name, other, address.URI)
		}
		at[address.URI] = name
	}
	if _, err := s.Owner(t.Context(), "me"); err != nil {
		t.Errorf("a file replaced the owner's record: %v", err)
	}
}

// sameName checks that several contents with the same name are kept.
func sameName(t *testing.T, s ingest.FileStore) {
	contents := [][]byte{payload(1000, 1), payload(1000, 2), payload(9<<20, 3), payload(9<<20, 4), payload(0, 5)}
	var addresses []ingest.Address
	for range 2 {
		for i, p := range contents {
			address := putFile(t, s, "model.gguf", p)
			if len(addresses) > i && addresses[i].URI != address.URI {
				t.Errorf("content %d moved from %s to %s", i, addresses[i].URI, address.URI)
			}
			addresses = append(addresses, address)
		}
		for i, p := range contents {
			wantPayload(t, s, ingest.Sum(p), addresses[i], p)
		}
	}
}

func filesAtOnce(t *testing.T, s ingest.FileStore) {
	var group errgroup.Group
	for i := range 6 {
		group.Go(func() error {
			p := payload(1<<20, uint64(i%2)) // two contents with the same name
			digest := ingest.Sum(p)
			address, err := s.PutFile(t.Context(), "m", digest, bytes.NewReader(p), int64(len(p)))
			if err != nil {
				return err
			}
			got, err := get(t.Context(), s, digest, address)
			if err == nil && !bytes.Equal(got, p) {
				err = errors.New("the content is that of another file")
			}
			return err
		})
	}
	if err := group.Wait(); err != nil {
		t.Error(err)
	}
}

// otherContent checks that a file with another digest or size is not stored.
func otherContent(t *testing.T, s ingest.FileStore) {
	for _, size := range []int{10, 20 << 20} {
		right, wrong := payload(size, 1), payload(size, 2)
		_, err := s.PutFile(t.Context(), "m", ingest.Sum(right), bytes.NewReader(wrong), int64(size))
		var mismatch *ingest.MismatchError
		if !errors.As(err, &mismatch) || mismatch.Got != ingest.Sum(wrong) {
			t.Errorf("another content of %d bytes: %v", size, err)
		}
		_, err = s.PutFile(t.Context(), "m", ingest.Sum(right), bytes.NewReader(right[1:]), int64(size))
		if err == nil {
			t.Errorf("a file that is too short by a byte was stored")
		}
		for object, err := range s.List(t.Context()) {
			if err != nil {
				t.Fatal(err)
			}
			if object.Digest == ingest.Sum(right) {
				t.Errorf("%+v is stored", object)
			}
		}
		putFile(t, s, "m", right)
	}
}

// damagedFile checks that a damaged file is replaced.
func damagedFile(t *testing.T, s ingest.FileStore) {
	damager, ok := s.(Damager)
	if !ok {
		t.Skip("this store's payloads cannot be damaged here")
	}
	p := payload(5000, 1)
	address := putFile(t, s, "m", p)
	damager.DamageAt(ingest.Sum(p), address, payload(5000, 2))
	putFile(t, s, "m", p)
	damager.DamageAt(ingest.Sum(p), address, p[:10])
	putFile(t, s, "m", p)
}

func cancelledFile(t *testing.T, s ingest.FileStore) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	p := payload(100, 1)
	if _, err := s.PutFile(ctx, "m", ingest.Sum(p), bytes.NewReader(p), 100); !errors.Is(err, context.Canceled) {
		t.Errorf("PutFile: %v", err)
	}
}

// once counts the bytes read.
type once struct {
	*bytes.Reader
	read int64
}

func (o *once) ReadAt(p []byte, offset int64) (int, error) {
	n, err := o.Reader.ReadAt(p, offset)
	o.read += int64(n)
	return n, err
}

var _ io.ReaderAt = (*once)(nil)

func filesReadOnce(t *testing.T, s ingest.FileStore) {
	p := payload(20<<20+7, 1)
	file := &once{Reader: bytes.NewReader(p)}
	if _, err := s.PutFile(t.Context(), "m", ingest.Sum(p), file, int64(len(p))); err != nil {
		t.Fatal(err)
	}
	if file.read != int64(len(p)) {
		t.Errorf("%d bytes were read of %d", file.read, len(p))
	}
}
