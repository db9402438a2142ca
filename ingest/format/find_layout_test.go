package format

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hartonomous/ingest/ingest"
)

const commit = "0123456789012345678901234567890123456789"

func TestFindHub(t *testing.T) {
	other := strings.Repeat("9", 40)
	repo := "hub/models--me--x/"
	root := folder(t, map[string]string{
		repo + "blobs/" + weightsHex: "", repo + "blobs/" + otherHex: "", repo + "blobs/orphan": "",
		repo + "refs/main": commit, repo + "refs/v1": commit + "\n", repo + "refs/refs/pr/1": other,
		repo + "snapshots/" + commit + "/a.gguf":                  "-> ../../blobs/" + weightsHex,
		repo + "snapshots/" + commit + "/sub/model.safetensors":   "-> ../../../blobs/" + otherHex,
		repo + "snapshots/" + commit + "/sub/config.json":         "{}",
		repo + "snapshots/" + other + "/model.safetensors":        "", // copied, as on Windows
		repo + "snapshots/" + other + "/README.md":                "",
		repo + "trees/" + commit + ".gguf":                        "",
		repo + ".no_exist/" + commit + "/model.safetensors":       "",
		"hub/models--y/snapshots/" + commit + "/b.gguf":           "", // never a ref
		"hub/models--y/blobs/":                                    "",
		repo + "snapshots/lost.gguf":                              "", // in no snapshot
		"hub/version.txt":                                         "1",
		"hub/datasets--me--d/snapshots/" + commit + "/table.json": "", "hub/datasets--me--d/refs/main": commit,
	})
	at := func(rest string) string { return repo + "snapshots/" + commit + "/" + rest }
	a := "a.gguf weights " + at("a.gguf")
	sub := "sub weights " + at("sub/model.safetensors") + ", config " + at("sub/config.json")
	copied := repo + "snapshots/" + other
	pr := "me/x@refs/pr/1 weights " + copied + "/model.safetensors, readme " + copied + "/README.md"
	y := "y@" + commit + "/b.gguf weights hub/models--y/snapshots/" + commit + "/b.gguf"
	all := []string{"me/x@main/" + a, "me/x@main/" + sub, pr, "me/x@v1/" + a, "me/x@v1/" + sub}
	for given, want := range map[string][]string{
		"hub":                              append(all[:len(all):len(all)], y),
		repo:                               all,
		repo + "snapshots":                 all,
		repo + "blobs":                     {all[0], all[1], all[3], all[4]},
		repo + "refs":                      all,
		repo + "refs/v1":                   {all[3], all[4]},
		repo + "refs/refs/pr":              {pr},
		repo + "snapshots/" + other:        {pr},
		at("sub"):                          {all[1], all[4]},
		at("sub/config.json"):              {all[1], all[4]},
		at("a.gguf"):                       {all[0], all[3]},
		repo + "blobs/" + otherHex:         {all[1], all[4]},
		repo + "blobs/orphan":              {"weights " + repo + "blobs/orphan"},
		repo + "trees/" + commit + ".gguf": {"weights " + repo + "trees/" + commit + ".gguf"},
	} {
		sources, skipped, refused := find(t, root, given)
		expect(t, "sources", sources, want)
		expect(t, "refused", refused, nil)
		if given == repo {
			expect(t, "skipped", skipped, []string{repo[:len(repo)-1] + ": 1 other file is not a model",
				repo + "blobs: 1 blob that no snapshot names: name it to ingest it"})
		}
		if t.Failed() {
			t.Fatal(given)
		}
	}
}

