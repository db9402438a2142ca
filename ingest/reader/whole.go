package reader

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/ingest/buffer"
	"github.com/hartonomous/ingest/ingest/source"
)

// Whole is the part of a catalogue that a Reader needs for files that are stored whole.
type Whole interface {
	// FileAtom and ReadAtom are those of ingest.Atoms.
	FileAtom(ctx context.Context, id int64) (ingest.FileAtom, error)
	ReadAtom(ctx context.Context, atom ingest.FileAtom, offset int64, into []byte) error
	// FileWithDigest is that of ingest.Reader.
	FileWithDigest(ctx context.Context, digest ingest.Digest) (ingest.StoredFile, error)
}

// ErrReplaced means that the file at a path is not the one that was registered.
var ErrReplaced = errors.New("the file changed since it was registered (`ingest register` registers what is there now)")

// whole is an open file without segments: in the row of its atom, in a store, or at a path.
type whole struct {
	io.ReaderAt
	stored ingest.StoredFile
	atom   ingest.FileAtom
	place  string   // for messages
	file   *os.File // nil unless it is at a path
	// touched reports whether the file at the path has another modification time than was recorded.
	touched bool
}

// locate returns a whole file with its atom. If a complete model has the same content in segments,
// it returns that model's file, which is not whole.
func (r *Reader) locate(ctx context.Context, file ingest.StoredFile) (ingest.StoredFile, ingest.FileAtom, error) {
	atom, err := r.Catalog.FileAtom(ctx, file.Atom)
	if err != nil || !atom.InSegments {
		return file, atom, err
	}
	stored, err := r.Catalog.FileWithDigest(ctx, file.Digest)
	if errors.Is(err, ingest.ErrNotFound) { // its model was removed since
		return file, atom, nil
	}
	return stored, atom, err
}

// openWhole opens a file at the place in its atom. The error is ingest.ErrNoPayload, wrapped, if
// the file is missing, and ErrReplaced if another file is there.
func (r *Reader) openWhole(ctx context.Context, file ingest.StoredFile, atom ingest.FileAtom) (*whole, error) {
	w, size, err := r.copyOf(ctx, atom)
	if err != nil && !errors.Is(err, errNoCopy) {
		return nil, err
	}
	w.stored = file
	if err != nil {
		if atom.Locator == "" {
			return nil, fmt.Errorf("%w: atom %d has neither a payload nor an address nor a path", ingest.ErrNoPayload,
				atom.ID)
		}
		w.place = atom.Locator
		info, err := w.openPath()
		if err != nil {
			return nil, err
		}
		size, w.touched = info.Size(), !info.ModTime().Equal(file.Modified)
	}
	if size != file.Bytes {
		err := fmt.Errorf("it has %d bytes and had %d: %w", size, file.Bytes, ErrReplaced)
		if w.file == nil {
			err = &ingest.SizeError{Where: ingest.Printable(w.place), Want: file.Bytes, Got: size}
		}
		return nil, errors.Join(w.at(-1, err), w.close())
	}
	return w, nil
}

// copyOf returns the copy of a file in the row of its atom, or else in the store, and its size. For
// a file that is only at a path, the error is errNoCopy.
func (r *Reader) copyOf(ctx context.Context, atom ingest.FileAtom) (w *whole, size int64, err error) {
	w = &whole{atom: atom}
	switch {
	case atom.InRow:
		w.place, size = fmt.Sprintf("row of atom %d", atom.ID), atom.Bytes
		w.ReaderAt = rowAt{ctx, r.Catalog, atom}
	case atom.Address.URI == "":
		return w, 0, errNoCopy
	case r.Store == nil:
		return w, 0, fmt.Errorf("%w: it is in a store (%s): name it with --store", ingest.ErrNoPayload,
			ingest.Printable(atom.Address.URI))
	default:
		w.place, size = atom.Address.URI, atom.Address.Bytes
		w.ReaderAt = storeAt{ctx, r.Store, atom}
	}
	if size < 0 {
		return w, 0, fmt.Errorf("the catalogue gives it %d bytes", size)
	}
	return w, size, nil
}

var errNoCopy = fmt.Errorf("%w: it is only at a path", ingest.ErrNoPayload)

// CheckAtom reads the copy of a file in the row of its atom, or else in the store. A copy without
// the atom's SHA-256 is ErrDamaged, wrapped.
func (r *Reader) CheckAtom(ctx context.Context, atom ingest.FileAtom) error {
	w, size, err := r.copyOf(ctx, atom)
	if err != nil {
		return err
	}
	if size == 0 { // an empty copy must exist, too
		if _, err := w.ReadAt(nil, 0); err != nil {
			return err
		}
	}
	w.stored.Bytes = size
	hash := sha256.New()
	err = r.eachPart(ctx, w, 0, size, func(part []byte) error {
		hash.Write(part)
		r.count(int64(len(part)))
		return nil
	})
	if got := ingest.Digest(hash.Sum(nil)); err == nil && got != atom.Digest {
		err = mismatch(got, atom.Digest)
	}
	return err
}

