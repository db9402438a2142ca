package main

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// apply applies a system call to the disk.
func (r *replay) apply(c call) error {
	switch c.name {
	case "open":
		return r.opens(c, "AT_FDCWD", c.args[0], c.args[1])
	case "openat":
		return r.opens(c, c.args[0], c.args[1], c.args[2])
	case "renameat", "renameat2", "linkat":
		return r.renames(c, c.args[0], c.args[1], c.args[2], c.args[3])
	case "unlink":
		return r.renames(c, "AT_FDCWD", c.args[0], "", "")
	case "unlinkat":
		return r.renames(c, c.args[0], c.args[1], "", "")
	case "mkdirat":
		return r.makes(c.args[0], c.args[1])
	case "close":
		return nil
	case "creat", "rename", "link", "rmdir", "mkdir", "symlink", "symlinkat", "truncate", "sync":
		return errUnknown
	}
	if f := r.open[c.args[0]]; f != nil {
		return r.applyTo(f, c)
	}
	if c.name == "write" && c.args[0] == "1" {
		data, err := unquote(c.args[1])
		r.printed(string(data[:min(int(c.result), len(data))]))
		return err
	}
	return nil
}

// errUnknown: neither the program nor SQLite makes this call today.
var errUnknown = errors.New("the replay does not know this system call")

// applyTo applies a call whose first argument is a descriptor.
func (r *replay) applyTo(f *opened, c call) (err error) {
	switch c.name {
	case "fsync", "fdatasync":
		r.syncs++
		r.reach("before "+c.name+" of "+f.path, noChange, namesOnly, someChanges)
		r.sync(f.node, c.number)
		r.tidy()
		return nil
	case "ftruncate":
		size, err := strconv.ParseInt(c.args[1], 10, 64)
		r.resize(f.node, size)
		return err
	case "write", "pwrite64":
	default:
		return errUnknown
	}
	r.writes++
	data, err := unquote(c.args[1])
	if err != nil || c.result > int64(len(data)) {
		return fmt.Errorf("%d bytes were written, the log has %d: %w", c.result, len(data), err)
	}
	at := &f.at
	if c.name == "pwrite64" {
		at = new(int64)
		*at, err = strconv.ParseInt(c.args[3], 10, 64)
	}
	r.write(f.node, *at, data[:c.result])
	*at += c.result
	return err
}

// resize changes the size of a file.
func (r *replay) resize(n *node, size int64) {
	if more := size - int64(len(n.content)); more > 0 {
		r.write(n, int64(len(n.content)), make([]byte, more))
	} else if more < 0 {
		r.write(n, size, nil)
	}
}

// at finds a path that strace wrote, relative to a descriptor.
func (r *replay) at(descriptor, quoted string) (folder *node, name string, found *node, err error) {
	path, err := unquote(quoted)
	var begin *node
	if f := r.open[descriptor]; f != nil {
		begin = f.node
	}
	folder, name, found = r.find(begin, string(path))
	return folder, name, found, err
}

func (r *replay) opens(c call, descriptor, path, flags string) error {
	folder, name, found, err := r.at(descriptor, path)
	if found == nil && folder != nil { // it did not exist
		found = &node{}
		r.rename(found, nil, "", folder, name)
	}
	if found != nil {
		r.open[fmt.Sprint(c.result)] = &opened{found, name, 0}
		if strings.Contains(flags, "O_APPEND") || strings.Contains(flags, "O_TRUNC") {
			err = errors.Join(err, errUnknown)
		}
	}
	return err
}

func (r *replay) makes(descriptor, path string) error {
	folder, name, _, err := r.at(descriptor, path)
	if folder != nil {
		r.rename(newFolder(), nil, "", folder, name)
	}
	return err
}

// renames applies a rename, a link or a removal.
func (r *replay) renames(c call, descriptor, path, toDescriptor, toPath string) (err error) {
	from, old, found, err := r.at(descriptor, path)
	var to *node
	var name string
	if err == nil && toPath != "" {
		to, name, _, err = r.at(toDescriptor, toPath)
	}
	switch {
	case err != nil || from == nil && to == nil:
		return err
	case found == nil || toPath != "" && to == nil:
		return errors.New("the file is not known")
	case strings.HasPrefix(c.name, "link"):
		from = nil
	}
	r.rename(found, from, old, to, name)
	r.reach("after "+c.name+" of "+old, namesOnly)
	return nil
}