// image returns the files of an OCI image layout with one model, and the digest of its manifest.
func image(layers ...string) (map[string]string, string) {
	files := map[string]string{"oci-layout": `{"imageLayoutVersion":"1.0.0"}`}
	list := ""
	for i := 0; i < len(layers); i += 2 {
		digest := ingest.Sum([]byte(layers[i+1])).String()
		files["blobs/sha256/"+digest] = layers[i+1]
		list += fmt.Sprintf(`,{"mediaType":%q,"digest":"sha256:%s","size":%d}`, layers[i], digest, len(layers[i+1]))
	}
	manifest := fmt.Sprintf(`{"schemaVersion":2,"layers":[%s]}`, strings.TrimPrefix(list, ","))
	digest := ingest.Sum([]byte(manifest)).String()
	files["blobs/sha256/"+digest] = manifest
	return files, digest
}

func indexOf(mediaType, digest, name string) string {
	return fmt.Sprintf(`{"manifests":[{"mediaType":%q,"digest":"sha256:%s","size":1,"annotations":`+
		`{"org.opencontainers.image.ref.name":%q}}]}`, mediaType, digest, name)
}

func TestFindImages(t *testing.T) {
	const weightsType, docType = "application/vnd.cncf.model.weight.v1.raw", "application/vnd.cncf.model.doc.v1.raw"
	const listType = "application/vnd.oci.image.index.v1+json"
	files, digest := image(docType, "about", weightsType, "GGUF weights")
	blob := func(text string) string { return "blobs/sha256/" + ingest.Sum([]byte(text)).String() }
	line := "weights " + blob("GGUF weights") + ", readme " + blob("about") + ", manifest blobs/sha256/" + digest
	nested := indexOf("application/vnd.oci.image.manifest.v1+json", digest, "")
	loop := strings.Repeat("a1", 32)
	const unnamed = "blobs/sha256: 3 blobs that no manifest names: name them to ingest them"
	container, containerDigest := image("application/vnd.oci.image.layer.v1.tar+gzip", "a container")
	for name, test := range map[string]struct {
		index                     string
		more                      map[string]string
		given                     string
		sources, skipped, refused []string
	}{
		"a tag":  {index: indexOf("", digest, "me/x:v1"), sources: []string{"me/x:v1 " + line}},
		"no tag": {index: indexOf("", digest, ""), sources: []string{line}},
		"a blob": {index: indexOf("", digest, "x"), given: blob("about"), sources: []string{"x " + line}},
		"a list": {index: indexOf("", digest, "x"), given: "index.json", sources: []string{"x " + line}},
		"an index": {index: indexOf(listType, ingest.Sum([]byte(nested)).String(), "x"),
			more: map[string]string{blob(nested): nested}, sources: []string{"x " + line}},
		"a container": {index: indexOf("", containerDigest, "x"), more: container,
			skipped: []string{unnamed, "blobs/sha256/" + containerDigest + ": its manifest names no weights"}},
		"a missing manifest": {index: indexOf("", loop, "x"), skipped: []string{unnamed},
			refused: []string{"blobs/sha256/" + loop + ": the manifest is missing"}},
		"a hostile manifest": {index: indexOf(listType, loop, "x"), skipped: []string{unnamed},
			more:    map[string]string{"blobs/sha256/" + loop: `{}`},
			refused: []string{"blobs/sha256/" + loop + ": its content is not what its name says"}},
		"a hostile path": {index: `{"manifests":[{"digest":"sha256:../../../../etc/passwd"}]}`,
			refused: []string{`index.json: index: manifest 0: "../../../../etc/passwd" is not a digest`}},
		"no weights": {index: indexOf("", digest, "x"), more: map[string]string{blob("GGUF weights"): "absent"},
			refused: []string{blob("GGUF weights") + ": x: the model's weights are missing"}},
		"a link out": {index: indexOf("", digest, "x"), more: map[string]string{blob("GGUF weights"): "-> /etc/passwd"},
			refused: []string{blob("GGUF weights") + ": x: the model's weights are missing: weights blob"}},
	} {
		t.Run(name, func(t *testing.T) {
			all := maps.Clone(files)
			all["index.json"] = test.index
			maps.Copy(all, test.more)
			for name, content := range all {
				if content == "absent" {
					delete(all, name)
				}
			}
			if test.given == "" {
				test.given = "."
			}
			sources, skipped, refused := find(t, folder(t, all), test.given)
			expect(t, "sources", sources, test.sources)
			expect(t, "skipped", skipped, test.skipped)
			expect(t, "refused", refused, test.refused)
		})
	}
}

