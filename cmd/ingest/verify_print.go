package main

import (
	"context"
	"errors"
	"fmt"
	"regexp"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/ingest/reader"
)

func (v *verification) found(m ingest.Summary, d reader.Damage) {
	state := "damaged"
	switch {
	case d.Repaired:
		state = "repaired"
		v.repaired++
	case d.File.Whole:
		v.damaged++
		v.atPaths++
		if d.Missing() {
			state = "missing"
		} else if d.Replaced() {
			state = "changed"
		}
	case d.Missing():
		state = "missing"
		v.damaged++
		v.missing++
	default:
		v.damaged++
		if errors.Is(d.Reason, ingest.ErrIncomplete) {
			v.missingRows++
		}
	}
	place := "whole file"
	if d.Segment.Bytes > 0 {
		place = d.Segment.Place()
	}
	s := d.Segment
	v.emit(damageObject{state, m.ID, m.Name, d.File.Name, s.Tensor, s.Layer, s.Ordinal, s.Offset, s.Bytes, s.Digest,
		d.Reason.Error()}, "%s  model %d  %s: %s\n", state, m.ID, inModel(m, d.File, place),
		shortDigests(d.Reason.Error()))
	v.log.Info(state, "model", m.ID, "file", d.File.Path, "place", place, "reason", d.Reason)
}

// inModel puts the model's name before a place, and the file's if the model has several.
func inModel(m ingest.Summary, f ingest.StoredFile, place string) string {
	name := shortName(m.Name) + "  "
	if len(m.Files) > 1 {
		return name + shortDigests(inFile(f, place))
	}
	return name + place
}

// fullDigest matches a digest in a message.
var fullDigest = regexp.MustCompile(`\b([0-9a-f]{12})[0-9a-f]{52}\b`)

// shortDigests shortens the digests in a message, as list does. --json and the log have them in full.
func shortDigests(text string) string { return terminalSafe(fullDigest.ReplaceAllString(text, "$1")) }

// inFile puts the file's name, if there is one, before a place.
func inFile(f ingest.StoredFile, place string) string {
	if f.ID == 0 {
		return place
	}
	return ingest.Printable(f.Name) + "  " + place
}

// hintStores names the stores that may contain missing payloads, and reports whether any of them is
// not --store.
func (p *program) hintStores(ctx context.Context, jobs ingest.Jobs) (bool, error) {
	used, err := usedStores(ctx, jobs)
	if err != nil {
		return false, err
	}
	store, err := p.storeName()
	elsewhere := len(used) > 1 || len(used) == 1 && used[0].Address != store
	if elsewhere {
		fmt.Fprintf(p.stderr, "ingest: hint: jobs of this catalogue used %s: name the right store with --store\n",
			storeNames(used))
	}
	return elsewhere, err
}

// how describes how payloads were verified, for the summary.
func (v *verification) how() string {
	switch {
	case v.verifier.Attested:
		return "checked by metadata"
	case v.verifier.Server:
		return fmt.Sprintf("hashed, %s of them by the server", human(v.verifier.Hashed.Load()))
	}
	return "read"
}

func (v *verification) finish() error {
	if v.json {
		v.printJSON(verifySummary{newSummary(), v.verified, v.files, v.models - v.verified,
			!v.verifier.Attested && !v.verifier.Server, v.progress.BytesRecorded.Load(), v.verifier.Hashed.Load(),
			v.damaged, v.repaired})
	} else {
		if unfinished := v.models - v.verified - v.foreign; unfinished > 0 {
			v.printf("%s could not be verified completely\n", plural(unfinished, "model"))
		}
		if v.files > 0 {
			v.printf("%s verified that are stored whole\n", plural(v.files, "file"))
		}
		v.printf("%s verified, %s %s: %d damaged or missing, %d repaired\n", plural(v.verified, "model"),
			human(v.progress.BytesRecorded.Load()), v.how(), v.damaged, v.repaired)
	}
	if v.damaged > 0 {
		return &codeError{code: exitDamage}
	}
	return nil
}
