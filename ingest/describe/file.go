package describe

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"

	"github.com/hartonomous/ingest/ingest"
)

// readBytes is how much of a file is read from its store at a time.
const readBytes = 128 << 10

// section reads a part of a file in a store.
type section struct {
	ctx      context.Context
	store    ingest.DescriptionStore
	file     ingest.Description
	at, end  int64
	storeErr error // of the store
}

// Read implements io.Reader.
func (s *section) Read(into []byte) (int, error) {
	if s.at == s.end {
		return 0, io.EOF
	}
	into = into[:min(int64(len(into)), s.end-s.at)]
	if s.storeErr = s.store.ReadDescription(s.ctx, s.file, s.at, into); s.storeErr != nil {
		return 0, s.storeErr
	}
	s.at += int64(len(into))
	return len(into), nil
}

// Frames reads a file to its end, checks its digest, and returns its frames. Other errors than those of the
// store are ErrDamaged.
func Frames(ctx context.Context, store ingest.DescriptionStore, d ingest.Description) ([]Frame, error) {
	if d.Bytes < tableHeader+tableFooter {
		return nil, fmt.Errorf("%w: it has %d bytes", ErrDamaged, d.Bytes)
	}
	digest := sha256.New()
	_, err := io.CopyBuffer(struct{ io.Writer }{digest}, &section{ctx: ctx, store: store, file: d, end: d.Bytes},
		make([]byte, readBytes))
	if err != nil {
		return nil, err
	}
	if got := ingest.Digest(digest.Sum(nil)); got != d.Content {
		return nil, fmt.Errorf("%w: its SHA-256 is %s, and its name says %s", ErrDamaged, got, d.Content)
	}
	footer := make([]byte, tableFooter)
	if err := store.ReadDescription(ctx, d, d.Bytes-tableFooter, footer); err != nil {
		return nil, err
	}
	size, err := parseFooter(footer, d.Bytes)
	if err != nil {
		return nil, err
	}
	table := make([]byte, size)
	if err := store.ReadDescription(ctx, d, d.Bytes-size, table); err != nil {
		return nil, err
	}
	sizes, err := parseTable(table, d.Bytes)
	frames := make([]Frame, len(sizes))
	at := int64(0)
	for i, f := range sizes {
		frames[i] = Frame{File: d, Index: i, offset: at, size: f.compressed}
		at += f.compressed
	}
	return frames, err
}

// unreadable reports whether an error is of the content of a file, and not of its store.
func unreadable(err error) bool { return errors.Is(err, ErrDamaged) || errors.Is(err, ErrVersion) }
