package filestream

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	_ "github.com/microsoft/go-mssqldb"

	"github.com/hartonomous/ingest/storage"
	"github.com/hartonomous/ingest/storage/sqlserver/tdstest"
)

// patience is much longer than any of these tests.
const patience = 20 * time.Second

// server is the double of SQL Server, with statements for rows with a payload.
type server struct {
	*tdstest.Server
	t    *testing.T
	fs   *tdstest.FileStream
	db   *sql.DB
	null bool // rows are inserted with NULL
}

func newServer(t *testing.T) *server {
	t.Helper()
	s := &server{Server: tdstest.Start(t), t: t}
	s.fs = s.FileStream()
	s.fs.AnyLogin = true // the test cannot log in with Windows authentication
	var err error
	if s.db, err = sql.Open("sqlserver", s.DSN()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.db.Close() })
	s.Handle("/* insert */", func(req *tdstest.Request) (tdstest.Result, error) {
		payload := []byte{}
		if s.null {
			payload = nil
		}
		s.fs.Put(req, tdstest.Get[string](req, "p1"), payload)
		return tdstest.Affected(1), nil
	})
	s.Handle("/* slots */", func(req *tdstest.Request) (tdstest.Result, error) {
		result := tdstest.Rows("path nvarchar(400), token varbinary(128)")
		for _, name := range strings.Split(tdstest.Get[string](req, "p1"), ",") {
			result.Sets[0].Rows = append(result.Sets[0].Rows, []any{s.fs.Path(name), s.fs.Token(req)})
		}
		return result, nil
	})
	s.Handle("/* update */", func(*tdstest.Request) (tdstest.Result, error) { return tdstest.Affected(1), nil })
	return s
}

// payloads returns the payloads that SELECT would.
func (s *server) payloads(names ...string) (payloads []string) {
	s.Do(func() {
		for _, name := range names {
			payloads = append(payloads, string(s.fs.Payload(name)))
		}
	})
	return payloads
}

// session is a batch of rows, with its transaction and files, over the real driver. It records the
// steps by name: open, write, flush and close have the number of the row.
type session struct {
	*server
	names, contents []string
	conn            *sql.Conn
	rows            *sql.Rows // being read
	failed          bool
	token           []byte
	slots           []Slot
	steps           []string
}

func (s *server) session(rows ...string) *session {
	one := &session{server: s}
	for _, row := range rows {
		name, content, _ := strings.Cut(row, "=")
		one.names, one.contents = append(one.names, name), append(one.contents, content)
	}
	return one
}

func (s *session) exec(ctx context.Context, step, query string, args ...any) error {
	s.steps = append(s.steps, step)
	if s.conn == nil {
		conn, err := s.db.Conn(ctx)
		if err != nil {
			return err
		}
		s.conn = conn
	}
	_, err := s.conn.ExecContext(ctx, query, args...)
	s.failed = s.failed || err != nil
	return err
}

func (s *session) Begin(ctx context.Context) error { return s.exec(ctx, "begin", "BEGIN TRANSACTION") }

func (s *session) Commit(ctx context.Context) error {
	err := s.exec(ctx, "commit", "COMMIT TRANSACTION")
	if err == nil {
		s.release()
	}
	return err
}

// Rollback drops a connection whose state is unknown.
func (s *session) Rollback(ctx context.Context) {
	if s.failed || s.exec(ctx, "rollback", "ROLLBACK TRANSACTION") != nil {
		s.conn.Raw(func(any) error { return driver.ErrBadConn })
	}
	s.release()
}

// release closes unread rows and returns the connection.
func (s *session) release() {
	if s.rows != nil {
		s.rows.Close()
	}
	if s.conn != nil {
		s.conn.Close()
	}
	s.conn = nil
}

func (s *session) Insert(ctx context.Context) error {
	for _, name := range s.names {
		if err := s.exec(ctx, "insert", "/* insert */ INSERT INTO t VALUES (@p1, 0x)", name); err != nil {
			return err
		}
	}
	return nil
}

