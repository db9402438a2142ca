package migrate

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"time"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/ingest/buffer"
	"github.com/hartonomous/ingest/ingest/lease"
	"github.com/hartonomous/ingest/ingest/reader"
)

// Locators moves files that rows of Atoms have only the path of. Its fields are set once, before Run.
type Locators struct {
	Catalog ingest.Catalog
	// To returns where the file of an atom goes.
	To func(ingest.FileAtom) Target
	// At returns the store that has the file of an atom by its row. Copies that it does not know cannot be cleared.
	At func(ingest.FileAtom) (ingest.Store, error)
	// Split, if not nil, ingests the file at path as a model, in segments, in place of a copy. It refuses a file that
	// does not have the expected digest, if that is not zero.
	Split func(ctx context.Context, path string, expected ingest.Digest) error
	Paths Paths

	Modality string    // empty for all
	Since    time.Time // rows that were created before are left alone
	Limit    int       // the most rows that are looked at; 0 for all
	// Clear also clears the path of each row whose copy is right.
	Clear bool
	// ReadBack reads every copy back, also where the store vouches for it.
	ReadBack bool
	// DryRun looks at rows and files, reads none, and changes nothing.
	DryRun bool
	Pool   *buffer.Pool
	// Progress may be nil; BytesRecorded counts the bytes that were read from files, or to clear their paths.
	Progress *ingest.Progress
	Log      *slog.Logger // may be nil
	// Found is called with each problem, from one goroutine.
	Found func(LocatorProblem)
}

// Target is where a file goes.
type Target struct {
	Store   ingest.FileStore // nil for the row
	Address string           // as ingest.OptionStore of the jobs
}

// LocatorReport is what a migration did, or would do.
type LocatorReport struct {
	Moved     Count // rows whose file was copied
	Linked    Count // rows whose content was stored already
	Cleared   Count // rows whose path was cleared
	There     Count // rows whose file was stored before
	Corrected int64 // rows whose ContentHash was of the path
	Merged    int64 // rows that became one with another row of the same content
	Failed    int64 // rows that could not be migrated or cleared, each of which is a LocatorProblem
}

// LocatorProblem is what is wrong with a row, or odd.
type LocatorProblem struct {
	Atom   ingest.FileAtom
	Reason error
	Notice bool // the row is migrated all the same
}

// Run migrates the rows. Trouble with single rows is in the report, and does not stop the others. An error means that
// the migration could not go on; the rows that it changed stay changed. A row that another process migrates is waited
// for.
func (l *Locators) Run(ctx context.Context) (*LocatorReport, error) {
	r := &locatorRun{Locators: l, claimed: map[string]bool{},
		reader: reader.Reader{Catalog: l.Catalog, Pool: l.Pool, Progress: l.Progress}}
	var group rowGroup
	var busy []rowGroup
	seen := 0
	for a, err := range l.Catalog.FileAtoms(ctx) {
		if err != nil {
			return &r.report, err
		}
		if !r.selected(a) {
			continue
		}
		if !r.todo(a) {
			r.skip(a)
			continue
		}
		if l.Limit > 0 && seen == l.Limit {
			break
		}
		seen++
		if l.DryRun {
			r.plan(a)
			continue
		}
		if key := groupOf(a); key != group.key || len(group.atoms) == maxGroup {
			if busy, err = r.try(ctx, group, busy); err != nil {
				return &r.report, err
			}
			group = rowGroup{key: key}
		}
		group.atoms = append(group.atoms, a.ID)
	}
	busy, err := r.try(ctx, group, busy)
	for err == nil && len(busy) > 0 {
		select {
		case <-ctx.Done():
			return &r.report, context.Cause(ctx)
		case <-time.After(300 * time.Millisecond):
		}
		waiting := busy
		busy = nil
		for _, group := range waiting {
			if busy, err = r.try(ctx, group, busy); err != nil {
				break
			}
		}
	}
	return &r.report, err
}

// locatorRun is one call of Run.
type locatorRun struct {
	*Locators
	reader  reader.Reader
	report  LocatorReport
	claimed map[string]bool // addresses of stores that belong to this catalogue
}

// rowGroup are rows that one process migrates, under the lease of one job.
type rowGroup struct {
	key   string
	atoms []int64
}

const (
	maxGroup  = 100
	rowCopies = 3 // of a payload that the driver of a database makes while it is written; see package reader
)

// groupOf says which rows are leased together, the same for every process: a model alone, which may have many
// gigabytes, and others by the hundred.
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

// toCopy reports whether a path is all that there is of a file.
func (r *locatorRun) toCopy(a ingest.FileAtom) bool {
	return a.Locator != "" && !a.InRow && a.Address.URI == "" && !a.InSegments
}

// toClear reports whether the path of a file is to be cleared, of which there is a copy.
func (r *locatorRun) toClear(a ingest.FileAtom) bool {
	return r.Clear && a.Locator != "" && (a.InRow || a.Address.URI != "")
}

func (r *locatorRun) todo(a ingest.FileAtom) bool { return r.toCopy(a) || r.toClear(a) }

func (r *locatorRun) skip(a ingest.FileAtom) {
	if a.Locator != "" {
		r.report.There.add(a.Bytes)
	}
}

