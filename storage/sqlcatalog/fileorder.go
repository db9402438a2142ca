package sqlcatalog

import (
	"iter"

	"github.com/hartonomous/ingest/ingest"
)

// fetchSegments returns the pieces that follow last in its table, a page of them in file
// order; none at the end. last is the zero value at first.
type fetchSegments func(last ingest.StoredSegment) ([]ingest.StoredSegment, error)

// inFileOrder merges the pieces of a file that lie in two tables, those of tensors and the
// others, into the order of the file. Each table is read a page at a time, when its turn
// comes. An error ends the sequence.
func inFileOrder(tensors, others fetchSegments) iter.Seq2[ingest.StoredSegment, error] {
	return func(yield func(ingest.StoredSegment, error) bool) {
		sources := [2]*pieces{{fetch: tensors}, {fetch: others}}
		for {
			next, err := earliest(sources)
			if err != nil {
				yield(ingest.StoredSegment{}, err)
				return
			}
			if next == nil {
				return
			}
			if !yield(next.take(), nil) {
				return
			}
		}
	}
}

// pieces reads pieces ahead, a page at a time.
type pieces struct {
	fetch fetchSegments
	page  []ingest.StoredSegment
	last  ingest.StoredSegment
	ended bool
}

// head returns the next piece without taking it; nil at the end.
func (p *pieces) head() (*ingest.StoredSegment, error) {
	if len(p.page) == 0 && !p.ended {
		var err error
		if p.page, err = p.fetch(p.last); err != nil {
			return nil, err
		}
		p.ended = len(p.page) == 0
	}
	if p.ended {
		return nil, nil
	}
	return &p.page[0], nil
}

func (p *pieces) take() ingest.StoredSegment {
	p.last, p.page = p.page[0], p.page[1:]
	return p.last
}

// earliest returns the source whose next piece comes first in the file; nil when all have ended.
func earliest(sources [2]*pieces) (*pieces, error) {
	var first *pieces
	var offset int64
	for _, source := range sources {
		piece, err := source.head()
		if err != nil {
			return nil, err
		}
		if piece != nil && (first == nil || piece.Offset < offset) {
			first, offset = source, piece.Offset
		}
	}
	return first, nil
}
