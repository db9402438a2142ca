package main

import (
	"fmt"
	"time"

	"github.com/hartonomous/ingest/ingest"
)

// How often progress is drawn: on a terminal, and in a log.
const (
	drawEvery = 200 * time.Millisecond
	lineEvery = 10 * time.Second
)

// showProgress draws the counters until stop is called. stop draws them a last time.
func (p *program) showProgress(progress *ingest.Progress) (stop func()) {
	p.watch.begin(progress, time.Now())
	if p.quiet {
		return func() {}
	}
	draw, every := p.drawLine, lineEvery
	if p.screen.terminal != nil {
		draw, every = p.drawBar, drawEvery
	}
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		ticker := time.NewTicker(every)
		defer ticker.Stop()
		for {
			select {
			case now := <-ticker.C:
				draw(now, false)
			case <-done:
				draw(time.Now(), true)
				return
			}
		}
	}()
	return func() { close(done); <-ended }
}

// addTotals adds what the models hold to the totals of progress.
func addTotals(progress *ingest.Progress, models ...ingest.Summary) {
	for _, m := range models {
		progress.BytesTotal.Add(totalBytes(m))
		progress.FilesTotal.Add(int64(len(m.Files)))
	}
}

// drawBar draws a bar on a terminal. The last one stays.
func (p *program) drawBar(now time.Time, last bool) {
	if last && p.watch.elapsed(now) < drawEvery {
		return // the summary suffices
	}
	p.screen.draw(p.watch.look(now).bar(p.screen.columns()))
	if last {
		p.screen.keep()
	}
}

// drawLine writes a line if stderr is not a terminal.
func (p *program) drawLine(now time.Time, last bool) {
	state := p.watch.look(now)
	if !last || p.watch.elapsed(now) >= lineEvery { // otherwise the summary suffices
		fmt.Fprintf(p.stderr, "ingest: %s\n", state.line())
	}
}

// announce names a step without counters if it takes long, in a line on stderr. The caller calls end
// after the step.
func (p *program) announce(format string, args ...any) (end func()) {
	if p.quiet {
		return func() {}
	}
	step, begun := fmt.Sprintf(format, args...), time.Now()
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		ticker := time.NewTicker(lineEvery)
		defer ticker.Stop()
		for {
			select {
			case now := <-ticker.C:
				fmt.Fprintf(p.stderr, "ingest: %s (%s so far)\n", step, now.Sub(begun).Round(time.Second))
			case <-done:
				return
			}
		}
	}()
	return func() { close(done); <-ended }
}