// TestFindHostile: names, links and sizes that a stranger chose.
func TestFindHostile(t *testing.T) {
	layer := fmt.Sprintf(`{"mediaType":"application/vnd.ollama.image.tensor","digest":"sha256:%s","size":1}`,
		weightsHex)
	many := `{"schemaVersion":2,"layers":[` + strings.Repeat(layer+",", 1_000_000) + layer + `]}`
	root := folder(t, map[string]string{
		"o/manifests/h/n/m/many": many, "o/blobs/": "", "secret/id_rsa": "", "secret/a.txt": "",
		"loop/a/b/up": "-> ../..", "loop/a/again": "-> ../../loop", "loop/x.gguf": "", "loop/a/x": "-> ../x.gguf",
		"hub/models--a--b/snapshots/1/a.gguf": "-> ../../../../secret/a.txt",
		"hub/models--a--b/refs/main":          "../../../x",
		"hub/models--a--b/refs/huge":          strings.Repeat("x", maxRefBytes+1),
		"hub/models--a--b/refs/long":          strings.Repeat("x", maxCommit+1),
		"hub/models--a--b/refs/a/1":           "-> ..", "hub/models--a--b/refs/a/2": "-> .",
		"hub/models--a--b/refs/a/3": "-> .", "hub/models--a--b/refs/a/4": "-> .", "hub/models--a--b/refs/a/5": "-> .",
		"closed/a.gguf": "", "closed-too/y.bin": "PK\x03\x04",
	})
	for name, mode := range map[string]os.FileMode{"closed": 0, "closed-too/y.bin": 0} {
		if err := os.Chmod(filepath.Join(root, name), mode); err != nil {
			t.Fatal(err)
		}
		defer os.Chmod(filepath.Join(root, name), 0o700)
	}
	sources, skipped, refused := find(t, root, "o", "loop", "hub")
	expect(t, "sources", sources, []string{"weights loop/x.gguf"})
	expect(t, "skipped", skipped, nil)
	expect(t, "refused", refused, []string{"hub/models--a--b/refs/huge: it has more than 1048576 bytes",
		"hub/models--a--b/refs/long: a commit of 256 bytes",
		"hub/models--a--b/snapshots/1/a.gguf: a symbolic link that leads out of the given folder",
		"o/manifests/h/n/m/many: it has more than 1048576 bytes"})
	if os.Getuid() <= 0 {
		return // root and Windows ignore permission bits
	}
	_, _, refused = find(t, root, "closed", "closed-too")
	expect(t, "refused", refused, []string{"closed: permission denied", "closed-too/y.bin: permission denied"})
}

// TestFindKeys: a folder of keys is not searched, even if it is given.
func TestFindKeys(t *testing.T) {
	root := folder(t, map[string]string{".ssh/a.gguf": "", "to": "-> .ssh"})
	for _, given := range []string{".ssh", "to"} {
		sources, _, refused := find(t, root, given)
		expect(t, "sources", sources, nil)
		expect(t, "refused", refused, []string{given + ": a folder of keys"})
	}
}

