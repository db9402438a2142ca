//go:build linux

package tdstest_test

import (
	"database/sql"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hartonomous/ingest/storage/sqlserver/tdstest"
)

// shared is a server with one value, and the folder of its share.
type shared struct {
	*sql.DB
	folder string
	value  []byte // nil is NULL
}

func newShared(t *testing.T, anyLogin bool) *shared {
	srv, db := start(t)
	l := &shared{DB: db, folder: t.TempDir()}
	share := srv.Share(l.folder)
	share.AnyLogin = anyLogin
	srv.Handle("/* insert */", func(req *tdstest.Request) (tdstest.Result, error) {
		l.value = []byte{}
		req.OnRollback(func() { l.value = nil })
		return tdstest.Affected(1), nil
	})
	srv.Handle("/* look */", func(req *tdstest.Request) (tdstest.Result, error) {
		path := share.Lend(req, "row", l.value, func(value []byte) error { l.value = value; return nil })
		return tdstest.Rows("path nvarchar(400), token varbinary(128)", []any{path, share.Token(req)}), nil
	})
	return l
}

// file returns the file of a path, and whether the token opens it.
func (l *shared) file(t *testing.T, path string, token []byte) (file string, opens bool) {
	t.Helper()
	_, err := os.Stat(filepath.Join(l.folder, "tokens", hex.EncodeToString(token)))
	return filepath.Join(l.folder, "files", path[strings.LastIndexByte(path, '\\')+1:]), err == nil
}

// empty checks that the folder has no files and no tokens.
func (l *shared) empty(t *testing.T) {
	t.Helper()
	for _, name := range []string{"files", "tokens"} {
		if left, err := os.ReadDir(filepath.Join(l.folder, name)); err != nil || len(left) > 0 {
			t.Errorf("%s: %v, %v", name, left, err)
		}
	}
}

func TestShare(t *testing.T) {
	l := newShared(t, true)
	if path, token := look(t, l); path != "" || token != nil {
		t.Errorf("path %q and token %x before there is a row or a transaction", path, token)
	}
	tx := begin(t, l.DB)
	exec(t, tx, "/* insert */ INSERT")
	path, token := look(t, tx)
	file, opens := l.file(t, path, token)
	if again, same := look(t, tx); !opens || again != path || string(same) != string(token) {
		t.Errorf("token %x of %s, then %x of %s", token, path, same, again)
	}
	must(t, os.WriteFile(file, []byte("payload"), 0o666))
	if len(l.value) != 0 {
		t.Errorf("%q is there before COMMIT", l.value)
	}
	must(t, tx.Commit())
	if string(l.value) != "payload" {
		t.Errorf("committed %q", l.value)
	}
	l.empty(t)

	tx = begin(t, l.DB)
	if _, other := look(t, tx); string(other) == string(token) {
		t.Error("the token of another transaction")
	}
	must(t, os.WriteFile(file, []byte("another"), 0o666))
	must(t, tx.Rollback())
	if string(l.value) != "payload" {
		t.Errorf("%q after ROLLBACK", l.value)
	}
	l.empty(t)
}

// TestShareOpenFile checks that statements are refused while a file is open, and that writes to a
// handle have no effect after the end of the transaction.
func TestShareOpenFile(t *testing.T) {
	for _, statement := range []string{"/* insert */ INSERT", "COMMIT"} {
		l := newShared(t, true)
		tx := begin(t, l.DB)
		exec(t, tx, "/* insert */ INSERT")
		file, _ := l.file(t, first(look(t, tx)), nil)
		handle, err := os.OpenFile(file, os.O_WRONLY, 0)
		must(t, err)
		defer handle.Close()
		if statement == "COMMIT" {
			err = tx.Commit()
		} else {
			_, err = tx.Exec(statement)
		}
		if err == nil || !strings.Contains(err.Error(), "while a file is open") {
			t.Errorf("%s with a file open: %v", statement, err)
		}
		if err := tx.Rollback(); err != nil && !errors.Is(err, sql.ErrTxDone) {
			t.Error(err)
		}
		if _, err := handle.Write([]byte("late")); err != nil || l.value != nil {
			t.Errorf("a write after the end is %v, and the value %q", err, l.value)
		}
		l.empty(t)
	}
}

func first(path string, _ []byte) string { return path }

func TestShareLogin(t *testing.T) {
	l := newShared(t, false)
	tx := begin(t, l.DB)
	exec(t, tx, "/* insert */ INSERT")
	path, token := look(t, tx)
	if _, opens := l.file(t, path, token); opens || token == nil {
		t.Errorf("the token %x of a SQL login opens files", token)
	}
	must(t, tx.Rollback())
	l.empty(t)
}

// TestShareChangedAfterwards checks that a statement overrides data written to a file before it.
func TestShareChangedAfterwards(t *testing.T) {
	srv, db := start(t)
	folder, value := t.TempDir(), []byte{}
	share := srv.Share(folder)
	srv.Handle("/* look */", func(req *tdstest.Request) (tdstest.Result, error) {
		path := share.Lend(req, "row", value, func(v []byte) error { value = v; return nil })
		return tdstest.Rows("path nvarchar(400), token varbinary(128)", []any{path, share.Token(req)}), nil
	})
	srv.Handle("/* empty */", func(*tdstest.Request) (tdstest.Result, error) {
		value = []byte{}
		return tdstest.Affected(1), nil
	})
	tx := begin(t, db)
	look(t, tx)
	must(t, os.WriteFile(filepath.Join(folder, "files", "row"), []byte("written"), 0o666))
	exec(t, tx, "/* empty */ UPDATE t SET RawPayload = 0x")
	must(t, tx.Commit())
	srv.Do(func() {
		if len(value) != 0 {
			t.Errorf("%q is left of what was written before the change", value)
		}
	})
}
