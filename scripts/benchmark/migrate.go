package main

import (
	"context"
	"fmt"
	"os/exec"
)

// migration compares moving payloads from the rows of an embedded catalogue to a folder, and to a
// server that discards them, with ingesting the same bytes there.
func (b *bench) migration(ctx context.Context) error {
	model, err := b.model()
	if err != nil {
		return err
	}
	rows := []string{b.ingest, "models", model, "--quiet", "--catalog", "sqlite:" + b.path("rows.db"), "--store", "row"}
	if _, err := (&contender{command: rows}).runOnce(ctx); err != nil {
		return err
	}
	address, stop, err := serveDiscard(ctx)
	if err != nil {
		return err
	}
	defer stop()
	target := address + "/" + benchContainer
	migrate := func(to string) []string {
		return []string{"env", "AZURE_STORAGE_KEY=" + benchKey, b.ingest, "migrate", "segments", "--to", to, "--quiet",
			"--catalog", "sqlite:" + b.path("catalog/catalog.db")}
	}
	// Each migration starts with a copy of the catalogue, synced before the clock starts.
	restore := func() error {
		if err := b.resetServer(ctx, address, false); err != nil {
			return err
		}
		if err := b.clear("store"); err != nil {
			return err
		}
		return exec.CommandContext(ctx, "sh", "-c", `mkdir -p "$2" && cp "$1" "$2/catalog.db" && sync "$2/catalog.db"`,
			"sh", b.path("rows.db"), b.path("catalog")).Run()
	}
	fresh := func() error { return b.clear("catalog", "store") }
	toFolder := &contender{name: "ingest models to a folder", prepare: fresh, command: b.models(model)}
	rowsToFolder := &contender{name: "ingest migrate segments from rows to a folder", prepare: restore,
		command: migrate("dir:" + b.path("store"))}
	toServer := &contender{name: "ingest models to a server that discards", command: b.modelsTo(model, address),
		prepare: func() error { return b.resetServer(ctx, address, false) }}
	rowsToServer := &contender{name: "ingest migrate segments from rows to that server", prepare: restore,
		command: migrate(target)}
	contenders := []*contender{toFolder, rowsToFolder, toServer, rowsToServer}
	if err := compare(ctx, b.rounds, contenders...); err != nil {
		return err
	}
	fmt.Printf("payloads of %d GiB in rows of SQLite, medians of %d\n", b.gib, b.rounds)
	for _, c := range contenders {
		c.print()
	}
	fmt.Printf("  to a folder, ratio to ingesting                        %.2f (goal 1.30)\n",
		rowsToFolder.ratio(toFolder))
	fmt.Printf("  to the server, ratio to ingesting                      %.2f (goal 1.30)\n",
		rowsToServer.ratio(toServer))
	fmt.Printf("  peak memory                                            %.0f MiB (goal 100)\n",
		max(rowsToFolder.median(peak), rowsToServer.median(peak)))
	return b.clear("rows.db", "catalog", "store")
}
