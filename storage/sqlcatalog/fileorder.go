package sqlcatalog

import (
	"iter"

	"github.com/hartonomous/ingest/ingest"
)

// fetchSegments returns a page of the segments that follow last in one table, in file order, and
// none at the end. last is the zero value at first.
type fetchSegments func(last ingest.StoredSegment) ([]ingest.StoredSegment, error)

// inFileOrder merges the segments of a file from two tables into the order of the file. It reads
// each table page by page, as needed. An error ends the sequence.
func inFileOrder(tensors, others fetchSegments) iter.Seq2[ingest.StoredSegment, error] {
	return func(yield func(ingest.StoredSegment, error) bool) {
		sources := [2]*segmentPages{{fetch: tensors}, {fetch: others}}
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

// segmentPages reads segments ahead, a page at a time.
type segmentPages struct {
	fetch fetchSegments
	page  []ingest.StoredSegment
	last  ingest.StoredSegment
	ended bool
}

// head returns the next segment without taking it; nil at the end.
func (p *segmentPages) head() (*ingest.StoredSegment, error) {
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

func (p *segmentPages) take() ingest.StoredSegment {
	p.last, p.page = p.page[0], p.page[1:]
	return p.last
}

// earliest returns the source whose next segment comes first in the file; nil if all are at the
// end.
func earliest(sources [2]*segmentPages) (*segmentPages, error) {
	var first *segmentPages
	var offset int64
	for _, source := range sources {
		head, err := source.head()
		if err != nil {
			return nil, err
		}
		if head != nil && (first == nil || head.Offset < offset) {
			first, offset = source, head.Offset
		}
	}
	return first, nil
}