func (s *session) Update(ctx context.Context) error {
	return s.exec(ctx, "update", "/* update */ UPDATE t SET progress = 1")
}

// ask queries the paths, and finish reads the rows.
func (s *session) ask(ctx context.Context) (err error) {
	s.steps = append(s.steps, "ask")
	s.rows, err = s.conn.QueryContext(ctx,
		"/* slots */ SELECT RawPayload.PathName(), GET_FILESTREAM_TRANSACTION_CONTEXT() FROM t",
		strings.Join(s.names, ","))
	s.failed = s.failed || err != nil
	return err
}

func (s *session) finish() error {
	s.steps = append(s.steps, "read")
	defer func() { s.rows.Close(); s.rows = nil }()
	for s.rows.Next() {
		var path sql.NullString
		if err := s.rows.Scan(&path, &s.token); err != nil {
			return err
		}
		s.slots = append(s.slots, Slot{Path: path.String, Payload: []byte(s.contents[len(s.slots)])})
	}
	s.failed = s.failed || s.rows.Err() != nil
	return s.rows.Err()
}

func (s *session) Slots(ctx context.Context) ([]byte, []Slot, error) {
	s.token, s.slots = nil, nil
	if err := s.ask(ctx); err != nil {
		return nil, nil, err
	}
	err := s.finish()
	return s.token, s.slots, err
}

func (s *session) Locate(ctx context.Context) ([]byte, string, error) {
	token, slots, err := s.Slots(ctx)
	if err != nil {
		return nil, "", err
	}
	return token, slots[0].Path, nil
}

// Open also refuses to open a file while rows are unread, which the double does not notice.
func (s *session) Open(path string, access Access, token []byte) (Handle, error) {
	row := slices.IndexFunc(s.slots, func(slot Slot) bool { return slot.Path == path })
	s.steps = append(s.steps, fmt.Sprint("open ", row))
	file, err := s.fs.Open(path, tdstest.Access(access), token)
	if err == nil && s.rows != nil {
		file.Close()
		err = tdstest.ErrSharingViolation
	}
	if number, ok := errors.AsType[tdstest.Win32Error](err); ok {
		return nil, &Error{"OpenSqlFilestream", path, uint32(number), err}
	}
	return &remote{s, file, row}, err
}

// remote is a file of the double that records its steps.
type remote struct {
	s *session
	*tdstest.Handle
	row int
}

func (r *remote) note(step string) { r.s.steps = append(r.s.steps, fmt.Sprint(step, " ", r.row)) }

func (r *remote) Flush() error                       { r.note("flush"); return nil }
func (r *remote) Write(data []byte) (n int, e error) { r.note("write"); return r.Handle.Write(data) }
func (r *remote) Close() error                       { r.note("close"); return r.Handle.Close() }

func (s *session) store() error {
	return Store(s.t.Context(), s, s, s, storage.Policy{Attempts: 5, First: time.Millisecond})
}

// checkIdle waits until lost connections have ended, and makes sure that no file is open.
func (s *server) checkIdle() {
	s.t.Helper()
	if !s.WaitIdle(patience) {
		s.t.Error("a transaction is open")
	}
	if n := s.fs.OpenHandles(); n != 0 {
		s.t.Errorf("%d files are open", n)
	}
}

func TestDouble(t *testing.T) {
	srv := newServer(t)
	s := srv.session("a=one", "b="+big)
	if err := s.store(); err != nil {
		t.Fatal(err)
	}
	if got := srv.payloads("a", "b"); got[0] != "one" || got[1] != big {
		t.Errorf("payloads of %d and %d bytes", len(got[0]), len(got[1]))
	}
	for _, row := range []string{"a=one", "b=" + big} {
		s := srv.session(row)
		buffer := make([]byte, len(s.contents[0]))
		if err := Load(t.Context(), s, s.Locate, buffer, s, storage.Policy{}); err != nil ||
			string(buffer) != s.contents[0] {
			t.Errorf("%s: %v", s.names[0], err)
		}
	}
	srv.checkIdle()
}

