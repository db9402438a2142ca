package main

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"github.com/hartonomous/ingest/ingest"
)

func newList(p *program) *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List models with their size, tensors, segments, and shared and saved bytes",
		Long: `List models with their size, tensors and segments. STORED are the bytes of segments that were new,
SHARED those of segments that were already present, and SAVED how much smaller the encoded payloads of both are.
For a registered model, list shows where its bytes are instead of a stored size.`,
		Example: "  ingest list\n  ingest list --json",
		Args:    cobra.NoArgs,
		RunE:    func(c *cobra.Command, _ []string) error { return p.list(c.Context()) },
	}
}

func (p *program) list(ctx context.Context) error {
	catalog, err := p.openExisting(ctx)
	if err != nil {
		return err
	}
	defer catalog.Close()
	rows := [][]any{{"ID", "NAME", "STATE", "FILES", "SIZE", "TENSORS", "SEGMENTS", "STORED", "SHARED", "SAVED",
		"SHA-256"}}
	for m, err := range catalog.Models(ctx) {
		if err != nil {
			return err
		}
		if p.json {
			p.printJSON(modelObject(m))
			continue
		}
		digest := ""
		if len(m.Files) > 0 && !m.Files[0].Digest.IsZero() {
			digest = m.Files[0].Digest.Short()
		}
		names := strings.Join(append([]string{m.Name}, otherNames(m)...), ", ")
		stored, err := storedBytes(ctx, catalog, m)
		if err != nil {
			return err
		}
		rows = p.flush(append(rows, []any{m.ID, names, string(m.State), len(m.Files), human(totalBytes(m)), m.Tensors,
			m.Segments, stored, human(m.BytesShared), human(m.BytesSaved), digest}))
	}
	if !p.json {
		p.table(rows)
	}
	return nil
}

func otherNames(m ingest.Summary) []string {
	var names []string
	for _, n := range m.Names {
		if n.Name != m.Name {
			names = append(names, n.Name)
		}
	}
	return names
}

func totalBytes(m ingest.Summary) int64 {
	n := int64(0)
	for _, f := range m.Files {
		n += f.Bytes
	}
	return n
}

// modelObject is a model as --json prints it. Its fields are stable.
func modelObject(m ingest.Summary) map[string]any {
	names := []string{m.Name}
	files := make([]map[string]any, len(m.Files))
	for i, f := range m.Files {
		files[i] = map[string]any{"name": f.Name, "role": f.Role, "format": f.Format, "sha256": f.Digest,
			"bytes": f.Bytes, "bytes_recorded": f.Recorded, "tensors": f.Tensors, "path": f.Path}
	}
	return map[string]any{"id": m.ID, "name": m.Name, "names": append(names, otherNames(m)...), "type": m.Type,
		"architecture": m.Architecture, "parameters": m.Parameters, "state": m.State, "job": m.Job, "files": files,
		"bytes": totalBytes(m), "tensors": m.Tensors, "segments": m.Segments, "bytes_stored": m.BytesStored,
		"bytes_shared": m.BytesShared, "bytes_saved": m.BytesSaved, "ingested": m.Ingested.UTC()}
}
