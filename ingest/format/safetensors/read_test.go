package safetensors_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"testing"

	"github.com/hartonomous/ingest/ingest/format/safetensors"
	"github.com/hartonomous/ingest/ingest/format/safetensors/safetensorstest"
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
			for from := int64(0); from < f.DataOffset; from += 1 + from%step(from, f.DataOffset) {
				got, err := safetensors.Parse(failing{bytes.NewReader(file), from, row.err}, size)
				var e *safetensors.Error
				if !errors.As(err, &e) || !errors.Is(err, row.wanted) || !strings.Contains(e.Reason, row.reason) {
					t.Fatalf("reads fail from %d on: got %+v, %v", from, got, err)
				}
				if e.Offset < from || e.Offset > f.DataOffset {
					t.Fatalf("reads fail from %d on, but the error is at %d: %v", from, e.Offset, err)
				}
			}
			if _, err := safetensors.Parse(failing{bytes.NewReader(file), f.DataOffset, row.err}, size); err != nil {
				t.Errorf("reads fail after the header: %v", err)
			}
		})
	}
}

// step returns the distance of the offsets to test: all near the ends of the header, few between.
func step(from, size int64) int64 {
	if from < 60 || from > size-60 {
		return 1
	}
	return 29_989
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
