package dir

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/storage/storetest"
)

func TestFiles(t *testing.T) {
	storetest.Files(t, func(t *testing.T) ingest.FileStore {
		return damaging{open(t, filepath.Join(t.TempDir(), "store")), t}
	})
}

// TestPutFileSteps checks that a file is synced before it is renamed, and its folder before PutFile
// returns.
func TestPutFileSteps(t *testing.T) {
	s := open(t, t.TempDir())
	p := payload(3 << 20)
	put(t, s, payload(1)) // creates the folders
	var steps []string
	fail := ""
	s.hook = func(step, path string, done bool) error {
		if done {
			return nil
		}
		steps = append(steps, step)
		if step == fail {
			return errors.New("injected")
		}
		return nil
	}
	file := strings.NewReader(string(p))
	for _, fail = range []string{"create", "write", "sync", "rename"} {
		if _, err := s.PutFile(t.Context(), "m", ingest.Sum(p), file, file.Size()); err == nil {
			t.Errorf("%s failed, and PutFile did not", fail)
		}
		if s.holds(raw(ingest.Sum(p)), file.Size()) {
			t.Errorf("%s failed, and the file exists", fail)
		}
		if left, _ := os.ReadDir(s.folder(temporaries)); len(left) > 0 {
			t.Errorf("%s failed, and %s was left", fail, left[0].Name())
		}
	}
	fail, steps = "", nil
	if _, err := s.PutFile(t.Context(), "m", ingest.Sum(p), file, file.Size()); err != nil {
		t.Fatal(err)
	}
	if want := []string{"create", "write", "sync", "rename", "syncdir"}; !slices.Equal(steps, want) {
		t.Errorf("steps are %v, want %v", steps, want)
	}
}

func TestDescriptions(t *testing.T) {
	storetest.Descriptions(t, func(t *testing.T) ingest.DescriptionStore {
		return open(t, filepath.Join(t.TempDir(), "store"))
	})
}
