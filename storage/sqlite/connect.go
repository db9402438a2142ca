package sqlite

import (
	"context"
	"database/sql"
	databasedriver "database/sql/driver"
	"errors"
	"net/url"
	"path/filepath"
	"strings"
	"time"

	driver "modernc.org/sqlite"

	"github.com/hartonomous/ingest/storage/sqlcatalog"
)

// busyTimeout is how long a statement waits for another process's transaction. A write transaction
// takes milliseconds, except a gc of many rows.
const busyTimeout = time.Minute

// sharedPragmas apply to each connection.
var sharedPragmas = []string{
	"busy_timeout(60000)", // busyTimeout; first, as the next ones may have to wait
	"foreign_keys(1)",
}

// newPages sets the page size of a new database; an existing one keeps its own. 1 GiB of payloads in
// rows take 5.5 s with pages of 4 KiB, 4.6 s with 8 KiB, 4.5 s with 16 and 4.3 s with 64. But at 5
// million segments, nearly each new row changes another page of the index on digests: a row writes 11
// KB with pages of 4 KiB, 17 KB with 8 and 27 KB with 16, and the rates are 21,400, 22,700 and 15,900
// rows per second.
const newPages = `PRAGMA page_size = 8192`

// writerPragmas: synchronous=FULL syncs the log at each commit. With NORMAL, a power failure may
// undo commits that have been acknowledged. The log grows to 10,000 pages (80 MiB) before it is
// folded into the database, so that a page that many batches change is written there once; the
// limit truncates the log after a larger batch. The cache size is in KiB of pages and takes up to
// twice the memory: the allocator rounds a page with its header up. A larger cache and memory-mapped
// reads saved no time at 5 million segments.
var writerPragmas = append([]string{
	"synchronous(FULL)", "wal_autocheckpoint(10000)", "journal_size_limit(83886080)", "cache_size(-12288)",
}, sharedPragmas...)

// payloadCache reduces the cache of a connection that writes payloads.
const payloadCache = `PRAGMA cache_size = -1024`

var readerPragmas = append([]string{"query_only(1)", "cache_size(-1024)"}, sharedPragmas...)

// pool opens at most connections connections to the database, each with pragmas.
func pool(path string, pragmas []string, connections int) *sql.DB {
	db := sql.OpenDB(connector(dsn(path, pragmas)))
	db.SetMaxOpenConns(connections)
	db.SetMaxIdleConns(connections)
	return db
}

// engine is SQLite with the functions that our statements call.
var engine = func() *driver.Driver {
	e := new(driver.Driver)
	e.MustRegisterFunction("payload_into", &driver.FunctionImpl{NArgs: 2, Scalar: payloadInto, VolatileArgs: true})
	e.MustRegisterFunction("sha256_of", &driver.FunctionImpl{NArgs: 1, Scalar: sha256Of, VolatileArgs: true})
	e.MustRegisterFunction("key_of", &driver.FunctionImpl{NArgs: 2, Scalar: keyOf, Deterministic: true})
	return e
}()

// keyOf is the SQL function key_of(text, text): sqlcatalog.Hash, which SQL Server's tables store.
func keyOf(_ *driver.FunctionContext, args []databasedriver.Value) (databasedriver.Value, error) {
	first, _ := args[0].(string)
	second, _ := args[1].(string)
	return sqlcatalog.Hash(first, second), nil
}

// connector opens connections to a database, as dsn names it.
type connector string

func (c connector) Connect(ctx context.Context) (databasedriver.Conn, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	opened, err := engine.Open(string(c))
	if err != nil {
		return nil, err
	}
	return newConn(opened), nil
}

func (connector) Driver() databasedriver.Driver { return engine }

// dsn names a database for the driver. The path is an escaped URI: in a bare path, the driver would
// take what follows a '?' for settings.
func dsn(path string, pragmas []string) string {
	path = filepath.ToSlash(path)
	if !strings.HasPrefix(path, "/") {
		path = "/" + path // D:/models is file:///D:/models
	}
	query := url.Values{"_pragma": pragmas, "_dqs": {"0"}, "_error_rc": {"1"}}
	return (&url.URL{Scheme: "file", Path: path, RawQuery: query.Encode()}).String()
}

// enterWAL switches a new database to write-ahead mode, which the file stores with its page size. The
// switch does not wait for locks as statements do.
func (c *connections) enterWAL(ctx context.Context) error {
	if _, err := c.writer.ExecContext(ctx, newPages); err != nil {
		return err
	}
	for deadline := time.Now().Add(busyTimeout); ; {
		var mode string
		err := c.writer.QueryRowContext(ctx, `PRAGMA journal_mode = WAL`).Scan(&mode)
		if err == nil && mode != "wal" {
			return errors.New("write-ahead mode is not possible here (is it a network drive?)")
		}
		if !isBusy(err) || time.Now().After(deadline) {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(5 * time.Millisecond):
		}
	}
}
