package migrate_test

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/ingest/buffer"
	"github.com/hartonomous/ingest/ingest/codec"
	"github.com/hartonomous/ingest/ingest/codec/codectest"
	"github.com/hartonomous/ingest/ingest/format"
	"github.com/hartonomous/ingest/ingest/format/gguf/gguftest"
	"github.com/hartonomous/ingest/ingest/gc"
	"github.com/hartonomous/ingest/ingest/migrate"
	"github.com/hartonomous/ingest/ingest/pipeline"
	"github.com/hartonomous/ingest/ingest/reader"
	"github.com/hartonomous/ingest/storage/catalogtest"
	"github.com/hartonomous/ingest/storage/sqlite"
	"github.com/hartonomous/ingest/storage/sqlite/sqlitetest"
	"github.com/hartonomous/ingest/storage/storetest"
)

// compressible is two models in a store, with payloads that are not encoded. Each has two segments of
// noise, and they share three of weights.
type compressible struct {
	*testing.T
	path    string // of the catalogue
	catalog *sqlite.Catalog
	store   *storetest.Memory
	models  []ingest.Summary
	content [][]byte
}

func newCompressible(t *testing.T) *compressible {
	t.Helper()
	folder := t.TempDir()
	path := filepath.Join(folder, "catalog.db")
	catalog := sqlitetest.Open(t, path)
	c := &compressible{T: t, path: path, catalog: catalog, store: &storetest.Memory{}}
	in := &pipeline.Ingester{Catalog: catalog, Store: c.store, StoreAddress: "memory:", Parse: format.Parser{}.Parse,
		Options: pipeline.Options{SegmentBytes: mib}}
	weights := codectest.Payload("F32", codectest.Weights(1, 3*mib/4))
	for i := range 2 {
		path := filepath.Join(folder, fmt.Sprint(i))
		file := gguftest.File{Seed: uint64(i), Tensors: []gguftest.Tensor{
			{Name: "a", Shape: []uint64{3 * mib / 4}, Data: weights}, {Name: "b", Shape: []uint64{mib / 3}}}}
		if err := file.Create(path); err != nil {
			t.Fatal(err)
		}
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		source := ingest.Source{Name: fmt.Sprint(i), Files: []ingest.SourceFile{{Path: path, Role: ingest.Weights,
			ExpectedBytes: -1}}}
		report, err := in.Run(t.Context(), ingest.JobRequest{Pipeline: "models", Source: path, TTL: time.Minute,
			Holder: ingest.ThisProcess()}, ingest.Found{Sources: []ingest.Source{source}})
		if err != nil || len(report.Ingested) != 1 {
			t.Fatalf("ingest: %+v, %v", report, err)
		}
		c.content = append(c.content, content)
		m, err := catalog.Model(t.Context(), report.Ingested[0].Model)
		if err != nil {
			t.Fatal(err)
		}
		c.models = append(c.models, m)
	}
	return c
}

func (c *compressible) recompress(level codec.Level) *migrate.Recompress {
	return &migrate.Recompress{Catalog: c.catalog, Store: c.store, Target: "memory:", Level: level,
		Pool: buffer.New(32 * mib), Workers: 1}
}

// run recompresses the models, and checks how many payloads changed and failed.
func (c *compressible) run(r *migrate.Recompress, changed, failed int64,
	models ...ingest.Summary) *migrate.Recompressed {
	c.Helper()
	report, err := r.Run(c.Context(), models)
	if err != nil {
		c.Fatal(err)
	}
	if report.Changed.Rows != changed || report.Failed != failed {
		c.Errorf("%+v, want %d changed and %d failed", report, changed, failed)
	}
	return report
}

// readable checks that both models can be read, and that the catalogue's numbers are right.
func (c *compressible) readable() {
	c.Helper()
	r := &reader.Reader{Catalog: c.catalog, Store: c.store, Pool: buffer.New(32 * mib)}
	for i, m := range c.models {
		var got bytes.Buffer
		_, err := r.Open(c.Context(), m.Files[0]).WriteTo(&got)
		if err != nil || !bytes.Equal(got.Bytes(), c.content[i]) {
			c.Errorf("model %d: %d of %d bytes, %v", i, got.Len(), len(c.content[i]), err)
		}
	}
	if err := c.catalog.Audit(c.Context()); err != nil {
		c.Error(err)
	}
}

