package gguf_test

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/hartonomous/ingest/ingest/format/gguf"
	"github.com/hartonomous/ingest/ingest/format/gguf/gguftest"
	"github.com/hartonomous/ingest/ingest/format/header/headertest"
)

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
	headertest.ReadErrors(t, file, f.HeaderSize, 1000, 2999, func(src io.ReaderAt, size int64) (any, error) {
		return gguf.Parse(src, size)
	})
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
