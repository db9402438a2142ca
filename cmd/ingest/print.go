package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/ingest/pipeline"
)

// emit prints one result: a line of JSON with --json, otherwise a line for a person.
func (p *program) emit(object any, format string, args ...any) {
	if p.json {
		p.printJSON(object)
		return
	}
	fmt.Fprintf(p.stdout, format, args...)
}

// jsonVersion is the version of what --json prints. It grows when a field is removed or changes its
// meaning, but not when one is added.
const jsonVersion = 1

// printJSON prints a line of JSON. A summary gets the version.
func (p *program) printJSON(object any) {
	if fields, ok := object.(map[string]any); ok && fields["event"] == "summary" {
		fields["version"] = jsonVersion
	}
	fmt.Fprintln(p.stdout, jsonText(object))
}

// section prints an empty line before the next table.
func (p *program) section() {
	if !p.json {
		fmt.Fprintln(p.stdout)
	}
}

// printNotes prints notes, and for those that are refused the hints.
func (p *program) printNotes(event string, notes []ingest.Note) {
	hint := ""
	for _, note := range notes {
		if event == "refused" {
			hint = cmp.Or(hint, hintFor(note.Reason))
		}
		if event == "refused" && !p.json {
			fmt.Fprintf(p.stderr, "ingest: refused: %s\n", noteText(note))
			continue
		}
		if p.json || !p.quiet {
			p.emit(map[string]string{"event": event, "path": note.Path, "reason": note.Problem().Reason},
				"%s  %s\n", event, noteText(note))
		}
	}
	if hint != "" {
		fmt.Fprintln(p.stderr, "ingest: hint:", hint)
	}
}

func noteText(note ingest.Note) string {
	text := terminalSafe(note.Problem().Reason)
	if note.Path == "" {
		return text
	}
	return ingest.Printable(note.Path) + ": " + text
}

// terminalSafe escapes control characters except line ends. System errors contain names unescaped.
func terminalSafe(text string) string {
	var b strings.Builder
	for len(text) > 0 {
		r, n := utf8.DecodeRuneInString(text)
		char := text[:n]
		if r != '\n' && !unicode.IsPrint(r) || r == utf8.RuneError && n == 1 {
			char = strings.Trim(strconv.Quote(char), `"`)
		}
		b.WriteString(char)
		text = text[n:]
	}
	return b.String()
}

// printReport prints what a run did.
func (p *program) printReport(r *pipeline.Report) {
	for _, m := range r.Ingested {
		verb := "ingested"
		if m.Merged {
			verb = "present"
		}
		if p.json || !p.quiet {
			p.emit(map[string]any{"event": "taken", "id": m.Model, "name": m.Name, "files": m.Files,
				"bytes": m.Bytes, "joined": m.Merged, "bytes_resumed": m.Resumed},
				"%s  model %d  %s  (%s in %s)\n", verb, m.Model, shortName(m.Name), human(m.Bytes),
				plural(m.Files, "file"))
		}
	}
	p.printNotes("skipped", r.Skipped)
	p.printNotes("warning", r.Warnings)
	p.printNotes("refused", r.Refused)
	saved, types, smaller := int64(0), make([]map[string]any, len(r.Stored)), []string{}
	for i, t := range r.Stored {
		saved += t.Bytes - t.Stored
		types[i] = typeObject(t)
		if t.Codec != "" {
			smaller = append(smaller, fmt.Sprintf("%s %s to %s", typeName(t), human(t.Bytes), human(t.Stored)))
		}
	}
	if p.json {
		p.printJSON(map[string]any{"event": "summary", "job": r.Job, "continued": r.Continued, "taken": len(r.Ingested),
			"skipped": len(r.Skipped), "refused": len(r.Refused), "bytes_read": r.BytesRead,
			"bytes_stored": r.BytesStored, "bytes_shared": r.BytesShared, "bytes_present": r.BytesPresent,
			"bytes_saved": saved, "types": types, "seconds": r.Elapsed.Seconds(), "interrupted": r.Interrupted})
		return
	}
	p.printf("job %d: %s, %d skipped, %d refused; %s read, %s stored, %s shared%s; %s\n", r.Job, countModels(r),
		len(r.Skipped), len(r.Refused), human(r.BytesRead), human(r.BytesStored), human(r.BytesShared), present(r),
		r.Elapsed.Round(10*time.Millisecond))
	if len(smaller) > 0 {
		p.printf("saved %s by compression: %s\n", human(saved), strings.Join(smaller, ", "))
	}
}

// countModels counts the models that a run ingested, and those that only got another name.
func countModels(r *pipeline.Report) string {
	named := 0
	for _, m := range r.Ingested {
		if m.Merged {
			named++
		}
	}
	text := plural(len(r.Ingested)-named, "model") + " ingested"
	if named > 0 {
		text += fmt.Sprintf(", %d present under another name", named)
	}
	return text
}

// present says how many bytes had rows before the run.
func present(r *pipeline.Report) string {
	if r.BytesPresent == 0 {
		return ""
	}
	return ", " + human(r.BytesPresent) + " already present"
}

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// list makes a nil slice an empty list in JSON rather than null.
func list(items []string) []string { return append([]string{}, items...) }

// metadataObject makes missing metadata an empty object in JSON.
func metadataObject(metadata json.RawMessage) json.RawMessage {
	if len(metadata) == 0 {
		return json.RawMessage("{}")
	}
	return metadata
}
