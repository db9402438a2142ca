//go:build unix

package main

import (
	"context"
	"errors"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/hartonomous/ingest/ingest"
)

// TestInterruptWithoutPaths: an interrupt ends a wait for a pipe that nobody writes to.
func TestInterruptWithoutPaths(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	time.AfterFunc(20*time.Millisecond, func() { cancel(ingest.ErrInterrupted) })
	if _, err := readPaths(ctx, pipe); !errors.Is(err, ingest.ErrInterrupted) {
		t.Errorf("error is %v", err)
	}
}
