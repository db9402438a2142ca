package sqlcatalog

import (
	"errors"
	"fmt"

	"github.com/hartonomous/ingest/ingest"
)

// checkBatch refuses a batch that is not a run of segments without a gap, from its beginning to its end, each with a
// digest and with a layer if it is a tensor's; and, if payloads go into the rows, one that has not each of them whole.
// What it passes can be written without a look at more than one segment at a time.
func checkBatch(batch *ingest.Batch) error {
	at := batch.From
	for i := range batch.Segments {
		s := &batch.Segments[i]
		switch {
		case s.Offset != at || s.Bytes < 1:
			return fmt.Errorf("segment of %d bytes at %d of file %d: want the one at %d", s.Bytes, s.Offset, batch.File,
				at)
		case s.Digest.IsZero():
			return fmt.Errorf("segment at %d of file %d has no digest", at, batch.File)
		case (s.Layer == 0) != (s.Tensor == ingest.NoTensor):
			return fmt.Errorf("segment at %d of file %d: layer %d does not go with tensor %d", at, batch.File, s.Layer,
				s.Tensor)
		case batch.InRows && int64(len(s.Payload)) != s.Bytes:
			return fmt.Errorf("segment at %d of file %d: payload of %d bytes, want %d", at, batch.File, len(s.Payload),
				s.Bytes)
		}
		at = s.End()
	}
	if at != batch.To {
		return fmt.Errorf("batch of file %d ends at %d, its segments at %d", batch.File, batch.To, at)
	}
	return nil
}

// ErrOtherContent is the error for a segment of a batch that was recorded before, with other bytes.
var ErrOtherContent = errors.New("other bytes are recorded for it: the file has changed since, though neither its " +
	"size nor its time says so. " +
	"Give it another time (touch), and run the same command again")

// fileProgress is how far a file has got.
type fileProgress struct {
	Bytes    int64 // of the file
	Recorded int64 // of them, without a gap from the start
	Digest   ingest.Digest
}

// accepts refuses a batch of the file that leaves a gap, runs over the file's end, or
// contradicts what is recorded. One that is recorded already, wholly or in part, it takes.
func (f *fileProgress) accepts(batch *ingest.Batch) error {
	switch {
	case batch.From < 0 || batch.From > f.Recorded:
		return fmt.Errorf("batch begins at byte %d, and %d are recorded", batch.From, f.Recorded)
	case batch.To > f.Bytes:
		return fmt.Errorf("batch ends at byte %d of %d", batch.To, f.Bytes)
	case (batch.To == f.Bytes) == batch.Digest.IsZero():
		return fmt.Errorf("batch ends at byte %d of %d: the last one, and no other, has the file's digest", batch.To,
			f.Bytes)
	case !f.Digest.IsZero() && !batch.Digest.IsZero() && f.Digest != batch.Digest:
		return fmt.Errorf("digest is %s, and %s is recorded", batch.Digest, f.Digest)
	}
	return nil
}

// includes reports whether a batch that accepts takes would bring nothing: the file is
// past its end, and has the digest if the batch does. Noting it would take the file back.
func (f *fileProgress) includes(batch *ingest.Batch) bool {
	return batch.To <= f.Recorded && (batch.Digest.IsZero() || !f.Digest.IsZero())
}

// Added is what a batch brought beyond what was recorded.
type Added struct {
	Segments, Stored, Shared int64 // rows, and bytes that were new or stored before
}

// of returns what the rows of a batch have added to the store. The atoms alone do not tell, where none is shared.
func (n Added) of(batch *ingest.Batch) Added {
	if batch.Unshared {
		n.Stored, n.Shared = n.Stored+n.Shared, 0
	}
	return n
}
