package gguf_test

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/hartonomous/ingest/ingest/format/gguf"
	"github.com/hartonomous/ingest/ingest/format/gguf/gguftest"
)

var errDisk = errors.New("disk error")

// failing is a reader that fails from an offset on.
type failing struct {
	io.ReaderAt
	from int64
	err  error
}

func (f failing) ReadAt(p []byte, at int64) (int, error) {
	if at >= f.from {
		return 0, f.err
	}
	if at+int64(len(p)) > f.from {
		n, _ := f.ReaderAt.ReadAt(p[:f.from-at], at)
		return n, f.err
	}
	return f.ReaderAt.ReadAt(p, at)
}

// wide returns a file whose header takes several windows, with fields of all sizes across their
// borders.
func wide() gguftest.File {
	f := sample()
	f.KVs = append(f.KVs, gguftest.KV{Key: "vocabulary", Value: make([]string, 10_000)},
		gguftest.KV{Key: "numbers", Value: make([]uint32, 30_000)},
		gguftest.KV{Key: "template", Value: strings.Repeat("t", 100_000)})
	for _, i := range "abcdefghijklmnopqrstuvwxyz" {
		f.Tensors = append(f.Tensors, gguftest.Tensor{Name: strings.Repeat(string(i), 30), Shape: []uint64{9}})
	}
	return f
}

func TestReadErrors(t *testing.T) {
	file := wide().Bytes()
	f, err := parse(file)
	if err != nil {
		t.Fatal(err)
	}
	size := int64(len(file))
	for _, row := range []struct {
		name        string
		err, wanted error
		reason      string
	}{
		{"disk error", errDisk, errDisk, "cannot read"},
		{"file that shrank", io.EOF, io.ErrUnexpectedEOF, "the file shrank below its size"},
		{"reader that ends early", io.ErrUnexpectedEOF, io.ErrUnexpectedEOF, "cannot read"},
		{"reader without an error", nil, io.ErrUnexpectedEOF, "the file shrank below its size"},
	} {
		t.Run(row.name, func(t *testing.T) {
			for from := int64(0); from < f.HeaderSize; from += 1 + from%step(from, f.HeaderSize) {
				got, err := gguf.Parse(failing{bytes.NewReader(file), from, row.err}, size)
				var e *gguf.Error
				if !errors.As(err, &e) || !errors.Is(err, row.wanted) || !strings.Contains(e.Reason, row.reason) {
					t.Fatalf("reads fail from %d on: got %+v, %v", from, got, err)
				}
				if e.Offset < from || e.Offset > f.HeaderSize {
					t.Fatalf("reads fail from %d on, but the error is at %d: %v", from, e.Offset, err)
				}
			}
			if _, err := gguf.Parse(failing{bytes.NewReader(file), f.HeaderSize, row.err}, size); err != nil {
				t.Errorf("reads fail after the header: %v", err)
			}
		})
	}
}

// step returns the distance of the offsets to test: all near the ends of the header, few between.
func step(from, size int64) int64 {
	if from < 1000 || from > size-1000 {
		return 1
	}
	return 2999
}

// TestTruncated truncates a file at every byte. It is refused, and not as a read error, unless all
// tensors are complete.
func TestTruncated(t *testing.T) {
	file := sample().Bytes()
	whole, err := parse(file)
	if err != nil {
		t.Fatal(err)
	}
	last := whole.Tensors[len(whole.Tensors)-1]
	for n := range int64(len(file)) {
		f, err := parse(file[:n])
		var e *gguf.Error
		switch {
		case n >= last.Offset+last.Size:
			if err != nil {
				t.Errorf("truncated to %d bytes, after all tensors: %v", n, err)
			}
		case !errors.As(err, &e):
			t.Errorf("truncated to %d bytes: got %+v, %v", n, f, err)
		case e.Err != nil || e.Offset > min(n, whole.HeaderSize):
			t.Errorf("truncated to %d bytes: error at %d with cause %v", n, e.Offset, e.Err)
		}
	}
}

// TestReads: the header is read once, without the items of long arrays.
func TestReads(t *testing.T) {
	var r gguftest.Raw
	r.Start(3, 0, 2).KV("skipped", make([]float32, 3_000_000)).KV("last", uint8(1))
	src := &counting{ReaderAt: bytes.NewReader(r.Bytes)}
	if _, err := gguf.Parse(src, r.Len()); err != nil {
		t.Fatal(err)
	}
	if src.bytes > 128<<10 || src.largest > 64<<10 {
		t.Errorf("read %d bytes of a header with an array of 12 MB, %d at once", src.bytes, src.largest)
	}
	file := wide().Bytes()
	src = &counting{ReaderAt: bytes.NewReader(file)}
	if _, err := gguf.Parse(src, int64(len(file))); err != nil {
		t.Fatal(err)
	}
	if src.bytes > len(file)+len(file)/2 {
		t.Errorf("read %d bytes of a file of %d", src.bytes, len(file))
	}
}

type counting struct {
	io.ReaderAt
	bytes, largest int
}

func (c *counting) ReadAt(p []byte, at int64) (int, error) {
	c.bytes, c.largest = c.bytes+len(p), max(c.largest, len(p))
	return c.ReaderAt.ReadAt(p, at)
}
