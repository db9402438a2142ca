package dir

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/storage"
	"github.com/hartonomous/ingest/storage/storetest"
)

func open(t testing.TB, root string) *Store {
	t.Helper()
	s, err := Open(root)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// payload returns the same bytes for the same size, in memory that begins at a page boundary.
func payload(size int) []byte {
	p := aligned(size)
	_, _ = rand.NewChaCha8([32]byte{byte(size)}).Read(p) // cannot fail
	return p
}

func put(t testing.TB, s *Store, p []byte) (ingest.Digest, ingest.Address) {
	t.Helper()
	digest := ingest.Sum(p)
	address, err := s.Put(t.Context(), ingest.Key{Digest: digest}, p)
	if err != nil {
		t.Fatal(err)
	}
	return digest, address
}

// raw returns the payload of digest that is not encoded.
func raw(digest ingest.Digest) storage.Payload { return storage.PayloadOf(digest, ingest.Encoding{}) }

func get(t testing.TB, s *Store, digest ingest.Digest, address ingest.Address) ([]byte, error) {
	into := make([]byte, address.Bytes)
	return into, s.Get(t.Context(), digest, address, 0, into)
}

// damaging lets the suite damage a payload.
type damaging struct {
	*Store
	t *testing.T
}

func (d damaging) DamageAt(digest ingest.Digest, address ingest.Address, p []byte) {
	if err := os.WriteFile(d.payload(storage.PayloadOf(digest, address.Encoding)), p, 0o600); err != nil {
		d.t.Fatal(err)
	}
}

func TestContract(t *testing.T) {
	storetest.Run(t, func(t *testing.T) storetest.Open {
		root := filepath.Join(t.TempDir(), "not", "existing")
		return func(t *testing.T, step func() error) ingest.Store {
			s := open(t, root)
			if step != nil {
				s.hook = func(at, path string, _ bool) error {
					if at == "mkdir" && filepath.Base(filepath.Dir(path)) == payloads { // skip 256 equal steps
						return nil
					}
					return step()
				}
			}
			return damaging{s, t}
		}
	})
}

func TestLayout(t *testing.T) {
	root := t.TempDir()
	s := open(t, root)
	digest, address := put(t, s, []byte("payload"))
	hex := digest.String()
	if want := "dir:sha256/" + hex[:2] + "/" + hex; address.URI != want || address.Bytes != 7 || address.Name != "" ||
		!address.Modified.IsZero() {
		t.Errorf("address %+v, want only %s and the size", address, want)
	}
	info, err := os.Lstat(filepath.Join(root, "sha256", hex[:2], hex))
	if err != nil {
		t.Fatal(err)
	}
	if runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
		t.Errorf("a payload has mode %v, want it private", info.Mode())
	}
	if left, _ := os.ReadDir(filepath.Join(root, "tmp")); len(left) != 0 {
		t.Errorf("temporary files after a Put: %v", left)
	}
	moved := filepath.Join(t.TempDir(), "moved")
	if err := os.Rename(root, moved); err != nil {
		t.Fatal(err)
	}
	if _, err := get(t, open(t, moved), digest, address); err != nil {
		t.Errorf("after the folder was moved: %v", err)
	}
}

// putEncoded puts p as the encoded bytes of digest.
func putEncoded(t *testing.T, s *Store, digest ingest.Digest, p []byte) (storage.Payload, ingest.Address) {
	t.Helper()
	encoding := ingest.Encoding{Codec: "x", Stored: ingest.Sum(p)}
	address, err := s.Put(t.Context(), ingest.Key{Digest: digest, Encoding: encoding}, p)
	if err != nil {
		t.Fatal(err)
	}
	return storage.PayloadOf(digest, encoding), address
}

