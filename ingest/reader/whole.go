package reader

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/ingest/buffer"
	"github.com/hartonomous/ingest/ingest/sha256x2"
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
	hash := sha256x2.New()
	err = r.eachPart(ctx, w, 0, size, func(part []byte) error {
		hash.Write(part)
		r.count(int64(len(part)))
		return nil
	})
	if got := ingest.Digest(hash.Sum()); err == nil && got != atom.Digest {
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

// wholeBytes is the maximum size of a read of a whole file, and storeBytes that in a store, where
// each read is a request.
const (
	wholeBytes = 4 << 20
	storeBytes = 64 << 20
)

// wholeBuffer takes a buffer from the pool. For a row, it also reserves the driver's copies.
func (r *Reader) wholeBuffer(ctx context.Context, lease *buffer.Lease, w *whole) ([]byte, error) {
	size := max(1, w.stored.Bytes)
	switch {
	case w.atom.InRow:
		most := min(size, wholeBytes, r.Pool.Limit()/(1+rowCopies))
		return lease.GetBeside(ctx, most, rowCopies*most)
	case w.file == nil:
		return lease.Get(ctx, min(size, storeBytes, r.Pool.Limit()/4))
	}
	return lease.Get(ctx, min(size, wholeBytes, r.Pool.Limit()))
}

// eachPart reads the bytes [from, to) in parts, and calls do with each.
func (r *Reader) eachPart(ctx context.Context, w *whole, from, to int64, do func(part []byte) error) error {
	lease := r.Pool.Lease()
	defer lease.Close()
	buffer, err := r.wholeBuffer(ctx, lease, w)
	for at := from; at < to && err == nil; {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		part := buffer[:min(int64(len(buffer)), to-at)]
		n, readErr := w.ReadAt(part, at)
		if n < len(part) {
			if readErr == io.EOF {
				readErr = fmt.Errorf("the file ends here and had %d bytes: %w", w.stored.Bytes, ErrReplaced)
			}
			return w.at(at+int64(n), readErr)
		}
		err = do(part)
		at += int64(len(part))
	}
	return err
}

// sum reads the whole file, calls do with each part unless do is nil, and compares the SHA-256.
func (r *Reader) sum(ctx context.Context, w *whole, do func(part []byte) error) error {
	hash := sha256x2.New()
	err := r.eachPart(ctx, w, 0, w.stored.Bytes, func(part []byte) error {
		hash.Write(part)
		if do == nil {
			return nil
		}
		return do(part)
	})
	if err != nil {
		return err
	}
	got := ingest.Digest(hash.Sum())
	switch {
	case got == w.stored.Digest:
		return nil
	case w.touched:
		return w.at(-1, fmt.Errorf("it has SHA-256 %s and had %s: %w", got, w.stored.Digest, ErrReplaced))
	case w.atom.Trusted():
		return w.at(-1, fmt.Errorf("it has SHA-256 %s, and its name claims %s (registered with --trust-names)",
			got, w.stored.Digest))
	}
	return w.at(-1, mismatch(got, w.stored.Digest))
}

// writeWhole is write for a file without segments. A part of a file cannot be checked against a
// digest. A file at a path must have the recorded size; if its time differs, the whole file is
// hashed first.
func (f *File) writeWhole(w io.Writer, from, to int64) (written int64, err error) {
	stored, atom, err := f.reader.locate(f.ctx, f.stored)
	if err != nil {
		return 0, err
	}
	if !stored.Whole {
		segments := f.reader.Open(f.ctx, stored)
		if from == 0 && to == stored.Bytes {
			return segments.WriteTo(w)
		}
		return segments.WriteRange(w, from, to)
	}
	whole, err := f.reader.openWhole(f.ctx, stored, atom)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, whole.close()) }()
	write := func(part []byte) error {
		n, err := w.Write(part)
		written += int64(n)
		f.reader.count(int64(n))
		return err
	}
	if from == 0 && to == stored.Bytes {
		err = f.reader.sum(f.ctx, whole, write)
		return written, err
	}
	if whole.touched {
		if err := f.reader.sum(f.ctx, whole, nil); err != nil {
			return 0, err
		}
	}
	err = f.reader.eachPart(f.ctx, whole, from, to, write)
	return written, err
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

// partWriter fills a slice.
type partWriter struct {
	into []byte
	n    int
}

func (p *partWriter) Write(part []byte) (int, error) {
	n := copy(p.into[p.n:], part)
	p.n += n
	return n, nil
}

// readWhole is ReadAt for a file without segments.
func (f *File) readWhole(p []byte, offset int64) (int, error) {
	into := &partWriter{into: p}
	to := min(offset+min(int64(len(p)), math.MaxInt64-offset), f.stored.Bytes)
	if offset >= to {
		if len(p) == 0 {
			return 0, nil
		}
		return 0, io.EOF
	}
	_, err := f.writeWhole(into, offset, to)
	if err == nil && into.n < len(p) {
		err = io.EOF
	}
	return into.n, err
}
