package format

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hartonomous/ingest/ingest"
)

// TestFindLinksBetweenGivenPaths: a link may lead to another given path.
func TestFindLinksBetweenGivenPaths(t *testing.T) {
	root := folder(t, map[string]string{
		"studio/a.gguf": "-> ../ollama/blob", "studio/b.gguf": "-> ../one/b.gguf", "studio/sub": "-> ../ollama/sub",
		"ollama/blob": "", "ollama/sub/c.gguf": "", "one/b.gguf": "", "one/d.gguf": "",
		"studio/d.gguf": "-> ../one/d.gguf",
	})
	sources, _, refused := find(t, root, "studio", "ollama", "one/b.gguf")
	expect(t, "sources", sources, []string{"weights ollama/sub/c.gguf", "weights one/b.gguf", "weights studio/a.gguf"})
	expect(t, "refused", refused,
		[]string{"studio/d.gguf: a symbolic link that leads out of the given folder, to ROOT/one/d.gguf"})
}

// TestFindSnapshot: a link in a snapshot of a Hugging Face repository may lead to the blobs folder
// beside the snapshots, but to no other folder.
func TestFindSnapshot(t *testing.T) {
	files := map[string]string{
		"models--me--x/blobs/" + weightsHex: "", "models--me--x/snapshots/1/x.gguf": "-> ../../blobs/" + weightsHex,
		"models--me--x/snapshots/1/Q4/y.gguf": "-> ../../../blobs/" + otherHex, "models--me--x/blobs/" + otherHex: "",
		"models--me--x/snapshots/1/out.gguf": "-> ../../../other.gguf", "other.gguf": "",
		"models--me--x/refs/main": "2",
	}
	root := folder(t, files)
	x := "me/x@1/x.gguf weights models--me--x/snapshots/1/x.gguf"
	y := "me/x@1/Q4/y.gguf weights models--me--x/snapshots/1/Q4/y.gguf"
	for given, want := range map[string][]string{"snapshots": {y, x}, "snapshots/1": {y, x}, "snapshots/1/Q4": {y}} {
		sources, _, refused := find(t, root, "models--me--x/"+given)
		expect(t, "sources of "+given, sources, want)
		if len(want) == 2 {
			expect(t, "refused", refused,
				[]string{"models--me--x/snapshots/1/out.gguf: a symbolic link that leads out"})
		}
	}
	delete(files, "models--me--x/blobs/"+weightsHex)
	delete(files, "models--me--x/blobs/"+otherHex)
	files["models--me--x/blobs"], files["elsewhere/"+weightsHex] = "-> ../elsewhere", ""
	files["elsewhere/"+otherHex] = ""
	sources, _, refused := find(t, folder(t, files), "models--me--x/snapshots/1")
	if len(sources) != 0 || len(refused) != 3 {
		t.Errorf("with a linked blobs folder: %v, refused %v", sources, refused)
	}
}

// TestParseAfterSwap: Parse refuses a file that became a link out of the given path after the
// search, and a file in such a folder.
func TestParseAfterSwap(t *testing.T) {
	hex := ingest.Sum([]byte("weights")).String()
	outside := folder(t, map[string]string{"a.gguf": "secret", "sha256-" + hex: "secret"})
	for name, test := range map[string]struct {
		files       map[string]string
		given, swap string
	}{
		"a file":       {map[string]string{"m/a.gguf": ""}, "m", "m/a.gguf"},
		"its folder":   {map[string]string{"m/sub/a.gguf": ""}, "m", "m/sub"},
		"given itself": {map[string]string{"m/a.gguf": ""}, "m/a.gguf", "m/a.gguf"},
		"a blob": {map[string]string{"m/blobs/sha256-" + hex: "",
			"m/manifests/h/n/m/t": `{"schemaVersion":2,"layers":[{"mediaType":"application/vnd.ollama.image.model",` +
				`"digest":"sha256:` + hex + `","size":6}]}`}, "m", "m/blobs"},
	} {
		t.Run(name, func(t *testing.T) {
			root := folder(t, test.files)
			found, err := Find(t.Context(), []string{filepath.Join(root, test.given)})
			if err != nil || len(found.Sources) != 1 {
				t.Fatal(found, err)
			}
			swapped, target := filepath.Join(root, test.swap), outside
			if filepath.Ext(test.swap) == ".gguf" {
				target = filepath.Join(outside, "a.gguf")
			}
			if err := os.RemoveAll(swapped); err != nil {
				t.Fatal(err)
			}
			if err := os.Symlink(target, swapped); err != nil {
				t.Skip("no symbolic links here:", err)
			}
			_, err = Parser{Opaque: true}.Parse(t.Context(), found.Sources[0])
			if err == nil || !strings.Contains(err.Error(), "leads out of the given folder, to "+outside) {
				t.Errorf("it was read: %v", err)
			}
		})
	}
}
