package filestream

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/hartonomous/ingest/storage"
)

// ErrSize is returned if a payload is longer or shorter than the buffer.
var ErrSize = errors.New("the payload does not have the expected size")

// Locate queries, within a transaction, its token and the path of one payload, and reads all rows.
// NULL is a nil token, or an empty path.
type Locate func(ctx context.Context) (token []byte, path string, err error)

// Load reads a whole payload into buffer, which has its size, in a transaction of its own. It reads
// the committed payload. After an error, such as ErrSize or ErrNoPath, the content of buffer is
// undefined. In any case, no file is open and the transaction has ended.
//
// ctx is checked before each step and each read of a few MiB. policy is that of Store.
func Load(ctx context.Context, tx Transaction, locate Locate, buffer []byte, files Files, policy storage.Policy) error {
	var token []byte
	var path string
	begun := time.Now()
	return within(ctx, tx,
		func() (err error) {
			token, path, err = locate(ctx)
			return err
		},
		func() error {
			return opener{files, policy, token, begun}.with(ctx, path, Read, func(file Handle) error {
				return read(paced{ctx, file}, buffer)
			})
		},
	)
}

// read fills the buffer, and makes sure that the file ends there.
func read(file io.Reader, buffer []byte) error {
	n, err := io.ReadFull(file, buffer)
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return fmt.Errorf("%w: it has %d bytes, want %d", ErrSize, n, len(buffer))
	}
	if err != nil {
		return err
	}
	switch n, err := io.ReadFull(file, make([]byte, 1)); {
	case n > 0:
		return fmt.Errorf("%w: it has more than %d bytes", ErrSize, len(buffer))
	case err != io.EOF:
		return err
	}
	return nil
}

// paced reads a few MiB at a time and checks ctx before each.
type paced struct {
	ctx  context.Context
	file Handle
}

// Read implements io.Reader.
func (p paced) Read(buffer []byte) (int, error) {
	if err := p.ctx.Err(); err != nil {
		return 0, err
	}
	return p.file.Read(buffer[:min(len(buffer), piece)])
}
