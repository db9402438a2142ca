package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"

	"github.com/rivo/uniseg"
	"golang.org/x/term"
)

// screen is a terminal with a bar in its last line. Any other output clears the bar first.
type screen struct {
	mu       sync.Mutex
	terminal *os.File // nil if stderr is not a terminal
	drawn    int      // columns of the bar on it
}

// screenWriter writes to a stream that may be on the screen.
type screenWriter struct {
	io.Writer
	screen *screen
}

// Write clears the bar, and writes.
func (w *screenWriter) Write(text []byte) (int, error) {
	w.screen.mu.Lock()
	defer w.screen.mu.Unlock()
	w.screen.clear()
	return w.Writer.Write(text)
}

// onScreen returns writers to stdout and stderr that share a screen.
func onScreen(stdout, stderr io.Writer) (_, _ io.Writer, s *screen) {
	if shared, ok := stderr.(*screenWriter); ok { // of the command that runs this one
		return stdout, stderr, shared.screen
	}
	s = &screen{}
	if file, ok := stderr.(*os.File); ok && isTerminal(file) {
		s.terminal = file
	}
	return &screenWriter{stdout, s}, &screenWriter{stderr, s}, s
}

func isTerminal(file *os.File) bool { return term.IsTerminal(int(file.Fd())) }

// columns returns the width of the terminal.
func (s *screen) columns() int {
	if columns, _, err := term.GetSize(int(s.terminal.Fd())); err == nil && columns > 0 {
		return columns
	}
	return 80
}

// draw draws the bar over the one before. Errors of drawing do not stop a run.
func (s *screen) draw(line string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	width := uniseg.StringWidth(line)
	erase := strings.Repeat(" ", max(0, min(s.drawn, s.columns()-1)-width))
	fmt.Fprintf(s.terminal, "\r%s%s", line, erase)
	s.drawn = width
}

// isDrawn reports whether a bar is on the screen.
func (s *screen) isDrawn() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.drawn > 0
}

// keep leaves the bar where it is, and ends its line.
func (s *screen) keep() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.drawn > 0 {
		fmt.Fprintln(s.terminal)
	}
	s.drawn = 0
}

// clear erases the bar. The caller holds mu.
func (s *screen) clear() {
	if s.drawn > 0 {
		fmt.Fprintf(s.terminal, "\r%s\r", strings.Repeat(" ", min(s.drawn, s.columns()-1)))
	}
	s.drawn = 0
}
