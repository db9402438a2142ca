package main

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hartonomous/ingest/ingest"
)

// TestPowerCut traces the system calls of models, rm and gc, and builds what a power failure could
// leave on the disk at each moment. Each row must have its payload there, each model that was
// reported as ingested must be complete, and one that was reported as removed must be gone.
func TestPowerCut(t *testing.T) {
	needStrace(t)
	if rerunWithoutRace(t) {
		return
	}
	s := newSources(t, map[string]func(string) error{
		"a.bin": blob(2<<10, 1), "b.bin": blob(33<<10+7, 2), "c.bin": blob(60<<10, 3), "b again.bin": blob(33<<10+7, 2),
		"small.gguf": manyTensors(20), "blob.dat": blob(3<<20+5, 4),
		"one.gguf": tuned("one", 2<<20, 1, 1), "two.gguf": tuned("two", 2<<20, 1, 2),
	})
	for name, inRows := range map[string]bool{"dir": false, "rows": true} {
		t.Run(name, func(t *testing.T) {
			p := newPowerCut(t, s, inRows)
			p.trace("models", s.folder, "--segment-size", "1MiB", "--opaque-files")
			unfinished := p.unfinished
			p.removes("one", "c.bin")
			p.trace("gc", "--yes")
			p.finished(20)

			if unfinished == nil && testing.Short() {
				t.Skip("gc of an unfinished model: with -short, no checked moment has one")
			}
			if unfinished == nil {
				t.Fatal("no power failure left an unfinished model with rows")
			}
			p = newPowerCut(t, s, inRows)
			p.restore(unfinished)
			p.trace("gc", "--unfinished", "--yes")
			p.finished(2)
		})
	}
}

// powerCut runs the program in a box on a modelled disk.
type powerCut struct {
	box
	sources
	disk       *disk
	random     *rand.Rand
	image      box               // on an image of the disk
	command    string            // that is traced
	ids        map[string]int64  // of models, by name
	complete   map[int64]bool    // models that are reported: true if ingested, false if removed
	checked    map[string]bool   // images
	unfinished map[string][]byte // the image of this run whose unfinished models have most segments
	segments   int64             // of these
	freed      int               // payloads and atoms that gc removed
	reruns     int
	moments    int // of power failures
	syncs      int
	writes     int
}

func newPowerCut(t *testing.T, s sources, inRows bool) *powerCut {
	folder, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	p := &powerCut{sources: s, random: rand.New(rand.NewPCG(seedOf(t), 1)), ids: map[string]int64{},
		complete: map[int64]bool{}, checked: map[string]bool{}}
	p.box = newBox(t, filepath.Join(folder, "disk", "home"), inRows)
	p.image = newBox(t, filepath.Join(memoryFolder(t), "home"), inRows)
	p.restore(nil)
	return p
}

// memoryFolder returns a folder in memory if there is one, because a disk is slow to sync hundreds
// of images.
func memoryFolder(t *testing.T) string {
	folder, err := os.MkdirTemp("/dev/shm", "ingest-test")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { os.RemoveAll(folder) })
	return folder
}

// restore makes the disk have these files, durably.
func (p *powerCut) restore(files map[string][]byte) {
	p.Helper()
	folder := filepath.Dir(filepath.Dir(p.catalog))
	err := writeTree(folder, files)
	if err == nil {
		p.disk, err = newDisk(folder)
	}
	if err != nil {
		p.Fatal(err)
	}
}

