package migrate

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"strings"
	"sync"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/ingest/buffer"
	"github.com/hartonomous/ingest/ingest/codec"
	"github.com/hartonomous/ingest/ingest/lease"
	"github.com/hartonomous/ingest/ingest/reader"
)

// Recompress changes how payloads in a store are encoded. Each payload is read, put in its new encoding,
// read back, decoded and hashed; then all rows that share it are switched in one transaction. The
// former payload stays in the store until gc deletes it. A kill leaves rows of both kinds, which can be
// read, and the next run continues. Set the fields before Run.
type Recompress struct {
	Catalog ingest.Catalog
	Store   ingest.Store
	Target  string // the address of Store
	// Level codec.Off stores the bytes themselves, codec.Auto encodes payloads that are not encoded, and
	// codec.Max also encodes again those that become smaller.
	Level codec.Level
	// Options are those of the jobs. Run adds ingest.OptionStore.
	Options map[string]string
	Pool    *buffer.Pool
	Workers int // as in Segments
	// Progress may be nil; BytesRecorded counts the bytes of segments that were read.
	Progress *ingest.Progress
	Log      *slog.Logger // may be nil
	// Found is called with each problem, from one goroutine.
	Found func(Problem)
}

// Recompressed counts what Recompress did.
type Recompressed struct {
	Models int
	// Changed are the payloads that were put, and Before and After their bytes in the store.
	Changed       Count
	Before, After int64
	// Kept are payloads that have the encoding, or that it would not make smaller.
	Kept Count
	// Small are those that the catalogue keeps, Rows others in rows, and ByPosition those that other
	// programs find by the position of their row: all stay the bytes themselves.
	Small, Rows, ByPosition Count
	Failed                  int64 // each is a Problem
}

// done returns how many payloads have the encoding now, and how many failed.
func (r *Recompressed) done() (succeeded, failed int64) {
	return r.Changed.Rows + r.Kept.Rows, r.Failed
}

// Run recompresses the models. A payload that fails is in the report and does not stop the others. An
// error means that the run could not continue; changed rows stay changed.
func (r *Recompress) Run(ctx context.Context, models []ingest.Summary) (*Recompressed, error) {
	report := &Recompressed{}
	size := int64(0)
	for _, m := range models {
		for _, f := range m.Files {
			size = max(size, f.SegmentBytes)
		}
	}
	if size == 0 {
		return report, nil
	}
	if err := ingest.ClaimStore(ctx, r.Catalog, r.Store, r.Target); err != nil {
		return report, fmt.Errorf("store %s: %w", ingest.Printable(r.Target), err)
	}
	size = min(size, ingest.MaxSegmentBytes)
	each := size + r.Level.EncoderBytes() + codec.DecoderBytes
	n := min(int64(runtime.NumCPU()), max(1, r.Pool.Limit()/each/2))
	reading := 3*size + codec.DecoderBytes // a segment, its payload, and what the reader leaves free
	if err := r.Pool.Check(n*each + reading); err != nil {
		return report, err
	}
	beside := r.Pool.Lease()
	defer beside.Close()
	if err := beside.Reserve(ctx, n*each); err != nil {
		return report, err
	}
	workers := codec.NewWorkers(int(n), size)
	err := whenFree(ctx, models, func(m ingest.Summary) (busy bool, err error) {
		r.Progress.Begin(m.Name)
		defer r.Progress.End(m.Name)
		name := fmt.Sprintf("payloads of model %d", m.ID)
		request := ingest.JobRequest{Pipeline: "recompress", Source: name, Paths: []string{name},
			Options: withStore(r.Options, r.Target)}
		err = lease.Run(ctx, r.Catalog, request, r.Log, func(ctx context.Context, job ingest.Lease) error {
			c := &recompression{Recompress: r, workers: workers, report: report, model: m, job: job}
			return c.all(ctx)
		}, r.outcome(report))
		switch {
		case errors.Is(err, ingest.ErrBusy):
			return true, nil
		case err != nil:
			return false, fmt.Errorf("model %d (%s): %w", m.ID, ingest.Printable(m.Name), err)
		}
		report.Models++
		return false, nil
	})
	return report, err
}

// outcome returns the outcome of a job that begins now.
func (r *Recompress) outcome(report *Recompressed) func(error) ingest.Outcome {
	end, before := outcome(report.done, "payloads that were not changed"), report.Before-report.After
	return func(err error) ingest.Outcome {
		o := end(err)
		o.BytesSaved = report.Before - report.After - before
		return o
	}
}

// recompression is that of one model.
type recompression struct {
	*Recompress
	workers *codec.Workers
	model   ingest.Summary
	job     ingest.Lease
	types   map[ingest.LayerID]string

	mu     sync.Mutex // guards the sizes in report, which several goroutines count
	report *Recompressed
}