// try migrates a group of rows, and puts it off if another process has it.
func (r *locatorRun) try(ctx context.Context, group rowGroup, busy []rowGroup) ([]rowGroup, error) {
	if len(group.atoms) == 0 {
		return busy, nil
	}
	first, err := r.Catalog.FileAtom(ctx, group.atoms[0])
	if errors.Is(err, ingest.ErrNotFound) && len(group.atoms) == 1 {
		return busy, nil // it became one with another
	}
	if err != nil && !errors.Is(err, ingest.ErrNotFound) {
		return busy, err
	}
	request := ingest.JobRequest{Pipeline: "migrate", Source: group.key, Options: map[string]string{}}
	if target := r.To(first); target.Address != "" && r.Split == nil {
		request.Options[ingest.OptionStore] = target.Address
	}
	err = lease.Run(ctx, r.Catalog, request, r.Log, func(ctx context.Context, job ingest.Lease) error {
		for _, id := range group.atoms {
			if err := r.row(ctx, job, id); err != nil {
				return fmt.Errorf("atom %d: %w", id, err)
			}
		}
		return nil
	}, nil)
	if errors.Is(err, ingest.ErrBusy) || errors.Is(err, ingest.ErrLeaseLost) && ctx.Err() == nil {
		return append(busy, group), nil
	}
	return busy, err
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
	if r.toClear(atom) {
		return r.fail(ctx, atom, r.clear(ctx, job, atom))
	}
	return nil
}

// fatalError ends a migration: it is about the catalogue or the store, and not about one row.
type fatalError struct{ error }

func (e *fatalError) Unwrap() error { return e.error }

// fail reports what is wrong with a row, unless it ends the migration.
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
		r.Found(problem)
	}
}

// opened is the file of a row.
type opened struct {
	claim
	path string
	file *file
	size int64
	// hasTwin says that another atom has the content.
	hasTwin bool
}

// open opens the file of a row, and refuses it where reading it would be in vain.
func (r *locatorRun) open(atom ingest.FileAtom, target Target) (*opened, error) {
	claim, err := claimOf(atom)
	if err != nil {
		return nil, err
	}
	opened := &opened{claim: claim}
	if opened.path, err = r.Paths.Local(atom.Locator); err != nil {
		return nil, err
	}
	f, err := r.Paths.Open(atom.Locator)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && target.Store == nil && r.Split == nil {
		err = r.fits(info.Size())
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	opened.file, opened.size = &file{File: f, progress: r.Progress}, info.Size()
	return opened, nil
}

// fits refuses a file that a row does not take, before anything of it is read.
func (r *locatorRun) fits(size int64) error {
	const other = "; --to dir:PATH or --to azblob://ACCOUNT/CONTAINER takes it"
	most, streamed := r.Catalog.MaxAtomPayload()
	switch room := r.Pool.Limit() / (1 + rowCopies); {
	case most == 0:
		return errors.New("the table Atoms has no column Payload (`ingest schema apply --with filestream` adds it)" + other)
	case size > most:
		return fmt.Errorf("it has %d bytes, and a row takes at most %d%s", size, most, other)
	case size > room && !streamed:
		return fmt.Errorf("it has %d bytes, and within the memory limit a row gets at most %d: raise --memory%s", size,
			room, other)
	}
	return nil
}

// file notes what goes wrong when it is read: else it would look like trouble with the store.
type file struct {
	*os.File
	progress *ingest.Progress
	read     int64 // bytes from its start on, in one pass
	err      error
}

// ReadAt implements io.ReaderAt for one goroutine at a time.
func (f *file) ReadAt(p []byte, offset int64) (int, error) {
	n, err := f.File.ReadAt(p, offset)
	if err != nil && (err != io.EOF || n < len(p)) {
		f.err = fmt.Errorf("read %s at byte %d: %w", ingest.Printable(f.Name()), offset+int64(n), err)
	}
	if offset == 0 {
		f.read = 0
	}
	if offset == f.read {
		f.read += int64(n)
	}
	if f.progress != nil {
		f.progress.BytesRecorded.Add(int64(n))
	}
	return n, err
}

// hash reads all of the file.
func (o *opened) hash(ctx context.Context) (ingest.Digest, error) {
	h := sha256.New()
	part := make([]byte, 1<<20)
	for offset := int64(0); offset < o.size; offset += int64(len(part)) {
		if err := ctx.Err(); err != nil {
			return ingest.Digest{}, context.Cause(ctx)
		}
		piece := part[:min(int64(len(part)), o.size-offset)]
		if n, _ := o.file.ReadAt(piece, offset); n < len(piece) {
			return ingest.Digest{}, o.file.err
		}
		h.Write(piece)
	}
	return ingest.Digest(h.Sum(nil)), nil
}

// plan says what would be done with a row, as far as that is known without reading its file.
func (r *locatorRun) plan(atom ingest.FileAtom) {
	if !r.toCopy(atom) {
		r.report.Cleared.add(atom.Bytes)
		return
	}
	o, err := r.open(atom, r.To(atom))
	if err != nil {
		r.report.Failed++
		r.found(LocatorProblem{Atom: atom, Reason: err})
		return
	}
	_ = o.file.Close() // it was not written
	r.remark(atom, o)
	r.report.Moved.add(o.size)
	if o.lies {
		r.report.Corrected++
	}
	if r.Clear {
		r.report.Cleared.add(o.size)
	}
}

// remark tells what is odd about a row.
func (r *locatorRun) remark(atom ingest.FileAtom, o *opened) {
	if o.lies {
		r.notice(atom, "ContentHash is the hash of the path, and not of the file")
	}
	if o.note != "" {
		r.notice(atom, "%s", o.note)
	}
}