// TestFindKeysThroughLinks: a link in a layout that leads to a key is not followed, and the note has none
// of its text.
func TestFindKeysThroughLinks(t *testing.T) {
	manifest := "o/manifests/registry.ollama.ai/library/m/latest"
	repo := "models--a--b/"
	root := folder(t, map[string]string{".ssh/id_rsa": commit, ".ssh/a.gguf": "", "token": "hf_0123", "o/blobs/": "",
		manifest: "-> ../../../../../.ssh/id_rsa", repo + "snapshots/" + commit + "/a.gguf": "",
		repo + "refs/main": "-> ../../.ssh/id_rsa", repo + "snapshots/other": "-> ../../.ssh",
		"oci/oci-layout": "{}", "oci/index.json": "-> ../token", "oci/blobs/": ""})
	sources, skipped, refused := find(t, root, ".")
	a := commit + "/a.gguf"
	expect(t, "sources", sources, []string{"a/b@" + a + " weights " + repo + "snapshots/" + a})
	expect(t, "skipped", skipped, []string{".ssh: a folder of keys",
		repo + "refs/main: a symbolic link to ROOT/.ssh/id_rsa: hidden", "token: a key or a credential"})
	expect(t, "refused", refused, []string{
		repo + "snapshots/other: a symbolic link to ROOT/.ssh: hidden",
		manifest + ": a symbolic link to ROOT/.ssh/id_rsa: hidden",
		"oci/index.json: a symbolic link to ROOT/token: a key or a credential"})
}

// TestFindManyManifests: a short index that names a long one many times is read within limits.
func TestFindManyManifests(t *testing.T) {
	const each = 1000
	var long, short strings.Builder
	for i := range each {
		fmt.Fprintf(&long, `,{"digest":"sha256:%064x"}`, i+1)
	}
	inner := `{"manifests":[` + long.String()[1:] + `]}`
	digest := ingest.Sum([]byte(inner))
	for i := range maxManifests/each + 1 {
		fmt.Fprintf(&short, `,{"mediaType":"x.index.v1","digest":"sha256:%s","annotations":{%q:"n%d"}}`, digest,
			"io.containerd.image.name", i)
	}
	root := folder(t, map[string]string{"oci-layout": "{}", "blobs/sha256/" + digest.String(): inner,
		"index.json": `{"manifests":[` + short.String()[1:] + `]}`})
	_, _, refused := find(t, root, ".")
	if want := fmt.Sprintf(".: more than %d manifests: ", maxManifests); !strings.HasPrefix(refused[0], want) {
		t.Errorf("%d files are refused; the first: %s", len(refused), refused[0])
	}
}

// TestClaims: which files must have the SHA-256 that is their name.
func TestClaims(t *testing.T) {
	hub, ram := "models--me--x/", "store/ollama/me/x/"
	root := folder(t, map[string]string{
		"copied/blobs/sha256/" + weightsHex: "GGUF", "copied/sha256/" + weightsHex: "GGUF",
		"ollama/blobs/sha256-" + weightsHex: "GGUF", weightsHex: "GGUF",
		hub + "blobs/" + weightsHex: "", hub + "blobs/" + otherHex: "{}", hub + "blobs/" + commit: "{}",
		hub + "snapshots/1/a.safetensors":  "-> ../../blobs/" + weightsHex,
		hub + "snapshots/1/tokenizer.json": "-> ../../blobs/" + otherHex,
		hub + "snapshots/1/config.json":    "-> ../../blobs/" + commit,
		ram + "blobs/sha256-" + weightsHex: "", ram + "snapshots/1/b.gguf": "-> ../../blobs/sha256-" + weightsHex,
	})
	found, err := Find(t.Context(), []string{root})
	if err != nil {
		t.Fatal(err)
	}
	claims := map[string]string{}
	for _, s := range found.Sources {
		for _, f := range s.Files {
			rel, _ := filepath.Rel(root, f.Path)
			if claims[filepath.ToSlash(rel)] = ""; !f.Expected.IsZero() {
				claims[filepath.ToSlash(rel)] = f.Expected.String()
			}
		}
	}
	want := map[string]string{"copied/blobs/sha256/" + weightsHex: weightsHex, "copied/sha256/" + weightsHex: "",
		"ollama/blobs/sha256-" + weightsHex: weightsHex, weightsHex: "", hub + "snapshots/1/a.safetensors": weightsHex,
		hub + "snapshots/1/tokenizer.json": otherHex, hub + "snapshots/1/config.json": "",
		ram + "snapshots/1/b.gguf": ""}
	if !maps.Equal(claims, want) {
		t.Errorf("claims are\n%v, want\n%v", claims, want)
	}
}
