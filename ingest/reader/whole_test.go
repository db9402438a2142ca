package reader

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hartonomous/ingest/ingest"
)

// wholeFake returns a whole file of 100,000 bytes without a place.
func wholeFake(t *testing.T) (*fake, ingest.StoredFile) {
	w := newFake(t, 100_000)
	whole := w.file
	whole.ID, whole.Whole, whole.SegmentBytes, whole.Atom = 8, true, 0, 5
	w.atom = ingest.FileAtom{ID: 5, Digest: whole.Digest, Bytes: whole.Bytes}
	return w, whole
}

// atPath writes the file to a path.
func (w *fake) atPath(t *testing.T, file *ingest.StoredFile) (path string) {
	t.Helper()
	folder, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	path = filepath.Join(folder, "m.gguf")
	write(t, path, w.content)
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	w.atom.Locator, file.Modified = path, info.ModTime()
	return path
}

func write(t *testing.T, path string, content []byte) {
	t.Helper()
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
}

// places has the possible places of a whole file.
func places(t *testing.T) map[string]func(*fake, *ingest.StoredFile) {
	return map[string]func(*fake, *ingest.StoredFile){
		"path": func(w *fake, file *ingest.StoredFile) { w.atPath(t, file) },
		"row": func(w *fake, file *ingest.StoredFile) {
			w.atPath(t, file)
			write(t, w.atom.Locator, []byte("other content: the row has precedence"))
			w.atom.InRow = true
		},
		"store": func(w *fake, file *ingest.StoredFile) {
			w.atom.Address = ingest.Address{URI: "fake:whole", Bytes: file.Bytes}
			w.inStore[file.Digest] = w.content
		},
		"segments": func(w *fake, file *ingest.StoredFile) {
			w.atom.InSegments, w.atom.Locator = true, "/nowhere"
		},
	}
}

// TestWhole reads a whole file and parts of it from each place.
func TestWhole(t *testing.T) {
	for place, put := range places(t) {
		t.Run(place, func(t *testing.T) {
			w, file := wholeFake(t)
			put(w, &file)
			r := w.reader(t)
			f := r.Open(t.Context(), file)
			var all bytes.Buffer
			if n, err := f.WriteTo(&all); err != nil || n != file.Bytes || !bytes.Equal(all.Bytes(), w.content) {
				t.Fatalf("%d bytes: %v", n, err)
			}
			for _, span := range [][2]int64{{0, 0}, {0, 1}, {99_999, 100_000}, {100_000, 100_000}, {10_000, 60_000}} {
				var part bytes.Buffer
				_, err := f.WriteRange(&part, span[0], span[1])
				if err != nil || !bytes.Equal(part.Bytes(), w.content[span[0]:span[1]]) {
					t.Errorf("bytes %v: %d: %v", span, part.Len(), err)
				}
			}
			p := make([]byte, 30_000)
			if n, err := f.ReadAt(p, 50_000); n != len(p) || err != nil || !bytes.Equal(p, w.content[50_000:80_000]) {
				t.Errorf("%d bytes at 50000: %v", n, err)
			}
			if n, err := f.ReadAt(p, 90_000); n != 10_000 || err != io.EOF || !bytes.Equal(p[:n], w.content[90_000:]) {
				t.Errorf("%d bytes at 90000: %v", n, err)
			}
			if damage := verified(t, r, file, false); len(damage) > 0 {
				t.Errorf("damage: %v", damage[0].Reason)
			}
		})
	}
}

func verified(t *testing.T, r *Reader, file ingest.StoredFile, attested bool) (found []Damage) {
	t.Helper()
	v := &Verifier{Reader: r, Attested: attested}
	if err := v.Verify(t.Context(), file, func(d Damage) { found = append(found, d) }); err != nil {
		t.Fatal(err)
	}
	return found
}

