package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/hartonomous/ingest/ingest"
)

// modelArgument explains MODEL in help texts.
const modelArgument = `MODEL is an id, a name (:latest may be omitted), or the SHA-256 of one of the model's
files: all 64 digits, or the first six or more. A few digits may also be a name; with sha256: before them
they are always a digest. If nothing of this fits, MODEL may be the path or the name of a file of the
model, a repository such as owner/name or only its last part, or a URI that show prints.`

func newShow(p *program) *cobra.Command {
	segments := false
	c := &cobra.Command{
		Use:   "show MODEL",
		Short: "Show a model's files, names, metadata, tensors and segments",
		Long: `Show a model's files, names, metadata and tensors, and its segments with --segments. For a
registered model, show prints where its files are.

` + modelArgument,
		Example: "  ingest show llama3:latest\n  ingest show 7 --segments",
		Args:    requireArg("MODEL", cobra.ExactArgs(1)),
		RunE:    func(c *cobra.Command, args []string) error { return p.show(c.Context(), args[0], segments) },
	}
	c.Flags().BoolVar(&segments, "segments", false, "list each segment with its digest and location")
	return c
}

func (p *program) show(ctx context.Context, reference string, segments bool) error {
	catalog, err := p.openExisting(ctx)
	if err != nil {
		return err
	}
	defer catalog.Close()
	m, err := ingest.FindModel(ctx, catalog, reference)
	if err != nil {
		return err
	}
	all, err := withQuantization(ctx, catalog, []ingest.Summary{m})
	if err != nil {
		return err
	}
	p.showModel(all[0])
	sum := &showSummary{summaryHead: newSummary()}
	defer func() { p.printSummary(sum) }()
	if err := p.showPlaces(ctx, catalog, m, sum); err != nil {
		return err
	}
	if err := p.showSaved(ctx, catalog, m, sum); err != nil {
		return err
	}
	if err := p.showLayers(ctx, catalog, m, sum); err != nil || !segments {
		return err
	}
	return p.showSegments(ctx, catalog, m, sum)
}

func (p *program) showModel(m listed) {
	if p.json {
		p.printJSON(shownModel{objectOf(m), metadataObject(m.Metadata)})
		return
	}
	names := shortNames(m.AllNames())
	p.table([][]any{{"model", m.ID}, {"name", names[0]}, {"other names", strings.Join(names[1:], ", ")},
		{"from", strings.Join(uris(m.Summary), ", ")}, {"type", m.Type}, {"architecture", m.Architecture},
		{"quantization", m.quantization}, {"parameters", m.Parameters}, {"state", string(m.State)},
		{"stored", human(m.BytesStored)}, {"shared", human(m.BytesShared)}, {"saved", human(m.BytesSaved)}})
	p.section()
	rows := [][]any{{"FILE", "ROLE", "FORMAT", "BYTES", "SHA-256", "NAMES"}}
	for _, f := range m.Files {
		digest := f.Digest.String()
		if f.Digest.IsZero() {
			digest = fmt.Sprintf("(%s recorded)", human(f.Recorded))
		}
		names := strings.Join(shortNames(namesOf(m.Summary, f.ID)), ", ")
		rows = append(rows, []any{f.Name, string(f.Role), f.Format, f.Bytes, digest, names})
	}
	p.table(rows)
	var metadata map[string]json.RawMessage
	if json.Unmarshal(m.Metadata, &metadata) == nil && len(metadata) > 0 {
		fmt.Fprintln(p.stdout, "\nMETADATA")
		p.printMetadata(m.Metadata)
	}
}

// showSaved prints the sizes of a model's payloads by element type, if any are encoded.
func (p *program) showSaved(ctx context.Context, reader ingest.Reader, m ingest.Summary, sum *showSummary) error {
	if m.BytesSaved == 0 && !p.json {
		return nil
	}
	types, err := reader.TypeBytes(ctx, m.ID)
	if err != nil {
		return err
	}
	rows := [][]any{{"TYPE", "CODEC", "SEGMENTS", "BYTES", "ENCODED", "SAVED", "RATIO"}}
	for _, t := range types {
		if p.json {
			sum.Types++
			p.printJSON(typeObject{"type", sizesOf(t)})
			continue
		}
		rows = append(rows, []any{typeName(t), t.Codec, t.Segments, human(t.Bytes), human(t.Stored),
			human(t.Bytes - t.Stored), ratio(t)})
	}
	if !p.json {
		p.section()
		p.table(rows)
	}
	return nil
}

