// Package sqlite is the embedded catalogue: one file, no server, the same tables
// as the SQL Server database has.
//
// One connection writes and a few read, in write-ahead mode, so that nobody who
// lists models waits for a run, and a run does not wait for them. Each verb that
// writes is one transaction that takes the write lock at its start: there is no
// reading of what another process is about to change, and no upgrade that can
// deadlock. Sequences read a page of rows at a time and hold no connection
// between pages, so a slow consumer keeps no snapshot alive, which would
// keep the write-ahead log from being reused.
//
// The database must lie on a local disk: write-ahead mode shares memory
// between the processes that use the file.
package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/ingest/durable"
	"github.com/hartonomous/ingest/storage/sqlcatalog"
)

var _ ingest.Catalog = (*Catalog)(nil)

// Catalog is a database that is open. Many goroutines may use it.
type Catalog struct {
	*sqlcatalog.Catalog
	conns *connections
}

// connections are those to the database.
type connections struct {
	path    string
	file    os.FileInfo // of path, when it was opened
	writer  *sql.DB     // one connection
	reader  *sql.DB
	catalog *sqlcatalog.Catalog
	reading sync.Mutex // held while a payload is read: SQLite has all of it in memory then
}

// readers is how many sequences and lookups may read at the same moment.
const readers = 4

// creating is held from looking for a file to having it open. Closing any
// descriptor of a file drops all locks of the process on it (POSIX says so), and
// with them SQLite's: a new file may not be closed while a second Open has begun.
var creating sync.Mutex

// Open opens the database at path, making it and its folder, readable by the
// user alone, if there is none, and brings its tables to what this program
// knows. It refuses a database that is newer, or that is something else's.
func Open(ctx context.Context, path string) (*Catalog, error) {
	creating.Lock()
	defer creating.Unlock()
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	if err := create(path); err != nil {
		return nil, fmt.Errorf("catalogue %s: %w", path, err)
	}
	c := &connections{path: path}
	c.catalog = sqlcatalog.New(&dialect{c})
	if err = c.connect(ctx); err == nil {
		c.file, err = os.Stat(path)
	}
	catalog := &Catalog{c.catalog, c}
	if err != nil {
		return nil, errors.Join(c.explain(err), catalog.Close())
	}
	return catalog, nil
}

// create makes an empty file, which to SQLite is an empty database, so that
// its permissions are right from the first byte; the log beside it gets the same. The file's name and the
// folders above it are durable before anything is written: a run that reported success has a catalogue.
func create(path string) error {
	info, err := os.Stat(path)
	switch {
	case err == nil && !info.Mode().IsRegular():
		return errors.New("it is not a file")
	case err == nil && info.Size() > 0:
		return nil
	case err != nil && !errors.Is(err, os.ErrNotExist):
		return err
	}
	if err := durable.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err == nil {
		err = f.Close()
		// of another process, which may have been killed before it synced the folder
	} else if errors.Is(err, os.ErrExist) {
		err = nil
	}
	return errors.Join(err, syncFolder(filepath.Dir(path)))
}

// syncFolder is durable.SyncFolder, which a test watches.
var syncFolder = durable.SyncFolder

func (c *connections) connect(ctx context.Context) error {
	c.writer = pool(c.path, writerPragmas, 1)
	if err := c.enterWAL(ctx); err != nil {
		return err
	}
	if err := c.upgrade(ctx); err != nil {
		return err
	}
	c.reader = pool(c.path, readerPragmas, readers)
	return nil
}

// Close implements ingest.Catalog. The last one to close folds the write-ahead
// log into the database.
func (c *Catalog) Close() error {
	var failed []error
	for _, db := range []*sql.DB{c.conns.reader, c.conns.writer} {
		if db != nil {
			failed = append(failed, db.Close())
		}
	}
	return c.conns.explain(errors.Join(failed...))
}
