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
	ended, err := endedJobs(ctx, catalog)
	if err != nil {
		return err
	}
	var s paces
	for {
		var text bytes.Buffer
		view := statusView{to: &text, columns: terminalColumns(p.stdout), ended: ended}
		columns, rows := screenSize(os.Stdout)
		if redraw {
			view.columns = columns
		}
		progress, err := s.look(ctx, catalog)
		if err == nil {
			sum, err = p.printJobs(ctx, view, catalog, progress)
		}
		if err == nil {
			if redraw {
				_, err = p.stdout.Write([]byte(screenful(text.String(), columns, rows)))
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

// endedJobs returns the jobs that have ended. Their problems are no news to who watches.
func endedJobs(ctx context.Context, catalog ingest.Jobs) (map[int64]bool, error) {
	ended := map[int64]bool{}
	for job, err := range catalog.AllJobs(ctx) {
		if err != nil {
			return nil, err
		}
		ended[job.ID] = job.State != ingest.JobOpen
	}
	return ended, nil
}

// screenSize returns the part of a terminal in which a table is drawn: the cursor stays below it, and no
// line has the last column, because some terminals start a new line after it.
func screenSize(terminal *os.File) (columns, rows int) {
	columns, rows, err := term.GetSize(int(terminal.Fd()))
	if err != nil || columns <= 0 || rows <= 0 {
		columns, rows = 80, 24
	}
	return columns - 1, rows - 1
}

// screenful returns what draws a table over the one before: the heading, and the last jobs that fit. It
// clears the rest of each line and of the screen. Clearing the screen first would flicker, and fill the
// history of tmux.
func screenful(table string, columns, rows int) string {
	lines := strings.Split(strings.TrimRight(table, "\n"), "\n")
	lines = append(lines[:1:1], lastJobs(lines[1:], max(rows-1, 0))...)
	var screen strings.Builder
	screen.WriteString("\x1b[H")
	for _, line := range lines {
		screen.WriteString(cutEnd(line, columns) + "\x1b[K\n")
	}
	return screen.String() + "\x1b[J"
}

// lastJobs returns the last jobs that fit, with all lines below them. If the last job does not fit, it
// returns its row and its last lines.
func lastJobs(lines []string, most int) []string {
	job := 0 // the row of the last job
	for i, line := range lines {
		if strings.HasPrefix(line, indent) {
			continue
		}
		if job = i; len(lines)-i <= most {
			return lines[i:]
		}
	}
	if most < 1 || len(lines) == 0 {
		return nil
	}
	return append(lines[job:job+1:job+1], lines[len(lines)-most+1:]...)
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
