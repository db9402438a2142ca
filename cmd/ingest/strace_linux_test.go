package main

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
)

// needStrace skips the test if strace cannot trace a program here.
func needStrace(t *testing.T) {
	t.Helper()
	output, err := exec.Command("strace", "-o", os.DevNull, "true").CombinedOutput()
	switch {
	case err == nil:
	case os.Getenv("CI") == "true":
		t.Fatalf("strace: %v\n%s", err, output)
	default:
		t.Skipf("this test needs strace, and permission to trace (apt-get install strace): %v\n%s", err, output)
	}
}

// straced lists system calls that change files. A processor may not have those with a question mark.
const straced = "?open,openat,?creat,close,?dup2,dup,dup3,lseek,write,pwrite64,writev,pwritev,pwritev2," +
	"copy_file_range,sendfile,splice,truncate,ftruncate,fallocate,fsync,fdatasync,sync_file_range,sync,syncfs," +
	"?rename,?renameat,renameat2,?link,linkat,?symlink,symlinkat,?unlink,unlinkat,?mkdir,mkdirat,?rmdir"

// strace makes c run under strace, which writes a log of system calls.
func strace(c *exec.Cmd, log string) error {
	path, err := exec.LookPath("strace")
	c.Path = path
	c.Args = append([]string{"strace", "-f", "-qq", "-o", log, "-xx", "-s", strconv.Itoa(64 << 20),
		"-e", "signal=none", "-e", "trace=" + straced, "--"}, c.Args...)
	return err
}

// replay applies the system calls of one process to a disk.
type replay struct {
	*disk
	open    map[string]*opened // by descriptor
	begun   map[string]begun   // by thread
	printed func(text string)  // is called with what the process writes to stdout

	// reach is called when a power failure matters: before a sync, and after a change of names.
	reach  func(when string, kinds ...survival)
	syncs  int
	writes int
}

// opened is an open file.
type opened struct {
	*node
	path   string
	at     int64
	append bool
}

// begun is a system call that has begun. If it is a sync, changes up to the number were made before.
type begun struct {
	text   string
	number int
}

// call is a system call that has succeeded.
type call struct {
	begun
	name   string
	args   []string
	result int64
}

func newReplay(d *disk) *replay {
	return &replay{disk: d, open: map[string]*opened{}, begun: map[string]begun{}}
}

// read replays a log of strace. A call that other threads interrupt has two lines.
func (r *replay) read(log io.Reader) error {
	lines := bufio.NewReaderSize(log, 1<<20)
	for {
		line, err := lines.ReadString('\n')
		if err != nil && (err != io.EOF || line != "") {
			return fmt.Errorf("the log's last line %.100q: %w", line, err)
		}
		if err == io.EOF {
			return nil
		}
		thread, text, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		text = strings.TrimSpace(text)
		b := begun{text, r.changes}
		if rest, ok := strings.CutPrefix(text, "<... "); ok {
			_, rest, _ = strings.Cut(rest, " resumed>")
			b = r.begun[thread]
			b.text += rest
		} else {
			r.begin(text)
		}
		if text, ok := strings.CutSuffix(b.text, "<unfinished ...>"); ok {
			r.begun[thread] = begun{strings.TrimSuffix(text, " "), b.number}
		} else if err := r.end(b); err != nil {
			return fmt.Errorf("%.200s: %w", b.text, err)
		}
	}
}

// begin closes a descriptor at the beginning of the call: another thread may get the same number
// before the log has the end.
func (r *replay) begin(text string) {
	if rest, ok := strings.CutPrefix(text, "close("); ok {
		delete(r.open, rest[:strings.IndexAny(rest+")", ") ")])
	}
}

