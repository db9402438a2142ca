package sqlserver

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/storage"
	"github.com/hartonomous/ingest/storage/sqlserver/filestream"
	"github.com/hartonomous/ingest/storage/sqlserver/tdstest"
)

// name identifies a row's payload in the FileStream.
func (s spot) name() string { return fmt.Sprint(s) }

// streamed is a double with FILESTREAM payloads. It also replaces the driver that opens them.
type streamed struct {
	*double
	step func(step string) error // called before each step with a file; may be nil
}

func newStreamed(t *testing.T) (*streamed, *Catalog) {
	t.Helper()
	s := &streamed{double: newDouble(t)}
	s.streams = s.FileStream()
	s.streams.AnyLogin = true // the test cannot log in with Windows authentication
	s.Handle("/* ingest: token */", func(req *tdstest.Request) (tdstest.Result, error) {
		return tdstest.Rows("a varbinary(128)", []any{s.streams.Token(req)}), nil
	})
	s.Handle("/* ingest: new-paths */", s.newPaths)
	s.Handle("/* ingest: locate-payload-", s.locatePayload)
	c := s.open(t)
	c.engine.access.files = s
	c.engine.sharing = storage.Policy{Attempts: 4, First: time.Millisecond}
	return s, c
}

// newPaths takes empty payloads for new ones.
func (s *streamed) newPaths(req *tdstest.Request) (tdstest.Result, error) {
	rows, err := s.batch(req, false)
	var paths [][]any
	for _, r := range rows {
		if len(s.streams.Payload(r.place.name())) == 0 {
			paths = append(paths, []any{r.number, s.streams.Path(r.place.name())})
		}
	}
	return tdstest.Rows("a int, b nvarchar(400)", paths...), err
}

func (s *streamed) locatePayload(req *tdstest.Request) (tdstest.Result, error) {
	at := spot{layer: tdstest.Get[int64](req, "p2"), ordinal: tdstest.Get[int64](req, "p3")}
	if strings.Contains(req.SQL, "locate-payload-file") {
		at.layer, at.file = 0, tdstest.Get[int64](req, "p5")
	}
	var found [][]any
	if _, exists := s.segments.Get(at); exists {
		found = append(found, []any{s.streams.Path(at.name()), int64(len(s.streams.Payload(at.name())))})
	}
	return tdstest.Rows("a nvarchar(400), b bigint", found...), nil
}

func (s *streamed) before(step string) error {
	if s.step == nil {
		return nil
	}
	return s.step(step)
}

// Open implements filestream.Files.
func (s *streamed) Open(path string, access filestream.Access, token []byte) (filestream.Handle, error) {
	if err := s.before("open"); err != nil {
		return nil, err
	}
	file, err := s.streams.Open(path, tdstest.Access(access), token)
	if number, ok := errors.AsType[tdstest.Win32Error](err); ok {
		return nil, win32(uint32(number))
	}
	return &streamedFile{file, s}, err
}

// win32 is a Windows error. Its cause is a syscall.Errno, which is also a net.Error.
func win32(code uint32) error {
	return &filestream.Error{Call: "OpenSqlFilestream", Path: "x", Code: code, Err: syscall.Errno(code)}
}

type streamedFile struct {
	*tdstest.Handle
	s *streamed
}

func (f *streamedFile) Flush() error { return f.s.before("flush") }

func (f *streamedFile) Write(data []byte) (int, error) {
	if err := f.s.before("write"); err != nil {
		return 0, err
	}
	return f.Handle.Write(data)
}

func (f *streamedFile) Close() error { return errors.Join(f.Handle.Close(), f.s.before("close")) }

