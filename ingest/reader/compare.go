package reader

import (
	"context"
	"crypto/sha256"
	"io"
	"iter"

	"github.com/hartonomous/ingest/ingest"
)

// Segments is the part of ingest.Reader that Compare needs.
type Segments interface {
	Segments(ctx context.Context, file ingest.FileID, from int64) iter.Seq2[ingest.StoredSegment, error]
}

// Compare reads source, a copy of the stored file at path, and returns the segments whose SHA-256
// differs from the recorded one, in file order. If source ends early, the missing segments differ.
// It reads through buffer, and calls read with the number of bytes read. Sizes in rows do not affect
// its memory. If the rows do not cover the file (ingest.ErrIncomplete) or source cannot be read, the
// error is an *ingest.SourceError.
func Compare(ctx context.Context, rows Segments, file ingest.StoredFile, path string, source io.ReaderAt, buffer []byte,
	read func(bytes int64)) ([]ingest.StoredSegment, error) {
	var differing []ingest.StoredSegment
	at := int64(0)
	for s, err := range rows.Segments(ctx, file.ID, 0) {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		if err != nil {
			return nil, err
		}
		if s.Offset != at {
			return nil, &ingest.SourceError{Path: path, Offset: at, Err: gap(at, s.Offset)}
		}
		same, n, err := matches(ctx, s, source, buffer)
		read(n)
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		if err != nil {
			return nil, &ingest.SourceError{Path: path, Offset: at + n, Err: err}
		}
		if !same {
			differing = append(differing, s)
		}
		at += s.Bytes
	}
	if at != file.Bytes {
		return nil, &ingest.SourceError{Path: path, Offset: at, Err: gap(at, file.Bytes)}
	}
	return differing, nil
}

// Matches reports whether source has the recorded bytes of s, and how many bytes it read.
func Matches(ctx context.Context, s ingest.StoredSegment, source io.ReaderAt) (bool, int64, error) {
	return matches(ctx, s, source, make([]byte, 64<<10))
}

func matches(ctx context.Context, s ingest.StoredSegment, source io.ReaderAt, buffer []byte) (bool, int64, error) {
	sum := sha256.New()
	n := int64(0)
	for n < s.Bytes {
		if ctx.Err() != nil {
			return false, n, context.Cause(ctx)
		}
		part := buffer[:min(int64(len(buffer)), s.Bytes-n)]
		got, err := source.ReadAt(part, s.Offset+n)
		sum.Write(part[:got])
		n += int64(got)
		if err == io.EOF && n < s.Bytes {
			return false, n, nil
		}
		if err != nil && err != io.EOF {
			return false, n, err
		}
	}
	return ingest.Digest(sum.Sum(nil)) == s.Digest, n, nil
}
