package main

import (
	"context"
	"errors"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/ingest/buffer"
	"github.com/hartonomous/ingest/ingest/pipeline"
	"github.com/hartonomous/ingest/ingest/source"
)

// splitter ingests single files, as `ingest models` does.
type splitter struct {
	p       *program
	f       *ingestFlags
	run     pipeline.Ingester
	options map[string]string
	root    string // the folder that files must be in; empty for any
}

func (p *program) splitter(ctx context.Context, f *locatorFlags, catalog ingest.Catalog,
	pool *buffer.Pool) (*splitter, error) {
	options, err := p.settings(&f.ingestion)
	if err != nil {
		return nil, err
	}
	catalogPath, err := p.catalogPath()
	if err != nil {
		return nil, err
	}
	s := &splitter{p: p, f: &f.ingestion}
	if f.root != "" {
		s.root = source.Real(f.root)
	}
	if s.options, err = p.jobOptions(s.f); err != nil {
		return nil, err
	}
	s.run = pipeline.Ingester{Catalog: catalog, StoreAddress: s.options[ingest.OptionStore],
		Unshared: p.blobs.byPosition(), Pool: pool, Parse: s.f.parser(p, options).Parse, Options: options, Log: p.log}
	if address := p.storeURL(catalogPath); address != inRows {
		if err := p.blobs.rejectUnused(address); err != nil {
			return nil, err
		}
		if s.run.Store, err = p.openStore(ctx, address); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// ingest ingests one file. It returns an error if the file is refused.
func (s *splitter) ingest(ctx context.Context, path string, expected ingest.Digest) error {
	found, err := s.p.find(ctx, selectFlags{}, []string{path})
	if err != nil {
		return err
	}
	known := false
	for i := range found.Sources {
		files := found.Sources[i].Files
		for j := range files {
			if files[j].Path == path {
				files[j].Root = s.root
				files[j].Expected = expected
				known = true
			}
		}
	}
	if !known { // its digest and its folder would not be checked
		return errors.New("the search for models finds it under another path")
	}
	request := ingest.JobRequest{Pipeline: "models", Source: path, Paths: []string{path}, Options: s.options}
	result, err := s.run.Run(ctx, request, found)
	switch {
	case err != nil:
		return err
	case result.Interrupted:
		return ingest.ErrInterrupted
	case len(result.Refused) > 0:
		return result.Refused[0].Reason
	}
	return nil
}
