package sqlite

import (
	"errors"
	"fmt"

	driver "modernc.org/sqlite"
	codes "modernc.org/sqlite/lib"
)

// hints explain SQLite's primary result codes and what to do about them.
var hints = map[int]string{
	codes.SQLITE_BUSY: "another process has held it locked for a minute: `ingest status` shows running jobs; end the " +
		"other program, then run the same command again",
	codes.SQLITE_CANTOPEN: "it cannot be opened: check the folder and its permissions",
	codes.SQLITE_CORRUPT:  "the file is damaged: restore it from a backup",
	codes.SQLITE_FULL:     "the disk is full: free some space, then run the same command again",
	codes.SQLITE_IOERR:    "the disk reported an error: see the log of the system",
	codes.SQLITE_NOTADB:   "the file is not a catalogue: it is not a SQLite database",
	codes.SQLITE_PERM:     "the file is not writable: check its permissions",
	codes.SQLITE_READONLY: "the file, its folder or the disk is read-only, or belongs to another user: make " +
		"them writable for this user",
}

// explain adds the database's path to an error, and a hint if there is one.
func (c *connections) explain(err error) error {
	if err == nil {
		return nil
	}
	if hint, ok := hints[code(err)]; ok {
		return fmt.Errorf("catalogue %s: %s: %w", c.path, hint, err)
	}
	return fmt.Errorf("catalogue %s: %w", c.path, err)
}

// code returns SQLite's primary result code; 0 for other errors.
func code(err error) int {
	var e *driver.Error
	if !errors.As(err, &e) {
		return 0
	}
	return e.Code() & 0xff
}

func isBusy(err error) bool { return code(err) == codes.SQLITE_BUSY }

// Refused implements sqlcatalog.Sessions.
func (c *connections) Refused(err error) bool {
	var e *driver.Error
	return errors.As(err, &e) && e.Code() == codes.SQLITE_CONSTRAINT_FOREIGNKEY
}

// Duplicate implements sqlcatalog.Sessions.
func (c *connections) Duplicate(err error) bool {
	var e *driver.Error
	return errors.As(err, &e) &&
		(e.Code() == codes.SQLITE_CONSTRAINT_UNIQUE || e.Code() == codes.SQLITE_CONSTRAINT_PRIMARYKEY)
}
