// Package headertest has the tests that every parser of headers must pass.
package headertest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"runtime"
	"sort"
	"strings"
	"testing"

	"github.com/hartonomous/ingest/ingest/format/header"
)

// Parse parses the header of a file of size bytes.
type Parse func(src io.ReaderAt, size int64) (parsed any, err error)

// Refuse checks that err refuses an invalid file at an offset for a reason.
func Refuse(t *testing.T, parsed any, err error, at int64, reason string) {
	t.Helper()
	var refused *header.Error
	if !errors.As(err, &refused) {
		t.Fatalf("got %+v, %v; want it refused: %s", parsed, err, reason)
	}
	if !strings.Contains(refused.Reason, reason) {
		t.Errorf("reason %q does not contain %q", refused.Reason, reason)
	}
	if refused.Offset != at {
		t.Errorf("offset %d, want %d: %v", refused.Offset, at, err)
	}
	if want := fmt.Sprintf("offset %d: ", at); !strings.HasPrefix(err.Error(), want) {
		t.Errorf("message %q does not start with %q", err, want)
	}
	if refused.Err != nil {
		t.Errorf("an invalid file has the cause %v", refused.Err)
	}
	if strings.ContainsFunc(err.Error(), func(c rune) bool { return c < ' ' || c == 0x7f }) {
		t.Errorf("message %q has control characters", err)
	}
}

// ErrDisk is the error of a reader.
var ErrDisk = errors.New("disk error")

// Failing is a reader that fails with Err from offset From on.
type Failing struct {
	io.ReaderAt
	From int64
	Err  error
}

// ReadAt implements io.ReaderAt.
func (f Failing) ReadAt(p []byte, at int64) (int, error) {
	if at >= f.From {
		return 0, f.Err
	}
	if at+int64(len(p)) > f.From {
		n, _ := f.ReaderAt.ReadAt(p[:f.From-at], at)
		return n, f.Err
	}
	return f.ReaderAt.ReadAt(p, at)
}

// ReadErrors lets reads of a valid file fail from each of many offsets on. The header ends at byte end.
// All offsets within near bytes of its ends are tested, and between them some that are up to step bytes
// apart.
func ReadErrors(t *testing.T, file []byte, end, near, step int64, parse Parse) {
	size := int64(len(file))
	next := func(from int64) int64 {
		if from < near || from > end-near {
			return from + 1
		}
		return from + 1 + from%step
	}
	for _, row := range []struct {
		name        string
		err, wanted error
		reason      string
	}{
		{"disk error", ErrDisk, ErrDisk, "cannot read"},
		{"file that shrank", io.EOF, io.ErrUnexpectedEOF, "the file shrank below its size"},
		{"reader that ends early", io.ErrUnexpectedEOF, io.ErrUnexpectedEOF, "cannot read"},
		{"reader without an error", nil, io.ErrUnexpectedEOF, "the file shrank below its size"},
	} {
		t.Run(row.name, func(t *testing.T) {
			for from := int64(0); from < end; from = next(from) {
				got, err := parse(Failing{bytes.NewReader(file), from, row.err}, size)
				var e *header.Error
				if !errors.As(err, &e) || !errors.Is(err, row.wanted) || !strings.Contains(e.Reason, row.reason) {
					t.Fatalf("reads fail from %d on: got %+v, %v", from, got, err)
				}
				if e.Offset < from || e.Offset > end {
					t.Fatalf("reads fail from %d on, but the error is at %d: %v", from, e.Offset, err)
				}
			}
			if _, err := parse(Failing{bytes.NewReader(file), end, row.err}, size); err != nil {
				t.Errorf("reads fail after the header: %v", err)
			}
		})
	}
}

// MemoryLimit finds the smallest limit for the header of a file, and compares it with the memory used.
func MemoryLimit(t *testing.T, file []byte, parse func(limit int64) Parse) {
	size := int64(len(file))
	limit := int64(sort.Search(16<<20, func(n int) bool {
		_, err := parse(int64(n)+1)(bytes.NewReader(file), size)
		if err != nil && !errors.Is(err, header.ErrMemory) {
			t.Fatal(err)
		}
		return err == nil
	}) + 1)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	parsed, err := parse(limit)(bytes.NewReader(file), size)
	if err != nil {
		t.Fatal(err)
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	kept := int64(after.HeapAlloc) - int64(before.HeapAlloc)
	t.Logf("file %d bytes, limit %d, kept %d, allocated %d", size, limit, kept, after.TotalAlloc-before.TotalAlloc)
	if kept > limit || kept < limit/8 {
		t.Errorf("the header keeps %d bytes, but needs a limit of %d", kept, limit)
	}
	runtime.KeepAlive(parsed)
}

// Allocated returns the bytes that do allocates, freed or not.
func Allocated(do func()) int64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	do()
	runtime.ReadMemStats(&after)
	return int64(after.TotalAlloc - before.TotalAlloc)
}

// AddSmall adds a file to the fuzzer's corpus. It leaves out large files, which slow down the fuzzer.
func AddSmall(f *testing.F, file []byte) {
	if len(file) < 16<<10 {
		f.Add(file)
	}
}

// Fuzzed parses any file twice, and checks that the results are the same, that it took at most
// perByte bytes of memory for each byte of the file and 16 KiB, and that the file was refused at an
// offset for a reason, or can be shown as JSON.
func Fuzzed[File any](t *testing.T, file []byte, perByte int64, parse func([]byte) (*File, error)) (*File, error) {
	size := int64(len(file))
	var got *File
	var err error
	if took := Allocated(func() { got, err = parse(file) }); took > perByte*size+16<<10 {
		t.Errorf("allocated %d bytes for a file of %d", took, size)
	}
	again, errAgain := parse(file)
	if !reflect.DeepEqual(got, again) || !reflect.DeepEqual(err, errAgain) {
		t.Errorf("parsed twice: got %+v, %v, then %+v, %v", got, err, again, errAgain)
	}
	if err != nil {
		var e *header.Error
		if !errors.As(err, &e) || e.Offset < 0 || e.Offset > size || e.Reason == "" || e.Err != nil || got != nil {
			t.Errorf("refused with %#v, %+v", err, got)
		}
		return nil, err
	}
	if shown, err := json.Marshal(got); err != nil || !json.Valid(shown) {
		t.Errorf("no JSON: %v", err)
	}
	return got, nil
}