func (c *recompression) all(ctx context.Context) (err error) {
	if c.types, err = reader.Types(ctx, c.Catalog, c.model.ID); err != nil {
		return err
	}
	r := &reader.Reader{Catalog: c.Catalog, Store: c.Store, Pool: c.Pool, Workers: c.Workers, Progress: c.Progress}
	for _, f := range c.model.Files {
		err := r.Each(ctx, f, reader.Selection{Want: c.want, Work: c.change,
			Done: func(s ingest.StoredSegment, _ []byte, err error) error { return c.done(f, s, err) }})
		if err != nil {
			return fmt.Errorf("file %s: %w", ingest.Printable(f.Name), err)
		}
	}
	return nil
}

func (c *recompression) want(s *ingest.StoredSegment) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	encoded := s.Address.Codec != ""
	switch {
	case s.Small:
		c.report.Small.add(s.Bytes)
	case s.InRow:
		c.report.Rows.add(s.Bytes)
	case s.InStore() && !strings.Contains(s.Address.URI, s.Digest.String()):
		c.report.ByPosition.add(s.Bytes)
	case c.Level == codec.Off && !encoded, c.Level == codec.Auto && encoded:
		c.report.Kept.add(s.Bytes)
	default:
		return true
	}
	return false
}

func (c *recompression) done(file ingest.StoredFile, s ingest.StoredSegment, err error) error {
	var store *storeError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &store), errors.Is(err, ingest.ErrUnreachable):
		return fmt.Errorf("%s: %w", s.Place(), err)
	}
	c.report.Failed++
	if c.Found != nil {
		c.Found(Problem{file, s, err})
	}
	return nil
}

// change stores a payload in its new encoding, checks it, and switches its rows.
func (c *recompression) change(ctx context.Context, s *ingest.StoredSegment, payload []byte) error {
	if held, err := c.Store.Holds(ctx, s.Digest, s.Address); err != nil {
		return &storeError{err}
	} else if !held {
		return errors.New("its address is not one of this store; name the store that has it with --store")
	}
	w, err := c.workers.Get(ctx)
	if err != nil {
		return &storeError{err}
	}
	defer c.workers.Put(w)
	key := ingest.Key{Digest: s.Digest, Model: c.model.ID, File: s.File, Layer: s.Layer, Ordinal: s.Ordinal,
		Type: c.types[s.Layer]}
	encoded := payload
	if c.Level != codec.Off {
		encoded = w.Encode(w.Buffer, payload, key.Type, c.Level)
		if encoded == nil || s.Address.Codec != "" && int64(len(encoded)) >= s.Address.Bytes {
			c.count(&c.report.Kept, s, 0)
			return nil
		}
		key.Encoding = ingest.Encoding{Codec: codec.Name, Stored: ingest.Sum(encoded)}
	}
	address, err := c.put(ctx, w, key, encoded, payload)
	if err != nil {
		return &storeError{err}
	}
	if key.Codec != "" {
		err := w.Decode(payload, w.Buffer[:len(encoded)])
		if err != nil || ingest.Sum(payload) != key.Digest {
			return fmt.Errorf("the encoded payload does not decode to the original bytes, and its row was not "+
				"changed: this is a fault of ingest, please report it (%v)", err)
		}
	}
	switch err := c.Catalog.Relocate(ctx, c.job, *s, address); {
	case errors.Is(err, ingest.ErrMoved):
		return err
	case err != nil:
		return &storeError{err}
	}
	c.count(&c.report.Changed, s, address.Bytes)
	return nil
}

// count adds a payload to a count.
func (c *recompression) count(n *Count, s *ingest.StoredSegment, after int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	n.add(s.Bytes)
	if after > 0 {
		c.report.Before += s.Address.Bytes
		c.report.After += after
	}
}

// put puts a payload, encoded or not, and reads it back into the buffer of w. It overwrites a damaged
// payload that Put relied on. encoded may be in that buffer.
func (c *recompression) put(ctx context.Context, w *codec.Worker, key ingest.Key, encoded, payload []byte) (
	ingest.Address, error) {
	address, err := c.Store.Put(ctx, key, encoded)
	if err != nil {
		return address, err
	}
	stored := w.Buffer[:len(encoded)]
	err = c.readBack(ctx, key, address, stored)
	if isDamage(err) {
		if key.Codec != "" {
			encoded = w.Encode(w.Buffer, payload, key.Type, c.Level) // readBack has overwritten it
		}
		if address, err = c.Store.Replace(ctx, key.Digest, address, encoded); err == nil {
			err = c.readBack(ctx, key, address, stored)
		}
	}
	if err != nil {
		err = fmt.Errorf("the payload at %s: %w", ingest.Printable(address.URI), err)
	}
	return address, err
}

// readBack reads the payload at address into stored, and checks its SHA-256.
func (c *recompression) readBack(ctx context.Context, key ingest.Key, address ingest.Address, stored []byte) error {
	if err := c.Store.Get(ctx, key.Digest, address, 0, stored); err != nil {
		return err
	}
	if got, want := ingest.Sum(stored), key.Content(key.Digest); got != want {
		return fmt.Errorf("%w: it has SHA-256 %s, want %s", reader.ErrDamaged, got, want)
	}
	return nil
}
