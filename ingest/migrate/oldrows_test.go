package migrate_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/ingest/buffer"
	"github.com/hartonomous/ingest/ingest/migrate"
	"github.com/hartonomous/ingest/ingest/reader"
	"github.com/hartonomous/ingest/storage/catalogtest"
	"github.com/hartonomous/ingest/storage/sqlite/sqlitetest"
	"github.com/hartonomous/ingest/storage/storetest"
)

// oldSetting is a setting whose model another program wrote, without files and digests.
type oldSetting struct {
	*setting
	db *sql.DB
}

func newOldSetting(t *testing.T, payloads ...string) *oldSetting {
	t.Helper()
	path := filepath.Join(t.TempDir(), "catalog.db")
	catalog := sqlitetest.Open(t, path)
	db, err := sql.Open("sqlite", path+"?_pragma=busy_timeout(10000)")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	s := &oldSetting{&setting{T: t, catalog: catalog}, db}
	s.exec(strings.Join(catalogtest.OldRows, ";"))
	s.reset(payloads...)
	return s
}

func (s *oldSetting) exec(statement string, args ...any) {
	s.Helper()
	if _, err := s.db.ExecContext(s.Context(), statement, args...); err != nil {
		s.Fatal(err)
	}
}

// reset empties the store and the tables, and adds a tensor with these payloads.
func (s *oldSetting) reset(payloads ...string) {
	s.Helper()
	s.store, s.content = &storetest.Memory{}, nil
	for _, table := range []string{"LayerTensorSegments", "ModelLayers", "Models", "Atoms"} {
		s.exec(`DELETE FROM ` + table)
	}
	s.exec(`INSERT INTO Models (ModelId, ModelName, ModelType) VALUES (5, 'old', 'GGUF')`)
	s.exec(`INSERT INTO ModelLayers (LayerId, ModelId, LayerIdx, LayerName, QuantizationType)
		VALUES (17, 5, 0, 'blk.0', 'F32')`)
	for i, p := range payloads {
		s.exec(`INSERT INTO LayerTensorSegments (LayerId, SegmentOrdinal, PointOffset, PointCount, QuantizationType,
			RawPayload) VALUES (17, ?, 0, 1, 'F32', ?)`, i, []byte(p))
		s.content = append(s.content, p...)
	}
	var err error
	if s.model, err = s.catalog.Model(s.Context(), 5); err != nil {
		s.Fatal(err)
	}
}

// digests counts the rows with a digest.
func (s *oldSetting) digests() (n int64) {
	s.Helper()
	for _, segment := range s.segments() {
		if !segment.Digest.IsZero() {
			n++
		}
	}
	return n
}

// TestOldRows moves payloads of another program to the store, and back.
func TestOldRows(t *testing.T) {
	s := newOldSetting(t, "first", "second", "first")
	dry := s.migration(false, true)
	dry.DryRun = true
	s.run(dry, 3, 3, 0)
	if s.digests() != 0 || s.store.Payloads() != 0 {
		t.Fatal("a dry run changed something")
	}
	s.run(s.migration(true, true), 0, 0, 0) // they are in rows
	s.run(s.migration(false, false), 3, 0, 0)
	s.readable()
	if inRow, stored, _ := s.rows(); inRow != 3 || stored != 3 || s.digests() != 3 || s.store.Payloads() != 2 {
		t.Fatalf("%d payloads in rows and %d in the store, %d with a digest", inRow, stored, s.digests())
	}
	s.run(s.migration(false, true), 0, 3, 0)
	s.readable()
	for _, toRows := range []bool{true, false} {
		s.run(s.migration(toRows, true), 3, 3, 0)
		s.readable()
	}
	v := &reader.Verifier{Reader: &reader.Reader{Catalog: s.catalog, Store: s.store, Pool: buffer.New(mib)}}
	err := v.Verify(t.Context(), s.model.Parts()[0], func(d reader.Damage) { t.Error(d) })
	if err != nil {
		t.Fatal(err)
	}
}

