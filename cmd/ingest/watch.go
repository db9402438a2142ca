package main

import (
	"fmt"
	"sync"
	"time"

	"github.com/hartonomous/ingest/ingest"
)

// When a number means something.
const (
	rateSpan   = 30 * time.Second // a rate is the mean over this time: rows are written in batches
	rateAfter  = time.Second      // no rate before
	leftAfter  = 5 * time.Second  // no estimate before
	stallAfter = 10 * time.Second // a wait without a byte is named
)

// watch turns the counters of a run into what progress shows.
type watch struct {
	mu       sync.Mutex
	progress *ingest.Progress
	begun    time.Time
	samples  []sample  // at most one per second
	last     sample    // its time is that of the last change
	retry    string    // the last retry; empty when bytes moved after it
	until    time.Time // the end of its pause
}

// sample are counters at a time.
type sample struct {
	at    time.Time
	fresh int64 // bytes recorded in this run
	read  int64
}

func (w *watch) begin(progress *ingest.Progress, now time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.progress, w.begun = progress, now
	w.last = w.counters(now)
	w.samples = []sample{w.last}
}

func (w *watch) counters(now time.Time) sample {
	return sample{now, w.progress.BytesRecorded.Load() - w.progress.BytesResumed.Load(), w.progress.BytesRead.Load()}
}

func (w *watch) elapsed(now time.Time) time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	return now.Sub(w.begun)
}

// look returns what to show now.
func (w *watch) look(now time.Time) snapshot {
	w.mu.Lock()
	defer w.mu.Unlock()
	c := w.counters(now)
	if c.fresh != w.last.fresh || c.read != w.last.read {
		w.last = c
		if now.After(w.until) {
			w.retry = ""
		}
	}
	s := snapshot{done: w.progress.BytesRecorded.Load(), total: w.progress.BytesTotal.Load(),
		files: w.progress.FilesDone.Load(), allFiles: w.progress.FilesTotal.Load(), name: w.progress.Current()}
	s.rate = w.rate(c)
	if s.rate > 0 && s.total > s.done && now.Sub(w.begun) >= leftAfter {
		s.left = time.Duration(float64(s.total-s.done) / float64(s.rate) * float64(time.Second)).Round(time.Second)
	}
	if waited := now.Sub(w.last.at); w.retry != "" {
		s.notice = w.retry
	} else if waited >= stallAfter {
		s.notice = fmt.Sprintf("no answer from disk or server for %s", waited.Round(time.Second))
	}
	return s
}

// rate returns the bytes per second of the last time; 0 if they were too few to tell.
func (w *watch) rate(c sample) int64 {
	if c.at.Sub(w.samples[len(w.samples)-1].at) >= time.Second {
		w.samples = append(w.samples, c)
	}
	for len(w.samples) > 2 && c.at.Sub(w.samples[1].at) >= rateSpan {
		w.samples = w.samples[1:]
	}
	span := c.at.Sub(w.samples[0].at)
	if span < rateAfter {
		return 0
	}
	return int64(float64(c.fresh-w.samples[0].fresh) / span.Seconds())
}

// job returns the number of the running job; 0 if it is not known.
func (w *watch) job() int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.progress == nil {
		return 0
	}
	return w.progress.Job.Load()
}

// retrying remembers a retry until its pause ends and bytes move again.
func (w *watch) retrying(text string, until time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.retry, w.until = text, until
}
