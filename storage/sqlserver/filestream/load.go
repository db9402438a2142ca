package filestream

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/hartonomous/ingest/storage"
)

// ErrSize says that a payload is longer or shorter than the buffer for it.
var ErrSize = errors.New("the payload has another size than expected")

// Locate asks the server, within a transaction, for its token and for the path of one
// payload, and reads the rows to the end. NULL is a nil token, or an empty path.
type Locate func(ctx context.Context) (token []byte, path string, err error)

// Load reads a payload, all of it, into buffer, which has its size, under a transaction of its
// own. The payload is the committed one. After an error (ErrSize and ErrNoPath are two) what
// is in buffer means nothing. Either way no file is open, and the transaction has ended.
//
// ctx is looked at before each step and each read of a few MiB. policy is that of Store.
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

// read fills the buffer, and makes sure that there is no more.
func read(file io.Reader, buffer []byte) error {
	n, err := io.ReadFull(file, buffer)
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return fmt.Errorf("%w: it ends after %d bytes of %d", ErrSize, n, len(buffer))
	}
	if err != nil {
		return err
	}
	switch n, err := io.ReadFull(file, make([]byte, 1)); {
	case n > 0:
		return fmt.Errorf("%w: it goes on after %d bytes", ErrSize, len(buffer))
	case err != io.EOF:
		return err
	}
	return nil
}

// paced reads a piece at a time, as long as ctx lasts.
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