func TestDoubleBusy(t *testing.T) {
	srv := newServer(t)
	srv.fs.Busy(4)
	if err := srv.session("a=one").store(); err != nil {
		t.Error(err)
	}
	srv.fs.Busy(5)
	err := srv.session("b=two").store()
	if gave, ok := errors.AsType[*storage.GaveUpError](err); !ok || gave.Attempts != 5 {
		t.Error(err)
	}
	srv.checkIdle()
	if got := srv.payloads("a", "b"); !slices.Equal(got, []string{"one", ""}) {
		t.Errorf("payloads %q", got)
	}
}

func TestDoubleRefusals(t *testing.T) {
	srv := newServer(t)
	srv.null = true
	if err := srv.session("a=one").store(); !errors.Is(err, ErrNoPath) {
		t.Errorf("a payload that is NULL: %v", err)
	}
	srv.null = false
	outside := srv.session("a=one")
	if err := Store(t.Context(), idle{outside}, outside, outside, storage.Policy{}); !errors.Is(err, ErrNoToken) {
		t.Errorf("outside of a transaction: %v", err)
	}
	srv.Do(func() { srv.fs.AnyLogin = false })
	err := srv.session("b=two").store()
	if e, ok := errors.AsType[*Error](err); !ok || e.Code != accessDenied || storage.IsTransient(err) {
		t.Errorf("a SQL login: %v", err)
	}
	srv.checkIdle()
}

// idle is a transaction that never begins.
type idle struct{ s *session }

func (idle) Begin(context.Context) error    { return nil }
func (i idle) Commit(context.Context) error { i.s.release(); return nil }
func (i idle) Rollback(context.Context)     { i.s.release() }

// Each statement fails, or loses the connection, before or after its effect. Nothing is stored
// then, unless the answer to COMMIT was lost, and storing the batch again succeeds.
func TestDoubleFaults(t *testing.T) {
	for _, statement := range []string{tdstest.Begin, "/* insert */", "/* slots */", "/* update */", tdstest.Commit} {
		for point, when := range map[tdstest.Point]string{tdstest.BeforeEffect: "before",
			tdstest.AfterEffect: "after"} {
			for kind, action := range map[string]tdstest.Action{"error": tdstest.Fail(tdstest.Err(1205)),
				"reset": tdstest.Reset()} {
				t.Run(statement+" "+when+" "+kind, func(t *testing.T) {
					srv := newServer(t)
					srv.Inject(tdstest.Fault{At: point, Match: statement, Do: action})
					if err := srv.session("a=one", "b=two").store(); err == nil {
						t.Error("Store succeeded")
					}
					srv.checkIdle()
					want := ""
					if statement == tdstest.Commit && when == "after" {
						want = "one,two"
					}
					if got := strings.Trim(strings.Join(srv.payloads("a", "b"), ","), ","); got != want {
						t.Errorf("payloads %q, want %q", got, want)
					}
					if err := srv.session("a=one", "b=two").store(); err != nil ||
						!slices.Equal(srv.payloads("a", "b"), []string{"one", "two"}) {
						t.Errorf("again: %v", err)
					}
				})
			}
		}
	}
}

// Several batches are in flight, each on its own connection.
func TestDoubleTogether(t *testing.T) {
	srv := newServer(t)
	var running sync.WaitGroup
	for i := range 8 {
		running.Go(func() {
			if err := srv.session(fmt.Sprintf("%da=one", i), fmt.Sprintf("%db=two", i)).store(); err != nil {
				t.Error(err)
			}
		})
	}
	running.Wait()
	srv.checkIdle()
	for i := range 8 {
		if got := srv.payloads(fmt.Sprint(i, "a"), fmt.Sprint(i, "b")); !slices.Equal(got, []string{"one", "two"}) {
			t.Errorf("batch %d: %q", i, got)
		}
	}
}
