//go:build linux && amd64

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hartonomous/ingest/storage/sqlserver"
	"github.com/hartonomous/ingest/storage/sqlserver/tdstest"
	"github.com/hartonomous/ingest/storage/sqlserver/tdstest/tables"
)

// filestream has the program for Windows keep payloads as FILESTREAM, with all of its own code: go-mssqldb with the
// login of Windows, the choice of way, the order of a batch, and OpenSqlFilestream called in a DLL. What is
// doubled is the DLL, compiled against Microsoft's header, the server, and the package that logs in. So this
// verifies calls and order; SQL Server on Windows it is not.
func (w *windows) filestream(t *testing.T) {
	t.Run("main job", w.streamed)
	t.Run("open elsewhere", w.busy)
	t.Run("impossible", w.unstreamed)
	t.Run("prerequisites", w.prerequisites)
	t.Run("broken on purpose", w.broken)
	for _, moment := range []struct {
		name, match string
		at          tdstest.Point
	}{
		{"killed before the token is known", "/* ingest: token */", tdstest.BeforeEffect},
		{"killed when the files could be opened", "/* ingest: token */", tdstest.AfterEffect},
		{"killed when the files are written", "/* ingest: advance */", tdstest.BeforeEffect},
		{"killed before COMMIT", "/* ingest: advance */", tdstest.AfterEffect},
	} {
		t.Run(moment.name, func(t *testing.T) { w.killedStreaming(t, moment.at, moment.match) })
	}
}

// shared is a double of the server with FILESTREAM, and of what a client needs for it.
type shared struct {
	*tdstest.Server
	*tables.Tables
	folder string
}

var _ database = shared{}

func newShared(t *testing.T) shared {
	s := shared{Server: tdstest.Start(t), folder: t.TempDir()}
	s.Tables = tables.New(t, s.Server, s.folder)
	return s
}

func (s shared) address() string {
	return "sqlserver://" + s.Addr() + "?database=Hartonomous&encrypt=disable"
}

// env, clear, written and outlive are for tests of the program of this system.
func (s shared) env() []string                      { return []string{"INGEST_CATALOG=" + s.DSN()} }
func (s shared) clear() error                       { return errors.ErrUnsupported }
func (s shared) written() string                    { return "" }
func (s shared) outlive(context.Context, int) error { return nil }

func (s shared) open(ctx context.Context) (catalogue, error) {
	return sqlserver.Open(ctx, s.DSN(), sqlserver.Settings{Filestream: sqlserver.TSQL})
}

// home is where the program uses the double, as a user of Windows.
func (s shared) home(t *testing.T, w *windows, way string) windowsHome {
	return windowsHome{T: t, windows: w, box: box{TB: t, server: s},
		env:   []string{"INGEST_FILESTREAM_FOLDER=" + windowsPath(s.folder)},
		flags: []string{"--catalog", s.address(), "--store", inRows, "--filestream", way, "--log-level", "info"}}
}

// opened counts the calls of OpenSqlFilestream that the DLL let through, for reading and for writing.
func (s shared) opened(t *testing.T) (reads, writes int) {
	t.Helper()
	log, err := os.ReadFile(filepath.Join(s.folder, "log"))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(log)) {
		switch {
		case strings.HasPrefix(line, "0 0 8 "): // no error, read, sequentially
			reads++
		case strings.HasPrefix(line, "0 1 0 "):
			writes++
		default:
			t.Errorf("OpenSqlFilestream refused: %s", line)
		}
	}
	return reads, writes
}

// payloads counts the rows and the bytes of the payloads in them.
func (s shared) payloads() (rows, bytes int) {
	s.Row(s.Server, `SELECT COUNT(*), COALESCE(SUM(LENGTH(RawPayload)), 0)
		FROM (SELECT RawPayload FROM LayerTensorSegments UNION ALL SELECT RawPayload FROM FileSegments)`,
		&rows, &bytes)
	return rows, bytes
}

// settled makes sure that nothing of a transaction was left.
func (s shared) settled(t *testing.T) {
	t.Helper()
	if !s.WaitIdle(time.Minute) {
		t.Error("a transaction is open")
	}
	for _, folder := range []string{"files", "tokens"} {
		if left, err := os.ReadDir(filepath.Join(s.folder, folder)); err != nil || len(left) > 0 {
			t.Errorf("%s holds %v, %v", folder, left, err)
		}
	}
}

