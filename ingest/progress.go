package ingest

import (
	"sync"
	"sync/atomic"
)

// Progress counts what a run has done. Anyone may read it while the run goes on;
// nobody waits for whoever draws it. The zero value is ready.
type Progress struct {
	BytesTotal    atomic.Int64 // of all files that the run has to take in
	BytesRecorded atomic.Int64 // whose rows are written, those of earlier runs included
	BytesResumed  atomic.Int64 // the part of BytesRecorded that earlier runs had written
	BytesRead     atomic.Int64 // from the sources, in this run
	BytesAttested atomic.Int64 // verified without reading: the store vouches for them
	FilesTotal    atomic.Int64
	FilesDone     atomic.Int64

	mu      sync.Mutex
	current []string
}

// Current returns the path of the file that was begun first of those at hand;
// empty if there is none.
func (p *Progress) Current() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.current) == 0 {
		return ""
	}
	return p.current[0]
}

func (p *Progress) begin(path string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.current = append(p.current, path)
}

func (p *Progress) end(path string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, at := range p.current {
		if at == path {
			p.current = append(p.current[:i], p.current[i+1:]...)
			return
		}
	}
}
