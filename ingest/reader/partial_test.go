package reader

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/hartonomous/ingest/ingest"
)

// TestPartialsOfDeadProcesses: writing a file deletes the temporary files that processes of this host
// have left in the folder when they were killed, and no others.
func TestPartialsOfDeadProcesses(t *testing.T) {
	child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^$")
	if err := child.Run(); err != nil {
		t.Fatal(err)
	}
	dead := ingest.ThisProcess()
	dead.Process = child.Process.Pid
	elsewhere := dead
	elsewhere.Host += "x"
	unknown := dead
	unknown.Started = 0
	folder := t.TempDir()
	create := func(name string) string {
		path := filepath.Join(folder, name)
		if err := os.WriteFile(path, []byte("half"), 0o666); err != nil {
			t.Fatal(err)
		}
		return path
	}
	left := create(partialName(dead))
	stay := []string{
		create(partialName(ingest.ThisProcess())),
		create(partialName(elsewhere)),
		create(partialName(unknown)),
		create(fmt.Sprintf("ingest-%d-01234567.partial", dead.Process)), // of an earlier version
		create(partialName(dead) + "s"),
		create("a" + partialName(dead)),
	}
	asFolder := filepath.Join(folder, partialName(dead))
	if err := os.Mkdir(asFolder, 0o777); err != nil {
		t.Fatal(err)
	}
	err := WriteFile(filepath.Join(folder, "out"), false, func(to io.Writer) error {
		_, err := io.WriteString(to, "whole")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Lstat(left); err == nil {
		t.Error("the temporary file of a dead process stays")
	}
	for _, path := range append(stay, asFolder) {
		if _, err := os.Lstat(path); err != nil {
			t.Error(err)
		}
	}
}
