//go:build linux && amd64

package main

import (
	"context"
	"database/sql"
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

// filestream runs the program for Windows with payloads in FILESTREAM. Its own code is complete:
// go-mssqldb with a Windows login, the payload mode, the order of a batch, and calls of
// OpenSqlFilestream in a DLL. Test doubles are the DLL, compiled against Microsoft's header, the
// server, and the login package. So this verifies calls and order, but not SQL Server on Windows.
func (w *windows) filestream(t *testing.T) {
	t.Run("main job", w.asFiles)
	t.Run("open elsewhere", w.busy)
	t.Run("impossible", w.asFilesImpossible)
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
		t.Run(moment.name, func(t *testing.T) { w.killedAsFiles(t, moment.at, moment.match) })
	}
}

// serverDouble is a double of a server with FILESTREAM, and of the client's DLLs.
type serverDouble struct {
	*tdstest.Server
	*tables.Tables
	folder string
}

var _ database = serverDouble{}

func newServerDouble(t *testing.T) serverDouble {
	s := serverDouble{Server: tdstest.Start(t), folder: t.TempDir()}
	s.Tables = tables.New(t, s.Server, s.folder)
	return s
}

func (s serverDouble) address() string {
	return "sqlserver://" + s.Addr() + "?database=Hartonomous&encrypt=disable"
}

// The tests of the Windows program do not use env, clear, version and drain.
func (s serverDouble) env() []string                    { return []string{"INGEST_CATALOG=" + s.DSN()} }
func (s serverDouble) clear() error                     { return errors.ErrUnsupported }
func (s serverDouble) version() string                  { return "" }
func (s serverDouble) drain(context.Context, int) error { return nil }

func (s serverDouble) outside(ctx context.Context, do func(*outside)) (err error) {
	s.Conn(s.Server, func(conn *sql.Conn) { err = within(ctx, conn, false, do) })
	return err
}

func (s serverDouble) open(ctx context.Context) (catalogue, error) {
	return sqlserver.Open(ctx, s.DSN(), sqlserver.Settings{Filestream: sqlserver.TSQL})
}

// home returns a windowsHome whose catalogue is the double.
func (s serverDouble) home(t *testing.T, w *windows, mode string) windowsHome {
	return windowsHome{T: t, windows: w, box: box{TB: t, server: s},
		env:   []string{"INGEST_FILESTREAM_FOLDER=" + windowsPath(s.folder)},
		flags: []string{"--catalog", s.address(), "--store", inRows, "--filestream", mode, "--log-level", "info"}}
}

