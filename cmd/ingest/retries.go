package main

import (
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/storage"
	"github.com/hartonomous/ingest/storage/azureblob"
)

// shortPause is the longest pause that is not shown: rows that two processes want are nothing to report.
const shortPause = 300 * time.Millisecond

// retrying shows a retry of a driver in the bar. Without a bar, it prints a line, at most one in ten
// seconds.
func (p *program) retrying(r storage.Retry) {
	if p.quiet || r.Pause < shortPause {
		return
	}
	now := time.Now()
	text := fmt.Sprintf("retrying: %s, attempt %d of %d", briefly(r.Err), r.Attempt, r.Attempts)
	p.watch.retrying(text, now.Add(r.Pause))
	if p.screen.isDrawn() {
		return
	}
	if last := p.told.Load(); now.UnixNano()-last > int64(lineEvery) && p.told.CompareAndSwap(last, now.UnixNano()) {
		fmt.Fprintf(p.stderr, "ingest: %s\n", text)
	}
}

// maxBrief is the width of an error in a line about a retry.
const maxBrief = 120

// briefly says in a few words what an error is, on one line.
func briefly(err error) string {
	var blobs *azureblob.Error
	switch {
	case !errors.As(err, &blobs):
		text, _, _ := strings.Cut(terminalSafe(err.Error()), "\n")
		return cutEnd(text, maxBrief)
	case blobs.Code != "":
		return cutEnd(ingest.Printable(spaced(blobs.Code)), maxBrief)
	case blobs.Status != 0:
		return fmt.Sprintf("status %d", blobs.Status)
	}
	return "no answer from the store"
}

// spaced turns a code of Azure, such as ServerBusy, into words.
func spaced(code string) string {
	var b strings.Builder
	for i, r := range code {
		if unicode.IsUpper(r) && i > 0 {
			b.WriteByte(' ')
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
}
