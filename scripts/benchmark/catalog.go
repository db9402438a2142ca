package main

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"slices"
	"time"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/ingest/lease"
	"github.com/hartonomous/ingest/storage/sqlite"
)

// batchRows is the maximum number of rows that a run writes in one transaction.
const batchRows = 1000

// catalog measures the rate of segment rows in SQLite: each with an atom, 1,000 per transaction.
func (b *bench) catalog(ctx context.Context) error {
	rates := make([]float64, b.rounds)
	for i := range rates {
		if err := b.clear("rows"); err != nil {
			return err
		}
		catalog, err := sqlite.Open(ctx, b.path("rows/catalog.db"))
		if err != nil {
			return err
		}
		if rates[i], err = recordRows(ctx, catalog, b.rows); err != nil {
			return err
		}
		if err := catalog.Close(); err != nil {
			return err
		}
	}
	slices.Sort(rates)
	fmt.Printf("  SQLite: %.0f segment rows per second, median of %d (goal 50,000)\n", rates[len(rates)/2], b.rounds)
	return nil
}

// recordRows records a model of one tensor with the given number of segments.
func recordRows(ctx context.Context, catalog ingest.Catalog, rows int) (perSecond float64, err error) {
	const segment = ingest.MinSegmentBytes
	size := int64(rows) * segment
	file := ingest.File{Path: "/rows", Role: ingest.Weights, Format: "gguf", Bytes: size, ExpectedBytes: -1,
		Tensors: []ingest.Tensor{{Name: "t", Type: "F32", Shape: []uint64{uint64(size / 4)}, Elements: size / 4,
			Bytes: size, BlockElements: 1, BlockBytes: 4}}}
	plan, err := ingest.NewPlan(&file, segment)
	if err != nil {
		return 0, err
	}
	lease, err := catalog.Open(ctx, ingest.JobRequest{Pipeline: "benchmark", Source: "rows", TTL: lease.DefaultTTL,
		Holder: ingest.ThisProcess()})
	if err != nil {
		return 0, err
	}
	entry, err := catalog.Begin(ctx, lease, &ingest.Model{Name: "rows", Type: "gguf", Files: []ingest.File{file}},
		[]*ingest.Plan{plan})
	if err != nil {
		return 0, err
	}
	batch := &ingest.Batch{Model: entry.ID, File: entry.Files[0].ID, HashState: make([]byte, 108)}
	begun := time.Now()
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
			return 0, err
		}
		batch.From, batch.Segments = batch.To, batch.Segments[:0]
	}
	return float64(rows) / time.Since(begun).Seconds(), nil
}

func numbered(n int64) ingest.Digest {
	var b [8]byte
	binary.LittleEndian.PutUint64(b[:], uint64(n))
	return sha256.Sum256(b[:])
}
