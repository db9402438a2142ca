package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/hartonomous/ingest/ingest"
)

// jobProgress is what the rows say about the models that a running job has begun and not completed.
type jobProgress struct {
	models          []modelProgress
	bytes, recorded int64 // of them all
	rate            int64 // bytes per second; 0 if unknown
}

// paces remembers how many bytes had rows, so that a rate can be told.
type paces struct {
	samples []map[ingest.ModelID]sample // oldest first; within rateSpan
}

// look returns the progress of the running ingestions.
func (s *paces) look(ctx context.Context, catalog ingest.Catalog) (map[int64]*jobProgress, error) {
	progress := map[int64]*jobProgress{}
	for job, err := range catalog.AllJobs(ctx) {
		if err != nil {
			return nil, err
		}
		if job.Pipeline == "models" && jobState(job) == "running" {
			progress[job.ID] = &jobProgress{}
		}
	}
	if len(progress) == 0 {
		return nil, nil
	}
	now, look := time.Now(), map[ingest.ModelID]sample{}
	for m, err := range catalog.Models(ctx) {
		if err != nil {
			return nil, err
		}
		of := progress[m.Job]
		if of == nil || m.State != ingest.ModelOpen {
			continue
		}
		one := modelProgress{ID: m.ID, Name: m.Name, Bytes: totalBytes(m)}
		for _, f := range m.Files {
			one.Recorded += f.Recorded
		}
		of.models = append(of.models, one)
		of.bytes += one.Bytes
		of.recorded += one.Recorded
		of.rate += s.rate(m.ID, sample{at: now, fresh: one.Recorded})
		look[m.ID] = sample{at: now, fresh: one.Recorded}
	}
	s.samples = append(s.samples, look)
	if len(s.samples) > int(rateSpan/watchEvery) {
		s.samples = s.samples[1:]
	}
	return progress, nil
}

// rate returns the bytes per second of a model since the oldest sample of it.
func (s *paces) rate(id ingest.ModelID, now sample) int64 {
	for _, look := range s.samples {
		if before, ok := look[id]; ok {
			return int64(float64(now.fresh-before.fresh) / now.at.Sub(before.at).Seconds())
		}
	}
	return 0
}

// percent is the share of bytes that have rows.
func (p modelProgress) percent() string {
	return strings.TrimSpace(snapshot{done: p.Recorded, total: p.Bytes}.percent())
}

// secondsLeft is the time until the begun models are complete; 0 if unknown.
func (p *jobProgress) secondsLeft() int64 {
	if p.rate <= 0 {
		return 0
	}
	return (p.bytes - p.recorded) / p.rate
}

// maxModels is how many models of a job lines names.
const maxModels = 8

// lines describe each model, and the rate.
func (p *jobProgress) lines() (lines []string) {
	for i, m := range p.models {
		if i == maxModels {
			lines = append(lines, fmt.Sprintf("and %s", plural(len(p.models)-i, "other model")))
			break
		}
		lines = append(lines, fmt.Sprintf("%s  %s of %s  %s", m.percent(), human(m.Recorded), human(m.Bytes),
			shortName(m.Name)))
	}
	if p.rate > 0 {
		s := snapshot{rate: p.rate, total: 1, left: time.Duration(p.secondsLeft()) * time.Second}
		lines = append(lines, strings.TrimSpace(s.speed()+"  "+s.timeLeft()))
	}
	return lines
}
