package ingest_test

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"strings"
	"testing"
)

const module = "github.com/hartonomous/ingest/"

// goPackage is a package in the output of go list.
type goPackage struct {
	ImportPath string
	Imports    []string // of non-test files
}

// mayImport has the allowed imports of each part of the module. The longest prefix of a path
// counts.
var mayImport = map[string][]string{
	"ingest":          {},
	"ingest/buffer":   {},
	"ingest/codec":    {},
	"ingest/durable":  {},
	"ingest/sha256x2": {},
	"ingest/source":   {"ingest"},
	"ingest/lease":    {"ingest"},
	"ingest/remove":   {"ingest", "ingest/describe", "ingest/lease"},
	"ingest/describe": {"ingest", "ingest/codec"},
	"ingest/rebuild":  {"ingest", "ingest/describe", "ingest/lease"},
	"ingest/gc":       {"ingest", "ingest/describe", "ingest/lease"},
	"ingest/reader":   {"ingest", "ingest/buffer", "ingest/codec", "ingest/durable", "ingest/source"},
	"ingest/layout": {"ingest", "ingest/durable", "ingest/format/gguf", "ingest/format/oci", "ingest/format/ollama",
		"ingest/reader", "ingest/source"},
	"ingest/register": {"ingest", "ingest/lease", "ingest/source"},
	"ingest/migrate": {"ingest", "ingest/buffer", "ingest/codec", "ingest/lease", "ingest/reader",
		"ingest/source"},
	"ingest/pipeline": {"ingest", "ingest/buffer", "ingest/codec", "ingest/describe", "ingest/lease",
		"ingest/reader", "ingest/sha256x2", "ingest/source"},
	"ingest/format":               {"ingest", "ingest/format/", "ingest/source"},
	"ingest/format/header":        {"ingest/format/header"},
	"ingest/format/gguf":          {"ingest/format/header"},
	"ingest/format/gguf/gguftest": {"ingest/format/gguf"},
	"storage":                     {"ingest", "ingest/durable", "storage"},
	"storage/sqlcatalog":          {"ingest"},
	"storage/sqlite":              {"ingest", "ingest/durable", "schema", "storage/sqlcatalog"},
	"storage/sqlite/sqlitetest":   {"storage/sqlite"},
	"storage/sqlserver": {"ingest", "storage", "schema", "storage/sqlcatalog",
		"storage/sqlserver/filestream"},
	"storage/sqlserver/tdstest/tables": {"schema", "storage/sqlcatalog", "storage/sqlite", "storage/sqlserver/tdstest"},
	"schema":                           {},
	"cmd":                              {"ingest", "ingest/", "storage", "storage/", "schema"},
	"scripts":                          {"ingest", "ingest/", "storage", "storage/", "schema"},
}

// TestImports: imports run one way, cmd -> ingest/format and storage/* -> ingest; schema is a leaf;
// the library uses no driver, no SDK and no SQL.
func TestImports(t *testing.T) {
	list := exec.CommandContext(t.Context(), "go", "list", "-e", "-json=ImportPath,Imports", "../...")
	out, err := list.Output()
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for decoder := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p goPackage
		if err := decoder.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		path := strings.TrimPrefix(p.ImportPath, module)
		rule := ruleFor(path)
		seen[rule] = true
		for _, imported := range p.Imports {
			checkImport(t, path, rule, imported)
		}
	}
	for _, rule := range []string{"ingest", "ingest/format", "storage", "schema", "cmd"} {
		if !seen[rule] {
			t.Errorf("no package of %s was checked", rule)
		}
	}
}

// ruleFor returns the key of mayImport for a package.
func ruleFor(path string) string {
	for at := path; at != ""; at = at[:max(0, strings.LastIndexByte(at, '/'))] {
		if _, ok := mayImport[at]; ok {
			return at
		}
	}
	return ""
}

func checkImport(t *testing.T, path, rule, imported string) {
	within, ours := strings.CutPrefix(imported, module)
	switch {
	case rule == "":
		t.Errorf("%s: no rule for its imports", path)
	case ours && !allowed(mayImport[rule], within):
		t.Errorf("%s imports %s: imports run cmd -> ingest/format, storage/* -> ingest", path, within)
	case ours:
	case strings.HasPrefix(rule, "ingest") && strings.HasPrefix(imported, "database/sql"):
		t.Errorf("%s imports %s: the library uses no SQL", path, imported)
	case path == "ingest" && strings.Contains(imported, ".") && !strings.HasPrefix(imported, "golang.org/x/"):
		t.Errorf("the library imports %s: it uses no driver and no SDK", imported)
	}
}

// allowed reports whether entries allow an import. An entry with a slash at its end allows
// everything below it.
func allowed(entries []string, imported string) bool {
	for _, entry := range entries {
		if imported == entry || strings.HasSuffix(entry, "/") && strings.HasPrefix(imported, entry) {
			return true
		}
	}
	return false
}