// end applies a system call that has ended.
func (r *replay) end(b begun) error {
	name, rest, ok := strings.Cut(b.text, "(")
	at := strings.LastIndex(rest, ") ")
	equals := strings.LastIndex(rest, " = ")
	if !ok || equals < 0 {
		return errors.New("not a line of strace")
	}
	switch outcome := rest[equals:]; {
	case strings.HasPrefix(outcome, " = -1 E"), strings.HasPrefix(outcome, " = ?"): // failed, or the process ended
		return nil
	case at < 0 || equals < at:
		return errors.New("not a line of strace")
	}
	result, err := strconv.ParseInt(rest[equals+3:], 10, 64)
	if err != nil {
		return err
	}
	return r.apply(call{b, name, strings.Split(rest[:at], ", "), result})
}

func (r *replay) apply(c call) error {
	switch c.name {
	case "open", "creat":
		return r.opens(c, "AT_FDCWD", c.args[0], strings.Join(c.args[1:], " "))
	case "openat":
		return r.opens(c, c.args[0], c.args[1], c.args[2])
	case "rename", "link":
		return r.renames(c, "AT_FDCWD", c.args[0], "AT_FDCWD", c.args[1])
	case "renameat", "renameat2", "linkat":
		return r.renames(c, c.args[0], c.args[1], c.args[2], c.args[3])
	case "unlink", "rmdir":
		return r.renames(c, "AT_FDCWD", c.args[0], "", "")
	case "unlinkat":
		return r.renames(c, c.args[0], c.args[1], "", "")
	case "mkdir":
		return r.makes(c, "AT_FDCWD", c.args[0])
	case "mkdirat":
		return r.makes(c, c.args[0], c.args[1])
	case "close", "sync_file_range": // the latter does not flush the disk's cache
		return nil
	case "sync":
		r.syncAll(c, "everything")
		return nil
	case "dup", "dup2", "dup3":
		if f := r.open[c.args[0]]; f != nil {
			r.open[fmt.Sprint(c.result)] = f
		}
		return nil
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

// applyTo applies a call whose first argument is a descriptor.
func (r *replay) applyTo(f *opened, c call) (err error) {
	switch c.name {
	case "lseek":
		f.at = c.result
		return nil
	case "fsync", "fdatasync":
		r.syncs++
		r.reach("before "+c.name+" of "+f.path, noChange, namesOnly, someChanges)
		r.sync(f.node, c.number)
		r.tidy()
		return nil
	case "syncfs":
		r.syncAll(c, f.path)
		return nil
	case "ftruncate":
		size, err := strconv.ParseInt(c.args[1], 10, 64)
		r.resize(f.node, size)
		return err
	case "write", "pwrite64":
	default:
		return errors.New("the replay does not know this system call")
	}
	r.writes++
	data, err := unquote(c.args[1])
	if err != nil || c.result > int64(len(data)) {
		return fmt.Errorf("%d bytes were written, the log has %d: %w", c.result, len(data), err)
	}
	at := &f.at
	if f.append {
		f.at = int64(len(f.content))
	}
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

// syncAll makes everything durable that was written before the call.
func (r *replay) syncAll(c call, what string) {
	r.syncs++
	r.reach("before "+c.name+" of "+what, noChange, namesOnly, someChanges)
	var walk func(n *node)
	seen := map[*node]bool{}
	walk = func(n *node) {
		if seen[n] {
			return
		}
		seen[n] = true
		r.sync(n, c.number)
		for _, child := range n.seen {
			walk(child)
		}
	}
	walk(r.root)
	r.tidy()
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
		r.open[fmt.Sprint(c.result)] = &opened{found, name, 0, strings.Contains(flags, "O_APPEND")}
		if strings.Contains(flags, "O_TRUNC") || c.name == "creat" {
			r.resize(found, 0)
		}
	}
	return err
}

func (r *replay) makes(_ call, descriptor, path string) error {
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

// unquote decodes a string of strace -xx.
func unquote(text string) ([]byte, error) {
	inner, ok := strings.CutPrefix(text, `"`)
	inner, whole := strings.CutSuffix(inner, `"`)
	if !ok || !whole {
		return nil, fmt.Errorf("%.100s is not a whole string", text)
	}
	digits := bytes.ReplaceAll([]byte(inner), []byte(`\x`), nil)
	n, err := hex.Decode(digits, digits)
	return digits[:n], err
}
