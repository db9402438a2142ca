package sqlite_test

import (
	"database/sql"
	"path/filepath"
	"strings"
	"testing"
	"time"

	_ "modernc.org/sqlite"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/storage/catalogtest"
	"github.com/hartonomous/ingest/storage/sqlite"
	"github.com/hartonomous/ingest/storage/sqlite/sqlitetest"
)

func TestCatalog(t *testing.T) { catalogtest.Run(t, fresh) }

func TestRowStore(t *testing.T) { catalogtest.Rows(t, fresh) }

func TestSmall(t *testing.T) { catalogtest.Small(t, fresh) }

func fresh(t *testing.T) catalogtest.Database {
	path := filepath.Join(t.TempDir(), "catalogue.db")
	return func(t *testing.T) ingest.Catalog { return hand{sqlitetest.Open(t, path), path} }
}

// hand is a catalogue whose rows tests change directly.
type hand struct {
	*sqlite.Catalog
	path string
}

var _ catalogtest.ByHand = hand{}

func (h hand) exec(t *testing.T, query string, args ...any) {
	t.Helper()
	db, err := sql.Open("sqlite", h.path+"?_pragma=busy_timeout(10000)")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec(query, args...); err != nil {
		t.Fatal(err)
	}
}

func (h hand) AllowOldRows(t *testing.T) {
	t.Helper()
	h.exec(t, strings.Join(catalogtest.OldRows, ";"))
}

func (h hand) AddressTables() []string { return []string{"TensorSegmentCopies", "FileSegmentCopies"} }

func (h hand) SetLease(t *testing.T, job int64, ahead, given time.Duration) {
	t.Helper()
	h.exec(t, `UPDATE IngestionJobs SET LeaseMs = nullif(?, 0),
			LeaseExpiresMs = CAST(unixepoch('now', 'subsec') * 1000 AS INTEGER) + ?
		WHERE IngestionJobId = ?`, given.Milliseconds(), ahead.Milliseconds(), job)
}

func (h hand) Mark(t *testing.T, model ingest.ModelID) {
	t.Helper()
	h.exec(t, `UPDATE Models SET State = 'removing' WHERE ModelId = ?`, model)
}

func (h hand) Overwrite(t *testing.T, segment ingest.StoredSegment, payload []byte) {
	t.Helper()
	h.exec(t, `UPDATE FileSegments SET RawPayload = ? WHERE FileSegmentId = ?`, payload, segment.RowID)
}

func (h hand) Exec(t *testing.T, statement string, args ...any) {
	t.Helper()
	h.exec(t, statement, args...)
}

func (h hand) Count(t *testing.T, query string, args ...any) (n int64) {
	t.Helper()
	db, err := sql.Open("sqlite", h.path+"?_pragma=busy_timeout(10000)")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := db.QueryRow(query, args...).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}
