package main

import (
	"os"

	"golang.org/x/sys/windows"
)

// acceptsSequences lets the console act on escape sequences, and reports whether it does.
func acceptsSequences(console *os.File) bool {
	var mode uint32
	handle := windows.Handle(console.Fd())
	return windows.GetConsoleMode(handle, &mode) == nil &&
		windows.SetConsoleMode(handle, mode|windows.ENABLE_VIRTUAL_TERMINAL_PROCESSING) == nil
}
