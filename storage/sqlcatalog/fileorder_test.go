package sqlcatalog

import (
	"errors"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/hartonomous/ingest/ingest"
)

// table holds segments; fetch returns size at a time.
type table struct {
	offsets []int64
	size    int
	reads   int
	err     error // instead of the end
}

func (p *table) fetch(last ingest.StoredSegment) (page []ingest.StoredSegment, err error) {
	p.reads++
	for i := last.RowID; i < int64(len(p.offsets)) && len(page) < p.size; i++ {
		page = append(page, ingest.StoredSegment{RowID: i + 1, Offset: p.offsets[i]})
	}
	if len(page) == 0 {
		return nil, p.err
	}
	return page, nil
}

func TestInFileOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var both [2]*table
		for i := range both {
			both[i] = &table{size: rapid.IntRange(1, 4).Draw(t, "size")}
		}
		var want, got []int64
		for offset := range int64(rapid.IntRange(0, 30).Draw(t, "segments")) {
			in := both[rapid.IntRange(0, 1).Draw(t, "table")]
			in.offsets, want = append(in.offsets, offset), append(want, offset)
		}
		for segment, err := range inFileOrder(both[0].fetch, both[1].fetch) {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, segment.Offset)
		}
		if !slices.Equal(got, want) {
			t.Fatalf("%v, want %v", got, want)
		}
	})
}

// An error of one table ends the sequence before segments of the other that come after it in the
// file.
func TestInFileOrderEndsWithAnError(t *testing.T) {
	broken := errors.New("broken")
	tensors := &table{offsets: []int64{0, 10}, size: 1, err: broken}
	others := &table{offsets: []int64{5, 20}, size: 10}
	var got []int64
	var failed error
	for segment, err := range inFileOrder(tensors.fetch, others.fetch) {
		if failed != nil {
			t.Fatalf("%v, %v after an error", segment, err)
		}
		if failed = err; err == nil {
			got = append(got, segment.Offset)
		}
	}
	if !errors.Is(failed, broken) || !slices.Equal(got, []int64{0, 5, 10}) {
		t.Errorf("%v, %v", got, failed)
	}
}

// A consumer that stops early causes no further reads.
func TestInFileOrderStops(t *testing.T) {
	tensors, others := &table{offsets: []int64{0, 10}, size: 1}, &table{offsets: []int64{5}, size: 1}
	for range inFileOrder(tensors.fetch, others.fetch) {
		break
	}
	if tensors.reads != 1 || others.reads != 1 {
		t.Errorf("%d and %d pages were read", tensors.reads, others.reads)
	}
}
