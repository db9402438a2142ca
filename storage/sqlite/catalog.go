// Package sqlite is the embedded catalogue: one file, no server, and the same tables as in SQL
// Server.
//
// One connection writes and a few read, in write-ahead mode, so that listing models and a running
// ingest do not wait for each other. A verb that writes is one transaction, which takes the write
// lock at its start: it never reads what another process is about to change, and never deadlocks on
// a lock upgrade. Sequences read a page of rows at a time and hold no connection between pages: a
// snapshot held by a slow consumer would keep the write-ahead log from being reused.
//
// The database must be on a local disk: in write-ahead mode, the processes that use the file share
// memory.
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

// Catalog is an open database. It is safe for concurrent use.
type Catalog struct {
	*sqlcatalog.Catalog
	conns *connections
}

// connections are the open connections to the database.
type connections struct {
	path    string
	file    os.FileInfo // of path, when it was opened
	writer  *sql.DB     // one connection
	reader  *sql.DB
	catalog *sqlcatalog.Catalog
	reading sync.Mutex // held while a payload is read, which SQLite holds in memory as a whole
}

// readers is how many sequences and lookups may read at the same time.
const readers = 4

// creating is held from creating a file until it is open. On POSIX systems, closing any descriptor
// of a file drops all locks of the process on it, including SQLite's: create must not close a new
// file after another Open has locked it.
var creating sync.Mutex

// Open opens the database at path. It creates the file and its folder, readable by the user alone,
// if necessary, and applies missing schema steps. It returns an error for a database that is newer
// or belongs to another program.
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

// create makes an empty file, which is an empty database to SQLite, so that its permissions are
// right from the start; the log beside it inherits them. The file's name and the folders above it
// are durable before anything is written: after a run that reported success, there is a catalogue.
func create(path string) error {
	info, err := os.Stat(path)
	switch {
	case err == nil && !info.Mode().IsRegular():
		return errors.New("not a regular file")
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
	} else if errors.Is(err, os.ErrExist) { // another process may have been killed before it synced the folder
		err = nil
	}
	return errors.Join(err, syncFolder(filepath.Dir(path)))
}

// syncFolder is replaced by a test.
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

// Close implements ingest.Catalog. The last process to close the database folds the write-ahead log
// into it.
func (c *Catalog) Close() error {
	var failed []error
	for _, db := range []*sql.DB{c.conns.reader, c.conns.writer} {
		if db != nil {
			failed = append(failed, db.Close())
		}
	}
	return c.conns.explain(errors.Join(failed...))
}