func (w *windows) streamed(t *testing.T) {
	s := newShared(t)
	h := s.home(t, w, "win32")
	taken := h.run(exitDone, "models", windowsPath(w.sample))
	h.want(taken, map[string]int64{"taken": 2, "refused": 0})
	if !strings.Contains(taken.stderr, "OpenSqlFilestream of msoledbsql19.dll") {
		t.Errorf("it does not say that payloads went the way of files:\n%s", taken.stderr)
	}
	s.settled(t)
	rows, bytes := s.payloads()
	if reads, writes := s.opened(t); reads != 0 || writes != rows || rows == 0 || bytes != 2*153472 {
		t.Errorf("%d files were written and %d read for %d rows with %d bytes", writes, reads, rows, bytes)
	}
	for _, login := range s.Logins() {
		if !login.Integrated || login.User != "" || !strings.HasPrefix(login.Token, "NTLMSSP\x00\x01") {
			t.Errorf("logged in as %+v", login)
		}
	}

	h.want(h.run(exitDone, "models", windowsPath(w.sample)), map[string]int64{"taken": 0, "skipped": 2,
		"bytes_read": 0})
	h.want(h.run(exitDone, "verify"), map[string]int64{"models": 2, "damaged": 0, "not_verified": 0})
	if reads, _ := s.opened(t); reads != rows {
		t.Errorf("verify read %d files of %d", reads, rows)
	}
	h.exported("tiny", filepath.Join(t.TempDir(), "restored.gguf"), w.files["tiny.gguf"])
	before, _ := s.opened(t)
	h.want(h.run(exitDone, "verify", "--server"), map[string]int64{"models": 2, "damaged": 0, "not_verified": 0})
	after, writes := s.opened(t)
	if after != before || writes != rows {
		t.Errorf("verify --server read %d files, and %d were written in all", after-before, writes)
	}
	s.settled(t)
	if r := h.looked(w.sample, w.files); len(r.models) != 2 || r.open != 0 {
		t.Errorf("%d models, %d of them open", len(r.models), r.open)
	}

	// Damage in a row is found and repaired, as a file as well.
	var damaged int
	s.Row(s.Server, `UPDATE LayerTensorSegments SET RawPayload = x'00'
		WHERE LayerTensorSegmentId = (SELECT MIN(s.LayerTensorSegmentId) FROM LayerTensorSegments AS s
		INNER JOIN ModelLayers AS l ON l.LayerId = s.LayerId INNER JOIN Models AS m ON m.ModelId = l.ModelId
		WHERE m.ModelName = 'tiny') RETURNING 1`, &damaged)
	h.want(h.run(exitDamage, "verify"), map[string]int64{"damaged": 1})
	h.want(h.run(exitDone, "verify", "tiny", "--repair", windowsPath(filepath.Join(w.sample, "tiny.gguf"))),
		map[string]int64{"damaged": 0, "repaired": 1})
	if _, repaired := s.opened(t); repaired != writes+1 {
		t.Errorf("%d files were written to mend one payload", repaired-writes)
	}
	h.want(h.run(exitDone, "verify"), map[string]int64{"damaged": 0})
}

