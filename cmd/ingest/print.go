package main

import (
	"cmp"
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
			p.emit(noteObject{event, note.Path, note.Problem().Reason}, "%s  %s\n", event, noteText(note))
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

// printReport prints what a run did, and the summary.
func (p *program) printReport(r *pipeline.Report) {
	counts := p.printRun(r)
	p.printSummary(runSummary{newSummary(), counts})
}

// printRun prints what a run did, and for a person its totals. It returns the counts.
func (p *program) printRun(r *pipeline.Report) runCounts {
	for _, m := range r.Ingested {
		verb := "ingested"
		if m.Merged {
			verb = "present"
		}
		if p.json || !p.quiet {
			p.emit(takenObject{"taken", m.Model, m.Name, m.Files, m.Bytes, m.Resumed, m.Merged},
				"%s  model %d  %s  (%s in %s)\n", verb, m.Model, shortName(m.Name), human(m.Bytes),
				plural(m.Files, "file"))
		}
	}
	p.printNotes("skipped", r.Skipped)
	p.printNotes("warning", r.Warnings)
	p.printNotes("refused", r.Refused)
	p.printf("job %d: %s, %d skipped, %d refused; %s read, %s stored, %s shared%s; %s\n", r.Job, countModels(r),
		len(r.Skipped), len(r.Refused), human(r.BytesRead), human(r.BytesStored), human(r.BytesShared), present(r),
		r.Elapsed.Round(10*time.Millisecond))
	counts := runCounts{Job: r.Job, Continued: r.Continued, Taken: len(r.Ingested), Skipped: len(r.Skipped),
		Refused: len(r.Refused), BytesRead: r.BytesRead, BytesStored: r.BytesStored, BytesShared: r.BytesShared,
		BytesPresent: r.BytesPresent, Types: []typeSizes{}, Seconds: r.Elapsed.Seconds(), Interrupted: r.Interrupted}
	var smaller []string
	for _, t := range r.Stored {
		counts.BytesSaved += t.Bytes - t.Stored
		counts.Types = append(counts.Types, sizesOf(t))
		if t.Codec != "" {
			smaller = append(smaller, fmt.Sprintf("%s %s to %s", typeName(t), human(t.Bytes), human(t.Stored)))
		}
	}
	if len(smaller) > 0 {
		p.printf("saved %s by compression: %s\n", human(counts.BytesSaved), strings.Join(smaller, ", "))
	}
	return counts
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
