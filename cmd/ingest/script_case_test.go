package main

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"

	"github.com/rogpeppe/go-internal/testscript"
)

// casesFolder has the cases after public reports, beside the checkout.
var casesFolder = filepath.Join("..", "..", "..", "shared", "cases", "sources")

// condition is true for [cases] if the cases are there.
func condition(name string) (bool, error) {
	if name != "cases" {
		return false, fmt.Errorf("unknown condition %s", name)
	}
	_, err := os.Stat(casesFolder)
	if err != nil && os.Getenv("CI") == "true" {
		return false, err
	}
	return err == nil, nil
}

// absoluteCases is casesFolder, which is relative to the folder of the test.
var absoluteCases, _ = filepath.Abs(casesFolder)

// linkText matches the content of a file that was a symbolic link: the cases were stored without
// links.
var linkText = regexp.MustCompile(`^(\.\./|/Volumes/|parts/)[^\n{}"]+$`)

// cmdCase copies a case with its links: case NAME.
func cmdCase(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: case NAME")
	}
	ts.Check(copyCase(filepath.Join(absoluteCases, args[0]), ts.MkAbs(args[0])))
}

// copyCase copies a case with its links.
func copyCase(from, to string) error {
	return filepath.WalkDir(from, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(from, path)
		to := filepath.Join(to, rel)
		if entry.IsDir() {
			return os.MkdirAll(to, 0o777)
		}
		if target, err := os.Readlink(path); err == nil {
			return os.Symlink(target, to)
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if linkText.Match(content) {
			return os.Symlink(filepath.FromSlash(string(content)), to)
		}
		return os.WriteFile(to, content, 0o666)
	})
}
