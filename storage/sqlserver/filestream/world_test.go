package filestream

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// world is a transaction, its statements and its files, in memory. Each call is a named step; one
// of them can be made to fail. It records violations of the API's rules.
type world struct {
	slots     []Slot
	content   map[string][]byte // of files
	begun     bool
	committed bool
	open      int      // files
	steps     []string // executed so far
	writes    []int    // bytes of each
	wrong     []string // violations

	fault func(step string, n int) error // called before step number n
	after func(step string, n int) error // called after its effect
}

func newWorld(payloads ...string) *world {
	w := &world{content: map[string][]byte{}}
	for i, payload := range payloads {
		w.slots = append(w.slots, Slot{Name: fmt.Sprint("payload ", i), Path: fmt.Sprint("file", i),
			Payload: []byte(payload)})
	}
	return w
}

func (w *world) wrongIf(is bool, what string) {
	if is {
		w.wrong = append(w.wrong, what+" after "+strings.Join(w.steps, " "))
	}
}

// step executes a step, or fails if the test says so.
func (w *world) step(name string, effect func()) error {
	w.steps = append(w.steps, name)
	n := len(w.steps) - 1
	if w.fault != nil {
		if err := w.fault(name, n); err != nil {
			return err
		}
	}
	effect()
	if w.after != nil {
		return w.after(name, n)
	}
	return nil
}

// statement is a step on the server. Only those of a batch may be cancelled.
func (w *world) statement(ctx context.Context, name string, effect func()) error {
	control := name == "begin" || name == "commit" || name == "rollback"
	w.wrongIf(control && ctx.Err() != nil, name+" under a context that has ended")
	w.wrongIf(!control && !w.begun, name+" outside of a transaction")
	w.wrongIf(w.open > 0, name+" while a file is open")
	return w.step(name, effect)
}

func (w *world) Begin(ctx context.Context) error {
	return w.statement(ctx, "begin", func() { w.begun = true })
}

func (w *world) Commit(ctx context.Context) error {
	return w.statement(ctx, "commit", func() { w.begun, w.committed = false, true })
}

func (w *world) Rollback(ctx context.Context) {
	_ = w.statement(ctx, "rollback", func() { w.begun = false })
}

func (w *world) Insert(ctx context.Context) error { return w.statement(ctx, "insert", func() {}) }
func (w *world) Update(ctx context.Context) error { return w.statement(ctx, "update", func() {}) }

func (w *world) Slots(ctx context.Context) ([]byte, []Slot, error) {
	return []byte("token"), w.slots, w.statement(ctx, "slots", func() {})
}

func (w *world) Locate(ctx context.Context) ([]byte, string, error) {
	return []byte("token"), w.slots[0].Path, w.statement(ctx, "locate", func() {})
}

func (w *world) Open(path string, access Access, token []byte) (Handle, error) {
	w.wrongIf(string(token) != "token" || !w.begun, "open without the transaction")
	file := &worldFile{w: w, path: path, at: bytes.NewReader(w.content[path])}
	// A failed open returns no file, so after is called before the file counts as open.
	after := w.after
	w.after = nil
	defer func() { w.after = after }()
	err := w.step("open", func() {})
	if err == nil && after != nil {
		err = after("open", len(w.steps)-1)
	}
	if err != nil {
		return nil, err
	}
	if access == Write {
		w.content[path] = nil
	}
	w.open++
	return file, nil
}

type worldFile struct {
	w      *world
	path   string
	at     *bytes.Reader
	closed bool
}

func (f *worldFile) use(name string, effect func()) error {
	f.w.wrongIf(f.closed, name+" of a closed file")
	f.w.wrongIf(!f.w.begun, name+" after the end of the transaction")
	return f.w.step(name, effect)
}

func (f *worldFile) Read(buffer []byte) (n int, err error) {
	if failed := f.use("read", func() { n, err = f.at.Read(buffer) }); failed != nil {
		return 0, failed
	}
	return n, err
}

func (f *worldFile) Write(data []byte) (n int, err error) {
	err = f.use("write", func() {
		f.w.content[f.path] = append(f.w.content[f.path], data...)
		f.w.writes = append(f.w.writes, len(data))
		n = len(data)
	})
	return n, err
}

func (f *worldFile) Flush() error { return f.use("flush", func() {}) }

// Close closes the file even if it returns an error.
func (f *worldFile) Close() error {
	defer func() { f.closed = true }()
	f.w.open--
	return f.use("close", func() {})
}

// check reports violations and anything that was left open.
func (w *world) check(t *testing.T) {
	t.Helper()
	for _, wrong := range w.wrong {
		t.Error(wrong)
	}
	rollbacks := len(slices.DeleteFunc(slices.Clone(w.steps), func(s string) bool { return s != "rollback" }))
	succeeded := w.committed && rollbacks == 0
	if w.open != 0 || w.begun && !succeeded || rollbacks > 1 || rollbacks == 1 &&
		w.steps[len(w.steps)-1] != "rollback" {
		t.Errorf("%d files are open, in a transaction %v, steps %v", w.open, w.begun, w.steps)
	}
}
