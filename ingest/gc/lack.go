package gc

import (
	"context"
	"fmt"
	"strings"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/ingest/describe"
)

// lack returns an error about models in the store that the catalogue may lack, unless they are given up. No
// other job may run.
func (c *Collector) lack(ctx context.Context, pipeline string, log *describe.Log) (lack, err error) {
	if c.Unfinished || c.Descriptions == nil {
		return nil, nil
	}
	if lack, err = c.notRebuilt(ctx, pipeline); lack == nil && err == nil {
		lack, err = c.notKnown(ctx, log)
	}
	return lack, err
}

// maxNamed is how many models an error names.
const maxNamed = 5

// notKnown returns an error about models that only the store describes: the catalogue may have been restored
// from an older copy.
func (c *Collector) notKnown(ctx context.Context, log *describe.Log) (lack, err error) {
	names, err := c.keeper().Unknown(ctx, log)
	if err != nil || len(names) == 0 {
		return nil, err
	}
	named, more := make([]string, min(len(names), maxNamed)), ""
	for i := range named {
		named[i] = ingest.Printable(names[i])
	}
	if n := len(names) - len(named); n > 0 {
		more = fmt.Sprintf(" and %d more", n)
	}
	return fmt.Errorf("the store describes models that this catalogue does not have: %s%s. If the catalogue was "+
		"restored from a copy, or their ingestion was interrupted, `ingest rebuild` adds them. `ingest gc --yes "+
		"--unfinished` gives them up", strings.Join(named, ", "), more), nil
}

// notRebuilt returns an error if the last rebuild did not end, refused a model or found payloads of no model, and
// no gc with Unfinished has begun since. pipeline is that of gc.
func (c *Collector) notRebuilt(ctx context.Context, pipeline string) (lack, err error) {
	var last ingest.Job
	for job, err := range c.Catalog.AllJobs(ctx) {
		if err != nil {
			return nil, err
		}
		given := job.Pipeline == pipeline && job.Options[ingest.OptionGivenUp] != ""
		if (job.Pipeline == "rebuild" || given) && job.ID > last.ID {
			last = job
		}
	}
	if last.Pipeline != "rebuild" || last.State == ingest.JobComplete && len(last.Problems) == 0 {
		return nil, nil
	}
	return fmt.Errorf("job %d, a rebuild, may not have rebuilt all models, and gc would delete the payloads of the "+
		"others: see `ingest status`. Run `ingest rebuild` again, or `ingest gc --yes --unfinished` to give them up",
		last.ID), nil
}
