//go:build linux && amd64

package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// console runs the program on a console of Wine's, where it draws its bar, and stops it with
// Ctrl-C. It must record its pending batches. Closing the window, logging off and shutting down
// need a desktop; Go turns them into SIGTERM, which TestInterrupt sends.
func (w *windows) console(t *testing.T) {
	const size = 64 << 30 // a sparse file that takes longer to read than the test lasts
	folder := t.TempDir()
	zeros := filepath.Join(folder, "zeros")
	if err := errors.Join(os.WriteFile(zeros, nil, 0o644), os.Truncate(zeros, size)); err != nil {
		t.Fatal(err)
	}
	h := windowsHome{T: t, windows: w, box: box{TB: t, catalog: filepath.Join(folder, "catalog.db"),
		store: filepath.Join(folder, "store")}}
	h.flags = []string{"--catalog", "sqlite:" + windowsPath(h.catalog)}

	ours, theirs := terminal(t, 80)
	run := h.command("models", windowsPath(zeros))
	run.Stdin, run.Stdout, run.Stderr = theirs, theirs, theirs
	run.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := run.Start(); err != nil {
		t.Fatal(err)
	}
	theirs.Close()
	shown := make(chan string)
	var mu sync.Mutex
	var drawn strings.Builder
	go func() {
		buffer := make([]byte, 4096)
		for {
			n, err := ours.Read(buffer) // fails when no process has the terminal open
			mu.Lock()
			drawn.Write(buffer[:n])
			mu.Unlock()
			if err != nil {
				shown <- drawn.String()
				return
			}
		}
	}()
	h.waitFor("progress on the bar", func() bool {
		mu.Lock()
		defer mu.Unlock()
		return strings.Contains(drawn.String(), "0/1 files") && strings.Contains(drawn.String(), "1%")
	})
	if _, err := ours.Write([]byte{3}); err != nil {
		t.Fatal(err)
	}
	err := run.Wait()
	text := <-shown
	if run.ProcessState.ExitCode() != exitInterrupted || !strings.Contains(text, "stopping") ||
		!strings.Contains(text, "command continues") {
		t.Fatalf("%v\n%q", err, text)
	}
	left := h.auditFiles(folder, nil)
	if left.open != 1 || left.recorded == 0 {
		t.Errorf("%d models are open, %d bytes recorded", left.open, left.recorded)
	}
}