// TestWholeDamage checks that every way to read a file at a path reports its damage.
func TestWholeDamage(t *testing.T) {
	later := func(t *testing.T, path string) {
		if err := os.Chtimes(path, time.Time{}, time.Now().Add(time.Hour)); err != nil {
			t.Fatal(err)
		}
	}
	flipped := func(content []byte) []byte {
		c := bytes.Clone(content)
		c[70_000] ^= 1
		return c
	}
	for name, test := range map[string]struct {
		change   func(t *testing.T, w *fake, file *ingest.StoredFile, path string)
		missing  bool
		replaced bool
		says     string
		parts    bool // parts are read without an error
	}{
		"removed": {change: func(t *testing.T, _ *fake, _ *ingest.StoredFile, path string) { os.Remove(path) },
			missing: true, says: "there is no such file"},
		"cut": {change: func(t *testing.T, w *fake, _ *ingest.StoredFile, path string) {
			write(t, path, w.content[:9])
		},
			replaced: true, says: "it has 9 bytes and had 100000"},
		"written again": {change: func(t *testing.T, w *fake, _ *ingest.StoredFile, path string) {
			write(t, path, flipped(w.content))
			later(t, path)
		}, replaced: true, says: "it has SHA-256"},
		"flipped bit": {change: func(t *testing.T, w *fake, file *ingest.StoredFile, path string) {
			write(t, path, flipped(w.content))
			if err := os.Chtimes(path, time.Time{}, file.Modified); err != nil {
				t.Fatal(err)
			}
		}, says: "payload is damaged", parts: true},
		"not what its name says": {change: func(t *testing.T, w *fake, file *ingest.StoredFile, path string) {
			w.atom.Metadata = []byte(`{"digest_computed":false}`)
			write(t, path, flipped(w.content))
			if err := os.Chtimes(path, time.Time{}, file.Modified); err != nil {
				t.Fatal(err)
			}
		}, says: "its name claims", parts: true},
		"a folder": {change: func(t *testing.T, _ *fake, _ *ingest.StoredFile, path string) {
			os.Remove(path)
			os.Mkdir(path, 0o700)
		}, replaced: true, says: "not a regular file"},
		"a link": {change: func(t *testing.T, w *fake, _ *ingest.StoredFile, path string) {
			other := filepath.Join(t.TempDir(), "other")
			os.Rename(path, other)
			if err := os.Symlink(other, path); err != nil {
				t.Skip("no symbolic links here:", err)
			}
		}, replaced: true, says: "not a regular file"},
		"a link in the path": {change: func(t *testing.T, w *fake, _ *ingest.StoredFile, path string) {
			other := filepath.Join(t.TempDir(), "other")
			os.Rename(filepath.Dir(path), other)
			if err := os.Symlink(other, filepath.Dir(path)); err != nil {
				t.Skip("no symbolic links here:", err)
			}
			t.Cleanup(func() { os.Remove(filepath.Dir(path)) })
		}, replaced: true, says: "leads to"},
		"a path of another system": {change: func(t *testing.T, w *fake, _ *ingest.StoredFile, _ string) {
			w.atom.Locator = filepath.Join("D:", "m.gguf")
		}, missing: true, says: "not an absolute path"},
		"no place": {change: func(t *testing.T, w *fake, _ *ingest.StoredFile, _ string) { w.atom.Locator = "" },
			missing: true, says: "neither a payload nor an address nor a path"},
		"another store": {change: func(t *testing.T, w *fake, _ *ingest.StoredFile, _ string) {
			w.atom.Address = ingest.Address{URI: "fake:gone", Bytes: 100_000}
		}, missing: true, says: "payload is missing"},
	} {
		t.Run(name, func(t *testing.T) {
			w, file := wholeFake(t)
			path := w.atPath(t, &file)
			test.change(t, w, &file, path)
			r := w.reader(t)
			f := r.Open(t.Context(), file)
			_, all := f.WriteTo(io.Discard)
			_, part := f.WriteRange(io.Discard, 10, 20)
			_, at := f.ReadAt(make([]byte, 10), 10)
			damage := verified(t, r, file, false)
			if len(damage) != 1 || damage[0].File.ID != file.ID {
				t.Fatalf("damage: %+v", damage)
			}
			if d := damage[0]; d.Missing() != test.missing || d.Replaced() != test.replaced {
				t.Errorf("missing %v, replaced %v: %v", d.Missing(), d.Replaced(), d.Reason)
			}
			for way, err := range map[string]error{"all": all, "verify": damage[0].Reason, "part": part, "at": at} {
				if test.parts && (way == "part" || way == "at") {
					if err != nil {
						t.Errorf("%s: %v", way, err)
					}
				} else if err == nil || !strings.Contains(err.Error(), test.says) {
					t.Errorf("%s: %v, want %q", way, err, test.says)
				}
			}
		})
	}
}

// TestWholeTouched checks that a part of a file with another time can be read if its digest is
// right.
func TestWholeTouched(t *testing.T) {
	w, file := wholeFake(t)
	path := w.atPath(t, &file)
	if err := os.Chtimes(path, time.Time{}, time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	r := w.reader(t)
	var part bytes.Buffer
	_, err := r.Open(t.Context(), file).WriteRange(&part, 5, 8)
	if err != nil || !bytes.Equal(part.Bytes(), w.content[5:8]) {
		t.Errorf("%d bytes: %v", part.Len(), err)
	}
	if damage := verified(t, r, file, false); len(damage) > 0 {
		t.Errorf("damage: %v", damage[0].Reason)
	}
}

// TestWholeAttested checks that a payload is not read if the store attests its digest.
func TestWholeAttested(t *testing.T) {
	w, file := wholeFake(t)
	places(t)["store"](w, &file)
	w.attested = true
	if damage := verified(t, w.reader(t), file, true); len(damage) > 0 || w.got != 0 {
		t.Errorf("%d reads, damage %v", w.got, damage)
	}
	w.attested = false
	if damage := verified(t, w.reader(t), file, true); len(damage) > 0 || w.got == 0 {
		t.Errorf("%d reads, damage %v", w.got, damage)
	}
	w.inStore[file.Digest] = append([]byte("x"), w.content[1:]...)
	damage := verified(t, w.reader(t), file, true)
	if len(damage) != 1 || !strings.Contains(damage[0].Reason.Error(), "payload is damaged") {
		t.Errorf("damage %v", damage)
	}
}

// TestWholeUnreadable checks that an unreachable store is not reported as damage.
func TestWholeUnreadable(t *testing.T) {
	w, file := wholeFake(t)
	places(t)["store"](w, &file)
	w.get = func(ingest.Digest) error { return ingest.ErrUnreachable }
	v := &Verifier{Reader: w.reader(t)}
	err := v.Verify(t.Context(), file, func(d Damage) { t.Errorf("damage: %v", d.Reason) })
	if !errors.Is(err, ingest.ErrUnreachable) {
		t.Errorf("error is %v", err)
	}
}
