package main

import (
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// summaryOf matches what a section says about the fields of a summary.
var summaryOf = regexp.MustCompile("(?s)\n- `summary`: (.*?)\n(\n|- |$)")

// TestSummariesAreDocumented: the last line of each command that has a summary is one, with the version
// and with fields that the command's section describes.
func TestSummariesAreDocumented(t *testing.T) {
	b := newBox(t, t.TempDir(), false)
	models := filepath.Join(top, "scripts", "sample", "models")
	files := "dir:" + filepath.Join(t.TempDir(), "files")
	page := readPage(t, "README.md")
	for _, test := range []struct {
		section string
		args    []string
	}{
		{"register", []string{"register", models}},
		{"migrate locators", []string{"migrate", "locators", "--to", files}},
		{"migrate locators", []string{"migrate", "locators", "--back"}},
		{"models", []string{"models", models}},
		{"recompress", []string{"recompress", "--compress", "off"}},
		{"verify", []string{"verify"}},
		{"migrate segments", []string{"migrate", "segments", "--to", inRows}},
		{"rm", []string{"rm", "tiny", "--dry-run"}},
		{"rm", []string{"rm", "tiny", "--yes"}},
		{"gc", []string{"gc", "--yes"}},
	} {
		lines := b.must(test.args...).lines
		summary := lines[len(lines)-1]
		if summary["event"] != "summary" || number(summary, "version") != jsonVersion {
			t.Errorf("%s ends with %v, want a summary of version %d", test.section, summary, jsonVersion)
		}
		_, section, _ := strings.Cut(page, "\n## ingest "+test.section)
		section, _, _ = strings.Cut(section, "\n## ")
		described := summaryOf.FindStringSubmatch(section)
		if described == nil {
			t.Fatalf("the section of %s does not describe its summary", test.section)
		}
		for field := range summary {
			if field != "event" && field != "version" && !strings.Contains(described[1], "`"+field+"`") {
				t.Errorf("the section of %s does not describe the field %s of its summary", test.section, field)
			}
		}
	}
}
