//go:build linux && amd64

package main

import (
	"fmt"
	"path/filepath"
	"testing"
)

// TestLocatorsOnServer is TestLocators on the double of SQL Server, with both editions of Atoms.
func TestLocatorsOnServer(t *testing.T) {
	if rerunWithoutRace(t) {
		return
	}
	for _, to := range targets() {
		for _, plain := range []bool{false, true} {
			if plain && to != inRows && to != "dir" {
				continue // blobs are the same in both editions
			}
			t.Run(fmt.Sprint(filepath.Base(to), " plain ", plain), func(t *testing.T) {
				s := newServerDouble(t)
				s.PlainAtoms = plain
				r := newRegistryOn(t, s, to)
				r.plain = plain
				r.migrateAll(2)
			})
		}
	}
}
