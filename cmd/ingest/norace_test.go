//go:build !race

package main

import "testing"

// rerunWithoutRace does nothing: there is no race detector.
func rerunWithoutRace(*testing.T) bool { return false }
