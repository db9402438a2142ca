package main

import (
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// disk is a model of a folder on a disk. It knows what programs see there, and what survives a
// power failure. A sync makes a file's content durable, or the names in a folder. A file's sync
// does not make its name durable. A rename is atomic, as in the journal of a file system: the old
// name is not lost before the new one is durable.
type disk struct {
	path    string // of the folder
	root    *node
	changes int       // so far
	pending []*naming // changes of names that are not durable, in order
}

// node is a file or a folder.
type node struct {
	seen, durable map[string]*node // names in a folder; nil for a file
	content, safe []byte           // of a file: what programs read, and what is durable
	unsynced      []change
}

// change is a write to a file, or a new size.
type change struct {
	number int
	at     int64
	data   []byte // nil: at is the new size
}

// naming is a change of names. A new name has no folder from, a removal no folder to.
type naming struct {
	number         int
	node           *node
	from, to       *node
	old, name      string
	added, removed bool // the parts that are durable
}

func newFolder() *node { return &node{seen: map[string]*node{}, durable: map[string]*node{}} }

// newDisk returns a disk on which everything in the folder is durable.
func newDisk(path string) (*disk, error) {
	files, err := readTree(path)
	d := &disk{path: path, root: newFolder()}
	for name, content := range files {
		at := d.root
		steps := strings.Split(strings.TrimSuffix(name, "/"), "/")
		for i, step := range steps {
			next := at.seen[step]
			switch {
			case next != nil:
			case i == len(steps)-1 && content != nil:
				next = &node{content: content, safe: slices.Clone(content)}
			default:
				next = newFolder()
			}
			at.seen[step], at.durable[step] = next, next
			at = next
		}
	}
	return d, err
}

// find returns the node at a path and its folder; nil if there is none. A relative path begins in a
// folder, unless that is nil.
func (d *disk) find(begin *node, path string) (folder *node, name string, found *node) {
	if filepath.IsAbs(path) {
		rest, ok := strings.CutPrefix(filepath.Clean(path)+"/", d.path+"/")
		if !ok {
			return nil, "", nil
		}
		begin, path = d.root, strings.TrimSuffix(rest, "/")
	}
	found = begin
	for step := range strings.SplitSeq(path, "/") {
		switch {
		case step == "":
		case found == nil:
			return nil, "", nil
		default:
			folder, name, found = found, step, found.seen[step]
		}
	}
	return folder, name, found
}

// write changes the content of a file.
func (d *disk) write(n *node, at int64, data []byte) {
	d.changes++
	c := change{d.changes, at, data}
	n.unsynced, n.content = append(n.unsynced, c), c.apply(n.content)
}

// apply returns the content after the change. It uses content's array.
func (c change) apply(content []byte) []byte {
	end := c.at + int64(len(c.data))
	if grow := end - int64(len(content)); grow > 0 {
		content = append(content, make([]byte, grow)...)
	}
	if c.data == nil {
		return content[:c.at:c.at]
	}
	copy(content[c.at:], c.data)
	return content
}

// rename moves a name. A new name has no folder from, a removal no folder to.
func (d *disk) rename(n *node, from *node, old string, to *node, name string) {
	d.changes++
	d.pending = append(d.pending, &naming{d.changes, n, from, to, old, name, to == nil, from == nil})
	if from != nil {
		delete(from.seen, old)
	}
	if to != nil {
		to.seen[name] = n
	}
}

// sync makes the changes of a node up to a number durable.
func (d *disk) sync(n *node, upTo int) {
	for len(n.unsynced) > 0 && n.unsynced[0].number <= upTo {
		n.safe, n.unsynced = n.unsynced[0].apply(n.safe), n.unsynced[1:]
	}
	for _, p := range d.pending {
		if p.number > upTo {
			break
		}
		if p.to == n && !p.added {
			n.durable[p.name], p.added = p.node, true
		}
		if p.from == n && !p.removed {
			if !p.added {
				d.sync(p.to, p.number)
			}
			delete(n.durable, p.old)
			p.removed = true
		}
	}
}

// tidy forgets changes of names that are durable.
func (d *disk) tidy() {
	var rest []*naming
	for _, p := range d.pending {
		if !p.added || !p.removed {
			rest = append(rest, p)
		}
	}
	d.pending = rest
}

// survival says which changes survive a power failure although they are not durable.
type survival string

const (
	noChange    survival = "no change survives that is not durable"
	namesOnly   survival = "changes of names survive, and contents do not"
	someChanges survival = "some changes survive, in any order"
	allChanges  survival = "all changes survive"
)

// image returns what a power failure leaves: files by path, and folders with a slash at the end and
// nil. Each change, and each page of a write, survives if the function returns true.
func (d *disk) image(kind survival, survives func() bool) map[string][]byte {
	listed := map[*node]map[string]*node{} // names in folders where some survive
	list := func(n *node) map[string]*node {
		if listed[n] == nil {
			listed[n] = maps.Clone(n.durable)
		}
		return listed[n]
	}
	if kind == someChanges {
		for _, p := range d.pending {
			added := p.added
			if !added && survives() {
				list(p.to)[p.name], added = p.node, true
			}
			if added && !p.removed && survives() {
				delete(list(p.from), p.old)
			}
		}
	}
	files := map[string][]byte{}
	var walk func(n *node, path string)
	walk = func(n *node, path string) {
		entries := n.seen
		if kind == noChange || kind == someChanges {
			entries = list(n)
		}
		for name, child := range entries {
			switch {
			case strings.HasSuffix(name, "-shm"): // memory that SQLite's processes share
			case child.durable != nil:
				files[path+name+"/"] = nil
				walk(child, path+name+"/")
			default:
				files[path+name] = child.left(kind, survives)
			}
		}
	}
	walk(d.root, "")
	return files
}

// left returns what a power failure leaves of a file. It is not nil.
func (n *node) left(kind survival, survives func() bool) []byte {
	const page = 4096
	content := n.safe
	switch kind {
	case allChanges:
		content = n.content
	case someChanges:
		content = slices.Clone(n.safe)
		for _, c := range n.unsynced {
			if c.data == nil && survives() {
				content = c.apply(content)
			}
			for at := 0; at < len(c.data); at += page {
				if survives() {
					content = change{0, c.at + int64(at), c.data[at:min(at+page, len(c.data))]}.apply(content)
				}
			}
		}
	}
	if content == nil {
		content = []byte{}
	}
	return content
}

// readTree reads a folder as image returns it.
func readTree(path string) (map[string][]byte, error) {
	files := map[string][]byte{}
	err := filepath.WalkDir(path, func(at string, entry fs.DirEntry, err error) error {
		name, _ := filepath.Rel(path, at)
		switch {
		case err != nil || name == "." || strings.HasSuffix(name, "-shm"):
			return err
		case entry.IsDir():
			files[name+"/"] = nil
			return nil
		}
		content, err := os.ReadFile(at)
		files[name] = append([]byte{}, content...)
		return err
	})
	return files, err
}

// writeTree writes an image to a folder, which need not exist.
func writeTree(path string, files map[string][]byte) error {
	failed := os.MkdirAll(path, 0o700)
	for name, content := range files {
		at := filepath.Join(path, name)
		if content == nil {
			failed = errors.Join(failed, os.MkdirAll(at, 0o700))
			continue
		}
		failed = errors.Join(failed, os.MkdirAll(filepath.Dir(at), 0o700), os.WriteFile(at, content, 0o600))
	}
	return failed
}
