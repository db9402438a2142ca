package main

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/hartonomous/ingest/ingest"
)

// state is the state of a content in the catalogue.
type state struct{ stored, cleared bool }

// check checks what must hold at any moment: each copy is intact, each file has a row with its path
// or a copy, and rows that cannot be migrated are as they were. It returns the states of the
// contents that move.
func (r *registry) check() map[ingest.Digest]state {
	r.Helper()
	rows := r.rows()
	for _, a := range rows {
		if a.hasCopy() {
			if err := r.checkCopy(a); err != nil {
				r.Errorf("atom %d: %v", a.id, err)
			}
		}
	}
	states := map[ingest.Digest]state{}
	for _, c := range r.contents {
		found, copies, paths, cleared := 0, 0, 0, 0
		for _, was := range c.rows {
			a := rows[was.id]
			if a == nil {
				continue
			}
			found++
			switch {
			case a.hasCopy() && a.hash == c.digest:
				copies++
			case r.paths[a.locator] == c.digest && (c.fate == moves || c.fate == has):
				paths++
			}
			if a.locator == "" {
				cleared++
			}
		}
		if c.fate == moves || c.fate == has {
			states[c.digest] = state{copies == 1 && found == 1, cleared == found}
		}
		switch {
		case found == 0:
			r.Errorf("the rows %v are lost", ids(c.rows))
		case copies > 1:
			r.Errorf("of the rows %v, %d have a copy", ids(c.rows), copies)
		case (c.fate == moves || c.fate == has) && copies+paths == 0:
			r.Errorf("the rows %v have neither a path nor a copy: %+v, %+v", ids(c.rows), c.rows[0], rows[c.rows[0].id])
		case c.fate == stays || c.fate == untouched:
			for _, was := range c.rows {
				r.unchanged(was, rows[was.id])
			}
		}
	}
	return states
}

func ids(rows []*otherAtom) (all []int64) {
	for _, a := range rows {
		all = append(all, a.id)
	}
	return all
}

// unchanged checks that a row has the values with which it was inserted.
func (r *registry) unchanged(was *otherAtom, now *storedAtom) {
	r.Helper()
	if now == nil {
		r.Errorf("atom %d is gone", was.id)
		return
	}
	if got, want := columns(&now.otherAtom), columns(was); got != want || now.hasCopy() != (was.payload != nil) {
		r.Errorf("atom %d is %s, with a copy %t; it was %s", was.id, got, now.hasCopy(), want)
	}
}

// columns returns the columns that another program wrote.
func columns(a *otherAtom) string {
	return fmt.Sprintf("%s %q %q %q %q %q %q %q inactive %t count %d", a.hash, a.modality, a.subtype, a.uri,
		a.sourceType, a.text, a.locator, a.metadata, a.inactive, a.ownCount)
}

// final checks each row after the last migration.
func (r *registry) final(cleared bool) {
	r.Helper()
	r.check()
	rows := r.rows()
	references := map[string]map[int64]int64{}
	for table, column := range atomColumns {
		references[table] = map[int64]int64{}
		r.outside(func(o *outside) {
			o.each(func(v []any) { references[table][numberOf(v[0])] = numberOf(v[1]) },
				`SELECT `+column+`, COUNT(*) FROM dbo.`+table+` WHERE `+column+` IS NOT NULL GROUP BY `+column)
		})
	}
	for _, c := range r.contents {
		if c.fate == stays || c.fate == untouched {
			continue
		}
		r.finalContent(c, rows, cleared)
		var now *storedAtom
		var sum otherAtom
		for _, was := range c.rows {
			if rows[was.id] != nil {
				now = rows[was.id]
			}
			sum.absorb(was)
		}
		want := map[string]int64{"IngestionJobAtoms": sum.jobs, "ModelLayers": sum.layers, "TensorAtoms": sum.tensors,
			"AtomEmbeddings": sum.embeddings}
		for table, n := range want {
			if now != nil && references[table][now.id] != n {
				r.Errorf("%d rows of %s refer to atom %d, want %d", references[table][now.id], table, now.id, n)
			}
		}
	}
	c := r.open()
	defer c.Close()
	if err := c.Audit(context.Background()); err != nil {
		r.Error(err)
	}
}

// atomColumns are the columns that refer to Atoms, by table.
var atomColumns = map[string]string{"IngestionJobAtoms": "AtomId", "ModelLayers": "LayerAtomId",
	"TensorAtoms": "AtomId", "AtomEmbeddings": "AtomId"}

