//go:build !windows

package main

import "os"

// acceptsSequences reports whether the terminal acts on escape sequences.
func acceptsSequences(*os.File) bool { return os.Getenv("TERM") != "dumb" }
