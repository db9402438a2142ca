package format

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/hartonomous/ingest/ingest"
)

// folder creates files in a new folder. A name that ends in "/" is a folder, content that starts
// with "-> " a symbolic link.
func folder(t *testing.T, files map[string]string) string {
	t.Helper()
	root, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range files {
		path := filepath.Join(root, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(name, "/") {
			err = os.MkdirAll(path, 0o700)
		} else if target, ok := strings.CutPrefix(content, "-> "); ok {
			if err = os.Symlink(filepath.FromSlash(target), path); err != nil {
				t.Skip("no symbolic links here:", err)
			}
		} else {
			err = os.WriteFile(path, []byte(content), 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return root
}

// find searches paths and returns sources, skipped and refused, one line each. All paths are
// relative to root.
func find(t *testing.T, root string, paths ...string) (sources, skipped, refused []string) {
	t.Helper()
	for i := range paths {
		paths[i] = filepath.Join(root, filepath.FromSlash(paths[i]))
	}
	found, err := Find(t.Context(), paths)
	if err != nil {
		t.Fatal(err)
	}
	rel := func(path string) string {
		rel, err := filepath.Rel(root, path)
		if err != nil || !filepath.IsAbs(path) || path != filepath.Clean(path) {
			t.Errorf("%s is not an absolute, clean path", path)
		}
		return filepath.ToSlash(rel)
	}
	for _, source := range found.Sources {
		var files []string
		for _, file := range source.Files {
			files = append(files, fmt.Sprintf("%s %s", file.Role, rel(file.Path)))
		}
		sources = append(sources, strings.TrimSpace(source.Name+" "+strings.Join(files, ", ")))
	}
	notes := func(notes []ingest.Note) (lines []string) {
		for _, note := range notes {
			reason := filepath.ToSlash(strings.ReplaceAll(note.Reason.Error(), root, "ROOT"))
			lines = append(lines, rel(note.Path)+": "+reason)
		}
		return lines
	}
	return sources, notes(found.Skipped), notes(found.Refused)
}

// expect compares lines. Of a note, want may be a prefix.
func expect(t *testing.T, what string, got, want []string) {
	t.Helper()
	same := len(got) == len(want)
	for i := 0; same && i < len(got); i++ {
		same = got[i] == want[i] || what != "sources" && strings.HasPrefix(got[i], want[i])
	}
	if !same {
		t.Errorf("%s:\n got %s\nwant %s", what, strings.Join(got, "\n     "), strings.Join(want, "\n     "))
	}
}

var (
	weightsHex = strings.Repeat("a1", 32)
	otherHex   = strings.Repeat("b2", 32)
)

func TestFindFolder(t *testing.T) {
	root := folder(t, map[string]string{
		"b.gguf": "", "a.bin": "PK\x03\x04", "deep/er/c.safetensors": "", "sha256-" + weightsHex: "GGUF",
		"README.md": "", "firmware.bin": "\x7fELF",
		"d.gguf.part1of2": "GGUF", "e.safetensors-split-a": "", "notes-split-a": "",
		".hidden": "", ".git/config": "", "x.gguf.part": "", "y.crdownload": "", "z.incomplete": "", "w.TMP": "",
		"sha256-" + otherHex + "-partial": "", "sha256-" + otherHex + "-partial-12": "", "a-partial-tune.gguf": "",
		"empty/": "",
	})
	sources, skipped, refused := find(t, root, ".")
	expect(t, "sources", sources, []string{"weights a-partial-tune.gguf", "weights a.bin", "weights b.gguf",
		"weights deep/er/c.safetensors", "weights sha256-" + weightsHex})
	expect(t, "skipped", skipped, []string{".: 3 other files are not models", ".: hidden files and logs: 1",
		".git: a hidden folder: name it to search it",
		"sha256-" + otherHex + "-partial: an unfinished download", "sha256-" + otherHex + "-partial-12: an unfinished",
		"w.TMP: an unf", "x.gguf.part: an unf", "y.crdownload: an unf", "z.incomplete: an unf"})
	expect(t, "refused", refused, []string{"d.gguf.part1of2: a part of a file that was cut: join all parts in order",
		"e.safetensors-split-a: a part of a file that was cut"})
	found, err := Finder{OpaqueFiles: true}.Find(t.Context(), []string{root})
	if err != nil || len(found.Sources) != len(sources)+5 || len(found.Skipped) != len(skipped)-1 {
		t.Errorf("with other files: %+v, %v", found, err)
	}
}

// TestFindPrivate: private files and logs are skipped in a folder, but found as given paths.
func TestFindPrivate(t *testing.T) {
	files, given, sources := map[string]string{}, []string{}, []string{}
	notes := []string{".: hidden files and logs: 5"}
	for name, reason := range map[string]error{
		"id_ed25519": errKey, "id_rsa.pub": errKey, "ID_ECDSA": errKey, "server.PEM": errKey, "a.key": errKey,
		"token": errKey, "stored_tokens": errKey,
		"history": errHistory, "python_history": errHistory, "a.history": errHistory,
		"server.log": errLog, "server.log.1": errLog, "a.log-2026-08-01.gz": errLog, "Server.LOG": errLog,
		".env":              errHidden,
		"sha256-1122334455": errTemporary,
	} {
		files[name] = ""
		if reason != errLog && reason != errHidden {
			notes = append(notes, name+": "+reason.Error())
		}
		given, sources = append(given, name), append(sources, "weights "+name)
	}
	want := []string{"id_model.gguf", "tokenizer.json", "prehistory", "logs/log", "logit.bin", "keys/a.keys.gguf",
		"12/34.bin", "sha256-a1", "sha256-" + strings.Repeat("1", 64)}
	for _, name := range want {
		files[name] = "\x80\x02"
	}
	files["m/blobs/1164794173/x.safetensors"], files["m/manifests/"] = "", ""
	notes = append(notes, "m/blobs/1164794173: "+errTemporary.Error())
	root := folder(t, files)
	all, err := Finder{OpaqueFiles: true}.Find(t.Context(), []string{root})
	if err != nil || len(all.Sources) != len(want) || len(all.Refused) != 0 {
		t.Errorf("found %v, want %v", all, want)
	}
	var got []string
	for _, note := range all.Skipped {
		path, _ := filepath.Rel(root, note.Path)
		got = append(got, filepath.ToSlash(path)+": "+note.Reason.Error())
	}
	slices.Sort(notes)
	slices.Sort(got)
	expect(t, "skipped", got, notes)
	found, skipped, _ := find(t, root, given...)
	slices.Sort(sources)
	expect(t, "sources", found, sources)
	expect(t, "skipped", skipped, nil)
}

// TestFindDigestsInNames: a name is a claim only where a layout makes it one.
func TestFindDigestsInNames(t *testing.T) {
	root := folder(t, map[string]string{
		"sha256-" + weightsHex: "GGUF", "x/" + weightsHex: "GGUF", "x/link.gguf": "-> ../deep/sha256-" + otherHex,
		"deep/sha256-" + otherHex:         "GGUF",
		"hub/models--m/blobs/" + otherHex: "GGUF", "hub/models--m/blobs/" + otherHex[:40]: "GGUF",
		"hub/models--m/snapshots/1/a.gguf": "-> ../../blobs/" + otherHex,
		"hub/models--m/snapshots/1/b.gguf": "-> ../../blobs/" + otherHex[:40], "hub/models--m/refs/": "",
		"o/blobs/sha256-" + weightsHex: "GGUF", "o/blobs/sha256-" + strings.ToUpper(otherHex): "GGUF",
		"o/manifests/": "",
		"store/hf/m/n/blobs/sha256-" + weightsHex: "GGUF", "store/hf/m/n/refs/": "",
		"store/hf/m/n/snapshots/1/c.gguf": "-> ../../blobs/sha256-" + weightsHex,
	})
	found, err := Find(t.Context(), []string{root})
	if err != nil {
		t.Fatal(err)
	}
	digests := map[string]string{}
	for _, source := range found.Sources {
		if source.Files[0].ExpectedBytes != -1 {
			t.Errorf("%+v: has a size without a manifest", source)
		}
		if !source.Files[0].Expected.IsZero() {
			digests[filepath.Base(source.Files[0].Path)] = source.Files[0].Expected.String()
		}
	}
	want := map[string]string{"a.gguf": otherHex, "sha256-" + weightsHex: weightsHex,
		"sha256-" + strings.ToUpper(otherHex): otherHex}
	if err := os.Symlink(filepath.Join(root, "hub", "models--m", "blobs", otherHex),
		filepath.Join(root, "x", "hub.gguf")); err != nil {
		t.Fatal(err)
	}
	linked, err := Find(t.Context(), []string{filepath.Join(root, "x", "hub.gguf")})
	if err != nil || len(linked.Sources) != 1 || linked.Sources[0].Files[0].Expected.String() != otherHex {
		t.Errorf("a link to a blob: %+v, %v", linked, err)
	}
	if !reflect.DeepEqual(digests, want) || len(found.Sources) != 8 {
		t.Errorf("%d sources, digests %v, want %v", len(found.Sources), digests, want)
	}
}

func TestFindGivenPaths(t *testing.T) {
	root := folder(t, map[string]string{"a.gguf": "", "d/b.gguf": "", ".hidden.gguf": "", "c.gguf.part": "",
		"link": "-> a.gguf", "out": "-> d"})
	for name, test := range map[string]struct{ paths, sources, refused []string }{
		"a file":          {[]string{"a.gguf"}, []string{"weights a.gguf"}, nil},
		"file and folder": {[]string{"d/b.gguf", "d", "d/../d"}, []string{"weights d/b.gguf"}, nil},
		"hidden, by name": {[]string{".hidden.gguf"}, []string{"weights .hidden.gguf"}, nil},
		"a link":          {[]string{"link"}, []string{"weights link"}, nil},
		"a link and file": {[]string{"link", "a.gguf"}, []string{"weights a.gguf"}, nil},
		"a linked folder": {[]string{"out"}, []string{"weights out/b.gguf"}, nil},
		"in two ways":     {[]string{"out", "d"}, []string{"weights d/b.gguf"}, nil},
		"missing": {[]string{"gone", "a.gguf"}, []string{"weights a.gguf"},
			[]string{"gone: there is no such file or folder"}},
		"below a file":      {[]string{"a.gguf/x"}, nil, []string{"a.gguf/x: "}},
		"unfinished":        {[]string{"c.gguf.part"}, nil, []string{"c.gguf.part: an unfinished download"}},
		"nothing at all":    {nil, nil, nil},
		"out of order":      {[]string{"d", "a.gguf"}, []string{"weights a.gguf", "weights d/b.gguf"}, nil},
		"the same file two": {[]string{"a.gguf", "./a.gguf"}, []string{"weights a.gguf"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			sources, skipped, refused := find(t, root, test.paths...)
			expect(t, "sources", sources, test.sources)
			expect(t, "refused", refused, test.refused)
			expect(t, "skipped", skipped, nil)
		})
	}
	found, err := Find(t.Context(), []string{""})
	if err != nil || len(found.Refused) != 1 || len(found.Sources) != 0 {
		t.Errorf("an empty path: %+v, %v", found, err)
	}
}

func TestFindLinks(t *testing.T) {
	outside := folder(t, map[string]string{"secret.gguf": "", "sub/secret.gguf": ""})
	root := folder(t, map[string]string{
		"m/a.gguf": "", "m/again": "-> a.gguf", "m/sub/up": "-> ..", "m/sub/self": "-> self", "m/sub/b.gguf": "",
		"m/early": "-> sub", "m/leads out": "-> " + outside + "/secret.gguf", "m/sub/folder out": "-> " + outside,
		"m/sub/dots": "-> ../../beside.gguf", "m/broken": "-> nowhere", "beside.gguf": "", "mm/not inside.gguf": "",
		"m/prefix": "-> ../mm", "m/text": "-> ../mm/notes.txt", "mm/notes.txt": "",
	})
	sources, skipped, refused := find(t, root, "m")
	expect(t, "sources", sources, []string{"weights m/a.gguf", "weights m/sub/b.gguf"})
	expect(t, "skipped", skipped, []string{"m: 1 other file is not a model", // a link to text outside
		"m/broken: a broken symbolic link to nowhere",
		"m/prefix: a symbolic link that leads out of the given folder, to ROOT/mm: to ingest that, name it as well",
		"m/sub/folder out: a symbolic link that leads out", "m/sub/self: a symbolic link that cannot be followed"})
	expect(t, "refused", refused, []string{
		"m/leads out: a symbolic link that leads out of the given folder",
		"m/sub/dots: a symbolic link that leads out of the given folder, to ROOT/beside.gguf"})
}

// TestFindCache: files are named after their digests, links after the models.
func TestFindCache(t *testing.T) {
	root := folder(t, map[string]string{
		"blobs/" + weightsHex: "", "blobs/" + otherHex: "",
		"snapshots/1/x-00001-of-00002.gguf": "-> ../../blobs/" + weightsHex,
		"snapshots/1/x-00002-of-00002.gguf": "-> ../../blobs/" + otherHex,
	})
	want := []string{"weights snapshots/1/x-00001-of-00002.gguf, weights snapshots/1/x-00002-of-00002.gguf"}
	sources, _, refused := find(t, root, ".")
	expect(t, "sources", sources, want)
	expect(t, "refused", refused, nil)
	sources, _, refused = find(t, root, "snapshots/1/x-00002-of-00002.gguf")
	expect(t, "sources of one part", sources, want)
	expect(t, "refused", refused, nil)
}

func TestFindSplits(t *testing.T) {
	root := folder(t, map[string]string{
		"s/x-00001-of-00003.gguf": "", "s/x-00002-of-00003.gguf": "", "s/x-00003-of-00003.gguf": "",
		"s/y-00002-of-00003.gguf": "", "s/z-00001-of-00002.gguf": "", "s/big-00007-of-99999.gguf": "",
		"s/o-00000-of-00002.gguf": "", "s/o-00003-of-00002.gguf": "", "s/one-00001-of-00001.gguf": "",
		"s/p-0001-of-0002.gguf":   "",
		"t/x-00001-of-00003.gguf": "", "t/x-00003-of-00003.gguf": "", "t/x-00002-of-00003.gguf/": "",
		"t/x-00002-of-00004.gguf": "",
	})
	x := "weights s/x-00001-of-00003.gguf, weights s/x-00002-of-00003.gguf, weights s/x-00003-of-00003.gguf"
	sources, _, refused := find(t, root, "s")
	expect(t, "sources", sources, []string{"weights s/o-00000-of-00002.gguf", "weights s/o-00003-of-00002.gguf",
		"weights s/one-00001-of-00001.gguf", "weights s/p-0001-of-0002.gguf", x})
	expect(t, "refused", refused, []string{
		"s/big-00007-of-99999.gguf: part 1 of 99999 is missing: ROOT/s/big-00001-of-99999.gguf, and 99997 more",
		"s/y-00002-of-00003.gguf: part 1 of 3 is missing: ROOT/s/y-00001-of-00003.gguf, and 1 more",
		"s/z-00001-of-00002.gguf: part 2 of 2 is missing: ROOT/s/z-00002-of-00002.gguf"})
	for _, given := range [][]string{{"s/x-00001-of-00003.gguf"}, {"s/x-00003-of-00003.gguf"},
		{"s/x-00002-of-00003.gguf", "s/x-00001-of-00003.gguf"}} {
		sources, _, refused := find(t, root, slices.Clone(given)...)
		expect(t, "sources", sources, []string{x})
		expect(t, "refused", refused, nil)
	}
	sources, _, refused = find(t, root, "t/x-00003-of-00003.gguf") // part 2 is a folder
	expect(t, "sources", sources, nil)
	expect(t, "refused", refused, []string{"t/x-00001-of-00003.gguf: part 2 of 3 is missing"})
}

func TestFindUnreadableFolder(t *testing.T) {
	if os.Getuid() <= 0 {
		t.Skip("root and Windows ignore permission bits")
	}
	root := folder(t, map[string]string{"a.gguf": "", "closed/b.gguf": "", "z/c.gguf": ""})
	if err := os.Chmod(filepath.Join(root, "closed"), 0); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = os.Chmod(filepath.Join(root, "closed"), 0o700) }()
	sources, _, refused := find(t, root, ".")
	expect(t, "sources", sources, []string{"weights a.gguf", "weights z/c.gguf"})
	expect(t, "refused", refused, []string{"closed: permission denied"})
}

func TestFindOddNames(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("Windows does not allow such names")
	}
	root := folder(t, map[string]string{"a\x1b[31m.gguf": "", "b\n\"'.gguf": "", "\xff\xfe.gguf": "", "% #?.gguf": ""})
	found, err := Find(t.Context(), []string{root})
	if err != nil || len(found.Sources) != 4 || len(found.Refused) != 0 {
		t.Fatalf("%+v, %v", found, err)
	}
	for _, source := range found.Sources {
		for _, c := range strings.TrimPrefix(source.URI, "file:///") {
			if c <= ' ' || c > '~' || strings.ContainsRune(`#?"`, c) {
				t.Errorf("%s holds %q", source.URI, c)
			}
		}
	}
}

func TestFindCancelled(t *testing.T) {
	root := folder(t, map[string]string{"m/a.gguf": "", "models/manifests/h/n/m/t": "", "models/blobs/x": "",
		"x-00001-of-00002.gguf": ""})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, path := range []string{".", "m", "models/blobs", "models", "x-00001-of-00002.gguf"} {
		if _, err := Find(ctx, []string{filepath.Join(root, path)}); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", path, err)
		}
	}
}

func TestURIOf(t *testing.T) {
	for path, want := range map[string]string{"/a/b c#%?.gguf": "file:///a/b%20c%23%25%3F.gguf",
		"/a:b": "file:///a:b"} {
		if got := uriOf(path, false); got != want {
			t.Errorf("%s: %s, want %s", path, got, want)
		}
	}
	for path, want := range map[string]string{
		`D:\Models\a b.gguf`: "file:///D:/Models/a%20b.gguf", `\\host\share\a.gguf`: "file://host/share/a.gguf",
		`\\?\D:\a.gguf`: "file:///D:/a.gguf", `\\?\UNC\host\share\a.gguf`: "file://host/share/a.gguf",
	} {
		if got := uriOf(path, true); got != want {
			t.Errorf("%s: %s, want %s", path, got, want)
		}
	}
}
