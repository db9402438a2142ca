package dir

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/hartonomous/ingest/ingest"
)

// Delete hides the objects, asks confirm, and removes them or puts them back; see ingest.Store.
//
// To hide a payload is to rename it into trash/<token>/, a folder of this call alone. So it is
// either in its place or hidden, whenever the process is killed, and there is one moment from which
// a Put does not find it. Such a Put takes it back: by a link, which fails if it was removed first.
// What is removed is never more than the hidden name. A payload that somebody writes again, or
// takes back, keeps the name in its place.
//
// Power cuts: the token's folder is durable before anything is renamed into it. A rename within a
// file system is one transaction of its journal, so that a payload has one of its two names
// afterwards, and both are found: hiding needs no sync. A payload that is put back or taken back
// has its name in its place durable before the hidden one goes, as somebody may rely on it. That a
// payload is removed is not made durable: it may be back, in its place or hidden, and the next gc
// finds it.
//
// A temporary file has nobody who might rely on it: it is not hidden, but removed once confirm has
// returned.
func (s *Store) Delete(
	ctx context.Context,
	objects []ingest.Object,
	confirm func(context.Context) error,
) ([]error, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	d := &deletion{Store: s, token: temporaryName(), at: make([]string, len(objects))}
	failed := make([]error, len(objects))
	for i, object := range objects {
		if err := s.try(ctx, func() error { return d.hide(i, object) }); err != nil {
			failed[i] = fmt.Errorf("remove %s: %w", ingest.Printable(object.Name), err)
		}
	}
	err := ctx.Err()
	if err == nil {
		err = confirm(ctx)
	}
	settle := d.remove
	if err != nil {
		settle = d.putBack
	}
	// What is hidden is dealt with although ctx has ended, but not for long: the next gc can do so
	// too.
	rest, cancel := context.WithTimeout(context.WithoutCancel(ctx), settleTimeout)
	defer cancel()
	for i, object := range objects {
		if d.at[i] == "" {
			continue
		}
		if err := s.try(rest, func() error { return settle(d.at[i], object) }); err != nil {
			failed[i] = fmt.Errorf("remove %s: %w", ingest.Printable(object.Name), err)
		}
	}
	s.tidy()
	return failed, err
}

// settleTimeout bounds what Delete does after confirm.
const settleTimeout = time.Minute

// deletion is one call of Delete.
type deletion struct {
	*Store
	token string   // the name of its folder in trash
	made  bool     // the folder, durably
	at    []string // where each object is now; empty for one that is gone or stays
}

// hide renames a payload into the trash, if it is still the write that was listed.
func (d *deletion) hide(i int, object ingest.Object) error {
	path, err := d.objectPath(object)
	if err != nil {
		return err
	}
	if err := unchanged(path, object); err != nil {
		return ignoreMissing(err)
	}
	if object.Hidden || object.Digest.IsZero() {
		d.at[i] = path
		return nil
	}
	if err := d.makeTrash(); err != nil {
		return err
	}
	hidden := filepath.Join(d.folder(trash), d.token, object.Digest.String())
	if err := d.do("hide", hidden, func() error { return rename(path, hidden) }); err != nil {
		if _, err := os.Lstat(filepath.Dir(hidden)); err != nil {
			return fmt.Errorf("another gc removed the folder: %w", err)
		}
		return ignoreMissing(err)
	}
	d.at[i] = hidden
	if err := unchanged(hidden, object); err != nil { // it was written between the look and the rename
		d.at[i] = ""
		return errors.Join(err, d.putBack(hidden, object))
	}
	return nil
}

// unchanged returns an error if the file at path is not the write that was listed.
func unchanged(path string, object ingest.Object) error {
	info, err := os.Lstat(path)
	switch {
	case err != nil:
		return err
	case !info.Mode().IsRegular() || !foldersAreReal(filepath.Dir(filepath.Dir(path)), filepath.Dir(path)):
		return fmt.Errorf("%s is not a file of this store", path)
	case info.Size() != object.Bytes || !info.ModTime().Equal(object.Modified):
		return ingest.ErrModified
	}
	return nil
}

// makeTrash makes the folder of this call, durably. Another gc may remove the one above it, where
// that is empty.
func (d *deletion) makeTrash() (err error) {
	for range 3 {
		if d.made {
			return nil
		}
		if err = d.makeFolder(d.folder(trash)); err != nil {
			return err
		}
		if err = d.makeFolder(filepath.Join(d.folder(trash), d.token)); errors.Is(err, fs.ErrNotExist) {
			continue
		}
		err = errors.Join(err, d.syncFolder(d.folder(trash)), d.syncFolder(d.root))
		d.made = err == nil
	}
	return err
}

// remove deletes what is hidden, or a temporary file.
func (d *deletion) remove(path string, _ ingest.Object) error {
	return ignoreMissing(d.do("remove", path, func() error { return os.Remove(path) }))
}

// putBack gives a hidden payload its place again. Where that is taken, the sound one of the two
// stays.
func (d *deletion) putBack(path string, object ingest.Object) error {
	if object.Digest.IsZero() {
		return nil
	}
	final := d.payload(object.Digest)
	err := d.link(path, final)
	if errors.Is(err, fs.ErrExist) {
		if isSound(final, object.Digest) {
			return d.remove(path, object)
		}
		err = d.do("rename", final, func() error { return rename(path, final) })
		if err == nil {
			err = d.syncFolder(filepath.Dir(final))
		}
	}
	return ignoreMissing(err)
}

func ignoreMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

func isSound(path string, digest ingest.Digest) bool {
	f, err := openFile(path)
	if err != nil {
		return false
	}
	defer f.Close()
	h := sha256.New()
	_, err = io.Copy(h, f)
	return err == nil && ingest.Digest(h.Sum(nil)) == digest
}
