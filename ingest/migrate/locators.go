package migrate

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/ingest/buffer"
	"github.com/hartonomous/ingest/ingest/lease"
	"github.com/hartonomous/ingest/ingest/reader"
)

// Locators copies the files whose rows of Atoms have only a path. Set its fields before Run.
type Locators struct {
	Catalog ingest.Catalog
	// To returns the target for the file of an atom.
	To func(ingest.FileAtom) Target
	// At returns the store that holds an atom's address. On an error, the atom's path is not cleared.
	At func(context.Context, ingest.FileAtom) (ingest.Store, error)
	// Split, if not nil, ingests the file at path as a model, in segments, instead of copying it. It
	// refuses a file without the expected digest, if that is not zero.
	Split func(ctx context.Context, path string, expected ingest.Digest) error
	Paths Paths
	// Options are those of the jobs. Run adds ingest.OptionStore.
	Options map[string]string

	Modality string    // empty for all
	Since    time.Time // skip rows that were created before
	Limit    int       // maximum number of rows; 0 for all
	// Clear also clears the path of each row with an intact copy. It removes a damaged copy whose file
	// is intact from the row.
	Clear bool
	// Back undoes earlier runs instead: it removes the copy of each row whose file is intact, and sets
	// a path that was cleared again. It uses neither To nor At.
	Back bool
	// ReadBack reads every copy back, even if the store attests its digest.
	ReadBack bool
	// DryRun opens files without reading them, and changes nothing.
	DryRun bool
	Pool   *buffer.Pool
	// Progress may be nil; BytesRecorded counts the bytes read from files, and from copies before
	// clearing.
	Progress *ingest.Progress
	Log      *slog.Logger // may be nil
	// Found is called with each problem, from one goroutine.
	Found func(LocatorProblem)
}

// Target is where a file goes.
type Target struct {
	Store   ingest.FileStore // nil for the row
	Address string
}

// LocatorReport counts what a migration did, or would do.
type LocatorReport struct {
	Moved     Count // rows whose file was copied
	Linked    Count // rows whose content another row had stored
	Cleared   Count // rows whose path was cleared
	Back      Count // rows whose copy was removed, and that have only a path again
	There     Count // rows whose file an earlier run copied
	Corrected int64 // rows whose ContentHash was the hash of the path
	Merged    int64 // rows that were merged with another row of the same content
	Failed    int64 // rows that could not be migrated or cleared; each is a LocatorProblem
}

// done returns how many rows were migrated, and how many failed.
func (r *LocatorReport) done() (succeeded, failed int64) {
	return r.Moved.Rows + r.Linked.Rows + r.Cleared.Rows + r.Back.Rows, r.Failed
}

// LocatorProblem is a problem with a row.
type LocatorProblem struct {
	Atom   ingest.FileAtom // its Locator is the former one if it was cleared
	Reason error
	Notice bool // the row is migrated nevertheless
}

// Run migrates the rows. A row that fails is in the report and does not stop the others. An error
// means that the migration could not continue; changed rows stay changed. Run waits for rows that
// another process is migrating.
func (l *Locators) Run(ctx context.Context) (*LocatorReport, error) {
	r := &locatorRun{Locators: l, claimed: map[string]bool{},
		reader: reader.Reader{Catalog: l.Catalog, Pool: l.Pool, Progress: l.Progress}}
	var group rowGroup
	var busy []rowGroup
	migrated := func(group rowGroup) error {
		isBusy, err := r.try(ctx, group)
		if isBusy {
			busy = append(busy, group)
		}
		return err
	}
	planned := 0
	for a, err := range l.Catalog.FileAtoms(ctx) {
		if err != nil {
			return &r.report, err
		}
		if !r.selected(a) {
			continue
		}
		if !r.toCopy(a) && !r.toClear(a) && !r.toBack(a) {
			if a.Locator != "" && !r.Back {
				r.report.There.add(a.Bytes)
			}
			continue
		}
		if r.full() || l.DryRun && l.Limit > 0 && planned == l.Limit {
			break
		}
		planned++
		if l.DryRun {
			r.plan(a)
			continue
		}
		if key := groupOf(a); key != group.key || len(group.atoms) == maxGroup {
			if err := migrated(group); err != nil {
				return &r.report, err
			}
			group = rowGroup{key: key}
		}
		group.atoms = append(group.atoms, a.ID)
	}
	err := migrated(group)
	if err == nil && len(busy) > 0 {
		err = whenFree(ctx, busy, func(group rowGroup) (bool, error) { return r.try(ctx, group) })
	}
	return &r.report, err
}

// locatorRun is one call of Run.
type locatorRun struct {
	*Locators
	reader  reader.Reader
	report  LocatorReport
	claimed map[string]bool // addresses of stores that are known to belong to this catalogue
}

// rowGroup is a group of rows that are migrated under the lease of one job.
type rowGroup struct {
	key   string
	atoms []int64
}

const maxGroup = 100

// groupOf returns the key of an atom's group, the same in every process. A model, which may have
// many gigabytes, is a group of its own; others are grouped by the hundred.
func groupOf(a ingest.FileAtom) string {
	if a.Modality == "model" {
		return fmt.Sprintf("locator of atom %d", a.ID)
	}
	first := a.ID / maxGroup * maxGroup
	return fmt.Sprintf("locators of atoms %d to %d", first, first+maxGroup-1)
}

