package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/ingest/reader"
	"github.com/hartonomous/ingest/storage/sqlite"
	"github.com/hartonomous/ingest/storage/sqlserver"
)

func newBackup(p *program) *cobra.Command {
	var force bool
	c := &cobra.Command{
		Use:   "backup FILE",
		Short: "Copy a SQLite catalogue to a file, while other commands may write",
		Long: `Copy a SQLite catalogue to a file. Other commands may write to the catalogue: the copy has the rows of
the moment when it began. The file gets its name when it is complete, checked and synced.

Payloads in the store are not copied, only those in the catalogue. Copy the catalogue first, then the
store, and run no gc until both copies are complete.`,
		Example: "  ingest backup copy.db\n  ingest verify --catalog sqlite:copy.db --store dir:PATH",
		Args:    requireArg("FILE", cobra.ExactArgs(1)),
		RunE:    func(c *cobra.Command, args []string) error { return p.backup(c.Context(), args[0], force) },
	}
	c.Flags().BoolVar(&force, "force", false, "replace an existing file")
	return c
}

func (p *program) backup(ctx context.Context, to string, force bool) error {
	if sqlserver.IsAddress(p.catalog) {
		return usage("--catalog: want sqlite:PATH. SQL Server copies its own databases: use BACKUP DATABASE, which " +
			"includes the FILESTREAM containers")
	}
	from, err := p.requireCatalog(ctx)
	if err != nil {
		return err
	}
	if path, isAddress := strings.CutPrefix(to, "sqlite:"); isAddress { // as --catalog takes the copy
		if to, err = expandHome(path); err != nil {
			return err
		}
		if to == "" {
			return usage("FILE sqlite: has no path")
		}
	}
	if err := checkBackupTarget(from, to); err != nil {
		return err
	}
	sum := backupSummary{summaryHead: newSummary()}
	defer func() { p.printSummary(sum) }()
	progress := &ingest.Progress{}
	progress.FilesTotal.Store(1)
	stop := p.showProgress(progress)
	defer stop()
	err = reader.CreateFile("backup", to, force, func(f *os.File) error {
		if err := f.Chmod(0o600); err != nil { // as that of a catalogue
			return err
		}
		return sqlite.Backup(ctx, from, f.Name(), progress)
	})
	if err != nil {
		return err
	}
	progress.FilesDone.Add(1)
	sum.Files, sum.Bytes = 1, progress.BytesTotal.Load()
	if p.json || !p.quiet {
		p.emit(copiedObject{"copied", to, sum.Bytes}, "copied  %s  %s\n", human(sum.Bytes), ingest.Printable(to))
	}
	return nil
}

// checkBackupTarget returns an error if a backup must not replace the file at to.
func checkBackupTarget(from, to string) error {
	source, err := os.Stat(from)
	if err != nil {
		return err
	}
	if resolved, err := filepath.EvalSymlinks(from); err == nil { // SQLite's other files are beside it
		from = resolved
	}
	target, err := os.Stat(to)
	for _, suffix := range []string{"-wal", "-shm", "-journal"} {
		if used, beside := os.Stat(from + suffix); err == nil && beside == nil && os.SameFile(used, target) ||
			samePath(from+suffix, to) {
			return usage("%s belongs to the catalogue: name another file", ingest.Printable(to))
		}
	}
	switch {
	case err == nil && os.SameFile(source, target):
		return usage("%s is the catalogue itself: name another file", ingest.Printable(to))
	case err == nil && !target.Mode().IsRegular():
		return usage("%s is not a file: name a new one", ingest.Printable(to))
	}
	return sqlite.RequireUnused(to)
}

// samePath reports whether two paths are equal, also if there is no file.
func samePath(a, b string) bool {
	a, errA := filepath.Abs(a)
	b, errB := filepath.Abs(b)
	return errA == nil && errB == nil && a == b
}