// finalContent checks that one of the rows of a content remains, with the values of all.
func (r *registry) finalContent(c *content, rows map[int64]*storedAtom, cleared bool) {
	r.Helper()
	var left []*storedAtom
	for _, was := range c.rows {
		if a := rows[was.id]; a != nil {
			left = append(left, a)
		}
	}
	if len(left) != 1 {
		for _, a := range left {
			r.Errorf("of the rows %v, %d remains: %s, with a copy %t", ids(c.rows), a.id, columns(&a.otherAtom),
				a.hasCopy())
		}
		return
	}
	now := left[0]
	if now.hash != c.digest || now.hasCopy() != (c.fate != links) {
		r.Errorf("atom %d has the hash %s, want %s; with a copy %t", now.id, now.hash, c.digest, now.hasCopy())
	}
	if c.fate == moves && (r.to == inRows) != now.inRow {
		r.Errorf("atom %d: in its row %t, at %s; the target is %s", now.id, now.inRow, now.address, r.to)
	}
	if (now.locator == "") != (cleared && c.fate != links) {
		r.Errorf("atom %d has the path %q; cleared %t", now.id, now.locator, cleared)
	}
	one, want := now.otherAtom, otherAtom{inactive: true}
	for _, was := range c.rows {
		want.absorb(was)
		r.keepsMetadata(now, was)
	}
	want.hash, one.metadata = c.digest, ""
	if now.locator == "" {
		want.locator = ""
	}
	if got, want := columns(&one), columns(&want); got != want {
		r.Errorf("atom %d is %s, want %s", now.id, got, want)
	}
}

// keepsMetadata checks that a row has the Metadata of another one. Of two values of one key, it may
// have either. Metadata that was not merged is the same text.
func (r *registry) keepsMetadata(now *storedAtom, was *otherAtom) {
	r.Helper()
	if now.metadata == was.metadata || was.metadata == "" {
		return
	}
	var has, had map[string]json.RawMessage
	err := json.Unmarshal([]byte(now.metadata), &has)
	if err == nil {
		err = json.Unmarshal([]byte(was.metadata), &had)
	}
	for key := range had {
		if _, kept := has[key]; !kept {
			err = fmt.Errorf("%s is missing", key)
		}
	}
	if err != nil {
		r.Errorf("atom %d has the Metadata %s, and had %s: %v", now.id, now.metadata, was.metadata, err)
	}
}

// name returns the number of a content, by the IDs of its rows.
func (r *registry) names() map[int64]string {
	names := map[int64]string{}
	for i, c := range r.contents {
		for _, a := range c.rows {
			names[a.id] = fmt.Sprint("content ", i)
		}
	}
	return names
}

// ask returns the answers to the queries of the .NET application. migrated means that rows with the
// hash of a path have that of the file. IDs of atoms are replaced by their contents, so that merged rows
// are equal.
func (r *registry) ask(migrated bool) map[string]string {
	r.Helper()
	answers, names := map[string]string{}, r.names()
	r.outside(func(o *outside) {
		ask := func(question string, atom int, query string, args ...any) {
			var lines []string
			o.each(func(v []any) {
				if atom >= 0 && v[atom] != nil {
					v[atom] = names[numberOf(v[atom])]
				}
				for i := range v {
					if payload, is := v[i].([]byte); is {
						v[i] = ingest.Sum(payload)
					}
				}
				lines = append(lines, fmt.Sprint(v...))
			}, query, args...)
			answers[question] = strings.Join(slices.Compact(lines), "\n")
		}
		for i, c := range r.contents {
			for n, a := range c.rows {
				hash := a.hash
				if migrated && (c.fate == moves || c.fate == links) {
					hash = c.digest
				}
				ask(fmt.Sprintf("hash of row %d of content %d", n, i), 0,
					`SELECT AtomId, Modality, CanonicalText FROM dbo.Atoms WHERE ContentHash = @p1`, hash[:])
				if a.locator != "" {
					ask("path "+a.locator, 0,
						`SELECT AtomId, Modality FROM dbo.Atoms WHERE PayloadLocator = @p1`, a.locator)
				}
			}
		}
		for table, column := range atomColumns {
			key := strings.TrimSuffix(table, "s") + "Id"
			if table == "ModelLayers" {
				key = "LayerId"
			}
			ask(table, 1, `SELECT t.`+key+`, a.AtomId, a.Modality FROM dbo.`+table+` AS t
				INNER JOIN dbo.Atoms AS a ON a.AtomId = t.`+column+` ORDER BY t.`+key)
		}
		type layer struct{ model, index, id int64 }
		var layers []layer
		o.each(func(v []any) { layers = append(layers, layer{numberOf(v[0]), numberOf(v[1]), numberOf(v[2])}) },
			`SELECT ModelId, LayerIdx, LayerId FROM dbo.ModelLayers`)
		for _, l := range layers {
			ask(fmt.Sprintf("layer %d of model %d", l.index, l.model), 5,
				`SELECT LayerId, LayerName, LayerType, TensorShape, QuantizationType, LayerAtomId FROM dbo.ModelLayers
				WHERE ModelId = @p1 AND LayerIdx = @p2 ORDER BY LayerId`, l.model, l.index)
			ask(fmt.Sprint("segments of layer ", l.id), -1,
				`SELECT SegmentOrdinal, PointOffset, PointCount, QuantizationType, RawPayload
				FROM dbo.LayerTensorSegments WHERE LayerId = @p1 ORDER BY SegmentOrdinal`, l.id)
		}
	})
	return answers
}

// same checks that questions have the same answers as before, except those with a prefix.
func (r *registry) same(before, after map[string]string, except ...string) {
	r.Helper()
	for _, question := range slices.Sorted(maps.Keys(before)) {
		excepted := slices.ContainsFunc(except, func(prefix string) bool { return strings.HasPrefix(question, prefix) })
		if got, want := after[question], before[question]; got != want && !excepted {
			r.Errorf("%s: %.300s\nwant %.300s", question, got, want)
		}
	}
}
