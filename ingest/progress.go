package ingest

import (
	"sync"
	"sync/atomic"
)

// Progress counts what a run has done. It may be read during the run. The zero value is ready.
type Progress struct {
	BytesTotal    atomic.Int64 // of all files of the run
	BytesRecorded atomic.Int64 // that have rows, also from earlier runs
	BytesResumed  atomic.Int64 // the part of BytesRecorded from earlier runs
	BytesRead     atomic.Int64 // from the sources, in this run
	FilesTotal    atomic.Int64
	FilesDone     atomic.Int64
	Job           atomic.Int64 // 0 until it is known

	mu      sync.Mutex
	current []string
}

// Current returns the name that began first and has not ended; empty if there is none.
func (p *Progress) Current() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.current) == 0 {
		return ""
	}
	return p.current[0]
}

// Begin records that work on a file begins. name is that of its model; several files may have it. A
// nil Progress records nothing.
func (p *Progress) Begin(name string) {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.current = append(p.current, name)
}

// End records that work on a file ended that began with this name.
func (p *Progress) End(name string) {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, at := range p.current {
		if at == name {
			p.current = append(p.current[:i], p.current[i+1:]...)
			return
		}
	}
}