// busy has files be open elsewhere for a moment.
func (w *windows) busy(t *testing.T) {
	s := newShared(t)
	for _, name := range []string{"1", "2", "3"} {
		if err := os.WriteFile(filepath.Join(s.folder, "busy", name), nil, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	h := s.home(t, w, "auto")
	h.want(h.run(exitDone, "models", windowsPath(w.sample)), map[string]int64{"taken": 2})
	log, err := os.ReadFile(filepath.Join(s.folder, "log"))
	if n := strings.Count("\n"+string(log), "\n32 "); err != nil || n != 3 {
		t.Errorf("%d sharing violations, %v", n, err)
	}
	h.want(h.run(exitDone, "verify"), map[string]int64{"models": 2, "damaged": 0})
	s.settled(t)
}

// unstreamed asks for what cannot be, and is told what is missing; left to choose, the program takes parameters.
func (w *windows) unstreamed(t *testing.T) {
	s := newShared(t)
	h := s.home(t, w, "win32")
	login := s.home(t, w, "win32")
	login.flags[1] = s.DSN()
	if e := login.run(exitFailed, "models", windowsPath(w.sample)); !strings.Contains(e.stderr,
		"the login is not the one of Windows") {
		t.Errorf("a SQL login: %s", e.stderr)
	}
	h.env = append(h.env, "WINEDLLOVERRIDES=msoledbsql19,msoledbsql,sqlncli11=")
	if e := h.run(exitFailed, "models", windowsPath(w.sample)); !strings.Contains(e.stderr,
		"install Microsoft OLE DB Driver 19") {
		t.Errorf("no driver: %s", e.stderr)
	}
	h.flags = s.home(t, w, "auto").flags
	e := h.run(exitDone, "models", windowsPath(w.sample))
	h.want(e, map[string]int64{"taken": 2})
	if !strings.Contains(e.stderr, "by T-SQL parameters") || !strings.Contains(e.stderr,
		"install Microsoft OLE DB Driver 19") {
		t.Errorf("it does not say which way it takes and why:\n%s", e.stderr)
	}
	if reads, writes := s.opened(t); reads != 0 || writes != 0 {
		t.Errorf("%d files were read and %d written", reads, writes)
	}
	s.settled(t)
}

// prerequisites are listed with what the client has, and what the server says.
func (w *windows) prerequisites(t *testing.T) {
	s := newShared(t)
	empty := func(*tdstest.Request) (tdstest.Result, error) {
		return tdstest.Rows("a nvarchar(128), b int, c int, d int, e nvarchar(128)"), nil
	}
	// as of a database without tables
	for _, marker := range []string{"find-columns", "find-defaults", "find-indexes", "find-keys"} {
		s.Handle("/* ingest: "+marker+" */", empty)
	}
	s.Handle("/* ingest: check-part */", func(*tdstest.Request) (tdstest.Result, error) {
		return tdstest.Rows("a nvarchar(400)", []any{"something is missing"}), nil
	})
	s.Handle("/* ingest: filestream */", func(req *tdstest.Request) (tdstest.Result, error) {
		kind := "SQL"
		if req.Session.Login().Integrated {
			kind = "NTLM"
		}
		return tdstest.Rows("a int, b int, c nvarchar(256), d nvarchar(128), e nvarchar(260), f nvarchar(40), g "+
			"nvarchar(40)",
			[]any{1, 1, "MSSQLSERVER", "HartonomousFileStream", `D:\Data\fs`, kind, "TCP"}), nil
	})
	for _, test := range []struct{ address, hide, want string }{
		{s.address(), "", "instance false, share true, filegroup true, login true, driver true, "},
		{s.DSN(), "msoledbsql19,msoledbsql,sqlncli11=",
			"instance false, share true, filegroup true, login false, driver false, "},
	} {
		h := s.home(t, w, "auto")
		h.flags[1] = test.address
		h.env = append(h.env, "WINEDLLOVERRIDES="+test.hide)
		got := ""
		for _, line := range h.run(exitFailed, "schema", "check", "--with", "filestream").lines {
			if line["event"] == "prerequisite" {
				got += fmt.Sprint(line["name"], " ", line["ok"], ", ")
			}
		}
		if got != test.want {
			t.Errorf("got %s\nwant %s", got, test.want)
		}
	}
}

// killedStreaming has the program killed in the midst of its second batch, and then run again.
func (w *windows) killedStreaming(t *testing.T, at tdstest.Point, match string) {
	s := newShared(t)
	h := s.home(t, w, "win32")
	stall := s.Inject(tdstest.Fault{At: at, Match: match, Do: tdstest.Stall(), Skip: 1})
	run := h.command("models", windowsPath(w.sample), "--jobs", "1")
	if err := run.Start(); err != nil {
		t.Fatal(err)
	}
	select {
	case <-stall.Struck():
	case <-time.After(time.Minute):
		t.Fatal("there was no second batch")
	}
	run.Process.Kill()
	if err := run.Wait(); err == nil {
		t.Fatal("it was not killed")
	}
	// as Windows does: Wine's server may keep the connection of a process that is no more
	for _, session := range s.Sessions() {
		s.Kill(session.ID)
	}
	s.settled(t)
	left := h.looked(w.sample, w.files) // and what is recorded is there, whole
	rows, bytes := s.payloads()
	if left.recorded == 0 || int64(bytes) != left.recorded {
		t.Errorf("%d rows have %d bytes, and %d are recorded", rows, bytes, left.recorded)
	}
	resumed := h.run(exitDone, "resume")
	h.want(resumed, map[string]int64{"taken": 1, "refused": 0})
	h.want(h.run(exitDone, "verify"), map[string]int64{"models": 2, "damaged": 0, "not_verified": 0})
	h.exported("tiny", filepath.Join(t.TempDir(), "restored.gguf"), w.files["tiny.gguf"])
	s.settled(t)
}
