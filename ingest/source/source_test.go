package source

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// folder creates files in a new folder and returns its real path. Content that starts with "-> "
// makes a symbolic link.
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
		if target, ok := strings.CutPrefix(content, "-> "); ok {
			if err := os.Symlink(filepath.FromSlash(target), path); err != nil {
				t.Skip("no symbolic links here:", err)
			}
			continue
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func TestOpen(t *testing.T) {
	outside := folder(t, map[string]string{"secret": "secret", "deep/er": "secret"})
	root := folder(t, map[string]string{
		"given/a": "a", "given/sub/b": "b", "given/to b": "-> sub/b", "given/up": "-> sub/../a",
		"given/folder":     "-> sub",
		"given/out":        "-> " + filepath.ToSlash(outside) + "/secret",
		"given/folder out": "-> " + filepath.ToSlash(outside), "given/dots": "-> ../beside",
		"given/nowhere": "-> gone", "beside": "beside", "to given": "-> given", "to beside": "-> beside",
	})
	absolute := filepath.Join(root, "given", "absolute")
	if err := os.Symlink(filepath.Join(root, "given", "a"), absolute); err != nil {
		t.Skip("no symbolic links here:", err)
	}
	given := filepath.Join(root, "given")
	for name, test := range map[string]struct{ path, root, want string }{
		"a file":                    {"given/a", given, "a"},
		"below a folder":            {"given/sub/b", given, "b"},
		"a link":                    {"given/to b", given, "b"},
		"a link up":                 {"given/up", given, "a"},
		"through a link":            {"given/folder/b", given, "b"},
		"an absolute link":          {"given/absolute", given, "a"},
		"by another way":            {"to given/a", given, "a"},
		"by itself":                 {"given/a", "", "a"},
		"a link by itself":          {"to beside", "", "beside"},
		"out of a folder by itself": {"given/dots", "", "beside"},
		"a link out": {"given/out", given, "! leads out of the given folder, to " +
			filepath.Join(outside, "secret")},
		"out through a folder": {"given/folder out/deep/er", given, "! leads out of the given folder"},
		"dots":                 {"given/dots", given, "! leads out of the given folder"},
		"not in the folder":    {"beside", given, "! leads out of the given folder"},
		"a link to nowhere":    {"given/nowhere", given, "! a symbolic link that cannot be followed"},
		"a folder":             {"given/sub", given, "! a folder, not a regular file"},
		"nothing":              {"given/gone", given, "! "},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(root, filepath.FromSlash(test.path))
			file, err := Open(path, test.root)
			info, statErr := Stat(path, test.root)
			if reason, refused := strings.CutPrefix(test.want, "! "); refused {
				if err == nil || !strings.Contains(err.Error(), reason) || statErr == nil ||
					statErr.Error() != err.Error() {
					t.Fatalf("%v, %v: want %s", err, statErr, reason)
				}
				return
			}
			if err != nil || statErr != nil {
				t.Fatal(err, statErr)
			}
			defer file.Close()
			text, err := io.ReadAll(file)
			opened, _ := file.Stat()
			if err != nil || string(text) != test.want || !os.SameFile(opened, info) {
				t.Errorf("%q, %v, %v", text, err, info)
			}
		})
	}
}

// TestSwapped: open refuses a name that became a link after it was resolved.
func TestSwapped(t *testing.T) {
	outside := folder(t, map[string]string{"b": "secret"})
	root := folder(t, map[string]string{"sub/b": "b", "a": "a"})
	for _, name := range []string{"sub", "a"} {
		if err := os.RemoveAll(filepath.Join(root, name)); err != nil {
			t.Fatal(err)
		}
	}
	for name, target := range map[string]string{"sub": outside, "a": filepath.Join(outside, "b")} {
		if err := os.Symlink(target, filepath.Join(root, name)); err != nil {
			t.Skip("no symbolic links here:", err)
		}
	}
	for _, name := range []string{"a", filepath.Join("sub", "b")} {
		if file, err := open(root, name); err == nil {
			t.Errorf("%s was followed to %s", name, file.Name())
			file.Close()
		}
	}
	if _, err := open(filepath.Join(root, "gone"), "a"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a missing folder: %v", err)
	}
}
