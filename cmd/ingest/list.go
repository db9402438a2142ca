package main

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/hartonomous/ingest/ingest"
)

// listFlags are the flags of list.
type listFlags struct {
	long    bool
	filters []string
	sort    string
}

func newList(p *program) *cobra.Command {
	var f listFlags
	c := &cobra.Command{
		Use:   "list",
		Short: "List models with their names, files, quantization and size",
		Long: `List models with their names, the file of their weights, their quantization, size and parameters, and
their state if any is not complete. On a terminal, long names are cut, and columns omitted that do not fit.

QUANT is derived from the tensors: the type of most elements or, for a mix of K types, the name that
llama.cpp gives it.

--long also lists files, tensors, segments and digests. STORED are the bytes of segments that were new,
SHARED those of segments that were already present, and SAVED how much smaller the encoded payloads of
both are. For a registered model, STORED says where its bytes are.`,
		Example: "  ingest list\n  ingest list --filter llama --filter q4_k --sort size\n  ingest list --long",
		Args:    cobra.NoArgs,
		RunE:    func(c *cobra.Command, _ []string) error { return p.list(c.Context(), f) },
	}
	c.Flags().BoolVar(&f.long, "long", false, "list all columns")
	c.Flags().StringArrayVar(&f.filters, "filter", nil, "list only models with this `text` in a name, file name, "+
		"architecture or quantization; repeatable: all must match")
	c.Flags().StringVar(&f.sort, "sort", "id",
		"id, name, size (largest first), params (most first) or date (latest first)")
	return c
}

// sortKey is what list sorts by: the text, then the number.
type sortKey struct {
	text   string
	number int64
}

// sortKeys returns the key of a model for each value of --sort. Models come by id.
var sortKeys = map[string]func(listed) sortKey{
	"id":     nil,
	"name":   func(m listed) sortKey { return sortKey{text: strings.ToLower(m.Name)} },
	"size":   func(m listed) sortKey { return sortKey{number: -totalBytes(m.Summary)} },
	"params": func(m listed) sortKey { return sortKey{number: -m.Parameters} },
	"date":   func(m listed) sortKey { return sortKey{number: -m.Ingested.UnixNano()} },
}

func (p *program) list(ctx context.Context, f listFlags) error {
	keyOf, known := sortKeys[f.sort]
	if !known {
		return usage("--sort %s: want id, name, size, params or date", ingest.Printable(f.sort))
	}
	catalog, err := p.openExisting(ctx)
	if err != nil {
		return err
	}
	defer catalog.Close()
	t := newListTable(p, f.long)
	defer func() { p.printSummary(t.summary) }()
	type sorted struct {
		key sortKey
		row listRow
	}
	var kept []sorted
	for m, err := range quantized(ctx, catalog) {
		if err != nil {
			return err
		}
		if !m.matches(f.filters) {
			continue
		}
		row, err := t.row(ctx, catalog, m)
		if err != nil {
			return err
		}
		if keyOf == nil {
			t.add(row)
		} else {
			kept = append(kept, sorted{keyOf(m), row})
		}
	}
	slices.SortStableFunc(kept, func(a, b sorted) int {
		return cmp.Or(cmp.Compare(a.key.text, b.key.text), cmp.Compare(a.key.number, b.key.number))
	})
	for _, k := range kept {
		t.add(k.row)
	}
	t.flush()
	return nil
}

// matches reports whether each text is in a name, a file name of the weights, the architecture or the
// quantization.
func (m listed) matches(texts []string) bool {
	if len(texts) == 0 {
		return true
	}
	fields := append(m.AllNames(), m.Architecture, m.quantization)
	for _, f := range m.Files {
		if f.Role == ingest.Weights {
			fields = append(fields, f.Name)
		}
	}
	for i := range fields {
		fields[i] = strings.ToLower(fields[i])
	}
	for _, text := range texts {
		text = strings.ToLower(text)
		if !slices.ContainsFunc(fields, func(field string) bool { return strings.Contains(field, text) }) {
			return false
		}
	}
	return true
}

func totalBytes(m ingest.Summary) int64 {
	n := int64(0)
	for _, f := range m.Files {
		n += f.Bytes
	}
	return n
}

// objectOf returns a model as --json prints it.
func objectOf(m listed) modelObject {
	files := make([]fileObject, len(m.Files))
	for i, f := range m.Files {
		files[i] = fileObject{f.Name, f.Role, f.Format, f.Digest, f.Bytes, f.Recorded, f.Tensors, f.Path}
	}
	return modelObject{Object: "model", ID: m.ID, Name: m.Name, Names: m.AllNames(), URIs: uris(m.Summary),
		State: m.State, Type: m.Type, Architecture: m.Architecture, Quantization: m.quantization,
		Parameters: m.Parameters, Job: m.Job, Files: files, Bytes: totalBytes(m.Summary), Tensors: m.Tensors,
		Segments: m.Segments, BytesStored: m.BytesStored, BytesShared: m.BytesShared, BytesSaved: m.BytesSaved,
		Ingested: m.Ingested.UTC()}
}

// uris returns the URIs of the model's names, which say where it came from.
func uris(m ingest.Summary) []string {
	all := make([]string, len(m.Names))
	for i, n := range m.Names {
		all[i] = n.URI
	}
	return all
}