// opened counts the successful calls of OpenSqlFilestream, for reading and for writing.
func (s serverDouble) opened(t *testing.T) (reads, writes int) {
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

// payloads counts the rows with payloads, and the bytes of these.
func (s serverDouble) payloads() (rows, bytes int) {
	s.Row(s.Server, `SELECT COUNT(*), COALESCE(SUM(LENGTH(RawPayload)), 0)
		FROM (SELECT RawPayload FROM LayerTensorSegments UNION ALL SELECT RawPayload FROM FileSegments)`,
		&rows, &bytes)
	return rows, bytes
}

// hideTables gives schema check the answers of a database without tables.
func (s serverDouble) hideTables() {
	empty := func(*tdstest.Request) (tdstest.Result, error) {
		return tdstest.Rows("a nvarchar(128), b int, c int, d int, e nvarchar(128)"), nil
	}
	for _, marker := range []string{"find-columns", "find-defaults", "find-indexes", "find-keys"} {
		s.Handle("/* ingest: "+marker+" */", empty)
	}
}

// wantIdle checks that no transaction is open, and that none left files.
func (s serverDouble) wantIdle(t *testing.T) {
	t.Helper()
	if !s.WaitIdle(time.Minute) {
		t.Error("a transaction is open")
	}
	for _, folder := range []string{"files", "tokens"} {
		if left, err := os.ReadDir(filepath.Join(s.folder, folder)); err != nil || len(left) > 0 {
			t.Errorf("%s contains %v, %v", folder, left, err)
		}
	}
}

func (w *windows) asFiles(t *testing.T) {
	s := newServerDouble(t)
	h := s.home(t, w, "win32")
	taken := h.run(exitDone, "models", windowsPath(w.sample))
	h.wantSummary(taken, map[string]int64{"taken": 2, "refused": 0})
	if !strings.Contains(taken.stderr, "OpenSqlFilestream of msoledbsql19.dll") {
		t.Errorf("the log does not name the payload mode:\n%s", taken.stderr)
	}
	s.wantIdle(t)
	rows, bytes := s.payloads()
	if reads, writes := s.opened(t); reads != 0 || writes != rows || rows == 0 || bytes != 2*153472 {
		t.Errorf("%d files were written and %d read for %d rows with %d bytes", writes, reads, rows, bytes)
	}
	for _, login := range s.Logins() {
		if !login.Integrated || login.User != "" || !strings.HasPrefix(login.Token, "NTLMSSP\x00\x01") {
			t.Errorf("logged in as %+v", login)
		}
	}

	h.wantSummary(h.run(exitDone, "models", windowsPath(w.sample)), map[string]int64{"taken": 0, "skipped": 2,
		"bytes_read": 0})
	h.wantSummary(h.run(exitDone, "verify"), map[string]int64{"models": 2, "damaged": 0, "not_verified": 0})
	if reads, _ := s.opened(t); reads != rows {
		t.Errorf("verify read %d files of %d", reads, rows)
	}
	h.exportAndCompare("tiny", filepath.Join(t.TempDir(), "restored.gguf"), w.files["tiny.gguf"])
	before, _ := s.opened(t)
	h.wantSummary(h.run(exitDone, "verify", "--server"), map[string]int64{"models": 2, "damaged": 0, "not_verified": 0})
	after, writes := s.opened(t)
	if after != before || writes != rows {
		t.Errorf("verify --server read %d files, and %d were written in all", after-before, writes)
	}
	s.wantIdle(t)
	if r := h.auditFiles(w.sample, w.files); len(r.models) != 2 || r.open != 0 {
		t.Errorf("%d models, %d of them open", len(r.models), r.open)
	}

	// Damage in a row is found and repaired, also through a file.
	var damaged int
	s.Row(s.Server, `UPDATE LayerTensorSegments SET RawPayload = x'00'
		WHERE LayerTensorSegmentId = (SELECT MIN(s.LayerTensorSegmentId) FROM LayerTensorSegments AS s
		INNER JOIN ModelLayers AS l ON l.LayerId = s.LayerId INNER JOIN Models AS m ON m.ModelId = l.ModelId
		WHERE m.ModelName = 'tiny') RETURNING 1`, &damaged)
	h.wantSummary(h.run(exitDamage, "verify"), map[string]int64{"damaged": 1})
	h.wantSummary(h.run(exitDone, "verify", "tiny", "--repair", windowsPath(filepath.Join(w.sample, "tiny.gguf"))),
		map[string]int64{"damaged": 0, "repaired": 1})
	if _, repaired := s.opened(t); repaired != writes+1 {
		t.Errorf("%d files were written to repair one payload", repaired-writes)
	}
	h.wantSummary(h.run(exitDone, "verify"), map[string]int64{"damaged": 0})
}

// busy: another process has files open for a moment.
func (w *windows) busy(t *testing.T) {
	s := newServerDouble(t)
	for _, name := range []string{"1", "2", "3"} {
		if err := os.WriteFile(filepath.Join(s.folder, "busy", name), nil, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	h := s.home(t, w, "auto")
	h.wantSummary(h.run(exitDone, "models", windowsPath(w.sample)), map[string]int64{"taken": 2})
	log, err := os.ReadFile(filepath.Join(s.folder, "log"))
	if n := strings.Count("\n"+string(log), "\n32 "); err != nil || n != 3 {
		t.Errorf("%d sharing violations, %v", n, err)
	}
	h.wantSummary(h.run(exitDone, "verify"), map[string]int64{"models": 2, "damaged": 0})
	s.wantIdle(t)
}

// asFilesImpossible: --filestream win32 names what is missing, and auto uses T-SQL parameters.
func (w *windows) asFilesImpossible(t *testing.T) {
	s := newServerDouble(t)
	h := s.home(t, w, "win32")
	login := s.home(t, w, "win32")
	login.flags[1] = s.DSN()
	if e := login.run(exitFailed, "models", windowsPath(w.sample)); !strings.Contains(e.stderr,
		"the login does not use Windows authentication") {
		t.Errorf("a SQL login: %s", e.stderr)
	}
	h.env = append(h.env, "WINEDLLOVERRIDES=msoledbsql19,msoledbsql,sqlncli11=")
	if e := h.run(exitFailed, "models", windowsPath(w.sample)); !strings.Contains(e.stderr,
		"install Microsoft OLE DB Driver 19") {
		t.Errorf("no driver: %s", e.stderr)
	}
	h.flags = s.home(t, w, "auto").flags
	e := h.run(exitDone, "models", windowsPath(w.sample))
	h.wantSummary(e, map[string]int64{"taken": 2})
	if !strings.Contains(e.stderr, "as T-SQL parameters") || !strings.Contains(e.stderr,
		"install Microsoft OLE DB Driver 19") {
		t.Errorf("the log lacks the payload mode or the reason:\n%s", e.stderr)
	}
	if reads, writes := s.opened(t); reads != 0 || writes != 0 {
		t.Errorf("%d files were read and %d written", reads, writes)
	}
	s.wantIdle(t)
}

// prerequisites: schema check lists the prerequisites of the client and of the server.
func (w *windows) prerequisites(t *testing.T) {
	s := newServerDouble(t)
	s.hideTables()
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

// killedAsFiles kills the program in its second batch, and resumes.
func (w *windows) killedAsFiles(t *testing.T, at tdstest.Point, match string) {
	s := newServerDouble(t)
	h := s.home(t, w, "win32")
	stall := s.Inject(tdstest.Fault{At: at, Match: match, Do: tdstest.Stall(), Skip: 1})
	run := h.command("models", windowsPath(w.sample), "--jobs", "1")
	if err := run.Start(); err != nil {
		t.Fatal(err)
	}
	select {
	case <-stall.Struck():
	case <-time.After(time.Minute):
		t.Fatal("no second batch")
	}
	run.Process.Kill()
	if err := run.Wait(); err == nil {
		t.Fatal("it was not killed")
	}
	// Windows closes the connections of an ended process. Wine's server may keep them.
	for _, session := range s.Sessions() {
		s.Kill(session.ID)
	}
	s.wantIdle(t)
	left := h.auditFiles(w.sample, w.files) // and recorded payloads are complete
	rows, bytes := s.payloads()
	if left.recorded == 0 || int64(bytes) != left.recorded {
		t.Errorf("%d rows have %d bytes, and %d are recorded", rows, bytes, left.recorded)
	}
	resumed := h.run(exitDone, "resume")
	h.wantSummary(resumed, map[string]int64{"taken": 1, "refused": 0})
	h.wantSummary(h.run(exitDone, "verify"), map[string]int64{"models": 2, "damaged": 0, "not_verified": 0})
	h.exportAndCompare("tiny", filepath.Join(t.TempDir(), "restored.gguf"), w.files["tiny.gguf"])
	s.wantIdle(t)
}
