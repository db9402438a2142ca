package source

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"github.com/hartonomous/ingest/ingest"
)

// CheckUnchanged checks that file, which Open opened at path and root, has its size and modification
// time, that it is still at path, and that it has no bytes after its size. The error is an
// *ingest.SourceError, of ingest.ErrChanged for a file that changed.
func CheckUnchanged(file *os.File, path, root string, size int64, modified time.Time) error {
	open, err := file.Stat()
	if err != nil {
		return &ingest.SourceError{Path: path, Offset: -1, Err: err}
	}
	named, err := Stat(path, root)
	if err != nil {
		return &ingest.SourceError{Path: path, Offset: -1, Err: fmt.Errorf("%w (%w)", ingest.ErrChanged, err)}
	}
	const clock = "15:04:05.000"
	for _, info := range []fs.FileInfo{open, named} {
		if info.Size() != size || !info.ModTime().Equal(modified) || !os.SameFile(open, info) {
			return &ingest.SourceError{Path: path, Offset: -1,
				Err: fmt.Errorf("it had %d bytes of %s, and now has %d of %s: %w", size, modified.Format(clock),
					info.Size(), info.ModTime().Format(clock), ingest.ErrChanged)}
		}
	}
	if n, _ := file.ReadAt(make([]byte, 1), size); n > 0 { // as in files of /proc
		return &ingest.SourceError{Path: path, Offset: size,
			Err: errors.New("it has more bytes than its size says: copy it to a file first")}
	}
	return nil
}

// hashBytes is the size of the reads of Hash.
const hashBytes = 1 << 20

// Hash returns the SHA-256 of the first size bytes of the file at path. It calls read with the number
// of bytes that each part has. The error is an *ingest.SourceError, of ingest.ErrChanged if the file
// ends early, or the cause of ctx.
func Hash(ctx context.Context, file io.ReaderAt, path string, size int64, read func(n int64)) (ingest.Digest, error) {
	sum := sha256.New()
	buffer := make([]byte, min(hashBytes, max(1, size)))
	for at := int64(0); at < size; {
		if ctx.Err() != nil {
			return ingest.Digest{}, context.Cause(ctx)
		}
		part := buffer[:min(int64(len(buffer)), size-at)]
		n, err := file.ReadAt(part, at)
		at += int64(n)
		read(int64(n))
		if n < len(part) {
			if errors.Is(err, io.EOF) {
				err = fmt.Errorf("the file ends here and had %d bytes: %w", size, ingest.ErrChanged)
			}
			return ingest.Digest{}, &ingest.SourceError{Path: path, Offset: at, Err: err}
		}
		sum.Write(part)
	}
	return ingest.Digest(sum.Sum(nil)), nil
}