func TestLayoutOfEncodedPayloads(t *testing.T) {
	root := t.TempDir()
	s := open(t, root)
	digest, p := ingest.Sum([]byte("original")), []byte("encoded")
	_, address := putEncoded(t, s, digest, p)
	name := "sha256/" + digest.String()[:2] + "/" + digest.String() + "-" + ingest.Sum(p).String()
	if want := (ingest.Address{URI: "dir:" + name, Bytes: 7,
		Encoding: ingest.Encoding{Codec: "x", Stored: ingest.Sum(p)}}); address != want {
		t.Errorf("address %+v, want %+v", address, want)
	}
	if got, err := os.ReadFile(filepath.Join(root, name)); err != nil || !bytes.Equal(got, p) {
		t.Errorf("the file has %q, %v", got, err)
	}
	hidden := func(context.Context) error {
		trashed, err := filepath.Glob(filepath.Join(root, "trash", "*", filepath.Base(name)))
		if err != nil || len(trashed) != 1 {
			t.Errorf("in the trash are %q, %v", trashed, err)
		}
		return nil
	}
	if failed, err := s.Delete(t.Context(), listed(t, s), hidden); err != nil || failed[0] != nil {
		t.Errorf("Delete: %v, %v", failed, err)
	}
}

func TestOpenMakesNothing(t *testing.T) {
	root := filepath.Join(t.TempDir(), "store")
	s := open(t, root)
	if _, err := get(t, s, ingest.Sum(nil), ingest.Address{}); !errors.Is(err, ingest.ErrNoPayload) {
		t.Errorf("Get: %v", err)
	}
	for object, err := range s.List(t.Context()) {
		t.Errorf("List: %v, %v", object, err)
	}
	if _, err := os.Lstat(root); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("reading the store made its folder: %v", err)
	}
}

