package format

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hartonomous/ingest/ingest"
)

// testdata returns a folder of the real files beside the checkout.
func testdata(t *testing.T, name string) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join("..", "..", "..", "shared", "testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("real files are missing: %v", err)
		}
		t.Skipf("real files are missing: %v", err)
	}
	return path
}

func TestFindRealOllamaStore(t *testing.T) {
	const name = "example.com/library/smol:latest"
	root := testdata(t, "ollama/ollama-testdata-store")
	found, err := Find(t.Context(), []string{root})
	if err != nil {
		t.Fatal(err)
	}
	if len(found.Sources) != 1 || found.Sources[0].Name != name || found.Sources[0].URI != "ollama://"+name {
		t.Fatalf("%+v: want the one model", found.Sources)
	}
	files := found.Sources[0].Files
	if len(files) != 2 || files[0].Role != ingest.Weights || files[0].ExpectedBytes != 24 ||
		files[1].Role != ingest.Manifest {
		t.Errorf("%+v: want weights and manifest", files)
	}
	if len(found.Refused) != 1 || !strings.HasSuffix(found.Refused[0].Reason.Error(),
		"config blob sha256-ca239d7bd8ea90e4a5d2e6bf88f8d74a47b14336e73eb4e18bed4dd325018116 named by the manifest is "+
			"missing") {
		t.Errorf("refused: %v", found.Refused)
	}
}

func TestFindRealFiles(t *testing.T) {
	root := testdata(t, "gguf")
	files := 0
	err := filepath.WalkDir(root, func(_ string, entry os.DirEntry, err error) error {
		if entry.Type().IsRegular() {
			files++
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	found, err := Find(t.Context(), []string{root})
	if err != nil {
		t.Fatal(err)
	}
	sourceFiles, splits := 0, 0
	for _, source := range found.Sources {
		sourceFiles += len(source.Files)
		if len(source.Files) > 1 {
			splits++
		}
	}
	if len(found.Refused) != 0 || sourceFiles+len(found.Skipped) != files || splits == 0 {
		t.Errorf("%d files: %d in sources, %d split models, skipped %v, refused %v", files, sourceFiles, splits,
			found.Skipped, found.Refused)
	}
}
