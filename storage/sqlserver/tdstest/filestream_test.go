package tdstest_test

import (
	"bytes"
	"database/sql"
	"errors"
	"io"
	"testing"

	"github.com/hartonomous/ingest/storage/sqlserver/tdstest"
)

// payloads starts a server with one file, and returns it with a function that reads the payload.
func payloads(t *testing.T) (*sql.DB, *tdstest.FileStream, func() string) {
	srv, db := start(t)
	fs := srv.FileStream()
	fs.AnyLogin = true
	srv.Handle("/* insert */", func(req *tdstest.Request) (tdstest.Result, error) {
		fs.Put(req, "row", []byte{})
		return tdstest.Rows("path nvarchar(400)", []any{fs.Path("row")}), nil
	})
	srv.Handle("/* look */", func(req *tdstest.Request) (tdstest.Result, error) {
		return tdstest.Rows("path nvarchar(400), token varbinary(128)", []any{fs.Path("row"), fs.Token(req)}), nil
	})
	return db, fs, func() (payload string) {
		srv.Do(func() { payload = string(fs.Payload("row")) })
		return payload
	}
}

// look returns the path of the file and the token of the transaction.
func look(t *testing.T, on interface {
	QueryRow(string, ...any) *sql.Row
}) (path string, token []byte) {
	t.Helper()
	var name sql.NullString
	row := on.QueryRow("/* look */ SELECT RawPayload.PathName(), GET_FILESTREAM_TRANSACTION_CONTEXT()")
	must(t, row.Scan(&name, &token))
	return name.String, token
}

func TestFileStream(t *testing.T) {
	db, fs, payload := payloads(t)
	if path, token := look(t, db); path != "" || token != nil {
		t.Errorf("path %q and token %x before there is a row or a transaction", path, token)
	}
	tx := begin(t, db)
	exec(t, tx, "/* insert */ INSERT")
	path, token := look(t, tx)
	fs.Busy(1)
	if _, err := fs.Open(path, tdstest.Write, token); err != tdstest.ErrSharingViolation {
		t.Errorf("busy: %v", err)
	}
	handle, err := fs.Open(path, tdstest.Write, token)
	must(t, err)
	if _, err := fs.Open(path, tdstest.Read, token); err != tdstest.ErrSharingViolation {
		t.Errorf("opened twice: %v", err)
	}
	handle.Write([]byte("pay"))
	handle.Write([]byte("load"))
	if payload() != "" {
		t.Errorf("%q is there before the file is closed", payload())
	}
	must(t, handle.Close())
	reader, err := fs.Open(path, tdstest.Read, token)
	must(t, err)
	if got, err := io.ReadAll(reader); string(got) != "payload" || err != nil {
		t.Errorf("read %q, %v", got, err)
	}
	must(t, reader.Close())
	must(t, tx.Commit())
	if payload() != "payload" || fs.OpenHandles() != 0 {
		t.Errorf("%q after COMMIT", payload())
	}
	if _, err := fs.Open(path, tdstest.Read, token); err != tdstest.ErrInvalidParameter {
		t.Errorf("the token of an ended transaction: %v", err)
	}
}

// TestFileStreamOrder runs statements that are not allowed while a file is open.
func TestFileStreamOrder(t *testing.T) {
	for _, test := range []struct {
		name     string
		act      func(*testing.T, *sql.Tx) error
		survives bool // the transaction
	}{
		{"INSERT while writing", func(t *testing.T, tx *sql.Tx) error {
			_, err := tx.Exec("/* insert */ INSERT")
			return err
		}, true},
		{"DDL while writing", func(t *testing.T, tx *sql.Tx) error {
			_, err := tx.Exec("ALTER TABLE x")
			return err
		}, true},
		{"SAVE", func(t *testing.T, tx *sql.Tx) error { _, err := tx.Exec("SAVE TRAN x"); return err }, false},
		{"COMMIT", func(t *testing.T, tx *sql.Tx) error { return tx.Commit() }, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			db, fs, payload := payloads(t)
			tx := begin(t, db)
			exec(t, tx, "/* insert */ INSERT")
			path, token := look(t, tx)
			handle, err := fs.Open(path, tdstest.Write, token)
			must(t, err)
			look(t, tx) // SELECT works
			if err := test.act(t, tx); err == nil {
				t.Error("it was not refused")
			}
			if alive := fs.OpenHandles() == 1; alive != test.survives {
				t.Errorf("the handle is alive: %v", alive)
			}
			// A handle that is left over accepts data and loses it.
			if _, err := handle.Write(bytes.Repeat([]byte("x"), 9)); err != nil {
				t.Error(err)
			}
			must(t, handle.Close())
			if stored := payload() != ""; stored != test.survives {
				t.Errorf("payload %q", payload())
			}
		})
	}
}

func TestFileStreamRefusals(t *testing.T) {
	db, fs, payload := payloads(t)
	tx := begin(t, db)
	exec(t, tx, "/* insert */ INSERT")
	path, token := look(t, tx)
	for name, open := range map[string]func() error{
		"no file":  func() error { _, err := fs.Open("x", tdstest.Write, token); return err },
		"no token": func() error { _, err := fs.Open(path, tdstest.Write, nil); return err },
		"access":   func() error { _, err := fs.Open(path, 7, token); return err },
		"login": func() error {
			fs.AnyLogin = false
			_, err := fs.Open(path, tdstest.Write, token)
			fs.AnyLogin = true
			return err
		},
	} {
		if err := open(); !errors.As(err, new(tdstest.Win32Error)) {
			t.Errorf("%s: %v", name, err)
		}
	}
	handle, err := fs.Open(path, tdstest.Write, token)
	must(t, err)
	handle.Write([]byte("x"))
	must(t, handle.Close())
	must(t, tx.Rollback())
	if payload() != "" {
		t.Errorf("%q after ROLLBACK", payload())
	}
}

// TestFileOfAnotherTransaction checks that only its own transaction can open an uncommitted file.
func TestFileOfAnotherTransaction(t *testing.T) {
	db, fs, payload := payloads(t)
	writer, stranger := begin(t, db), begin(t, db)
	exec(t, writer, "/* insert */ INSERT")
	path, token := look(t, writer)
	_, another := look(t, stranger)
	if _, err := fs.Open(path, tdstest.Write, another); err != tdstest.ErrFileNotFound {
		t.Errorf("with the token of another transaction: %v", err)
	}
	handle, err := fs.Open(path, tdstest.Write, token)
	must(t, err)
	handle.Write([]byte("abc"))
	must(t, handle.Close())
	must(t, writer.Commit())
	reader, err := fs.Open(path, tdstest.Read, another)
	must(t, err)
	if got, err := io.ReadAll(reader); string(got) != "abc" || err != nil || payload() != "abc" {
		t.Errorf("after the commit %q is read, %v", got, err)
	}
	must(t, reader.Close())
	must(t, stranger.Rollback())
}
