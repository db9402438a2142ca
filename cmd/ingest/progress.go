package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"

	"github.com/hartonomous/ingest/ingest"
)

// How often progress is drawn: on a terminal, and in a log.
const (
	drawEvery = 200 * time.Millisecond
	lineEvery = 10 * time.Second
)

// showProgress draws the counters until stop is called. stop draws them a last time.
func (p *program) showProgress(progress *ingest.Progress) (stop func()) {
	if p.quiet {
		return func() {}
	}
	draw, every := p.lines(progress), lineEvery
	if isTerminal(p.stderr) {
		draw, every = p.bar(progress), drawEvery
	}
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		ticker := time.NewTicker(every)
		defer ticker.Stop()
		for {
			select {
			case <-ticker.C:
				draw(false)
			case <-done:
				draw(true)
				return
			}
		}
	}()
	return func() { close(done); <-ended }
}

func isTerminal(w io.Writer) bool {
	file, ok := w.(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}

// addTotals adds what the models hold to the totals of progress.
func addTotals(progress *ingest.Progress, models ...ingest.Summary) {
	for _, m := range models {
		progress.BytesTotal.Add(totalBytes(m))
		progress.FilesTotal.Add(int64(len(m.Files)))
	}
}

// bar draws a bar on a terminal.
func (p *program) bar(progress *ingest.Progress) func(last bool) {
	var bar *progressbar.ProgressBar
	return func(last bool) {
		total := progress.BytesTotal.Load()
		if bar == nil {
			bar = progressbar.NewOptions64(max(total, 1), progressbar.OptionSetWriter(p.stderr),
				progressbar.OptionShowBytes(true), progressbar.OptionShowCount(), progressbar.OptionUseIECUnits(true),
				progressbar.OptionSetWidth(24), progressbar.OptionSetPredictTime(true), progressbar.OptionThrottle(0),
				progressbar.OptionFullWidth())
		}
		bar.ChangeMax64(max(total, 1))
		bar.Describe(describe(progress))
		bar.Set64(min(progress.BytesRecorded.Load(), max(total, 1))) // a drawing error does not stop the run
		if last {
			bar.Exit()
			fmt.Fprintln(p.stderr)
		}
	}
}

func describe(progress *ingest.Progress) string {
	text := fmt.Sprintf("%d/%d files", progress.FilesDone.Load(), progress.FilesTotal.Load())
	if path := progress.Current(); path != "" {
		name := []rune(ingest.Printable(filepath.Base(path)))
		text += " " + string(name[:min(len(name), 24)])
	}
	return text
}

// lines writes lines if stderr is not a terminal. Bytes of an earlier run do not count as speed.
func (p *program) lines(progress *ingest.Progress) func(last bool) {
	begun := time.Now()
	return func(last bool) {
		if last && time.Since(begun) < lineEvery {
			return // the summary suffices
		}
		done, total := progress.BytesRecorded.Load(), progress.BytesTotal.Load()
		fresh := done - progress.BytesResumed.Load()
		rate := float64(fresh) / time.Since(begun).Seconds()
		left := "unknown"
		if rate > 0 {
			left = time.Duration(float64(total-done) / rate * float64(time.Second)).Round(time.Second).String()
		}
		fmt.Fprintf(p.stderr, "ingest: %s of %s, %s/s, %s left, %s\n",
			human(done), human(total), human(int64(rate)), left, describe(progress))
	}
}
