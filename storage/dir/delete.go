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
	"github.com/hartonomous/ingest/storage"
)

// Delete hides the objects, calls confirm, and deletes them or puts them back; see ingest.Store.
//
// Delete hides a payload by renaming it into trash/<token>/, a folder of this call. So a payload is
// either in place or hidden, whenever the process is killed, and from the rename on, Put does not
// find it in place. Put then takes it back with a link, which fails if the payload was deleted
// first. Delete only ever deletes the hidden name: a payload that was written again or taken back
// keeps its name in place.
//
// Power failures: the token's folder is durable before anything is renamed into it. A rename within
// a file system is one transaction of its journal, so a payload has one of its two names
// afterwards, and both are found: hiding needs no sync. When a payload is put back or taken back,
// its name in place is durable before the hidden name is removed, since a row may depend on it. A
// deletion need not be durable: if the payload reappears, the next gc finds it.
//
// No row depends on a temporary file: it is not hidden, but deleted after confirm returns.
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
	finish := d.remove
	if err != nil {
		finish = d.putBack
	}
	// Finish even if ctx has ended, but not for long: the next gc can do it, too.
	rest, cancel := context.WithTimeout(context.WithoutCancel(ctx), finishTimeout)
	defer cancel()
	for i, object := range objects {
		if d.at[i] == "" {
			continue
		}
		if err := s.try(rest, func() error { return finish(d.at[i]) }); err != nil {
			failed[i] = fmt.Errorf("remove %s: %w", ingest.Printable(object.Name), err)
		}
	}
	s.removeEmptyTrash()
	return failed, err
}

// finishTimeout bounds the time that Delete takes after confirm.
const finishTimeout = time.Minute

// deletion is one call of Delete.
type deletion struct {
	*Store
	token string   // name of its folder in trash
	made  bool     // the folder exists durably
	at    []string // path of each object; empty if it is gone or stays
}

// hide renames a payload into the trash if it was not modified since it was listed.
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
	hidden := filepath.Join(d.folder(trash), d.token, filepath.Base(path))
	if err := d.do("hide", hidden, func() error { return rename(path, hidden) }); err != nil {
		if _, err := os.Lstat(filepath.Dir(hidden)); err != nil {
			return fmt.Errorf("another gc removed the folder: %w", err)
		}
		return ignoreMissing(err)
	}
	d.at[i] = hidden
	if err := unchanged(hidden, object); err != nil { // modified between the check and the rename
		d.at[i] = ""
		return errors.Join(err, d.putBack(hidden))
	}
	return nil
}

// unchanged returns an error if the file at path was modified since it was listed.
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

// makeTrash makes the folder of this call, durably. It retries because another gc may remove the
// folder above while that is empty.
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

// remove deletes a hidden payload or a temporary file.
func (d *deletion) remove(path string) error {
	return ignoreMissing(d.do("remove", path, func() error { return os.Remove(path) }))
}

// putBack puts a hidden payload back in place. If the name is taken, the payload in place stays
// unless it is damaged and the hidden one is intact. Replace may repair the one in place at any
// time: an intact payload may overwrite it, a damaged one may not.
func (d *deletion) putBack(path string) error {
	p, ok := storage.ParsePayload(filepath.Base(path))
	if !ok { // a temporary file
		return nil
	}
	final := d.payload(p)
	err := d.link(path, final)
	if errors.Is(err, fs.ErrExist) {
		var keep, better bool
		if keep, err = isIntact(final, p.Content); err == nil && !keep {
			better, err = isIntact(path, p.Content)
		}
		switch {
		case err != nil:
		case better:
			err = d.do("rename", final, func() error { return rename(path, final) })
			if err == nil {
				err = d.syncFolder(filepath.Dir(final))
			}
		default:
			err = d.remove(path)
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

func isIntact(path string, digest ingest.Digest) (bool, error) {
	f, err := openFile(path)
	if err != nil {
		return false, err
	}
	defer f.Close()
	h := sha256.New()
	_, err = io.Copy(h, f)
	return ingest.Digest(h.Sum(nil)) == digest, err
}