// encoded counts the encoded segments of each model.
func (c *compressible) encoded() (n [2]int) {
	c.Helper()
	for i, m := range c.models {
		for s, err := range c.catalog.Segments(c.Context(), m.Files[0].ID, 0) {
			if err != nil {
				c.Fatal(err)
			}
			if s.Address.Codec != "" {
				n[i]++
			}
		}
	}
	return n
}

// collect deletes payloads that no row needs, and returns their number.
func (c *compressible) collect() int64 {
	c.Helper()
	collector := gc.Collector{Catalog: c.catalog, Store: c.store, Remove: true}
	request := ingest.JobRequest{Pipeline: "gc", Source: "gc", Holder: ingest.ThisProcess(), TTL: time.Minute}
	sum, err := collector.Collect(c.Context(), request, func(ingest.Object) {})
	if err != nil {
		c.Fatal(err)
	}
	return sum.Payloads
}

// Payloads are encoded and decoded again. Models that share them change together, and gc deletes the
// former ones.
func TestRecompress(t *testing.T) {
	c := newCompressible(t)
	one := c.models[0]
	report := c.run(c.recompress(codec.Auto), 3, 0, one)
	if report.Models != 1 || report.Before != 3*mib || report.After >= report.Before || report.Kept.Rows != 2 ||
		report.Small.Rows != 2 { // the header and the padding are small
		t.Errorf("%+v", report)
	}
	if got := c.encoded(); got != [2]int{3, 3} {
		t.Errorf("%v segments are encoded", got)
	}
	for _, m := range c.models {
		if now, err := c.catalog.Model(t.Context(), m.ID); err != nil || now.BytesSaved != report.Before-report.After {
			t.Errorf("model %d saved %d bytes, %v", m.ID, now.BytesSaved, err)
		}
	}
	c.readable()
	if n := c.collect(); n != 3 {
		t.Errorf("gc deleted %d payloads", n)
	}
	c.readable()
	c.run(c.recompress(codec.Auto), 0, 0, c.models...)
	report = c.run(c.recompress(codec.Off), 3, 0, c.models...) // those of the second model changed with the first
	if report.After != 3*mib || c.encoded() != [2]int{} {
		t.Errorf("%+v, %v segments are encoded", report, c.encoded())
	}
	c.readable()
	if n := c.collect(); n != 3 {
		t.Errorf("gc deleted %d payloads", n)
	}
	c.readable()
	for job, err := range c.catalog.AllJobs(t.Context()) {
		if err != nil || job.State != ingest.JobComplete {
			t.Errorf("job %+v, %v", job, err)
		}
	}
}

// A payload that is damaged is reported and keeps its row, and a damaged one of the new encoding that is
// already in the store is replaced.
func TestRecompressDamage(t *testing.T) {
	c := newCompressible(t)
	segments := func() (list []ingest.StoredSegment) {
		for s, err := range c.catalog.Segments(t.Context(), c.models[0].Files[0].ID, 0) {
			if err != nil {
				t.Fatal(err)
			}
			if s.Tensor == "a" {
				list = append(list, s)
			}
		}
		return list
	}
	before := segments()
	c.store.DamageAt(before[0].Digest, before[0].Address, make([]byte, mib))
	r := c.recompress(codec.Auto)
	var found []migrate.Problem
	r.Found = func(p migrate.Problem) { found = append(found, p) }
	c.run(r, 2, 1, c.models[0])
	if len(found) != 1 || found[0].Segment.RowID != before[0].RowID || !errors.Is(found[0].Reason, reader.ErrDamaged) {
		t.Errorf("%+v", found)
	}
	after := segments()
	if after[0] != before[0] {
		t.Errorf("the row of the damaged payload changed: %+v", after[0])
	}
	c.store.DamageAt(before[0].Digest, before[0].Address, c.content[0][before[0].Offset:before[0].Offset+mib])
	c.run(c.recompress(codec.Off), 2, 0, c.models[0])
	encoded := after[1].Address // still in the store
	c.store.DamageAt(after[1].Digest, encoded, make([]byte, encoded.Bytes))
	c.run(c.recompress(codec.Auto), 3, 0, c.models[0])
	if segments()[1].Address.Encoding != encoded.Encoding {
		t.Error("another encoding")
	}
	c.readable()
}

// elsewhere holds no payload under the addresses of rows.
type elsewhere struct{ *storetest.Memory }

func (elsewhere) Holds(context.Context, ingest.Digest, ingest.Address) (bool, error) {
	return false, nil
}

