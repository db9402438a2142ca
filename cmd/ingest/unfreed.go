package main

import (
	"github.com/hartonomous/ingest/ingest"
)

// printUnfreed prints what frees the space of cleared payloads.
func (p *program) printUnfreed(u ingest.Unfreed) {
	refused := ""
	if u.Refused != nil {
		refused = u.Refused.Error()
	}
	if p.json {
		p.printJSON(notFreedObject{"not_freed", u.Why, list(u.Do), list(u.Collected), refused})
		return
	}
	p.printf("space not freed yet: %s\n", u.Why)
	for _, c := range u.Collected {
		p.printf("  the garbage collector deleted %s in %s; %d marked for a later pass, %d not processed: they wait "+
			"for a checkpoint, a log backup or the end of a transaction\n",
			plural(int(c.Deleted), "file"), ingest.Printable(c.Container), c.Marked, c.Unprocessed)
	}
	if refused != "" {
		p.printf("  the garbage collector did not run for this login (it needs db_owner): %s\n", terminalSafe(refused))
	}
	if len(u.Do) > 0 {
		p.printf("  to free it:\n")
	}
	for _, statement := range u.Do {
		p.printf("    %s\n", terminalSafe(statement))
	}
}
