package ollama

import (
	"bufio"
	"encoding/json"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/hartonomous/ingest/ingest"
)

// quirks are the facts about a real manifest from MANIFEST.tsv.
type quirks struct {
	path   string
	layers int // in the file; a repeated digest counts twice
	text   string
}

func realManifests(t *testing.T) (root string, all []quirks) {
	t.Helper()
	root = filepath.Join("..", "..", "..", "..", "shared", "testdata")
	list, err := os.Open(filepath.Join(root, "MANIFEST.tsv"))
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("real files are missing: %v", err)
		}
		t.Skipf("real files are missing: %v", err)
	}
	defer list.Close()
	lines := bufio.NewScanner(list)
	for lines.Scan() {
		if fields := strings.Split(lines.Text(), "\t"); strings.HasPrefix(fields[0], "ollama/manifests/") {
			layers, err := strconv.Atoi(fields[10])
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, quirks{fields[0], layers, fields[14]})
		}
	}
	return root, all
}

func TestRealManifests(t *testing.T) {
	root, all := realManifests(t)
	if len(all) != 94 { // package format reads one more
		t.Fatalf("%d real manifests, want 94", len(all))
	}
	for _, real := range all {
		t.Run(strings.TrimPrefix(real.path, "ollama/manifests/"), func(t *testing.T) { real.check(t, root) })
	}
}

func (q quirks) check(t *testing.T, root string) {
	text, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(q.path)))
	if err != nil {
		t.Fatal(err)
	}
	m, err := ParseManifest(text)
	if err != nil {
		t.Fatal(err)
	}
	var raw jsonManifest
	if err := json.Unmarshal(text, &raw); err != nil || len(raw.Layers) != q.layers {
		t.Fatalf("%d layers in the file, want %d, %v", len(raw.Layers), q.layers, err)
	}
	roles := map[ingest.Role]int{}
	for _, layer := range m.Layers {
		roles[layer.Role]++
	}
	if roles[ingest.Weights] != 1 || roles["other"] != 0 || roles[ingest.Config] != 1 {
		t.Errorf("roles %v: want one weights, one config, and none unknown", roles)
	}
	twice := strings.Contains(q.text, "same digest twice") || strings.Contains(q.text, "config repeated in layers")
	if want := q.layers + 1; twice && len(m.Layers) >= want || !twice && len(m.Layers) != want {
		t.Errorf("%d different files in %d layers and a config; repeated digest: %v", len(m.Layers), q.layers, twice)
	}
	if has := roles[ingest.Projector] > 0; has != strings.Contains(q.text, "projector layer") {
		t.Errorf("projectors: %d, %q", roles[ingest.Projector], q.text)
	}
	if several := strings.Contains(q.text, "several license layers"); several && !twice && roles[ingest.License] < 2 {
		t.Errorf("licenses: %d, %q", roles[ingest.License], q.text)
	}
	if _, err := Name(strings.TrimPrefix(q.path, "ollama/manifests/")); err != nil {
		t.Error(err)
	}
}
