package main

import (
	"context"
	"fmt"
	"os/exec"
)

// migration compares moving payloads from the rows of an embedded catalogue, and a file that is
// registered at its path, to a folder and to a server that discards them, with ingesting the same bytes
// there.
func (b *bench) migration(ctx context.Context) error {
	model, err := b.model()
	if err != nil {
		return err
	}
	rows := []string{b.ingest, "models", model, "--quiet", "--catalog", "sqlite:" + b.path("rows.db"), "--store", "row"}
	if _, err := (&contender{command: rows}).runOnce(ctx); err != nil {
		return err
	}
	register := []string{b.ingest, "register", model, "--quiet", "--catalog", "sqlite:" + b.path("registered.db")}
	if _, err := (&contender{command: register}).runOnce(ctx); err != nil {
		return err
	}
	address, stop, err := serveDiscard(ctx)
	if err != nil {
		return err
	}
	defer stop()
	target := address + "/" + benchContainer
	migrate := func(what, to string) []string {
		return []string{"env", "AZURE_STORAGE_KEY=" + benchKey, b.ingest, "migrate", what, "--to", to, "--quiet",
			"--catalog", "sqlite:" + b.path("catalog/catalog.db")}
	}
	// Each migration starts with a copy of the catalogue, synced before the clock starts.
	restore := func(catalog string) func() error {
		return func() error {
			if err := b.resetServer(ctx, address, false); err != nil {
				return err
			}
			if err := b.clear("store", "catalog"); err != nil {
				return err
			}
			return exec.CommandContext(ctx, "sh", "-c",
				`mkdir -p "$2" && cp "$1" "$2/catalog.db" && sync "$2/catalog.db"`,
				"sh", b.path(catalog), b.path("catalog")).Run()
		}
	}
	fresh := func() error { return b.clear("catalog", "store") }
	toFolder := &contender{name: "ingest models to a folder", prepare: fresh, command: b.models(model)}
	rowsToFolder := &contender{name: "ingest migrate segments from rows to a folder", prepare: restore("rows.db"),
		command: migrate("segments", "dir:"+b.path("store"))}
	fileToFolder := &contender{name: "ingest migrate locators to a folder", prepare: restore("registered.db"),
		command: migrate("locators", "dir:"+b.path("store"))}
	toServer := &contender{name: "ingest models to a server that discards", command: b.modelsTo(model, address),
		prepare: func() error { return b.resetServer(ctx, address, false) }}
	rowsToServer := &contender{name: "ingest migrate segments from rows to that server", prepare: restore("rows.db"),
		command: migrate("segments", target)}
	fileToServer := &contender{name: "ingest migrate locators to that server", prepare: restore("registered.db"),
		command: migrate("locators", target)}
	contenders := []*contender{toFolder, rowsToFolder, fileToFolder, toServer, rowsToServer, fileToServer}
	if err := compare(ctx, b.rounds, contenders...); err != nil {
		return err
	}
	fmt.Printf("payloads of %d GiB in rows of SQLite and at a path, medians of %d\n", b.gib, b.rounds)
	printAll(contenders)
	for _, m := range []struct {
		what         string
		moved, taken *contender
	}{{"rows to a folder", rowsToFolder, toFolder}, {"a file to a folder", fileToFolder, toFolder},
		{"rows to the server", rowsToServer, toServer}, {"a file to the server", fileToServer, toServer}} {
		fmt.Printf("  %-54s %.2f (goal 1.30), peak %.0f MiB (goal 100)\n", m.what+", ratio to ingesting",
			m.moved.ratio(m.taken), m.moved.median(peak))
	}
	return b.clear("rows.db", "registered.db", "catalog", "store")
}