// Payloads in another store are left alone, whether or not this one has them, too.
func TestRecompressElsewhere(t *testing.T) {
	c := newCompressible(t)
	for want, store := range map[string]ingest.Store{
		"missing": &storetest.Memory{}, "not one of this store": elsewhere{c.store},
	} {
		r := c.recompress(codec.Auto)
		r.Store, r.Target = store, "memory:"+want
		var found []migrate.Problem
		r.Found = func(p migrate.Problem) { found = append(found, p) }
		c.run(r, 0, 5, c.models[0])
		if len(found) != 5 || !strings.Contains(found[0].Reason.Error(), want) || c.encoded() != [2]int{} {
			t.Errorf("want %s: %+v", want, found)
		}
	}
}

// movedRows is a catalogue in which another process has changed the rows.
type movedRows struct{ ingest.Catalog }

func (movedRows) Relocate(context.Context, ingest.Lease, ingest.StoredSegment, ingest.Address) error {
	return fmt.Errorf("row: %w", ingest.ErrMoved)
}

// Max encodes encoded payloads again, and keeps those that do not get smaller. Rows that another process
// has changed are problems, and do not end the run.
func TestRecompressMax(t *testing.T) {
	c := newCompressible(t)
	c.run(c.recompress(codec.Auto), 3, 0, c.models[0])
	before := c.encoded()
	r := c.recompress(codec.Max)
	report := c.run(r, 0, 0, c.models[0])
	if report.Kept.Rows != 5 || c.encoded() != before {
		t.Errorf("%+v", report)
	}
	r.Level, r.Catalog = codec.Off, movedRows{c.catalog}
	c.run(r, 0, 3, c.models[0])
	c.readable()
}

// With too little memory for a reader and an encoder, the error says how much is enough.
func TestRecompressMemory(t *testing.T) {
	c := newCompressible(t)
	r := c.recompress(codec.Auto)
	r.Pool = buffer.New(12*mib - 1)
	var small *buffer.TooSmallError
	if _, err := r.Run(t.Context(), c.models); !errors.As(err, &small) {
		t.Errorf("%v", err)
	}
	r.Pool = buffer.New(12 * mib)
	c.run(r, 3, 0, c.models[0])
	c.readable()
}

// TestRecompressFails lets each call of the store and the catalogue fail once, before and after its
// effect. The files stay readable, also after gc, and the next run has the result of one without faults.
func TestRecompressFails(t *testing.T) {
	c := newCompressible(t)
	step, verbs := int64(catalogtest.Sample(t, 19)), map[string]int{}
	for _, when := range []catalogtest.Moment{catalogtest.Before, catalogtest.After} {
		for index, fired := int64(0), true; fired; index += step {
			fired = false
			for _, level := range []codec.Level{codec.Auto, codec.Off} {
				if verb := c.failOnce(level, when, index); verb != "" {
					verbs[verb]++
					fired = true
				}
				c.collect()
				c.readable()
				if _, err := c.recompress(level).Run(t.Context(), c.models); err != nil {
					t.Fatal(err)
				}
				if n, want := c.encoded(), map[codec.Level]int{codec.Auto: 3}[level]; n != [2]int{want, want} {
					t.Fatalf("after a fault at call %d: %v segments are encoded", index, n)
				}
				c.readable()
			}
		}
	}
	t.Log(verbs)
	for _, verb := range []string{"Owner", "Open", "Layers", "Segments", "Holds", "Get", "Put", "Relocate",
		"CloseJob"} {
		if verbs[verb] == 0 && step == 1 {
			t.Errorf("no fault hit %s", verb)
		}
	}
}

// failOnce recompresses with one failing call, and returns its verb; empty if there were fewer calls.
func (c *compressible) failOnce(level codec.Level, when catalogtest.Moment, index int64) string {
	c.Helper()
	r := c.recompress(level)
	failed := failCall(when, index, &r.Catalog, &r.Store)
	report, err := r.Run(c.Context(), c.models)
	c.expireLeases()
	verb := failed()
	if verb != "" && err == nil && report.Failed == 0 && verb != "Get" {
		c.Fatalf("%s failed, and the report does not have it: %+v", verb, report)
	}
	return verb
}

// expireLeases ends the leases of jobs whose end has failed.
func (c *compressible) expireLeases() {
	c.Helper()
	db, err := sql.Open("sqlite", c.path)
	if err == nil {
		_, err = db.Exec(`UPDATE IngestionJobs SET LeaseExpiresMs = 1 WHERE LeaseExpiresMs IS NOT NULL`)
	}
	if err = errors.Join(err, db.Close()); err != nil {
		c.Fatal(err)
	}
}
