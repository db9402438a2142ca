package safetensors_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"testing"

	"github.com/hartonomous/ingest/ingest/format/header/headertest"
	"github.com/hartonomous/ingest/ingest/format/safetensors"
	"github.com/hartonomous/ingest/ingest/format/safetensors/safetensorstest"
)

// wide returns a file whose header takes several windows, with text of all kinds across their
// borders.
func wide() []byte {
	file := safetensorstest.File{}
	for i := range 1_500 {
		file.Metadata = append(file.Metadata, fmt.Sprint("ключ\n", i), strings.Repeat("\U0001F600\\é", i%40))
		file.Tensors = append(file.Tensors, safetensorstest.Tensor{Name: strings.Repeat("ñ\"", i%20) + fmt.Sprint(i),
			Dtype: "F16", Shape: []uint64{uint64(i % 7), 3}})
	}
	return file.Bytes()
}

func TestWide(t *testing.T) {
	f := mustParse(t, wide())
	if f.DataOffset < 3*64<<10 {
		t.Errorf("the header has only %d bytes", f.DataOffset)
	}
}

func TestReadErrors(t *testing.T) {
	file := wide()
	f, err := parse(file)
	if err != nil {
		t.Fatal(err)
	}
	headertest.ReadErrors(t, file, f.DataOffset, 60, 29_989, func(src io.ReaderAt, size int64) (any, error) {
		return safetensors.Parse(src, size)
	})
}

// TestTruncated truncates a file at every byte. It is refused, and not as a read error.
func TestTruncated(t *testing.T) {
	file := sample()
	f := mustParse(t, file)
	for n := range int64(len(file)) {
		got, err := parse(file[:n])
		var e *safetensors.Error
		if !errors.As(err, &e) || e.Err != nil || e.Offset > n {
			t.Errorf("truncated to %d bytes: got %+v, %v", n, got, err)
			continue
		}
		if n > 8 && (e.Offset != n || !strings.Contains(e.Reason, "the file is truncated")) {
			t.Errorf("truncated to %d bytes: %v", n, err)
		}
	}
	for n := 1; n < 100; n++ {
		mustRefuse(t, append(bytes.Clone(file), make([]byte, n)...), int64(len(file)),
			fmt.Sprintf("%d bytes follow the last tensor", n))
	}
	if f.DataOffset%8 != 0 {
		t.Errorf("the data is at %d", f.DataOffset)
	}
}

// TestChanged changes each byte of a header. The file is refused, or valid.
func TestChanged(t *testing.T) {
	file := sample()
	f := mustParse(t, file)
	odd := []byte{0, ' ', '"', '0', '9', ',', '[', '}', '\\', 0x80, 0xff}
	for i := range f.DataOffset {
		for _, c := range []byte{odd[i%int64(len(odd))], file[i] ^ 1, file[i] ^ 0x20} {
			changed := bytes.Clone(file)
			changed[i] = c
			checkFuzzed(t, changed)
		}
	}
}

// TestReads: the header is read once, and nothing after it.
func TestReads(t *testing.T) {
	file := wide()
	f := mustParse(t, file)
	src := &counting{ReaderAt: bytes.NewReader(file)}
	if _, err := safetensors.Parse(src, int64(len(file))); err != nil {
		t.Fatal(err)
	}
	if src.bytes > f.DataOffset+1000 || src.end != f.DataOffset || src.largest > 64<<10 {
		t.Errorf("read %d bytes, %d at once, up to %d, of a header of %d", src.bytes, src.largest, src.end,
			f.DataOffset)
	}
}

// TestHuge parses a file of 2^63-1 bytes.
func TestHuge(t *testing.T) {
	const header = `{"a":{"dtype":"U8","shape":[%d],"data_offsets":[0,%d]}}`
	n := int64(math.MaxInt64) - 8 - int64(len(header)) - 2*(19-2)
	text := fmt.Sprintf(header, n, n)
	f, err := safetensors.Parse(bytes.NewReader(safetensorstest.Raw(text, nil)), math.MaxInt64)
	if err != nil || f.Tensors[0].Size != n {
		t.Errorf("%+v, %v", f, err)
	}
	_, err = safetensors.Parse(bytes.NewReader(nil), -1)
	if err == nil || !strings.Contains(err.Error(), "file size of -1 bytes") {
		t.Error(err)
	}
}

type counting struct {
	io.ReaderAt
	bytes, largest, end int64
}

func (c *counting) ReadAt(p []byte, at int64) (int, error) {
	n := int64(len(p))
	c.bytes, c.largest, c.end = c.bytes+n, max(c.largest, n), max(c.end, at+n)
	return c.ReaderAt.ReadAt(p, at)
}
