package dir

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hartonomous/ingest/ingest"
)

func TestSweepYieldsWhatIsOurs(t *testing.T) {
	root := t.TempDir()
	s := open(t, root)
	digest, _ := put(t, s, []byte("payload"))
	hex := digest.String()
	write := func(name string) {
		if err := os.WriteFile(filepath.Join(root, name), []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("tmp/17-0123456789abcdef") // the remains of a write
	foreign := []string{
		"tmp/README", "tmp/17-0123456789ABCDEF", "tmp/-0123456789abcdef", "tmp/17-0123456789abcdef.bak",
		"note.txt", "sha256/note.txt", "sha256/" + hex, "sha256/00/" + hex, "sha256/00/short",
		"sha256/" + hex[:2] + "/" + hex + ".bak", "sha256/" + hex[:2] + "/.DS_Store",
		"catalogs/other",
	}
	for _, name := range foreign {
		if name != "sha256/00/"+hex || hex[:2] != "00" {
			write(name)
		}
	}
	found := map[string]ingest.Object{}
	for stray, err := range s.Sweep(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		found[stray.Name] = stray
	}
	if len(found) != 2 {
		t.Errorf("found %v", found)
	}
	if stray := found[payloadName(digest)]; stray.Digest != digest || stray.Bytes != 7 || time.Since(stray.Modified) > time.Hour {
		t.Errorf("payload: %+v", stray)
	}
	if stray, ok := found["tmp/17-0123456789abcdef"]; !ok || !stray.Digest.IsZero() || stray.Bytes != 1 {
		t.Errorf("remains: %+v", stray)
	}
	for _, stray := range found {
		if err := s.Remove(t.Context(), stray); err != nil {
			t.Error(err)
		}
	}
	for _, name := range foreign {
		if _, err := os.Lstat(filepath.Join(root, name)); err != nil {
			t.Errorf("a file that is not ours is gone: %v", err)
		}
	}
}

func TestRemoveRefusesOtherNames(t *testing.T) {
	root := t.TempDir()
	s := open(t, filepath.Join(root, "store"))
	digest, _ := put(t, s, []byte("payload"))
	outside := filepath.Join(root, "17-0123456789abcdef")
	if err := os.WriteFile(outside, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, stray := range []ingest.Object{
		{}, {Name: "."}, {Name: "tmp"}, {Name: "tmp/"}, {Name: "tmp/.."}, {Name: "sha256"},
		{Name: "tmp/../../17-0123456789abcdef"}, {Name: "../17-0123456789abcdef"}, {Name: outside},
		{Name: "tmp/../" + payloadName(digest)}, {Name: payloadName(digest)},
		{Digest: digest, Name: "tmp/17-0123456789abcdef"}, {Digest: digest, Name: "catalogs/c"}, {Digest: digest},
	} {
		if err := s.Remove(t.Context(), stray); err == nil {
			t.Errorf("Remove(%+v) went through", stray)
		}
	}
	if _, err := os.Lstat(outside); err != nil {
		t.Error(err)
	}
	if !s.holds(digest, 7) {
		t.Error("the payload is gone")
	}
}

// TestSweepOfManyFiles crosses the chunks that a folder is read in.
func TestSweepOfManyFiles(t *testing.T) {
	s := open(t, t.TempDir())
	put(t, s, nil)
	const files = 2*sweepChunk + 7
	for i := range files {
		name := fmt.Sprintf("ab%062x", i)
		if err := os.WriteFile(filepath.Join(s.root, "sha256", "ab", name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	seen := map[ingest.Digest]bool{}
	for stray, err := range s.Sweep(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		if seen[stray.Digest] {
			t.Errorf("%s came twice", stray.Name)
		}
		seen[stray.Digest] = true
	}
	if len(seen) != files+1 {
		t.Errorf("%d of %d files", len(seen), files+1)
	}
}

func TestSweepReportsAnUnreadableFolder(t *testing.T) {
	if os.Getuid() <= 0 {
		t.Skip("needs a user whom permission bits bind: not root, and not on Windows")
	}
	s := open(t, t.TempDir())
	put(t, s, nil)
	folder := filepath.Join(s.root, "sha256", "77")
	if err := os.Chmod(folder, 0); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = os.Chmod(folder, 0o700) }()
	var last error
	for _, err := range s.Sweep(t.Context()) {
		last = err
	}
	if last == nil || !strings.Contains(last.Error(), folder) {
		t.Errorf("Sweep ended with %v", last)
	}
}

func TestClaimNames(t *testing.T) {
	for identity, name := range map[string]string{
		"0f8fad5b-d9cb": "0f8fad5b-d9cb", "../x": "%2E%2E%2Fx", "A": "%41", "a%b": "a%25b", "ü": "%C3%BC",
	} {
		if got := escape(identity); got != name {
			t.Errorf("escape(%q) = %q, want %q", identity, got, name)
		}
		if got := unescape(name); got != identity {
			t.Errorf("unescape(%q) = %q, want %q", name, got, identity)
		}
	}
	for _, name := range []string{"%", "%4", "%zz", "%41%", "%61", "Plain", "%4a"} { // escape does not give these
		if got := unescape(name); got != name {
			t.Errorf("unescape(%q) = %q", name, got)
		}
	}
	s := open(t, t.TempDir())
	if _, err := s.Claim(t.Context(), ""); err == nil {
		t.Error("a catalogue without identity was taken")
	}
	if _, err := s.Claim(t.Context(), "one"); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{".DS_Store", "by hand.txt"} {
		if err := os.WriteFile(filepath.Join(s.root, "catalogs", name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	got, err := open(t, s.root).Claim(t.Context(), "two")
	if err != nil || strings.Join(got, ",") != "by hand.txt,one,two" {
		t.Errorf("%q, %v", got, err)
	}
}
