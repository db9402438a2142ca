//go:build !race

package main

import "testing"

// outsideRace has nothing to do here.
func outsideRace(*testing.T) bool { return false }