func TestBadRoots(t *testing.T) {
	folder := t.TempDir()
	file := filepath.Join(folder, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, path := range map[string]string{
		"a file": file, "below a file": filepath.Join(file, "store"), "nothing": "",
	} {
		s, err := Open(path)
		if err == nil {
			_, err = s.Put(t.Context(), ingest.Key{Digest: ingest.Sum(nil)}, nil)
		}
		if err == nil {
			t.Errorf("a store in %s was opened and written", name)
		}
	}
	if err := os.MkdirAll(filepath.Join(folder, "odd"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, "odd", "sha256"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	odd := open(t, filepath.Join(folder, "odd"))
	if _, err := odd.Put(t.Context(), ingest.Key{Digest: ingest.Sum(nil)}, nil); err == nil {
		t.Error("Put accepted a file in place of the folder sha256")
	}
}

func TestWrongSizeIsOverwritten(t *testing.T) {
	for name, size := range map[string]int64{"shorter": 5, "longer": 1 << 17, "empty": 0} {
		t.Run(name, func(t *testing.T) {
			s := open(t, t.TempDir())
			p := payload(100_000)
			digest, address := put(t, s, p)
			if err := os.Truncate(s.payload(raw(digest)), size); err != nil {
				t.Fatal(err)
			}
			_, err := get(t, s, digest, address)
			var damaged *ingest.SizeError
			if !errors.As(err, &damaged) || damaged.Got != size || errors.Is(err, ingest.ErrNoPayload) {
				t.Errorf("Get: %v, want a SizeError", err)
			}
			put(t, s, p)
			if got, err := get(t, s, digest, address); err != nil || !bytes.Equal(got, p) {
				t.Errorf("after Put: %d bytes, %v", len(got), err)
			}
		})
	}
}

func TestReplaceOverwritesTheSameSize(t *testing.T) {
	s := open(t, t.TempDir())
	p := payload(100_000)
	digest, address := put(t, s, p)
	if err := os.WriteFile(s.payload(raw(digest)), make([]byte, len(p)), 0o600); err != nil {
		t.Fatal(err)
	}
	put(t, s, p)
	if got, _ := get(t, s, digest, address); bytes.Equal(got, p) {
		t.Error("Put wrote a payload that was present in the right size")
	}
	if _, err := s.Replace(t.Context(), digest, ingest.Address{}, p); err != nil {
		t.Fatal(err)
	}
	if got, err := get(t, s, digest, address); err != nil || !bytes.Equal(got, p) {
		t.Errorf("after Replace: %d bytes, %v", len(got), err)
	}
}

// Addresses come from a database, and may contain any size.
func TestSizesFromRowsNeedNoMemory(t *testing.T) {
	s := open(t, t.TempDir())
	digest, address := put(t, s, payload(5000))
	for _, bytes := range []int64{-1, 0, 4999, 5001, 1 << 40, 1<<63 - 1} {
		address.Bytes = bytes
		err := s.Get(t.Context(), digest, address, 0, make([]byte, 10))
		if damaged, ok := errors.AsType[*ingest.SizeError](err); !ok || damaged.Got != 5000 || damaged.Want != bytes {
			t.Errorf("Get of %d bytes: %v", bytes, err)
		}
	}
}

func TestLinksAreNotFollowed(t *testing.T) {
	s := open(t, t.TempDir())
	p := payload(5000)
	digest, address := put(t, s, p)
	outside := filepath.Join(t.TempDir(), "outside")
	if err := os.Rename(s.payload(raw(digest)), outside); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(outside, s.payload(raw(digest))); err != nil {
		t.Skip("no symbolic links:", err)
	}
	if _, err := get(t, s, digest, address); err == nil || errors.Is(err, ingest.ErrNoPayload) {
		t.Errorf("Get through a link: %v", err)
	}
	for object := range s.List(t.Context()) {
		t.Errorf("List yielded a link: %v", object)
	}
	put(t, s, p)
	if info, err := os.Lstat(s.payload(raw(digest))); err != nil || !info.Mode().IsRegular() {
		t.Errorf("Put left the link in place: %v, %v", info, err)
	}
	if got, _ := os.ReadFile(outside); !bytes.Equal(got, p) {
		t.Error("Put wrote through the link")
	}
}

func TestLinkedFanOutIsRefused(t *testing.T) {
	root := t.TempDir()
	p := payload(5000)
	digest, address := put(t, open(t, root), p)
	s := open(t, root)
	elsewhere := filepath.Join(t.TempDir(), "elsewhere")
	if err := os.Rename(s.fanOut(raw(digest)), elsewhere); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(elsewhere, s.fanOut(raw(digest))); err != nil {
		t.Skip("no symbolic links:", err)
	}
	if _, err := get(t, s, digest, address); err == nil {
		t.Error("Get went through a linked folder")
	}
	if _, err := s.Put(t.Context(), ingest.Key{Digest: digest}, p); err == nil {
		t.Error("Put went through a linked folder")
	}
	for object := range s.List(t.Context()) {
		t.Errorf("List went through a linked folder: %v", object)
	}
	info, err := os.Stat(s.payload(raw(digest)))
	if err != nil {
		t.Fatal(err)
	}
	through := ingest.Object{Digest: digest, Name: raw(digest).Name(), Bytes: info.Size(), Modified: info.ModTime()}
	if failed := remove(t, s, through); failed == nil {
		t.Error("Delete went through a linked folder")
	}
}

func TestDeletedFoldersAreMadeAgain(t *testing.T) {
	root := filepath.Join(t.TempDir(), "store")
	s := open(t, root)
	p := payload(5000)
	digest, address := put(t, s, p)
	if err := os.RemoveAll(root); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Put(t.Context(), ingest.Key{Digest: digest}, p); err == nil {
		t.Log("the first Put did not fail")
	}
	put(t, s, p)
	if _, err := get(t, s, digest, address); err != nil {
		t.Error(err)
	}
}

// BenchmarkPut writes payloads of the usual segment size, like the pipeline.
func BenchmarkPut(b *testing.B) {
	for name, shift := range map[string]int{"aligned": 0, "unaligned": 1} {
		b.Run(name, func(b *testing.B) {
			s := open(b, b.TempDir())
			p := payload(8<<20 + 4096)[shift : 8<<20-32+shift]
			b.SetBytes(int64(len(p)))
			b.SetParallelism(1)
			for i := 0; b.Loop(); i++ {
				digest := ingest.Digest{byte(i), byte(i >> 8), byte(i >> 16), 1}
				if _, err := s.Put(b.Context(), ingest.Key{Digest: digest}, p); err != nil {
					b.Fatal(err)
				}
				b.StopTimer()
				_ = os.Remove(s.payload(raw(digest)))
				b.StartTimer()
			}
		})
	}
}