// openPath opens the regular file at the path. It follows no links.
func (w *whole) openPath() (fs.FileInfo, error) {
	path := w.place
	if !filepath.IsAbs(path) {
		return nil, w.at(-1, fmt.Errorf("%w: not an absolute path on this machine", ingest.ErrNoPayload))
	}
	info, err := os.Lstat(path)
	if err == nil && !info.Mode().IsRegular() {
		return nil, w.at(-1, fmt.Errorf("it is not a regular file (%s): %w", info.Mode().Type(), ErrReplaced))
	}
	if err == nil {
		w.file, err = source.Open(path, filepath.Dir(path))
	}
	var outside *source.OutsideError
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, w.at(-1, fmt.Errorf("%w: there is no such file", ingest.ErrNoPayload))
	case errors.As(err, &outside):
		return nil, w.at(-1, fmt.Errorf("a symbolic link in its path leads to %s: %w",
			ingest.Printable(outside.Target), ErrReplaced))
	case err != nil:
		return nil, w.at(-1, err)
	}
	w.ReaderAt = w.file
	if info, err = w.file.Stat(); err != nil {
		return nil, errors.Join(w.at(-1, err), w.close())
	}
	return info, nil
}

// at adds the place and the offset to an error; a negative offset means the whole file.
func (w *whole) at(offset int64, err error) error {
	return &ingest.SourceError{Path: w.place, Offset: offset, Err: err}
}

func (w *whole) close() error {
	if w.file == nil {
		return nil
	}
	return w.file.Close()
}

// rowAt reads the payload in the row of an atom, storeAt that at its address.
type (
	rowAt struct {
		ctx  context.Context
		rows Whole
		atom ingest.FileAtom
	}
	storeAt struct {
		ctx   context.Context
		store Store
		atom  ingest.FileAtom
	}
)

// ReadAt implements io.ReaderAt within the payload.
func (r rowAt) ReadAt(p []byte, offset int64) (int, error) {
	if err := r.rows.ReadAtom(r.ctx, r.atom, offset, p); err != nil {
		return 0, err
	}
	return len(p), nil
}

// ReadAt implements io.ReaderAt within the payload.
func (s storeAt) ReadAt(p []byte, offset int64) (int, error) {
	if err := s.store.Get(s.ctx, s.atom.Digest, s.atom.Address, offset, p); err != nil {
		return 0, err
	}
	return len(p), nil
}

// verifyWhole is Verify for a file without segments.
func (v *Verifier) verifyWhole(ctx context.Context, file ingest.StoredFile, found func(Damage)) error {
	stored, atom, err := v.locate(ctx, file)
	if errors.Is(err, ingest.ErrNotFound) {
		found(Damage{File: file, Reason: fmt.Errorf("%w: its row in Atoms is missing", ingest.ErrNoPayload)})
		return nil
	}
	if err != nil {
		return err
	}
	if !stored.Whole {
		return v.Verify(ctx, stored, found)
	}
	err = v.checkWhole(ctx, stored, atom)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err == nil || isUnreadable(err) {
		return err
	}
	found(Damage{File: file, Reason: err})
	return nil
}

// isUnreadable reports whether an error does not mean damage: the file cannot be read now, or by
// this user.
func isUnreadable(err error) bool {
	var small *buffer.TooSmallError
	return errors.Is(err, ingest.ErrUnreachable) || errors.Is(err, fs.ErrPermission) || errors.As(err, &small)
}

// checkWhole checks that the file exists and has its digest.
func (v *Verifier) checkWhole(ctx context.Context, file ingest.StoredFile, atom ingest.FileAtom) error {
	whole, err := v.openWhole(ctx, file, atom)
	if err != nil {
		return err
	}
	defer whole.close() // it was only read
	if attested, err := v.attests(ctx, atom); attested || err != nil {
		v.count(file.Bytes)
		return err
	}
	return v.sum(ctx, whole, func(part []byte) error {
		v.count(int64(len(part)))
		return nil
	})
}

// VerifyAtom verifies the copy of a file in the row of its atom, or in the store: by its metadata, if
// Attested is set and the store attests its digest.
func (v *Verifier) VerifyAtom(ctx context.Context, atom ingest.FileAtom) error {
	attested, err := v.attests(ctx, atom)
	switch {
	case err != nil:
		return err
	case attested:
		v.count(atom.Address.Bytes)
		return nil
	}
	return v.CheckAtom(ctx, atom)
}

// attests reports whether the store attests the digest of a file, so that it need not be read. A
// rewritten one is read.
func (v *Verifier) attests(ctx context.Context, atom ingest.FileAtom) (bool, error) {
	if !v.Attested || atom.InRow || atom.Address.URI == "" {
		return false, nil
	}
	attested, err := v.Store.Stat(ctx, atom.Digest, atom.Address)
	var again *ingest.RewrittenError
	if errors.As(err, &again) {
		return false, nil
	}
	return attested, err
}
