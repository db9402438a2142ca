package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"net/url"
	"path/filepath"
	"strings"
	"time"

	driver "modernc.org/sqlite"
)

// patience is how long a statement waits for another process's transaction.
// A writing transaction takes milliseconds, but for a gc of many rows.
const patience = time.Minute

// sharedPragmas hold for each connection.
var sharedPragmas = []string{
	"busy_timeout(60000)", // patience; first, as the next ones may have to wait
	"foreign_keys(1)",
}

// writerPragmas: synchronous=FULL syncs the log at each commit. With NORMAL, the
// faster choice, a loss of power takes back commits that were answered, and a
// run that was told "recorded" would be wrong. The log grows to 20,000
// pages (80 MiB) before it is folded into the database, so that a page which
// many batches touch is written there once; the limit cuts it back after a
// batch that was larger. The cache is in KiB.
var writerPragmas = append([]string{
	"synchronous(FULL)", "wal_autocheckpoint(20000)", "journal_size_limit(83886080)", "cache_size(-12288)",
}, sharedPragmas...)

var readerPragmas = append([]string{"query_only(1)", "cache_size(-2048)"}, sharedPragmas...)

// pool opens at most connections connections to the database, each with pragmas.
func pool(path string, pragmas []string, connections int) (*sql.DB, error) {
	connector, err := driver.NewConnector(dsn(path, pragmas))
	if err != nil {
		return nil, err
	}
	db := sql.OpenDB(connector)
	db.SetMaxOpenConns(connections)
	db.SetMaxIdleConns(connections)
	return db, nil
}

// dsn names a database as the driver wants it. The path goes in as a URI, where
// '?', '#' and '%' are escaped: bare, the driver would take what follows a '?' for settings.
func dsn(path string, pragmas []string) string {
	path = filepath.ToSlash(path)
	if !strings.HasPrefix(path, "/") {
		path = "/" + path // D:/models is file:///D:/models
	}
	query := url.Values{"_pragma": pragmas, "_dqs": {"0"}, "_error_rc": {"1"}}
	return (&url.URL{Scheme: "file", Path: path, RawQuery: query.Encode()}).String()
}

// enterWAL switches a new database to write-ahead mode, which the file then
// remembers. The switch does not wait for locks as statements do.
func (c *Catalog) enterWAL(ctx context.Context) error {
	for deadline := time.Now().Add(patience); ; {
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
