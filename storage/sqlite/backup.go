package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	driver "modernc.org/sqlite"
	codes "modernc.org/sqlite/lib"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/schema"
	"github.com/hartonomous/ingest/storage/sqlcatalog"
)

// backupPages is how many pages are copied at a time. Between two steps, a backup can be stopped.
const backupPages = 1024

// Backup copies the catalogue at from to the empty file at to, and checks the copy. Other processes
// may write during the copy, which has the rows of the moment when it began. The catalogue does not
// get missing schema steps.
//
// One read transaction lasts for the whole copy: without it, each write of another process would
// start the copy over, and one without end would prevent it. Until it ends, the write-ahead log
// grows. VACUUM INTO needs the same transaction and takes more processor time, because it inserts
// each row.
//
// The copy needs no journal, since nobody uses it if Backup fails. It is synced before Backup
// returns.
func Backup(ctx context.Context, from, to string, progress *ingest.Progress) error {
	from, err := filepath.Abs(from)
	if err != nil {
		return err
	}
	if to, err = filepath.Abs(to); err != nil {
		return err
	}
	c := &connections{path: from, reader: pool(from, readerPragmas, 1)}
	defer c.reader.Close() // it only reads
	c.catalog = sqlcatalog.New(&dialect{c})
	err = c.within(ctx, c.reader, "BEGIN", func(t *sqlcatalog.Tx) error {
		if err := requireOurs(t); err != nil {
			return err
		}
		var page int64
		if err := one(t, `PRAGMA page_size`).Scan(&page); err != nil {
			return err
		}
		return t.Conn.Raw(func(raw any) error { return copyPages(ctx, raw.(*conn), to, page, progress) })
	})
	if err != nil {
		return c.explainCopy(err)
	}
	return checkCopy(ctx, to)
}

// requireOurs returns an error unless the database is a catalogue of this or an earlier version.
func requireOurs(t *sqlcatalog.Tx) error {
	steps, err := schema.Steps(schema.SQLite)
	if err != nil {
		return err
	}
	applied, err := stepsApplied(t, steps)
	if err == nil && applied < 0 {
		err = errors.New("it is empty")
	}
	return err
}

// explainCopy tells errors of the copy from those of the catalogue, as far as their codes do.
func (c *connections) explainCopy(err error) error {
	if code(err) == codes.SQLITE_FULL {
		return fmt.Errorf("the disk is full: %w", err)
	}
	return c.explain(err)
}

// backuper is a connection of the driver.
type backuper interface {
	NewBackup(to string) (*driver.Backup, error)
}

// copyPages copies the database of c, which has a read transaction, page by page.
func copyPages(ctx context.Context, c *conn, to string, page int64, progress *ingest.Progress) error {
	backup, err := c.driverConn.(backuper).NewBackup(dsn(to, []string{"journal_mode(OFF)", "synchronous(FULL)",
		"cache_size(-1024)"}))
	if err != nil {
		return err
	}
	for more := true; more && err == nil; {
		if err = ctx.Err(); err != nil {
			break
		}
		more, err = backup.Step(backupPages)
		progress.BytesTotal.Store(page * int64(backup.PageCount()))
		progress.BytesRecorded.Store(page * int64(backup.PageCount()-backup.Remaining()))
	}
	if failed := backup.Finish(); err == nil { // Finish repeats the error of Step
		err = failed
	}
	return err
}

// checkCopy reads the whole copy. It opens it as a file that nobody else has, because SQLite would
// create a log and an index of it beside one in write-ahead mode.
func checkCopy(ctx context.Context, path string) error {
	db := sql.OpenDB(connector(dsn(path, readerPragmas) + "&immutable=1&mode=ro"))
	defer db.Close()
	rows, err := db.QueryContext(ctx, `PRAGMA quick_check(1)`)
	if err != nil {
		return fmt.Errorf("check the copy: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var found string
		if err := rows.Scan(&found); err != nil {
			return fmt.Errorf("check the copy: %w", err)
		}
		if found != "ok" {
			return fmt.Errorf("the copy is damaged, and probably the catalogue, too: keep older backups: %s",
				ingest.Printable(found))
		}
	}
	return rows.Err()
}

// RequireUnused returns an error if the files of a database are beside path: its log, which SQLite
// would apply to another file with this name, or its journal.
func RequireUnused(path string) error {
	for _, suffix := range []string{"-wal", "-journal"} {
		if _, err := os.Lstat(path + suffix); err == nil {
			return fmt.Errorf("%s is there: %s is a database that a process uses or did not close",
				ingest.Printable(path+suffix), ingest.Printable(path))
		}
	}
	return nil
}
