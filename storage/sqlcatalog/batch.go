package sqlcatalog

import (
	"errors"
	"fmt"

	"github.com/hartonomous/ingest/ingest"
)

// checkBatch makes sure that the batch's segments are contiguous from From to To, and that each has
// a digest, and a layer if and only if it is of a tensor. With InRows, each must carry its whole
// payload, which is not encoded; otherwise, at most those of up to small bytes do, and have no
// address.
func checkBatch(batch *ingest.Batch, small int64) error {
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
		case !batch.InRows && s.Payload != nil && (int64(len(s.Payload)) != s.Bytes || s.Bytes > small ||
			s.Address.URI != ""):
			return fmt.Errorf("segment at %d of file %d: payload of %d bytes of %d, want an address", at, batch.File,
				len(s.Payload), s.Bytes)
		}
		err := checkEncoding(s.Address, s.Bytes)
		if err == nil && batch.InRows && s.Address.Codec != "" {
			err = errors.New("a payload in a row is not encoded")
		}
		if err != nil {
			return fmt.Errorf("segment at %d of file %d: %w", at, batch.File, err)
		}
		at = s.End()
	}
	if at != batch.To {
		return fmt.Errorf("batch of file %d ends at %d, its segments at %d", batch.File, batch.To, at)
	}
	return nil
}

// maxCodec is the length of the columns Codec.
const maxCodec = 20

// checkEncoding returns an error unless an address is that of the bytes themselves, or of a smaller
// payload with a codec and a digest.
func checkEncoding(a ingest.Address, bytes int64) error {
	switch {
	case a.Encoding == ingest.Encoding{}:
		return nil
	case a.Codec == "" || len(a.Codec) > maxCodec || a.Stored.IsZero():
		return fmt.Errorf("codec %q with SHA-256 %s: want a codec of at most %d bytes, and the SHA-256 of the "+
			"encoded payload", a.Codec, a.Stored, maxCodec)
	case a.URI == "":
		return fmt.Errorf("codec %q without an address", a.Codec)
	case a.Bytes < 1 || a.Bytes >= bytes:
		return fmt.Errorf("codec %q with %d bytes: want less than %d", a.Codec, a.Bytes, bytes)
	}
	return nil
}

// EncodingOf returns an encoding as its columns have it. A SHA-256 of another length is none.
func EncodingOf(codec string, stored []byte) (e ingest.Encoding) {
	if e.Codec = codec; codec != "" && len(stored) == len(e.Stored) {
		e.Stored = ingest.Digest(stored)
	}
	return e
}

// ErrOtherContent is returned for a segment that is already recorded with other bytes.
var ErrOtherContent = errors.New("other bytes are recorded for it: the file has changed, but its size and " +
	"modification time have not. Touch the file and run the same command again")

// fileProgress is how much of a file is recorded.
type fileProgress struct {
	Bytes    int64 // size of the file
	Recorded int64 // without a gap from the start
	Digest   ingest.Digest
}

// accepts returns an error for a batch that leaves a gap, extends past the end of the file, or
// contradicts what is recorded. A batch that is already recorded, wholly or partly, is accepted.
func (f *fileProgress) accepts(batch *ingest.Batch) error {
	switch {
	case batch.From < 0 || batch.From > f.Recorded:
		return fmt.Errorf("batch begins at byte %d, but only %d are recorded", batch.From, f.Recorded)
	case batch.To > f.Bytes:
		return fmt.Errorf("batch ends at byte %d of %d", batch.To, f.Bytes)
	case (batch.To == f.Bytes) == batch.Digest.IsZero():
		return fmt.Errorf("batch ends at byte %d of %d: only the last batch has the file's digest, and it must",
			batch.To, f.Bytes)
	case !f.Digest.IsZero() && !batch.Digest.IsZero() && f.Digest != batch.Digest:
		return fmt.Errorf("digest is %s, but %s is recorded", batch.Digest, f.Digest)
	}
	return nil
}

// Added is what a batch added to the tables.
type Added struct {
	Segments, Stored, Shared int64 // new segments, and bytes that were new or stored before
	// Rows are those of Segments, and of segments whose row another program had deleted.
	Rows int64
}

// of corrects n for a batch whose payloads are not shared: all its bytes are stored, even if their
// atoms existed.
func (n Added) of(batch *ingest.Batch) Added {
	if batch.Unshared {
		n.Stored, n.Shared = n.Stored+n.Shared, 0
	}
	return n
}
