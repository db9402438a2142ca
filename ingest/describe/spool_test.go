package describe

import (
	"errors"
	"fmt"
	"testing"

	"github.com/hartonomous/ingest/ingest"
)

// TestAddFails: a frame that could not be written to its end leaves nothing, in memory and in a file.
func TestAddFails(t *testing.T) {
	for segments, inFile := range map[int]bool{8_000: false, 40_000: true} {
		compressor, err := newCompressor()
		if err != nil {
			t.Fatal(err)
		}
		failing := ofRemoved(ingest.Sum(nil))
		failing.segments = func(yield func(Segment, error) bool) {
			for i := range segments {
				if !yield(Segment{Ordinal: i, Digest: ingest.Sum(fmt.Append(nil, i))}, nil) {
					return
				}
			}
			yield(Segment{}, errNotInStore)
		}
		s := &spool{}
		for _, from := range []*source{ofRemoved(ingest.Sum([]byte{1})), failing, ofRemoved(ingest.Sum([]byte{2}))} {
			if err := s.add(compressor, from); errors.Is(err, errNotInStore) != (from == failing) {
				t.Fatal(err)
			}
		}
		d, err := s.finish(1)
		if err != nil || (s.file != nil) != inFile {
			t.Fatalf("%v, in a file: %v, want %v", err, s.file != nil, inFile)
		}
		table := make([]byte, tableHeader+2*tableEntry+tableFooter)
		if _, err := s.content().ReadAt(table, d.Bytes-int64(len(table))); err != nil {
			t.Fatal(err)
		}
		if frames, err := parseTable(table, d.Bytes); err != nil || len(frames) != 2 {
			t.Errorf("after %d segments: %d frames, %v", segments, len(frames), err)
		}
		if err := s.close(); err != nil {
			t.Error(err)
		}
	}
}
