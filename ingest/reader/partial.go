package reader

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"strconv"

	"github.com/hartonomous/ingest/ingest"
)

// createPartial creates a temporary file beside path. A kill can leave it behind, so its name tells
// what it is, and whose. createPartial also deletes those of dead processes from the folder.
func createPartial(path string) (*os.File, error) {
	folder := filepath.Dir(path)
	removePartials(folder)
	return os.OpenFile(filepath.Join(folder, partialName(ingest.ThisProcess())), os.O_WRONLY|os.O_CREATE|os.O_EXCL,
		0o666)
}

// partialName returns a random name for a temporary file of a process.
func partialName(owner ingest.Holder) string {
	return fmt.Sprintf("ingest-%s-%d-%d-%08x.partial", hostKey(owner), owner.Process, owner.Started, rand.Uint32())
}

var partialNames = regexp.MustCompile(`^ingest-([0-9a-f]{16})-([0-9]+)-([0-9]+)-[0-9a-f]{8}\.partial$`)

// hostKey stands for the host of a process, its boot and its container.
func hostKey(owner ingest.Holder) string { return ingest.Sum([]byte(owner.Host)).String()[:16] }

// removePartials deletes the temporary files of processes that are known to have ended. Those of other
// hosts, containers and boots stay, because their processes may run.
func removePartials(folder string) {
	entries, _ := os.ReadDir(folder) // createPartial returns the error
	for _, entry := range entries {
		if entry.Type().IsRegular() && isAbandoned(entry.Name()) {
			_ = os.Remove(filepath.Join(folder, entry.Name())) // the next call tries again
		}
	}
}

// isAbandoned reports whether a name is that of a temporary file whose process is dead.
func isAbandoned(name string) bool {
	fields := partialNames.FindStringSubmatch(name)
	if fields == nil || fields[1] != hostKey(ingest.ThisProcess()) {
		return false
	}
	process, err := strconv.Atoi(fields[2])
	started, startedErr := strconv.ParseInt(fields[3], 10, 64)
	owner := ingest.Holder{Host: ingest.ThisProcess().Host, Process: process, Started: started}
	return err == nil && startedErr == nil && started > 0 && owner.Dead()
}