// TestOddOldRows checks that each row of another program that cannot be migrated is named, and that
// the others are migrated.
func TestOddOldRows(t *testing.T) {
	s := newOldSetting(t, "", "elsewhere", "large"+strings.Repeat(" ", mib), "good")
	s.exec(`UPDATE LayerTensorSegments SET BlobUri = 'https://elsewhere/1.bin' WHERE SegmentOrdinal = 1`)
	var small *buffer.TooSmallError
	for _, dry := range []bool{true, false} {
		m, named := s.migration(false, true), []string{}
		m.DryRun, m.Pool, m.Progress = dry, buffer.New(4*mib), &ingest.Progress{}
		m.Found = func(p migrate.Problem) {
			named = append(named, fmt.Sprint(p.File.Model, p.Segment.Layer, p.Segment.Ordinal))
			if p.Segment.Ordinal == 2 && !errors.As(p.Reason, &small) ||
				p.Segment.Ordinal == 0 && !errors.Is(p.Reason, ingest.ErrNoPayload) {
				t.Errorf("segment %d: %v", p.Segment.Ordinal, p.Reason)
			}
		}
		s.run(m, 1, 1, 3)
		if want := []string{"5 17 0", "5 17 1", "5 17 2"}; !slices.Equal(named, want) {
			t.Errorf("dry run %v: %v were named, want %v", dry, named, want)
		}
	}
	if s.digests() != 1 {
		t.Errorf("%d rows have a digest, want 1", s.digests())
	}
	m := s.migration(false, true)
	m.Pool = buffer.New(5 * mib)
	s.run(m, 1, 1, 2)
	m = s.migration(true, true)
	m.Pool = buffer.New(5 * mib)
	s.run(m, 2, 2, 2)
}

// TestChangedOldRow checks that a row whose payload changes during its migration gets no digest, and
// that a damaged object in the store is replaced.
func TestChangedOldRow(t *testing.T) {
	s := newOldSetting(t, "first", "second")
	digest := ingest.Sum([]byte("second"))
	if _, err := s.store.Put(t.Context(), ingest.Key{Digest: digest}, []byte("second")); err != nil {
		t.Fatal(err)
	}
	s.store.Damage(digest, []byte("sEcond"))
	m := s.migration(false, false)
	m.Store = &storetest.Faulty{Store: s.store, Hook: func(_ context.Context, call storetest.Call) error {
		if call.Verb == "Put" && call.Done {
			s.exec(`UPDATE LayerTensorSegments SET RawPayload = x'313233' WHERE SegmentOrdinal = 0`)
		}
		return nil
	}}
	s.run(m, 1, 0, 1)
	if s.digests() != 1 {
		t.Fatalf("%d rows have a digest, want 1", s.digests())
	}
	s.content = []byte("123second")
	s.readable()
	s.run(s.migration(false, true), 1, 2, 0)
	s.readable()
}

// careless is a store whose Replace writes other bytes.
type careless struct{ *storetest.Memory }

func (c careless) Replace(ctx context.Context, digest ingest.Digest, at ingest.Address,
	payload []byte) (ingest.Address, error) {
	address, err := c.Memory.Replace(ctx, digest, at, payload)
	c.Damage(digest, make([]byte, len(payload)))
	return address, err
}

