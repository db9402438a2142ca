package main

import (
	"bytes"
	"context"
	"fmt"
	"os"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/ingest/layout"
)

const (
	asOriginal    = "original"
	asOllama      = "ollama"
	asHuggingFace = "hf"
	asOCI         = "oci"
)

// exportLayouts are the values of --as.
var exportLayouts = []string{asOriginal, asOllama, asHuggingFace, asOCI}

// exportLayout writes models in a layout.
func (p *program) exportLayout(ctx context.Context, h *env, models []layout.Model, o exportOptions,
	progress *ingest.Progress, sum *exportSummary) error {
	if info, err := os.Stat(o.to); err == nil && !info.IsDir() {
		return usage("%s is a file: --as %s writes to a folder", ingest.Printable(o.to), o.layout)
	}
	r := p.reader(h, progress)
	small := p.reader(h, nil) // manifests, which are read once more when they are written
	read := func(f ingest.StoredFile) ([]byte, error) {
		var content bytes.Buffer
		_, err := small.Open(ctx, f).WriteTo(&content)
		return content.Bytes(), err
	}
	layouts := make([]layout.Layout, len(models))
	for i, m := range models { // before the first file is written
		var err error
		if layouts[i], err = layoutAs(o.layout, m, read); err != nil {
			return fmt.Errorf("model %d (%s): %w", m.ID, shortName(m.Alias.Name), err)
		}
	}
	w := &layout.Writer{Reader: r, Folder: o.to, Force: o.force, Done: func(written layout.Written) {
		if written.Present {
			progress.BytesRecorded.Add(written.Bytes)
		}
		progress.FilesDone.Add(1)
		p.exported(written, sum)
	}}
	for _, l := range layouts {
		if err := w.Check(l.Entries); err != nil {
			return err
		}
	}
	stop := p.showProgress(progress)
	defer stop()
	for i, l := range layouts {
		progress.Begin(models[i].Alias.Name)
		err := w.Write(ctx, l.Entries)
		progress.End(models[i].Alias.Name)
		if err != nil {
			return err
		}
		sum.Models++
		sum.LeftOut += len(l.Left)
		p.describeLayout(models[i], l)
	}
	return nil
}

func layoutAs(kind string, m layout.Model, read layout.Read) (layout.Layout, error) {
	switch kind {
	case asOllama:
		return layout.Ollama(m, read)
	case asHuggingFace:
		return layout.HuggingFace(m)
	case asOCI:
		return layout.OCI(m, read)
	}
	return layout.Original(m), nil
}

// describeLayout prints the files that were left out, and the name of the model in the layout.
func (p *program) describeLayout(m layout.Model, l layout.Layout) {
	if p.quiet && !p.json {
		return
	}
	for _, left := range l.Left {
		p.emit(leftOutObject{"left out", m.ID, left.Path, left.Reason.Error()},
			"left out  %s: %s\n", ingest.Printable(left.Path), left.Reason)
	}
	if l.Name != nil {
		p.emit(namedObject{"named", m.ID, m.Alias.Name, *l.Name},
			"named  model %d  %s as %s\n", m.ID, shortName(m.Alias.Name), ingest.Printable(*l.Name))
	}
}