func TestFilesTransientFaults(t *testing.T) {
	faults := map[string]tdstest.Fault{
		"deadlock at the paths": {At: tdstest.BeforeEffect, Match: "/* ingest: new-paths */",
			Do: tdstest.Fail(tdstest.Err(1205))},
		"reset after the paths": {At: tdstest.AfterEffect, Match: "/* ingest: new-paths */",
			Do: tdstest.Reset()},
		"dropped at the token": {At: tdstest.AfterEffect, Match: "/* ingest: token */", Do: tdstest.Drop()},
		"reset before the rows": {At: tdstest.BeforeEffect, Match: "/* ingest: add-tensor-segments */",
			Do: tdstest.Reset()},
		"reset when payloads are written": {At: tdstest.BeforeEffect, Match: "/* ingest: advance */",
			Do: tdstest.Reset()},
		"stall when payloads are written": {At: tdstest.BeforeEffect, Match: "/* ingest: advance */",
			Do: tdstest.Stall()},
		"deadlock at the fence, two times": {At: tdstest.BeforeEffect, Match: "/* ingest: fence */", Times: 2,
			Do: tdstest.Fail(tdstest.Err(1205))},
	}
	for name, fault := range transientFaults {
		faults[name] = fault
	}
	for name, fault := range faults {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, c := newStreamed(t)
			s.recordDespite(t, c, fault, true)
		})
	}
}

// Some Windows errors are transient, others are not.
func TestFilesRefused(t *testing.T) {
	for name, c := range map[string]struct {
		code      uint32
		transient bool
		hint      string
	}{
		"broken network": {64, true, ""}, "in use": {32, true, ""}, "volume full": {112, false, "make room"},
		"access denied": {5, false, "only Windows logins"},
	} {
		for _, step := range []string{"open", "write", "flush", "close"} {
			t.Run(name+" "+step, func(t *testing.T) {
				t.Parallel()
				s, catalog := newStreamed(t)
				var seen atomic.Int32
				s.step = func(now string) error {
					if now == step && seen.Add(1) == 3 {
						return win32(c.code)
					}
					return nil
				}
				err := s.record(t.Context(), catalog, true)
				if c.transient != (err == nil) || !c.transient && (storage.IsTransient(err) ||
					!strings.Contains(err.Error(), c.hint)) {
					t.Fatal(err)
				}
				s.check(t, true, c.transient)
				if err := s.record(t.Context(), catalog, true); err != nil {
					t.Fatal(err)
				}
				s.check(t, true, true)
			})
		}
	}
}

func TestFilesBusy(t *testing.T) {
	s, c := newStreamed(t)
	s.streams.Busy(3)
	if err := s.record(t.Context(), c, true); err != nil {
		t.Fatal(err)
	}
	s.check(t, true, true)
	if n := s.begun(); n != 1 {
		t.Errorf("%d transactions for files that were busy for a moment", n)
	}
}

// begun returns the number of transactions.
func (s *streamed) begun() (n int) {
	for _, entry := range s.Log() {
		if entry.SQL == "BEGIN TRANSACTION" {
			n++
		}
	}
	return n
}

// If a file is in use for too long, the transaction is rolled back and retried.
func TestFilesBusyForLong(t *testing.T) {
	s, c := newStreamed(t)
	s.streams.Busy(10)
	if err := s.record(t.Context(), c, true); err != nil {
		t.Fatal(err)
	}
	s.check(t, true, true)
	if n := s.begun(); n != 3 {
		t.Errorf("%d transactions for ten refusals, with four attempts each", n)
	}
}

func TestFilesBusyWithoutEnd(t *testing.T) {
	s, c := newStreamed(t)
	s.streams.Busy(1 << 30)
	err := s.record(t.Context(), c, true)
	if _, ok := errors.AsType[*storage.GaveUpError](err); !ok {
		t.Error(err)
	}
	s.check(t, true, false)
}

func TestFilesLeaseLost(t *testing.T) {
	s, c := newStreamed(t)
	s.Handle("/* ingest: fence */", affected(0))
	if err := s.record(t.Context(), c, true); !errors.Is(err, ingest.ErrLeaseLost) {
		t.Error(err)
	}
	s.check(t, true, false)
}