// TestDamagedObjectIsReplacedWithCare checks that a damaged object is replaced only with the bytes that it
// lost, and that what replaces it is read back.
func TestDamagedObjectIsReplacedWithCare(t *testing.T) {
	s := newOldSetting(t, "first")
	digest := ingest.Sum([]byte("first"))
	if _, err := s.store.Put(t.Context(), ingest.Key{Digest: digest}, []byte("first")); err != nil {
		t.Fatal(err)
	}
	s.store.Damage(digest, []byte("fIrst"))
	m := s.migration(false, false)
	m.ReadBack, m.Store = true, careless{s.store}
	if _, err := m.Run(t.Context(), []ingest.Summary{s.model}); err == nil {
		t.Error("a damaged copy was taken for a good one")
	}
	if got := s.segments()[0].Address.URI; got != "" {
		t.Errorf("the row has the address %s of a damaged copy", got)
	}
	m = s.migration(false, false)
	m.ReadBack = true
	m.Store = &storetest.Faulty{Store: s.store, Hook: func(_ context.Context, call storetest.Call) error {
		if call.Verb == "Get" && call.Done {
			s.exec(`UPDATE LayerTensorSegments SET RawPayload = CAST('FIRST' AS BLOB)`)
		}
		return nil
	}}
	r, err := m.Run(t.Context(), []ingest.Summary{s.model})
	if err != nil || r.Failed != 1 {
		t.Errorf("%+v, %v: want one row that changed", r, err)
	}
}

// TestMessageOfRefusedReplacement checks that the error of a store names the object and the tensor, and no
// file without a name.
func TestMessageOfRefusedReplacement(t *testing.T) {
	s := newOldSetting(t, "first")
	digest := ingest.Sum([]byte("first"))
	address, err := s.store.Put(t.Context(), ingest.Key{Digest: digest}, []byte("first"))
	if err != nil {
		t.Fatal(err)
	}
	s.store.Damage(digest, []byte("fIrst"))
	m := s.migration(false, false)
	m.ReadBack = true
	m.Store = &storetest.Faulty{Store: s.store, Hook: func(_ context.Context, call storetest.Call) error {
		if call.Verb == "Replace" {
			return errors.New("refused")
		}
		return nil
	}}
	want := "model 5 (old): tensor blk.0 segment 0 (of layer 17): the copy at " + address.URI + ": refused"
	if _, err := m.Run(t.Context(), []ingest.Summary{s.model}); err == nil || err.Error() != want {
		t.Errorf("error is %v, want %s", err, want)
	}
}

// TestEachCallFailsOnceForOldRows is TestEachCallFailsOnce for rows of another program: each call
// fails in a migration that gives rows their digest.
func TestEachCallFailsOnceForOldRows(t *testing.T) {
	s := newOldSetting(t)
	step, verbs := int64(catalogtest.Sample(t, 7)), map[string]int{}
	for _, when := range []catalogtest.Moment{catalogtest.Before, catalogtest.After} {
		for index := int64(0); ; index += step {
			s.reset("first", "second", "first")
			verb := s.failOnce(false, when, index)
			if verb == "" {
				break
			}
			verbs[verb]++
			s.readable()
			if err := catalogtest.Check(t.Context(), s.catalog, nil); err != nil {
				t.Fatalf("after a failed %s: %v", verb, err)
			}
			if _, err := s.migration(false, true).Run(t.Context(), []ingest.Summary{s.model}); err != nil {
				t.Fatal(err)
			}
			s.readable()
			if inRow, stored, _ := s.rows(); inRow != 0 || stored != 3 || s.digests() != 3 {
				t.Fatalf("after a failed %s: %d payloads in rows and %d in the store, %d with a digest", verb, inRow,
					stored, s.digests())
			}
		}
	}
	for _, verb := range []string{"TensorSegments", "Put", "Stat", "Get", "ReadPayload", "AddAddresses",
		"ClearPayloads", "CloseJob"} {
		if verbs[verb] == 0 && step == 1 {
			t.Errorf("no fault hit %s: %v", verb, verbs)
		}
	}
}

// TestBusyOldModel checks that a row that cannot be migrated is named once, however often the model
// is tried.
func TestBusyOldModel(t *testing.T) {
	s := newOldSetting(t, "", "good")
	_, err := s.catalog.Open(t.Context(), ingest.JobRequest{Pipeline: "migrate", Source: "segments of model 5",
		Holder: ingest.Holder{Host: "elsewhere", Process: 1}, TTL: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	s.run(s.migration(false, false), 1, 0, 1)
}