func (r *locatorRun) selected(a ingest.FileAtom) bool {
	return (r.Modality == "" || a.Modality == r.Modality) && !a.Created.Before(r.Since)
}

// toCopy reports whether the row has only the path of a file.
func (r *locatorRun) toCopy(a ingest.FileAtom) bool {
	return !r.Back && a.Locator != "" && !a.HasCopy() && !a.InSegments
}

// toClear reports whether there is a copy of the file and its path is to be cleared.
func (r *locatorRun) toClear(a ingest.FileAtom) bool {
	return r.Clear && a.Locator != "" && a.HasCopy()
}

// try migrates a group of rows, unless another process has the lease.
func (r *locatorRun) try(ctx context.Context, group rowGroup) (busy bool, err error) {
	if len(group.atoms) == 0 {
		return false, nil
	}
	first, err := r.Catalog.FileAtom(ctx, group.atoms[0])
	if errors.Is(err, ingest.ErrNotFound) && len(group.atoms) == 1 {
		return false, nil // it was merged with another
	}
	if err != nil && !errors.Is(err, ingest.ErrNotFound) {
		return false, err
	}
	request := ingest.JobRequest{Pipeline: "migrate", Source: group.key, Paths: []string{group.key},
		Options: r.Options}
	if !r.Back && r.Split == nil {
		target := r.To(first)
		if err := r.claim(ctx, target); err != nil {
			return false, err
		}
		request.Options = withStore(r.Options, target.Address)
	}
	err = lease.Run(ctx, r.Catalog, request, r.Log, func(ctx context.Context, job ingest.Lease) error {
		for _, id := range group.atoms {
			if r.full() {
				break
			}
			if err := r.row(ctx, job, id); err != nil {
				return fmt.Errorf("atom %d: %w", id, err)
			}
		}
		return nil
	}, outcome(r.report.done, notMigrated))
	if errors.Is(err, ingest.ErrBusy) || errors.Is(err, ingest.ErrLeaseLost) && ctx.Err() == nil {
		return true, nil
	}
	return false, err
}

// full reports whether as many rows as the limit allows were migrated. Rows that failed do not count.
func (r *locatorRun) full() bool {
	done, _ := r.report.done()
	return r.Limit > 0 && done >= int64(r.Limit)
}

// row migrates one row, which may have changed since it was listed. An error ends the migration.
func (r *locatorRun) row(ctx context.Context, job ingest.Lease, id int64) error {
	atom, err := r.Catalog.FileAtom(ctx, id)
	if errors.Is(err, ingest.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	if r.toCopy(atom) {
		if atom, err = r.copy(ctx, job, atom); err != nil {
			return r.fail(ctx, atom, err)
		}
	}
	switch {
	case r.toClear(atom):
		return r.fail(ctx, atom, r.clear(ctx, job, atom))
	case r.toBack(atom):
		return r.fail(ctx, atom, r.back(ctx, job, atom))
	}
	return nil
}

// fatalError is an error of the catalogue or the store, which ends a migration.
type fatalError struct{ error }

func (e *fatalError) Unwrap() error { return e.error }

// fail reports the error of a row, or returns it if it ends the migration.
func (r *locatorRun) fail(ctx context.Context, atom ingest.FileAtom, err error) error {
	var fatal *fatalError
	if err == nil || ctx.Err() != nil || errors.As(err, &fatal) || errors.Is(err, ingest.ErrLeaseLost) {
		return err
	}
	r.report.Failed++
	r.found(LocatorProblem{Atom: atom, Reason: err})
	return nil
}

func (r *locatorRun) notice(atom ingest.FileAtom, format string, args ...any) {
	r.found(LocatorProblem{Atom: atom, Reason: fmt.Errorf(format, args...), Notice: true})
}

func (r *locatorRun) found(problem LocatorProblem) {
	if r.Found != nil {
		problem.Atom.Locator = formerPath(problem.Atom)
		r.Found(problem)
	}
}

// plan counts what would be done with a row, as far as known without reading its file.
func (r *locatorRun) plan(atom ingest.FileAtom) {
	open := func() (*opened, error) { return r.openToCopy(atom, r.To(atom)) }
	switch {
	case r.toBack(atom):
		open = func() (*opened, error) { return r.open(formerPath(atom)) }
	case !r.toCopy(atom):
		r.report.Cleared.add(atom.Bytes)
		return
	}
	o, err := open()
	if err != nil {
		r.report.Failed++
		r.found(LocatorProblem{Atom: atom, Reason: err})
		return
	}
	_ = o.file.Close() // it was only read
	if r.Back {
		r.report.Back.add(o.size)
		return
	}
	r.remark(atom, o)
	r.report.Moved.add(o.size)
	if o.hashesPath {
		r.report.Corrected++
	}
	if r.Clear {
		r.report.Cleared.add(o.size)
	}
}

// remark reports faults of a row that do not prevent its migration.
func (r *locatorRun) remark(atom ingest.FileAtom, o *opened) {
	if o.hashesPath {
		r.notice(atom, "ContentHash is the hash of the path, not of the file")
	}
	if o.note != "" {
		r.notice(atom, "%s", o.note)
	}
}
