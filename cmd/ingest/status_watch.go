package main

import (
	"bytes"
	"context"
	"errors"
	"os"
	"strings"
	"time"

	"golang.org/x/term"

	"github.com/hartonomous/ingest/ingest"
)

// watchEvery is the time between two looks of status.
const watchEvery = 2 * time.Second

// watchStatus shows the jobs until it is interrupted, which is how it is meant to end.
func (p *program) watchStatus(ctx context.Context) error {
	catalog, err := p.openExisting(ctx)
	if err != nil {
		return err
	}
	defer catalog.Close()
	redraw := !p.json && isTerminal(os.Stdout) && acceptsSequences(os.Stdout)
	sum := statusSummary{summaryHead: newSummary()}
	defer func() { p.printSummary(sum) }()
	var s paces
	for {
		var text bytes.Buffer
		progress, err := s.look(ctx, catalog)
		if err == nil {
			sum, err = p.printJobs(ctx, &text, 0, catalog, progress)
		}
		if err == nil {
			if redraw {
				_, err = p.stdout.Write([]byte(newScreenful(text.String(), os.Stdout)))
			} else if !p.json {
				_, err = p.stdout.Write(append(text.Bytes(), '\n'))
			}
		}
		if err == nil {
			err = pause(ctx, watchEvery)
		}
		switch {
		case errors.Is(context.Cause(ctx), ingest.ErrInterrupted):
			return nil
		case err != nil:
			return err
		}
	}
}

// newScreenful returns what clears the screen and shows the heading and the last lines of a table, as many
// as fit.
func newScreenful(table string, terminal *os.File) string {
	columns, rows, err := term.GetSize(int(terminal.Fd()))
	if err != nil || columns <= 0 || rows <= 0 {
		columns, rows = 80, 24
	}
	lines := strings.Split(strings.TrimRight(table, "\n"), "\n")
	if over := len(lines) - (rows - 1); over > 0 {
		lines = append(lines[:1], lines[min(1+over, len(lines)):]...)
	}
	for i := range lines {
		lines[i] = cutEnd(lines[i], columns-1)
	}
	return "\x1b[H\x1b[2J" + strings.Join(lines, "\n") + "\n"
}

// pause waits, or returns the cause of the context's end.
func pause(ctx context.Context, duration time.Duration) error {
	select {
	case <-time.After(duration):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
