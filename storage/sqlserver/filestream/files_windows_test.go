package filestream

import (
	"bytes"
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/windows"

	"github.com/hartonomous/ingest/storage"
)

// These tests call the double of a driver, testdata/msoledbsql.c, in the system folder of a Wine
// made by scripts/wine. TestWine runs them. On real Windows they are skipped: they must not reach a
// real driver.

// share is the folder that the double uses as the server.
type share struct {
	t      *testing.T
	folder string
	token  []byte
}

const pathBefore = `\\SERVER\MSSQLSERVER\v02-A60EC2F8-2B24-11DF-9CC3-AF2E56D89593\`

func newShare(t *testing.T) *share {
	t.Helper()
	base := os.Getenv("INGEST_FILESTREAM_FOLDER")
	if base == "" {
		t.Skip("INGEST_FILESTREAM_FOLDER is not set: TestWine runs this under Wine, on Linux")
	}
	s := &share{t: t, folder: filepath.Join(base, t.Name()), token: bytes.Repeat([]byte{0xa5, 0, 0xff, 7}, 4)}
	t.Setenv("INGEST_FILESTREAM_FOLDER", s.folder)
	for _, name := range []string{"files", "tokens", "busy"} {
		must(t, os.MkdirAll(filepath.Join(s.folder, name), 0o777))
	}
	s.allow(s.token)
	return s
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (s *share) put(folder, name string, content []byte) string {
	s.t.Helper()
	must(s.t, os.WriteFile(filepath.Join(s.folder, folder, name), content, 0o666))
	return pathBefore + name
}

// allow makes token that of an open transaction.
func (s *share) allow(token []byte) {
	s.t.Helper()
	s.put("tokens", fmt.Sprint(len(token)), token)
}

// busy makes the next calls fail with a sharing violation.
func (s *share) busy(times int) {
	for i := range times {
		s.put("busy", fmt.Sprint(i), nil)
	}
}

// log returns a line for each call of the double.
func (s *share) log() []string {
	s.t.Helper()
	log, err := os.ReadFile(filepath.Join(s.folder, "log"))
	must(s.t, err)
	return strings.Split(strings.TrimSuffix(string(log), "\n"), "\n")
}

func found(t *testing.T) *Driver {
	t.Helper()
	d, err := Find()
	must(t, err)
	return d
}

// openHandles returns the double's count.
func openHandles(t *testing.T, d *Driver) int {
	t.Helper()
	procedure := windows.NewLazySystemDLL(d.DLL).NewProc("IngestOpenHandles")
	must(t, procedure.Find())
	n, _, _ := procedure.Call()
	return int(n)
}

// plain is a transaction and a batch without a server. Only the files are real.
type plain struct {
	token []byte
	slots []Slot
}

func (plain) Begin(context.Context) error                     { return nil }
func (plain) Commit(context.Context) error                    { return nil }
func (plain) Rollback(context.Context)                        {}
func (plain) Insert(context.Context) error                    { return nil }
func (plain) Update(context.Context) error                    { return nil }
func (p plain) Slots(context.Context) ([]byte, []Slot, error) { return p.token, p.slots, nil }
func (p plain) Locate(context.Context) (t []byte, n string, err error) {
	return p.token, p.slots[0].Path, nil
}

var soon = storage.Policy{Attempts: 5, First: time.Millisecond}

// TestFind runs with each driver as the newest, and without any.
func TestFind(t *testing.T) {
	newShare(t)
	want := cmp.Or(os.Getenv("INGEST_TEST_DRIVER"), drivers[0])
	d, err := Find()
	if want != "none" {
		if err != nil || d.DLL != want {
			t.Fatalf("found %+v, %v, want %s", d, err, want)
		}
		return
	}
	if err == nil {
		t.Fatalf("found %s, but there is none", d.DLL)
	}
	for _, word := range append(drivers[:], "install Microsoft OLE DB Driver 19") {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("%q does not contain %q", err, word)
		}
	}
}

func TestStoreAndLoad(t *testing.T) {
	s, d := newShare(t), found(t)
	long := bytes.Repeat([]byte("0123456789abcdef"), 5<<20/16)
	payloads := map[string][]byte{"one": []byte("x"), "none": {}, "long": append(long, 1),
		"größe-😀": []byte("any name")}
	batch := plain{token: s.token}
	for _, name := range []string{"one", "none", "long", "größe-😀"} {
		batch.slots = append(batch.slots, Slot{Path: s.put("files", name, []byte("what was there before")),
			Payload: payloads[name]})
	}
	must(t, Store(t.Context(), batch, batch, d, soon))
	var want []string
	token := hex.EncodeToString(s.token)
	for _, slot := range batch.slots {
		name := strings.TrimPrefix(slot.Path, pathBefore)
		if got, err := os.ReadFile(filepath.Join(s.folder, "files", name)); err != nil ||
			!bytes.Equal(got, slot.Payload) {
			t.Errorf("%s holds %d bytes, %v", name, len(got), err)
		}
		want = append(want, "0 1 0 "+token+" NULL "+slot.Path+" | -")
	}
	for _, slot := range batch.slots {
		buffer := make([]byte, len(slot.Payload))
		must(t, Load(t.Context(), batch, plain{s.token, []Slot{slot}}.Locate, buffer, d, soon))
		if !bytes.Equal(buffer, slot.Payload) {
			t.Errorf("%s: read something else", slot.Path)
		}
		want = append(want, "0 0 8 "+token+" NULL "+slot.Path+" | -")
	}
	if got := s.log(); strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("the driver was called with\n%s\nwant error, access, options, token, size, path:\n%s",
			strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if n := openHandles(t, d); n != 0 {
		t.Errorf("%d files are open", n)
	}
}

func TestLoadSize(t *testing.T) {
	s, d := newShare(t), found(t)
	p := plain{s.token, []Slot{{Path: s.put("files", "a", []byte("four"))}}}
	for _, size := range []int{0, 3, 5} {
		if err := Load(t.Context(), p, p.Locate, make([]byte, size), d, soon); !errors.Is(err, ErrSize) {
			t.Errorf("buffer of %d: %v", size, err)
		}
	}
}

// The token arrives byte for byte, whatever its length.
func TestToken(t *testing.T) {
	s, d := newShare(t), found(t)
	path := s.put("files", "a", nil)
	for _, size := range []int{1, 16, 17, 128} {
		token := append(bytes.Repeat([]byte{7}, size-1), 0)
		s.allow(token)
		file, err := d.Open(path, Write, token)
		must(t, err)
		must(t, file.Close())
		// A token that differs in one byte or in length is of no transaction.
		for _, other := range [][]byte{append(bytes.Clone(token), 7), append(bytes.Clone(token[:size-1]), 1),
			token[:size-1]} {
			_, err := d.Open(path, Write, other)
			wantCode(t, err, invalidParameter, path)
		}
	}
}

// wantCode also checks that the error names the call and the path.
func wantCode(t *testing.T, err error, code uint32, path string) {
	t.Helper()
	e, ok := errors.AsType[*Error](err)
	if !ok || e.Code != code || e.Path != path || !errors.Is(err, windows.Errno(code)) {
		t.Fatalf("%v, want Win32 error %d of %s", err, code, path)
	}
	for _, word := range []string{e.Call, path, fmt.Sprint("error ", code), hints[code]} {
		if word == "" || !strings.Contains(err.Error(), word) {
			t.Errorf("%q does not contain %q", err, word)
		}
	}
}

func TestRefusals(t *testing.T) {
	s, d := newShare(t), found(t)
	path := s.put("files", "a", nil)
	for _, path := range []string{pathBefore + "missing"} {
		_, err := d.Open(path, Read, s.token)
		wantCode(t, err, fileNotFound, path)
	}
	for _, path := range []string{`C:\a`, "", pathBefore, pathBefore + `a\b`} {
		if _, err := d.Open(path, Write, s.token); err == nil {
			t.Errorf("%q was opened", path)
		}
	}
	if _, err := d.Open("a\x00b", Write, s.token); err == nil {
		t.Error("a path with a zero byte was opened")
	}
	_, err := d.Open(path, 3, s.token)
	wantCode(t, err, invalidParameter, path)
	_, err = d.Open(path, Write, nil)
	wantCode(t, err, invalidParameter, path)
	if n := openHandles(t, d); n != 0 {
		t.Errorf("%d files are open", n)
	}
}

func TestBusy(t *testing.T) {
	s, d := newShare(t), found(t)
	batch := plain{s.token, []Slot{{Path: s.put("files", "a", nil), Payload: []byte("payload")}}}
	s.busy(4)
	must(t, Store(t.Context(), batch, batch, d, soon))
	if log := s.log(); len(log) != 5 || !strings.HasPrefix(log[3], "32 1 0 ") {
		t.Errorf("calls:\n%s", strings.Join(log, "\n"))
	}
	s.busy(5)
	err := Store(t.Context(), batch, batch, d, soon)
	if gave, ok := errors.AsType[*storage.GaveUpError](err); !ok || gave.Attempts != 5 {
		t.Errorf("after five refusals: %v", err)
	}
	wantCode(t, err, sharingViolation, batch.slots[0].Path)
}

// A file that is open is refused to a second writer and to a reader.
func TestSharing(t *testing.T) {
	s, d := newShare(t), found(t)
	path := s.put("files", "a", nil)
	file, err := d.Open(path, Write, s.token)
	must(t, err)
	if n := openHandles(t, d); n != 1 {
		t.Errorf("%d files are open", n)
	}
	for _, access := range []Access{Read, Write} {
		_, err := d.Open(path, access, s.token)
		wantCode(t, err, sharingViolation, path)
		if e, _ := errors.AsType[*Error](err); !e.Busy() || !storage.IsTransient(err) {
			t.Errorf("%v is not transient", err)
		}
	}
	must(t, file.Close())
}

// Each error names the call, and a closed handle is not used again.
func TestHandle(t *testing.T) {
	s, d := newShare(t), found(t)
	path := s.put("files", "a", []byte("abc"))
	file, err := d.Open(path, Read, s.token)
	must(t, err)
	_, err = file.Write([]byte("x"))
	wantCode(t, err, accessDenied, path)
	buffer := make([]byte, 2)
	for _, want := range []string{"ab", "c"} {
		if n, err := file.Read(buffer); err != nil || string(buffer[:n]) != want {
			t.Errorf("read %q, %v, want %q", buffer[:n], err, want)
		}
	}
	for range 2 {
		if n, err := file.Read(buffer); n != 0 || err != io.EOF {
			t.Errorf("at the end: %d bytes, %v", n, err)
		}
	}
	must(t, file.Close())

	// Windows reuses numbers of handles: the second Close must not close the other file.
	other, err := d.Open(path, Write, s.token)
	must(t, err)
	if err := file.Close(); !errors.Is(err, os.ErrClosed) {
		t.Errorf("closed twice: %v", err)
	}
	_, err = file.Read(buffer)
	wantCode(t, err, invalidHandle, path)
	if n, err := other.Write([]byte("new")); n != 3 || err != nil {
		t.Errorf("wrote %d bytes, %v", n, err)
	}
	_, err = other.Read(buffer)
	wantCode(t, err, accessDenied, path)
	must(t, other.Flush())
	must(t, other.Close())
	err = other.Flush()
	wantCode(t, err, invalidHandle, path)
}
