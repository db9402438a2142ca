package main

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/hartonomous/ingest/schema"
	"github.com/hartonomous/ingest/storage/sqlserver"
)

// filestreamCheck prints the state of each prerequisite of FILESTREAM. One that the client lacks
// does not fail the check: the client writes payloads with T-SQL.
func (p *program) filestreamCheck(ctx context.Context, db *sql.DB) error {
	list, err := schema.CheckFilestream(ctx, db)
	if err != nil || len(list) == 0 {
		return err
	}
	for _, need := range append(list, sqlserver.FilestreamClient()) {
		state := "ok: " + need.Found
		if !need.OK {
			state = need.Found + ": " + need.Do
		} else {
			need.Do = ""
		}
		p.emit(prerequisiteObject{"prerequisite", need.Name, need.OK, need.Found, need.Do, need.Client},
			"%-20s %s\n", "filestream "+need.Name, state)
	}
	return nil
}

// containerCheck prints how many files the FILESTREAM containers have, and would have with planned
// more segments, and warns if these are too many.
func (p *program) containerCheck(ctx context.Context, db *sql.DB, planned int64) error {
	groups, err := schema.Containers(ctx, db)
	for _, g := range groups {
		problem := g.Problem(planned)
		state := fmt.Sprintf("%s in %s of %s", plural(int(g.Planned(planned)), "file"),
			plural(int(g.Containers), "container"), g.Name)
		if problem == "" {
			state = "ok: " + state
		} else {
			state = "warning: " + state + ": " + problem
		}
		p.emit(containersObject{"containers", g.Name, problem == "", g.Files, g.Planned(planned) - g.Files,
			g.Containers, problem}, "%-20s %s\n", "filestream files", terminalSafe(state))
	}
	return err
}
