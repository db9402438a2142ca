package main

import (
	"errors"
	"os"
	"path"
	"path/filepath"
	"slices"

	"github.com/hartonomous/ingest/ingest"
)

// check checks an image of the disk. On some, the program runs again.
func (p *powerCut) check(files map[string][]byte, kind survival, when string) {
	p.Helper()
	defer func() {
		if p.Failed() {
			p.Logf("that was after a power failure during %s, %s, if %s:\n%s", p.command, when, kind, sizes(files))
		}
	}()
	for name, content := range files {
		digest, err := ingest.ParseDigest(path.Base(name))
		if err == nil && content != nil && ingest.Sum(content) != digest {
			p.Errorf("%s has other content", name)
		}
	}
	folder := filepath.Dir(filepath.Dir(p.image.catalog))
	if err := errors.Join(os.RemoveAll(folder), writeTree(folder, files)); err != nil {
		p.Fatal(err)
	}
	p.image.audit(p.digests)
	if segments := p.checkModels(); segments > p.segments && kind == noChange {
		p.unfinished, p.segments = map[string][]byte{}, segments
		for name, content := range files {
			p.unfinished[name] = slices.Clone(content)
		}
	}
	if !p.Failed() && (len(p.checked)%rerunEvery == 1 || when == atEnd) {
		p.rerun()
	}
	if p.Failed() {
		p.FailNow() // later images would repeat the error
	}
}

// rerunEvery is how many images are checked for each on which the program runs again.
const rerunEvery = 20

// checkModels checks that the models on the image are complete or removed as reported. It returns
// how many segments the unfinished ones have.
func (p *powerCut) checkModels() (segments int64) {
	p.Helper()
	c := p.image.open()
	defer c.Close()
	complete := map[int64]bool{}
	for m, err := range c.Models(p.Context()) {
		if err != nil {
			p.Fatal(err)
		}
		complete[int64(m.ID)] = m.State == ingest.ModelComplete
		if m.State == ingest.ModelOpen {
			segments += m.Segments
		}
	}
	for id, want := range p.complete {
		if complete[id] != want {
			p.Errorf("model %d is complete: %t; the program has reported: %t", id, complete[id], want)
		}
	}
	return segments
}

// rerun runs the program on the image: it verifies, and ingests what is missing.
func (p *powerCut) rerun() {
	p.Helper()
	p.reruns++
	p.image.must("verify")
	p.image.must("models", p.folder, "--segment-size", "1MiB", "--opaque-files")
	p.image.must("verify")
	// Of two equal files, one may have left an unfinished model, and now joins the other's model:
	// gc removes that.
	p.image.must("gc", "--yes", "--unfinished")
	distinct := map[ingest.Digest]bool{}
	for _, digest := range p.digests {
		distinct[digest] = true
	}
	if got := p.image.audit(p.digests); got.open != 0 || len(got.models) != len(distinct) {
		p.Errorf("the next run: %d models, %d not complete, want %d", len(got.models), got.open, len(distinct))
	}
	for source, digest := range p.digests {
		target := filepath.Join(filepath.Dir(p.image.catalog), filepath.Base(source))
		p.image.must("export", digest.String(), "-o", target)
		p.exported(target, digest)
	}
}