func TestFilesCancelled(t *testing.T) {
	for _, at := range []string{"open", "write", "flush", "close"} {
		t.Run(at, func(t *testing.T) {
			s, c := newStreamed(t)
			ctx, cancel := context.WithCancel(t.Context())
			s.step = func(step string) error {
				if step == at {
					cancel()
				}
				return nil
			}
			if err := s.record(ctx, c, true); !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
			s.check(t, true, false)
			s.step = nil
			if err := s.record(t.Context(), c, true); err != nil {
				t.Fatal(err)
			}
			s.check(t, true, true)
		})
	}
}

// A panic while a file is open leaves no file and no transaction open, and no connection in doubt.
func TestFilesPanic(t *testing.T) {
	s, c := newStreamed(t)
	s.step = func(step string) error {
		if step == "write" {
			panic(step)
		}
		return nil
	}
	func() {
		defer func() {
			if recover() != "write" {
				t.Error("it did not panic")
			}
		}()
		s.record(t.Context(), c, true)
	}()
	s.check(t, true, false)
	s.step = nil
	if err := s.record(t.Context(), c, true); err != nil {
		t.Fatal(err)
	}
	s.check(t, true, true)
}

// A row without a path is noticed.
func TestFilesMissing(t *testing.T) {
	s, c := newStreamed(t)
	s.Handle("/* ingest: new-paths */", func(req *tdstest.Request) (tdstest.Result, error) {
		result, err := s.newPaths(req)
		result.Sets[0].Rows = result.Sets[0].Rows[1:]
		return result, err
	})
	if err := s.record(t.Context(), c, true); err == nil || !strings.Contains(err.Error(),
		"5 rows were inserted, but 4 have a file") {
		t.Error(err)
	}
	s.check(t, true, false)
}

func TestFilesRead(t *testing.T) {
	s, c := newStreamed(t)
	if err := s.record(t.Context(), c, true); err != nil {
		t.Fatal(err)
	}
	stored := func(i int) ingest.StoredSegment {
		r := theBatch(true).Segments[i]
		return ingest.StoredSegment{RowID: 1, File: theFile, Layer: r.Layer, Ordinal: r.Ordinal, Bytes: r.Bytes,
			Digest: r.Digest}
	}
	for i, r := range theBatch(true).Segments {
		s.streams.Busy(i % 2)
		got := make([]byte, r.Bytes)
		if err := c.ReadPayload(t.Context(), stored(i), got); err != nil || string(got) != string(r.Payload) {
			t.Errorf("segment %d is %q, %v", i, got, err)
		}
	}
	for _, size := range []int{0, 1, 3, 1 << 20} {
		var wrong *ingest.SizeError
		if err := c.ReadPayload(t.Context(), stored(1), make([]byte, size)); !errors.As(err, &wrong) ||
			storage.IsTransient(err) {
			t.Errorf("into %d bytes: %v", size, err)
		}
	}
	missing := stored(1)
	missing.Ordinal = 99
	if err := c.ReadPayload(t.Context(), missing, make([]byte, missing.Bytes)); !errors.Is(err, ingest.ErrNotFound) ||
		storage.IsTransient(err) {
		t.Errorf("no row: %v", err)
	}
	s.Inject(tdstest.Fault{At: tdstest.AfterEffect, Match: "/* ingest: token */", Do: tdstest.Reset()})
	buffer := make([]byte, stored(1).Bytes)
	if err := c.ReadPayload(t.Context(), stored(1), buffer); err != nil {
		t.Error(err)
	}
	s.Handle("/* ingest: locate-payload-", func(req *tdstest.Request) (tdstest.Result, error) {
		return tdstest.Rows("a nvarchar(400), b bigint", []any{nil, int64(0)}), nil
	})
	if err := c.ReadPayload(t.Context(), stored(1), buffer); !errors.Is(err, ingest.ErrNoPayload) {
		t.Error(err)
	}
	if !s.WaitIdle(10*time.Second) || s.streams.OpenHandles() != 0 {
		t.Error("something was left open")
	}
}
