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

// straced lists system calls that change files. Some processors lack those with a question mark.
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
	path string
	at   int64
}

// begun is a system call that has begun. Changes up to the number were made before it.
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
			r.closes(text)
		}
		if text, ok := strings.CutSuffix(b.text, "<unfinished ...>"); ok {
			r.begun[thread] = begun{strings.TrimSuffix(text, " "), b.number}
		} else if err := r.end(b); err != nil {
			return fmt.Errorf("%.200s: %w", b.text, err)
		}
	}
}

// closes closes a descriptor at the beginning of the call: another thread may get the same number
// before the log has the end.
func (r *replay) closes(text string) {
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
