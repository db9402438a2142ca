package main

import (
	"io/fs"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"
)

// TestLinesFit: lines of code have at most 120 columns, with a tab as four.
func TestLinesFit(t *testing.T) {
	const most, tab = 120, "    "
	lines := 0
	err := filepath.WalkDir(top, func(name string, entry fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(name) != ".go" {
			return err
		}
		number := 0
		for line := range strings.Lines(readPage(t, name)) {
			number++
			line = strings.ReplaceAll(strings.TrimSuffix(line, "\n"), "\t", tab)
			if n := utf8.RuneCountInString(line); n > most {
				t.Errorf("%s:%d: %d columns", name, number, n)
			}
		}
		lines += number
		return nil
	})
	if err != nil || lines == 0 {
		t.Errorf("%d lines, %v", lines, err)
	}
}