// sizesOf returns the sizes of an element type as --json prints them.
func sizesOf(t ingest.TypeBytes) typeSizes {
	return typeSizes{Type: t.Type, Codec: t.Codec, Segments: t.Segments, Bytes: t.Bytes, BytesEncoded: t.Stored}
}

func typeName(t ingest.TypeBytes) string { return cmp.Or(t.Type, "(outside tensors)") }

func ratio(t ingest.TypeBytes) string {
	return fmt.Sprintf("%.2f", float64(t.Bytes)/float64(max(1, t.Stored)))
}

// namesOf returns the names of the model that a file belongs to.
func namesOf(m ingest.Summary, file ingest.FileID) []string {
	var names []string
	for _, n := range m.Names {
		if n.Has(file) {
			names = append(names, n.Name)
		}
	}
	return names
}

// printMetadata prints the keys of a JSON object in order, one per line.
func (p *program) printMetadata(object json.RawMessage) {
	decoder := json.NewDecoder(strings.NewReader(string(object)))
	decoder.Token() // the opening brace
	for decoder.More() {
		key, err := decoder.Token()
		var value json.RawMessage
		if err != nil || decoder.Decode(&value) != nil {
			return
		}
		line := fmt.Sprintf("  %s = %s", key, plainJSON(value))
		if len(line) > 160 {
			line = strings.ToValidUTF8(line[:157], "") + "..."
		}
		fmt.Fprintln(p.stdout, ingest.Printable(line))
	}
}

// plainJSON undoes the escapes of <, > and & that encoding/json writes for web pages.
func plainJSON(value json.RawMessage) string {
	return strings.NewReplacer(`\u003c`, "<", `\u003e`, ">", `\u0026`, "&").Replace(string(value))
}

func (p *program) showLayers(ctx context.Context, reader ingest.Reader, m ingest.Summary, sum *showSummary) error {
	rows := [][]any{{"TENSOR", "KIND", "TYPE", "SHAPE", "OFFSET", "BYTES", "SEGMENTS"}}
	for layer, err := range reader.Layers(ctx, m.ID) {
		if err != nil {
			return err
		}
		if p.json {
			sum.Tensors++
			p.printJSON(storedTensor{tensorObject{"tensor", layer.Index, layer.Name, layer.Type, list(layer.Shape),
				layer.Elements, layer.Offset, layer.Bytes}, layer.Kind, layer.Segments, fileName(m, layer.File)})
			continue
		}
		rows = p.flush(append(rows, []any{layer.Name, layer.Kind, layer.Type, fmt.Sprint(layer.Shape), layer.Offset,
			layer.Bytes, layer.Segments}))
	}
	if !p.json && m.Tensors > 0 {
		p.section()
		p.table(rows)
	}
	return nil
}

func fileName(m ingest.Summary, id ingest.FileID) string {
	for _, f := range m.Files {
		if f.ID == id {
			return f.Name
		}
	}
	return ""
}

func (p *program) showSegments(ctx context.Context, reader ingest.Reader, m ingest.Summary, sum *showSummary) error {
	p.section()
	rows := [][]any{{"SEGMENT OF", "ORDINAL", "OFFSET", "BYTES", "ENCODED", "SHA-256", "LOCATION"}}
	for _, file := range m.Files {
		for segment, err := range reader.Segments(ctx, file.ID, 0) {
			if err != nil {
				return err
			}
			where, stored := segment.Address.URI, segment.Bytes
			if segment.InStore() {
				stored = segment.Address.Bytes
			}
			switch {
			case segment.Small:
				where = "catalogue"
			case segment.InRow:
				where = "row"
			}
			if p.json {
				sum.Segments++
				p.printJSON(segmentObject{"segment", file.Name, segment.Tensor, segment.Ordinal, segment.Offset,
					segment.Bytes, stored, segment.Address.Codec, segment.Digest, where})
				continue
			}
			owner := segment.Tensor
			if segment.Layer == 0 {
				owner = "(" + filepath.Base(file.Name) + ")"
			}
			rows = p.flush(append(rows, []any{owner, segment.Ordinal, segment.Offset, segment.Bytes, stored,
				segment.Digest, where}))
		}
	}
	if !p.json {
		p.table(rows)
	}
	return nil
}

// flush prints a long table in parts, to bound memory. It returns the unprinted rows.
func (p *program) flush(rows [][]any) [][]any {
	if len(rows) < 1000 {
		return rows
	}
	p.table(rows)
	return nil
}
