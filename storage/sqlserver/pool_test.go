package sqlserver

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/storage/catalogtest"
)

// pooled is an empty database that tests use in turn. The shared suite needs hundreds, and a server
// takes seconds to create one.
type pooled struct {
	address string
	schema  *sql.DB
	mu      sync.Mutex
	idle    []*Catalog
	open    int
}

var (
	poolMu sync.Mutex
	pool   []*pooled // unused ones
	every  []*pooled
)

func TestMain(m *testing.M) {
	if address := os.Getenv(streamerVariable); address != "" {
		os.Exit(streamer(address))
	}
	code := m.Run()
	for _, p := range every {
		if err := p.drop(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

func (p *pooled) drop() error {
	for _, c := range p.idle {
		c.Close()
	}
	p.schema.Close()
	return dropDatabase(p.address)
}

// fresh returns a new, empty catalogue.
func fresh(t *testing.T) catalogtest.Database {
	p := take(t)
	return func(t *testing.T) ingest.Catalog { return p.handle(t) }
}

func take(t testing.TB) *pooled {
	t.Helper()
	poolMu.Lock()
	defer poolMu.Unlock()
	if n := len(pool); n > 0 {
		p := pool[n-1]
		pool = pool[:n-1]
		return p
	}
	p := &pooled{address: createDatabase(t)}
	apply(t, p.address)
	var err error
	if p.schema, err = OpenSchema(p.address, Settings{}); err != nil {
		t.Fatal(err)
	}
	p.exec(t, `ALTER TABLE dbo.Atoms ADD Payload varbinary(max) NULL`) // of the FILESTREAM edition
	every = append(every, p)
	return p
}

// handle is a catalogue that Close returns to its database.
type handle struct {
	*Catalog
	p    *pooled
	once *sync.Once
}

func (h handle) Close() error {
	h.once.Do(func() { h.p.putBack(h.Catalog) })
	return nil
}

func (p *pooled) handle(t testing.TB) ingest.Catalog {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.open++
	var c *Catalog
	if n := len(p.idle); n > 0 {
		c, p.idle = p.idle[n-1], p.idle[:n-1]
	} else {
		var err error
		if c, err = Open(context.Background(), p.address, Settings{}); err != nil {
			t.Fatal(err)
		}
	}
	h := handle{c, p, new(sync.Once)}
	t.Cleanup(func() { h.Close() })
	return h
}

// SetLease implements catalogtest.ByHand.
func (h handle) SetLease(t *testing.T, job int64, ahead, given time.Duration) {
	t.Helper()
	h.p.exec(t, `UPDATE dbo.IngestionJobs SET LeaseExpires = DATEADD(millisecond, @p2, SYSUTCDATETIME()),
			LeaseMs = CASE WHEN @p3 = 0 THEN NULL ELSE @p3 END
		WHERE IngestionJobId = @p1`, job, int32(ahead.Milliseconds()), given.Milliseconds())
}

// Mark implements catalogtest.ByHand.
func (h handle) Mark(t *testing.T, model ingest.ModelID) {
	t.Helper()
	h.p.exec(t, `UPDATE dbo.Models SET State = N'removing' WHERE ModelId = @p1;
		DELETE FROM dbo.ModelKeys WHERE ModelId = @p1`, int64(model))
}

func (h handle) Overwrite(t *testing.T, segment ingest.StoredSegment, payload []byte) {
	t.Helper()
	h.p.exec(t, `UPDATE dbo.FileSegments SET RawPayload = @p1 WHERE FileSegmentId = @p2`, payload, segment.RowID)
}

// AddressTables implements catalogtest.ByHand.
func (handle) AddressTables() []string { return catalogtest.SegmentTables }

// AllowOldRows implements catalogtest.ByHand. The columns can be NULL.
func (h handle) AllowOldRows(*testing.T) {}

// Exec implements catalogtest.ByHand.
func (h handle) Exec(t *testing.T, statement string, args ...any) {
	t.Helper()
	h.p.exec(t, statement, args...)
}

// Count implements catalogtest.ByHand.
func (h handle) Count(t *testing.T, query string, args ...any) (n int64) {
	t.Helper()
	if err := h.p.schema.QueryRow(query, args...).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func (p *pooled) exec(t testing.TB, query string, args ...any) {
	t.Helper()
	if _, err := p.schema.Exec(query, args...); err != nil {
		t.Fatal(err)
	}
}

// putBack empties the database when its last handle is closed, and returns it to the pool.
func (p *pooled) putBack(c *Catalog) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.idle = append(p.idle, c)
	if p.open--; p.open > 0 {
		return
	}
	for _, table := range []string{"ModelNameFiles", "Models", "ModelMerges", "IngestionJobAtoms", "IngestionJobs",
		"Atoms"} {
		if _, err := p.schema.Exec(`DELETE FROM dbo.` + table); err != nil {
			fmt.Fprintln(os.Stderr, "emptying:", err)
			return // do not use it again
		}
	}
	poolMu.Lock()
	defer poolMu.Unlock()
	pool = append(pool, p)
}
