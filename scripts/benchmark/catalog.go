package main

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"slices"
	"time"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/storage/sqlite"
)

const (
	// batchRows is the maximum number of rows that a run writes in one transaction.
	batchRows = 1000
	// windowRows is how many rows one rate is measured with.
	windowRows = 100_000
)

// window is the cost of windowRows rows.
type window struct {
	perSecond float64
	writes    float64 // of each row; 0 if the system does not report them
}

// catalog measures the rate of segment rows in SQLite: each with an atom, 1,000 per transaction. All
// rounds but the last end after two windows.
func (b *bench) catalog(ctx context.Context) error {
	var first, second []float64
	var last window
	for round := range b.rounds {
		rows := 2 * windowRows
		if round == b.rounds-1 {
			rows = max(rows, b.rows)
		}
		windows, err := b.newCatalog(ctx, rows)
		if err != nil {
			return err
		}
		first, second = append(first, windows[0].perSecond), append(second, windows[1].perSecond)
		last = windows[len(windows)-1]
	}
	slices.Sort(first)
	slices.Sort(second)
	early := second[len(second)/2]
	fmt.Printf("  SQLite: %.0f segment rows per second, median of %d (goal 50,000)\n", first[len(first)/2], b.rounds)
	fmt.Printf("  SQLite: %.0f after %d rows, median of %d\n", early, windowRows, b.rounds)
	fmt.Printf("  SQLite: %.0f up to %d rows, %.2f of the rate after %d (goal 0.70 at 5,000,000)\n", last.perSecond,
		max(2*windowRows, b.rows), last.perSecond/early, windowRows)
	if last.writes > 0 {
		fmt.Printf("  SQLite: %.2f writes a row there (goal 1.50 at 5,000,000)\n", last.writes)
	}
	return nil
}

// newCatalog records rows in a new catalogue.
func (b *bench) newCatalog(ctx context.Context, rows int) ([]window, error) {
	if err := b.clear("rows"); err != nil {
		return nil, err
	}
	catalog, err := sqlite.Open(ctx, b.path("rows/catalog.db"))
	if err != nil {
		return nil, err
	}
	windows, err := recordRows(ctx, catalog, rows)
	if err != nil {
		return nil, err
	}
	return windows, catalog.Close()
}

// recordRows records a model of one tensor with the given number of segments.
func recordRows(ctx context.Context, catalog ingest.Catalog, rows int) (windows []window, err error) {
	const segment = ingest.MinSegmentBytes
	size := int64(rows) * segment
	file := ingest.File{Path: "/rows", Role: ingest.Weights, Format: "gguf", Bytes: size, ExpectedBytes: -1,
		Tensors: []ingest.Tensor{{Name: "t", Type: "F32", Shape: []uint64{uint64(size / 4)}, Elements: size / 4,
			Bytes: size, BlockElements: 1, BlockBytes: 4}}}
	plan, err := ingest.NewPlan(&file, segment)
	if err != nil {
		return nil, err
	}
	lease, err := catalog.Open(ctx, ingest.JobRequest{Pipeline: "benchmark", Source: "rows", TTL: time.Hour,
		Holder: ingest.ThisProcess()})
	if err != nil {
		return nil, err
	}
	entry, err := catalog.Begin(ctx, lease, &ingest.Model{Name: "rows", Type: "gguf", Files: []ingest.File{file}},
		[]*ingest.Plan{plan})
	if err != nil {
		return nil, err
	}
	batch := &ingest.Batch{Model: entry.ID, File: entry.Files[0].ID, HashState: make([]byte, 108)}
	done, begun, written := 0, time.Now(), writes()
	for s := range plan.All() {
		r := ingest.NewSegment{Segment: s, Layer: entry.Files[0].Layers[0], Type: "F32", Digest: numbered(s.Offset)}
		r.Address = ingest.Address{URI: "dir:sha256/00/" + r.Digest.String(), Bytes: s.Bytes}
		batch.Segments = append(batch.Segments, r)
		batch.To = s.End()
		if len(batch.Segments) < batchRows && s.End() < size {
			continue
		}
		if s.End() == size {
			batch.Digest = numbered(-1)
		}
		if err := catalog.Record(ctx, lease, batch); err != nil {
			return nil, err
		}
		done += len(batch.Segments)
		batch.From, batch.Segments = batch.To, batch.Segments[:0]
		if done%windowRows == 0 {
			now, total := time.Now(), writes()
			w := window{windowRows / now.Sub(begun).Seconds(), float64(total-written) / windowRows}
			windows = append(windows, w)
			begun, written = now, total
		}
	}
	return windows, nil
}

func numbered(n int64) ingest.Digest {
	var b [8]byte
	binary.LittleEndian.PutUint64(b[:], uint64(n))
	return sha256.Sum256(b[:])
}