// trace runs a command under strace, and checks what power failures leave.
func (p *powerCut) trace(args ...string) {
	p.Helper()
	log := filepath.Join(p.TempDir(), "log")
	c := p.box.command(args...)
	if err := strace(c, log); err != nil {
		p.Fatal(err)
	}
	p.command = "ingest " + args[0]
	if c.Run() != nil { // the code says why
		p.Fatalf("%s: exit code %d\n%s", p.command, c.ProcessState.ExitCode(), c.Stderr)
	}
	f, err := os.Open(log)
	if err != nil {
		p.Fatal(err)
	}
	defer f.Close()
	r := newReplay(p.disk)
	r.reach, r.printed = p.cut, p.report
	if err := r.read(f); err != nil {
		p.Fatal(err)
	}
	p.cut(atEnd, noChange, namesOnly, someChanges)
	p.syncs, p.writes = p.syncs+r.syncs, p.writes+r.writes

	// The replay has missed nothing if programs see the same files.
	want, err := readTree(p.disk.path)
	if err != nil {
		p.Fatal(err)
	}
	if got := p.disk.image(allChanges, nil); !maps.EqualFunc(got, want, slices.Equal) {
		p.Fatalf("%s: the replay has other files than the disk:\n%v\nwant\n%v", p.command, sizes(got), sizes(want))
	}
	if err := os.RemoveAll(log); err != nil {
		p.Fatal(err)
	}
}

// sizes lists an image.
func sizes(files map[string][]byte) string {
	var text strings.Builder
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if !strings.HasSuffix(name, "/") {
			fmt.Fprintln(&text, name, len(files[name]), ingest.Sum(files[name]).Short())
		}
	}
	return text.String()
}

// removes traces a removal of models.
func (p *powerCut) removes(names ...string) {
	p.Helper()
	for _, name := range names {
		if _, ok := p.ids[name]; !ok {
			p.Fatalf("no report of %s: %v", name, p.ids)
		}
		delete(p.complete, p.ids[name]) // until it is reported as removed, either is right
	}
	p.trace(append([]string{"rm", "--yes"}, names...)...)
}

const atEnd = "at the end"

// report reads what the program reports. From then on, it must survive.
func (p *powerCut) report(text string) {
	p.Helper()
	for line := range strings.Lines(text) {
		var event struct {
			Event, Name     string
			ID              int64
			Payloads, Atoms int
		}
		if err := json.Unmarshal([]byte(line), &event); err != nil {
			p.Fatalf("%q: %v", line, err)
		}
		switch {
		case event.Event == "taken":
			p.ids[event.Name], p.complete[event.ID] = event.ID, true
		case event.Event == "removed" && event.ID != 0: // not a payload of gc
			p.complete[event.ID] = false
		case event.Event == "summary":
			p.freed += event.Payloads + event.Atoms
		}
	}
}

// cut checks what a power failure leaves at this moment. With -short, it checks some moments only.
func (p *powerCut) cut(when string, kinds ...survival) {
	p.Helper()
	if p.moments++; !testing.Short() || p.moments%7 == 0 || when == atEnd {
		p.checkImages(when, kinds)
	}
}

func (p *powerCut) checkImages(when string, kinds []survival) {
	p.Helper()
	for _, kind := range kinds {
		odds := []float64{0.5, 0.9, 1}[p.random.IntN(3)]
		files := p.disk.image(kind, func() bool { return p.random.Float64() < odds })
		sum := sumOf(files, p.complete)
		if p.checked[sum] {
			continue
		}
		p.checked[sum] = true
		p.check(files, kind, when)
	}
}

// sumOf identifies an image, and what it must have.
func sumOf(files map[string][]byte, complete map[int64]bool) string {
	h := sha256.New()
	for _, name := range slices.Sorted(maps.Keys(files)) {
		fmt.Fprintln(h, name, len(files[name]))
		h.Write(files[name])
	}
	return fmt.Sprintf("%x %v", h.Sum(nil), complete)
}

// finished reports what was checked. A log that strace wrote in another way has few calls.
func (p *powerCut) finished(syncs int) {
	p.Helper()
	p.Logf("%s: %d syncs, %d writes, %d moments, %d images, %d of them completed by another run, %d freed", p.command,
		p.syncs, p.writes, p.moments, len(p.checked), p.reruns, p.freed)
	if p.syncs < syncs || p.writes < 20 || p.moments < p.syncs || p.reruns == 0 || p.freed == 0 {
		p.Errorf("want at least %d syncs, 20 writes, and some of the others", syncs)
	}
}
